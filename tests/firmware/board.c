#include "board.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <simavr/avr_adc.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_elf.h>
#include <simavr/sim_time.h>

static const uint32_t FREQUENCY_HZ = 16000000;
static const uint32_t BYTE_US = 174; // at 57600 baud
// The clamp's 2000 turns and a burden of 22 ohms: 1 V is 90.9 A.
static const double AMPERE_A_VOLT = 2000.0 / 22.0;

static avr_irq_t *uart(board_t *board, int irq) {
    return avr_io_getirq(board->avr, AVR_IOCTL_UART_GETIRQ('0'), irq);
}

static void on_byte(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    board_t *board = param;
    board->said(board, value);
}

// The clamp's voltage rides on half the supply.
static void on_conversion(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    board_t *board = param;
    union { uint32_t value; avr_adc_mux_t mux; } input = {.value = value};
    if (input.mux.kind != ADC_MUX_SINGLE || input.mux.src != 0) return;
    double s = (double)board->avr->cycle / FREQUENCY_HZ;
    double wave_mv = 1000 * board->clamp_a * M_SQRT2 / AMPERE_A_VOLT *
                     sin(2 * M_PI * board->mains_hz * s);
    double clamp_mv = board->avr->avcc / 2.0 + wave_mv;
    avr_raise_irq(avr_io_getirq(board->avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_ADC0),
                  (uint32_t)lround(fmin(fmax(clamp_mv, 0), board->avr->avcc)));
}

// libsimavr calls this where the program sleeps; time is ours, so nobody waits.
static void on_sleep(avr_t *avr, avr_cycle_count_t cycles) { (void)avr, (void)cycles; }

static avr_cycle_count_t feed(avr_t *avr, avr_cycle_count_t when, void *param) {
    board_t *board = param;
    avr_raise_irq(uart(board, UART_IRQ_INPUT), board->input[board->input_at++]);
    bool more = board->input_at < board->input_count;
    if (!more) board->input_at = board->input_count = 0;
    return more ? when + avr_usec_to_cycles(avr, BYTE_US) : 0;
}

void board_give(board_t *board, const uint8_t *bytes, int count) {
    if (board->input_count + count > MOST_TO_SAY) count = MOST_TO_SAY - board->input_count;
    if (count && !board->input_count)
        avr_cycle_timer_register_usec(board->avr, BYTE_US, feed, board);
    memcpy(board->input + board->input_count, bytes, count);
    board->input_count += count;
}

static void start(board_t *board) {
    uint32_t flags = 0; // no copy of what is said on our own output
    avr_ioctl(board->avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    board->input_at = board->input_count = board->line_length = 0;
}

void board_make(board_t *board, const char *name, const char *elf, char ce_port, int ce_pin,
                char csn_port, int csn_pin) {
    elf_firmware_t program = {0};
    board->name = name;
    board->avr = avr_make_mcu_by_name("atmega328p");
    if (!board->avr || elf_read_firmware(elf, &program)) {
        fprintf(stderr, "cannot load %s\n", elf);
        exit(1);
    }
    avr_init(board->avr);
    program.frequency = FREQUENCY_HZ;
    avr_load_firmware(board->avr, &program);
    board->avr->log = LOG_ERROR;
    board->avr->sleep = on_sleep;
    board->avr->run_cycle_limit = FREQUENCY_HZ / 10000;
    board->mains_hz = 50;
    board_set_supply(board, 3300);
    radio_attach(&board->radio, board->avr, ce_port, ce_pin, csn_port, csn_pin);
    avr_irq_register_notify(uart(board, UART_IRQ_OUTPUT), on_byte, board);
    avr_irq_register_notify(avr_io_getirq(board->avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_OUT_TRIGGER),
                            on_conversion, board);
    start(board);
}

void board_reset(board_t *board) {
    avr_reset(board->avr);
    start(board);
}

void board_set_supply(board_t *board, uint32_t supply_mv) {
    board->avr->vcc = board->avr->avcc = board->avr->aref = supply_mv;
}

void board_run(board_t *board, avr_cycle_count_t until) {
    while (board->avr->cycle < until) {
        avr_cycle_count_t before = board->avr->cycle;
        bool sleeps = board->avr->state == cpu_Sleeping;
        int state = avr_run(board->avr);
        if (sleeps) board->slept += board->avr->cycle - before;
        if (state == cpu_Done || state == cpu_Crashed) {
            fprintf(stderr, "%s: the program crashed at %.3f ms\n", board->name, board_ms(board));
            exit(1);
        }
    }
}

double board_ms(board_t *board) { return 1000.0 * board->avr->cycle / FREQUENCY_HZ; }
