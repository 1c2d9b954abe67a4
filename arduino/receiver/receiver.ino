// The receiver: every packet that the radio hears becomes a line on the serial port.
// ../README.md has the wiring and the lines; the bridge reads them in cw_mqtt/decode/framing.py.
// The packets stay encrypted: no key is in here.

#include <stdio.h>
#include <util/crc16.h>

#include "config.h"
#include "nrf24.h"

#define FIRMWARE "1.0.0"

const uint32_t BAUDRATE = 57600; // of the usual ones the fastest that 16 MHz divides well
const uint16_t CRC_START = 0xFFFF;
const uint8_t LONGEST_LINE = 63; // also what the serial port's buffer holds
const uint8_t TELL_EVERY_S = 60;
const uint8_t QUEUE_SIZE = 16; // more wait in the radio, which then asks the sensors to repeat

const uint8_t PIPES = sizeof ADDRESSES_END;
const uint8_t FIRST_PIPE = 1; // pipe 0 is the radio's own for acknowledgements
const uint8_t PIPES_ON = ((1 << PIPES) - 1) << FIRST_PIPE;
static_assert(PIPES >= 1 && PIPES <= 5, "config.h: one to five ADDRESSES_END, please");

struct Setting {
  uint8_t address, value;
};

const Setting SETTINGS[] = {
    {EN_AA, PIPES_ON},
    {EN_RXADDR, PIPES_ON},
    {SETUP_AW, ADDRESS_OF_5},
    {RF_CH, RADIO_CHANNEL},
    {RF_SETUP, RADIO_RATE | POWER_0_DBM},
    {RX_PW_P0 + 1, PAYLOAD_SIZE},
    {RX_PW_P0 + 2, PAYLOAD_SIZE},
    {RX_PW_P0 + 3, PAYLOAD_SIZE},
    {RX_PW_P0 + 4, PAYLOAD_SIZE},
    {RX_PW_P0 + 5, PAYLOAD_SIZE},
    {DYNPD, 0},
    {FEATURE, 0},
    {CONFIG, CRC_16 | PWR_UP | PRIM_RX}, // last: from here on it works
};

enum RadioState { NONE, PLAIN, OK }; // PLAIN: an nRF24L01 without +, which knows no 250 kbit/s
const char *const STATE_NAMES[] = {"none", "plain", "ok"};

struct Heard {
  uint8_t payload[PAYLOAD_SIZE];
  uint8_t pipe;
  bool strong; // above -64 dBm
};

static Heard queue[QUEUE_SIZE];
static uint8_t queue_start, queue_length;
static RadioState radio_state;
static uint8_t sequence;
static uint32_t uptime_s, received, found_full, reinits;

// Write a line, with its checksum behind it.
static void say(const char *format, ...) {
  char line[LONGEST_LINE + 1];
  va_list values;
  va_start(values, format);
  int length = vsnprintf(line, sizeof line, format, values);
  va_end(values);
  uint16_t crc = CRC_START;
  for (int i = 0; i < length; i++) crc = _crc_xmodem_update(crc, line[i]);
  snprintf(line + length, sizeof line - length, " *%04X\n", crc);
  Serial.print(line);
}

static void say_error() {
  const char *const codes[] = {"radio-lost", "radio-plain", "radio-restarted"};
  say("CW1 E %s", codes[radio_state]);
}

// A receiver has nothing to send. With MISO stuck at 0 or 1, or an open one, it would seem to.
static bool is_radio_there() {
  return (radio_read(FIFO_STATUS) & (FIFO_ALWAYS_0 | TX_EMPTY)) == TX_EMPTY;
}

// Pipe 1 holds a whole address, the pipes after it only how theirs ends.
static uint8_t address_size(uint8_t pipe) { return pipe == FIRST_PIPE ? ADDRESS_SIZE : 1; }

static uint64_t address_of(uint8_t pipe) {
  uint64_t end = ADDRESSES_END[pipe - FIRST_PIPE];
  return pipe == FIRST_PIPE ? (uint64_t)ADDRESSES_BEGIN << 8 | end : end;
}

