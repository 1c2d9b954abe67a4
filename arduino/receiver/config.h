// What may be changed: pins, radio, and the sensors that are listened to.
#pragma once

#include <stdint.h>

// SCK, MOSI and MISO are where the board has them: 13, 11 and 12 on an Uno or Nano.
#define RADIO_CE_PIN 7
#define RADIO_CSN_PIN 8

#define RADIO_CHANNEL 76           // 0-125: 2400 MHz and as many more
#define RADIO_RATE RADIO_RATE_250K // older sensors: RADIO_RATE_1M

// One to five addresses. The radio can tell them apart by their last byte alone: the first eight
// hex digits must be the same in all.
static constexpr uint64_t SENSOR_ADDRESSES[] = {0xE056D446D0};
