// What may be changed: the packet's form, the clamp, the radio and the pins.
#pragma once

#include <stdint.h>

// The form of the packets: ../../docs/packets.md has both.
#define FORMAT_V1 1   // as the firmware of 2014 sends them; a packet proves itself by the next one
#define FORMAT_V1_1 2 // the same for an old base, but each packet proves itself
#ifndef PACKET_FORMAT
#define PACKET_FORMAT FORMAT_V1_1
#endif

// Until it is calibrated: a clamp of 2000 turns with a burden of 22 ohms.
static const float AMPERE_A_VOLT = 2000.0 / 22.0;
static const uint8_t CLAMP_PIN = A0;
static const uint16_t MAINS_V = 240;        // not measured: power is current times this
static const uint16_t BAND_GAP_MV = 1100;   // the chip's own reference; 1000-1200 in others

#define RADIO_CE_PIN 9
#define RADIO_CSN_PIN 10
#define RADIO_CHANNEL 76           // 0-125: 2400 MHz and as many more
#define RADIO_RATE RADIO_RATE_250K // older bases: RADIO_RATE_1M
static const uint64_t RECEIVER_ADDRESS = 0xE056D446D0;
