// The sensor: measures the current in a clamp, sends its power encrypted, sleeps for 8 seconds.
// ../README.md has the wiring and the calibration; cw_mqtt/decode/packets.py reads the packets.

#include <avr/eeprom.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

#include "config.h"

#include "aes.h"
#include "nrf24.h"
#include "rms.h"

#if __has_include("sensor_key.h")
#include "sensor_key.h"
#else
#pragma message "There is no sensor_key.h, so anybody can read and forge the packets."
#pragma message "To make a key: cw-mqtt key generate"
static const uint8_t SENSOR_KEY[AES_BLOCK_SIZE] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                   8, 9, 10, 11, 12, 13, 14, 15};
#endif

#define FIRMWARE "1.0.0"

const uint32_t BAUDRATE = 57600;
const uint8_t SEND_WITHIN_MS = 120; // 16 attempts take 80
const uint8_t RETRY_15_TIMES_AFTER_4_MS = 0xFF;
const uint8_t PIPE_0 = 1;
const float MOST_AMPERE_A_VOLT = 1000; // what else is in the EEPROM is no calibration
const uint16_t LEAST_TO_CALIBRATE_W = 100;
const uint16_t TYPING_MS = 100;
const uint8_t RX_PIN = 0;

float *const CALIBRATION_AT = (float *)4; // in the EEPROM

// Little-endian, as the AVR is; encrypted in place.
struct __attribute__((packed)) Packet {
  uint16_t power_w;
  uint16_t mains_v;
  uint16_t battery_mv;
  uint32_t timer_ms; // awake since the boot
  uint8_t padding[6];
};
static_assert(sizeof(Packet) == AES_BLOCK_SIZE, "a packet is one block");

struct Measured {
  uint16_t power_w, battery_mv;
};

static volatile bool period_ended;
static float ampere_a_volt;

ISR(WDT_vect) { period_ended = true; }

static void begin_period() {
  wdt_reset();
  WDTCSR |= _BV(WDIE);
  period_ended = false;
}

static Measured measure() {
  float steps = rms_of(CLAMP_PIN);
  uint16_t battery_mv = supply_mv(BAND_GAP_MV);
  float current_a = steps / STEPS * battery_mv / 1000 * ampere_a_volt;
  return {(uint16_t)fmin(current_a * MAINS_V + 0.5, UINT16_MAX), battery_mv};
}

// ---- calibration

static bool is_calibration(float value) { return value > 0 && value <= MOST_AMPERE_A_VOLT; }

static void calibrate(uint32_t true_w, uint16_t shown_w) {
  float corrected = ampere_a_volt * true_w / shown_w;
  if (shown_w < LEAST_TO_CALIBRATE_W || !is_calibration(corrected)) {
    Serial.println(F("Not calibrated: switch on a heater or kettle of 1000 W or more first."));
    return;
  }
  ampere_a_volt = corrected;
  eeprom_update_float(CALIBRATION_AT, corrected);
  Serial.print(F("Calibrated, and kept: A/V "));
  Serial.println(corrected);
}

// Show what is measured for one period of the watchdog. Whether somebody calibrated.
static bool show_a_period() {
  bool calibrated = false;
  begin_period();
  while (!period_ended) {
    Measured measured = measure();
    Serial.print(measured.power_w);
    Serial.print(F(" W, battery mV "));
    Serial.println(measured.battery_mv);
    for (uint8_t tenth = 0; tenth < 9 && !period_ended; tenth++) delay(100);
    uint32_t true_w = Serial.available() ? Serial.parseInt() : 0;
    if (!true_w) continue;
    calibrate(true_w, measured.power_w);
    calibrated = true;
  }
  return calibrated;
}

