// What may be changed: pins, radio, and the sensors that are listened to.
#pragma once

#include <stdint.h>

// SCK, MOSI and MISO are where the board has them: 13, 11 and 12 on an Uno or Nano.
#define RADIO_CE_PIN 7
#define RADIO_CSN_PIN 8

#define RADIO_CHANNEL 76           // 0-125: 2400 MHz and as many more
#define RADIO_RATE RADIO_RATE_250K // older sensors: RADIO_RATE_1M

// The sensors' addresses, here 0xE056D446D0 alone: what all of them begin with, and how each of
// up to five ends. The radio can tell them apart by their last two hex digits only.
static const uint32_t ADDRESSES_BEGIN = 0xE056D446;
static const uint8_t ADDRESSES_END[] = {0xD0};
