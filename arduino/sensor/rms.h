// The root mean square of an alternating voltage, and the supply that it is measured against.
#pragma once

#include <Arduino.h>
#include <math.h>

const uint32_t WINDOW_US = 100000; // whole periods of 50 Hz (5) and of 60 Hz (6)
const int16_t MIDDLE = 512;        // where the voltage swings about, nearly
const float STEPS = 1024;

// In steps of the converter. The mean is taken off afterwards: there is no filter to settle.
static float rms_of(uint8_t pin) {
  int32_t sum = 0, squares = 0;
  uint16_t count = 0;
  uint32_t began_us = micros();
  do {
    int32_t value = analogRead(pin) - MIDDLE;
    sum += value;
    squares += value * value;
    count++;
  } while (micros() - began_us < WINDOW_US);
  float mean = (float)sum / count;
  return sqrt(fmax((float)squares / count - mean * mean, 0));
}

// The supply, by measuring the chip's own reference against it.
static uint16_t supply_mv(uint16_t band_gap_mv) {
  ADMUX = _BV(REFS0) | _BV(MUX3) | _BV(MUX2) | _BV(MUX1);
  delay(2); // until the reference has settled
  ADCSRA |= _BV(ADSC);
  loop_until_bit_is_clear(ADCSRA, ADSC);
  return STEPS * band_gap_mv / (ADC ? ADC : 1);
}
