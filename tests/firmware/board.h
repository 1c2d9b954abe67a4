// A board: an ATmega328P at 16 MHz with a radio, a clamp on A0 and a serial port.
#pragma once

#include "nrf24l01.h"

enum { LONGEST_LINE = 200, MOST_TO_SAY = 4096 };

typedef struct board {
    const char *name;
    avr_t *avr;
    radio_t radio;
    double clamp_a;        // what flows through the clamp, RMS
    double mains_hz;
    avr_cycle_count_t slept, counted_from; // for the share of time awake
    uint8_t input[MOST_TO_SAY]; // bytes on their way to the board's serial port
    int input_at, input_count;
    // What the board says on its serial port. To be set.
    void (*said)(struct board *board, uint8_t byte);
    char line[LONGEST_LINE];
    int line_length;
} board_t;

// Make a board that runs the program of an ELF file. Ends the process if that cannot be.
void board_make(board_t *board, const char *name, const char *elf, char ce_port, int ce_pin,
                char csn_port, int csn_pin);

// The reset button, or somebody who opens the serial port: the radio keeps its supply.
void board_reset(board_t *board);

void board_set_supply(board_t *board, uint32_t supply_mv);

// Bytes arrive at its serial port, one after the other; what is too much is lost.
void board_give(board_t *board, const uint8_t *bytes, int count);

// Run until that cycle has passed.
void board_run(board_t *board, avr_cycle_count_t until);

double board_ms(board_t *board);
