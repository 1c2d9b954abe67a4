// The radio nRF24L01+ by its registers: product specification 1.0, chapters 6, 8 and 9.
// Both sketches have this file, because the Arduino IDE compiles a sketch's own folder only;
// a test keeps the two equal.
#pragma once

#include <Arduino.h>
#include <util/delay.h>

#include "config.h"

enum : uint8_t {
  // commands
  R_REGISTER = 0x00,
  W_REGISTER = 0x20,
  R_RX_PAYLOAD = 0x61,
  W_TX_PAYLOAD = 0xA0,
  FLUSH_TX = 0xE1,
  FLUSH_RX = 0xE2,
  NOP = 0xFF,
  // registers
  CONFIG = 0x00,
  EN_AA = 0x01,
  EN_RXADDR = 0x02,
  SETUP_AW = 0x03,
  SETUP_RETR = 0x04,
  RF_CH = 0x05,
  RF_SETUP = 0x06,
  STATUS = 0x07,
  RPD = 0x09,
  RX_ADDR_P0 = 0x0A,
  TX_ADDR = 0x10,
  RX_PW_P0 = 0x11,
  FIFO_STATUS = 0x17,
  DYNPD = 0x1C,
  FEATURE = 0x1D,
  // CONFIG
  CRC_16 = 0x0C,
  PWR_UP = 0x02,
  PRIM_RX = 0x01,
  // SETUP_AW
  ADDRESS_OF_5 = 0x03,
  // RF_SETUP
  RADIO_RATE_250K = 0x20,
  RADIO_RATE_1M = 0x00,
  POWER_0_DBM = 0x06,
  // STATUS
  STATUS_ALWAYS_0 = 0x80,
  RX_DR = 0x40,
  TX_DS = 0x20,
  MAX_RT = 0x10,
  // FIFO_STATUS
  FIFO_ALWAYS_0 = 0x80,
  TX_EMPTY = 0x10,
  RX_FULL = 0x02,
  RX_EMPTY = 0x01,
};

const uint8_t ADDRESS_SIZE = 5;
const uint8_t PAYLOAD_SIZE = 16;
const uint8_t POWER_ON_RESET_MS = 120; // 100, and some more
const uint8_t POWER_UP_MS = 5;    // from power down to standby, with a poor crystal too
const uint8_t CE_PULSE_US = 15;   // 10 at least

static inline void radio_connect() {
  digitalWrite(RADIO_CE_PIN, LOW);
  pinMode(RADIO_CE_PIN, OUTPUT);
  digitalWrite(RADIO_CSN_PIN, HIGH);
  pinMode(RADIO_CSN_PIN, OUTPUT);
  pinMode(SS, OUTPUT); // as an input it could end the SPI's being master
  pinMode(SCK, OUTPUT);
  pinMode(MOSI, OUTPUT);
  SPCR = _BV(SPE) | _BV(MSTR); // mode 0, a quarter of the clock: 4 MHz of the radio's 8
}

// Send a command, then exchange `count` bytes in place. Returns STATUS as it was before.
static inline uint8_t radio_exchange(uint8_t command, uint8_t *bytes, uint8_t count) {
  uint8_t status = 0;
  digitalWrite(RADIO_CSN_PIN, LOW);
  for (uint8_t i = 0; i <= count; i++) {
    SPDR = i ? bytes[i - 1] : command;
    loop_until_bit_is_set(SPSR, SPIF);
    (i ? bytes[i - 1] : status) = SPDR;
  }
  digitalWrite(RADIO_CSN_PIN, HIGH);
  return status;
}

static inline uint8_t radio_command(uint8_t command) { return radio_exchange(command, nullptr, 0); }

static inline uint8_t radio_read(uint8_t address) {
  uint8_t value = NOP;
  radio_exchange(R_REGISTER | address, &value, 1);
  return value;
}

static inline void radio_write(uint8_t address, uint8_t value) {
  radio_exchange(W_REGISTER | address, &value, 1);
}

// Exchange a register that holds an address, of which the lowest byte goes first.
static inline uint64_t radio_exchange_address(uint8_t command, uint64_t address, uint8_t size) {
  uint8_t bytes[ADDRESS_SIZE];
  memcpy(bytes, &address, size);
  radio_exchange(command, bytes, size);
  address = 0;
  memcpy(&address, bytes, size);
  return address;
}
