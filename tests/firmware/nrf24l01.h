// An nRF24L01+ by its product specification 1.0, for a simulated AVR: SPI, registers, FIFOs,
// enhanced ShockBurst with auto-acknowledge; and how it fails.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <simavr/sim_avr.h>

enum { FIFO_DEPTH = 3, MOST_BYTES = 32, ADDRESS_BYTES = 5, REGISTERS = 0x20, PIPES = 6 };

typedef enum { RADIO_WORKS, RADIO_ZEROS, RADIO_ONES } fault_t; // ZEROS, ONES: MISO is stuck

// What goes through the air. Two radios understand each other when all but `bytes` fits.
typedef struct {
    uint8_t channel, rate, crc; // bits of RF_CH, RF_SETUP and CONFIG
    uint8_t address[ADDRESS_BYTES];
    uint8_t bytes[MOST_BYTES];
    uint8_t count, id; // id: the packet's two bits that tell a repeat from a new one
} frame_t;

typedef struct {
    uint8_t bytes[MOST_BYTES];
    uint8_t count, pipe;
} entry_t;

typedef struct {
    entry_t entries[FIFO_DEPTH];
    uint8_t count;
} fifo_t;

typedef struct radio {
    avr_t *avr;
    avr_irq_t *miso;
    // Sends a frame to whoever listens; whether it was acknowledged. To be set.
    bool (*send)(struct radio *radio, const frame_t *frame);
    fault_t fault;
    bool plain; // an nRF24L01 without +

    uint8_t registers[REGISTERS];
    uint8_t addresses[PIPES][ADDRESS_BYTES]; // of the pipes 0-5
    uint8_t tx_address[ADDRESS_BYTES];
    fifo_t rx, tx;
    bool enabled, selected;             // CE is high, CSN is low
    uint8_t command, at;                // of the SPI transfer, and how many bytes it has had
    avr_cycle_count_t reset_until;      // power-on reset
    avr_cycle_count_t standby_from;     // the oscillator runs
    avr_cycle_count_t listens_from;     // in RX mode
    uint8_t next_id, attempts;
    bool sending;
    frame_t last; // the last one taken in, to know a repeat
} radio_t;

// Put a radio on the AVR's SPI, CE and CSN on these pins of port `port`.
void radio_attach(radio_t *radio, avr_t *avr, char ce_port, int ce_pin, char csn_port, int csn_pin);

// Its supply comes back: all is as after power-on.
void radio_power_on(radio_t *radio);

// A frame arrives. Whether this radio acknowledges it.
bool radio_hear(radio_t *radio, const frame_t *frame);