// Let the clamp's bias settle, meanwhile offer calibration.
static void settle() {
  pinMode(RX_PIN, INPUT_PULLUP); // an open one hears noise, which could be digits
  Serial.begin(BAUDRATE);
  Serial.setTimeout(TYPING_MS);
  Serial.println(F("CitizenWatt sensor " FIRMWARE ". To calibrate, type the true power in W."));
  while (show_a_period()) {
  }
  Serial.println(F("Ready. It sends every 8 s and says no more."));
  Serial.end(); // waits until all is said
  pinMode(RX_PIN, INPUT);
}

// ---- the radio

static void send(const uint8_t *payload) {
  uint8_t bytes[PAYLOAD_SIZE];
  memcpy(bytes, payload, PAYLOAD_SIZE);
  radio_write(CONFIG, CRC_16 | PWR_UP);
  radio_write(EN_AA, PIPE_0);
  radio_write(EN_RXADDR, PIPE_0); // where the acknowledgement comes in
  radio_write(SETUP_AW, ADDRESS_OF_5);
  radio_write(SETUP_RETR, RETRY_15_TIMES_AFTER_4_MS);
  radio_write(RF_CH, RADIO_CHANNEL);
  radio_write(RF_SETUP, RADIO_RATE | POWER_0_DBM);
  radio_write(RX_PW_P0, PAYLOAD_SIZE);
  radio_write(DYNPD, 0);
  radio_write(FEATURE, 0);
  radio_exchange_address(W_REGISTER | RX_ADDR_P0, RECEIVER_ADDRESS, ADDRESS_SIZE);
  radio_exchange_address(W_REGISTER | TX_ADDR, RECEIVER_ADDRESS, ADDRESS_SIZE);
  radio_write(STATUS, RX_DR | TX_DS | MAX_RT);
  radio_command(FLUSH_TX);
  radio_exchange(W_TX_PAYLOAD, bytes, PAYLOAD_SIZE);
  _delay_ms(POWER_UP_MS);
  digitalWrite(RADIO_CE_PIN, HIGH);
  _delay_us(CE_PULSE_US);
  digitalWrite(RADIO_CE_PIN, LOW);
  uint32_t began_ms = millis();
  while (!(radio_command(NOP) & (TX_DS | MAX_RT)) && millis() - began_ms < SEND_WITHIN_MS) {
  }
  radio_write(CONFIG, CRC_16); // power down
}

// ---- packets

static void fill(Packet &packet, const Measured &measured) {
  packet.power_w = measured.power_w;
  packet.mains_v = MAINS_V;
  packet.battery_mv = measured.battery_mv;
  packet.timer_ms = millis();
#if PACKET_FORMAT == FORMAT_V1_1
  memcpy(packet.padding, "CWv1.1", sizeof packet.padding);
#endif // else it is what the encryption of the packet before left there
}

// ---- the sensor's life

static void sleep_a_period() {
  uint8_t converter = ADCSRA, clock = TCCR0B;
  ADCSRA = 0;
  TCCR0B = 0; // the clock of millis() stands still, in a simulator too
  begin_period();
  set_sleep_mode(SLEEP_MODE_PWR_DOWN);
  cli();
  while (!period_ended) {
    sleep_enable();
    sleep_bod_disable();
    sei();
    sleep_cpu();
    sleep_disable();
    cli();
  }
  sei();
  TCCR0B = clock;
  ADCSRA = converter;
}

void setup() {
  float kept = eeprom_read_float(CALIBRATION_AT);
  ampere_a_volt = is_calibration(kept) ? kept : AMPERE_A_VOLT;
  radio_connect();
  MCUSR = 0;
  cli();
  WDTCSR = _BV(WDCE) | _BV(WDE);
  WDTCSR = _BV(WDIE) | _BV(WDP3) | _BV(WDP0); // interrupt every 8 s, no reset
  sei();
  ACSR = _BV(ACD); // the comparator is not used
  settle();
}

void loop() {
  static Packet packet;

  fill(packet, measure());
  aes_encrypt(SENSOR_KEY, (uint8_t *)&packet);
  send((uint8_t *)&packet);
  sleep_a_period();
}