static void set_up_radio() {
  digitalWrite(RADIO_CE_PIN, LOW);
  for (uint8_t pipe = FIRST_PIPE; pipe < FIRST_PIPE + PIPES; pipe++) {
    radio_exchange_address(W_REGISTER | (RX_ADDR_P0 + pipe), address_of(pipe), address_size(pipe));
  }
  for (const Setting &setting : SETTINGS) radio_write(setting.address, setting.value);
  radio_command(FLUSH_TX);
  radio_command(FLUSH_RX);
  radio_write(STATUS, RX_DR | TX_DS | MAX_RT);
  _delay_ms(POWER_UP_MS);
  digitalWrite(RADIO_CE_PIN, HIGH);
}

static RadioState look_at_radio() {
  RadioState state = OK;
  if (!is_radio_there()) return NONE;
  for (const Setting &setting : SETTINGS) {
    uint8_t difference = radio_read(setting.address) ^ setting.value;
    if (setting.address == RF_SETUP && difference == RADIO_RATE_250K) state = PLAIN;
    else if (difference) return NONE;
  }
  for (uint8_t pipe = FIRST_PIPE; pipe < FIRST_PIPE + PIPES; pipe++) {
    uint8_t command = R_REGISTER | (RX_ADDR_P0 + pipe);
    if (radio_exchange_address(command, 0, address_size(pipe)) != address_of(pipe)) return NONE;
  }
  return state;
}

// A radio that lost its settings (a brown-out, a loose wire) gets them again.
static void mend_radio() {
  RadioState before = radio_state;
  reinits++;
  set_up_radio();
  radio_state = look_at_radio();
  if (radio_state == OK || radio_state != before) say_error();
}

static void each_second() {
  uptime_s++;
  if (radio_state != OK || look_at_radio() != OK) mend_radio();
  if (uptime_s % TELL_EVERY_S) return;
  say("CW1 S %lu %lu %lu %lu", uptime_s, received, found_full, reinits);
  if (radio_state != OK) say_error(); // for those who came later
}

// Take what the radio has heard.
static void hear() {
  while (queue_length < QUEUE_SIZE) {
    uint8_t fifo = radio_read(FIFO_STATUS);
    if ((fifo & (FIFO_ALWAYS_0 | TX_EMPTY | RX_EMPTY)) != TX_EMPTY) return; // or MISO is stuck
    if (fifo & RX_FULL) found_full++;
    Heard &heard = queue[(queue_start + queue_length) % QUEUE_SIZE];
    uint8_t status = radio_exchange(R_RX_PAYLOAD, heard.payload, PAYLOAD_SIZE);
    heard.pipe = status >> 1 & 7;
    heard.strong = radio_read(RPD) & 1;
    radio_write(STATUS, RX_DR);
    bool from_sensor = !(status & STATUS_ALWAYS_0) && PIPES_ON & 1 << heard.pipe;
    if (!from_sensor || !is_radio_there()) return; // its wires came loose while it was read
    queue_length++;
    received++;
  }
}

static void say_next_payload() {
  const Heard &heard = queue[queue_start];
  char hex[2 * PAYLOAD_SIZE + 1];
  for (uint8_t i = 0; i < PAYLOAD_SIZE; i++) sprintf(hex + 2 * i, "%02x", heard.payload[i]);
  say("CW1 P %u %u %s %u", sequence++, heard.pipe, hex, heard.strong);
  queue_start = (queue_start + 1) % QUEUE_SIZE;
  queue_length--;
}

void setup() {
  Serial.begin(BAUDRATE);
  radio_connect();
  _delay_ms(POWER_ON_RESET_MS);
  set_up_radio();
  radio_state = look_at_radio();
  say("CW1 H " FIRMWARE " %s", STATE_NAMES[radio_state]);
}

void loop() {
  static uint32_t second_began_ms = 0;

  hear();
  if (queue_length && Serial.availableForWrite() >= LONGEST_LINE) say_next_payload();
  if (millis() - second_began_ms >= 1000) {
    second_began_ms += 1000;
    each_second();
  }
}
