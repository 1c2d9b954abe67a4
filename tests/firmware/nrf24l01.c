#include "nrf24l01.h"

#include <string.h>

#include <simavr/avr_ioport.h>
#include <simavr/avr_spi.h>
#include <simavr/sim_time.h>

enum { CONFIG, EN_AA, EN_RXADDR, SETUP_AW, SETUP_RETR, RF_CH, RF_SETUP, STATUS, OBSERVE_TX, RPD,
       RX_ADDR_P0, TX_ADDR = 0x10, RX_PW_P0, FIFO_STATUS = 0x17, DYNPD = 0x1C, FEATURE };
enum { CRC = 0x0C, PWR_UP = 0x02, PRIM_RX = 0x01, RATE = 0x28, RATE_250K = 0x20 };
enum { RX_DR = 0x40, TX_DS = 0x20, MAX_RT = 0x10 };
enum { POWER_ON_RESET_US = 100000, START_US = 1500, SETTLE_US = 130, PULSE_US = 10 };

static const uint8_t WRITABLE[REGISTERS] = {
    0x7F, 0x3F, 0x3F, 0x03, 0xFF, 0x7F, 0xBE, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF,
    0, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0, 0, 0, 0, 0, 0x3F, 0x07};

static avr_cycle_count_t after_us(radio_t *radio, uint32_t us) {
    return radio->avr->cycle + avr_usec_to_cycles(radio->avr, us);
}

static bool is_on(radio_t *radio) {
    return radio->avr->cycle >= radio->reset_until;
}

static bool listens(radio_t *radio) {
    const uint8_t *r = radio->registers;
    return is_on(radio) && radio->enabled && r[CONFIG] & PWR_UP && r[CONFIG] & PRIM_RX &&
           radio->avr->cycle >= radio->listens_from;
}

static bool may_send(radio_t *radio) {
    const uint8_t *r = radio->registers;
    return is_on(radio) && r[CONFIG] & PWR_UP && !(r[CONFIG] & PRIM_RX) && radio->tx.count &&
           !(r[STATUS] & MAX_RT) && radio->avr->cycle >= radio->standby_from;
}

static void push(fifo_t *fifo, const uint8_t *bytes, uint8_t count, uint8_t pipe) {
    entry_t *entry = &fifo->entries[fifo->count++];
    memcpy(entry->bytes, bytes, count);
    entry->count = count;
    entry->pipe = pipe;
}

static void pop(fifo_t *fifo) {
    if (fifo->count) memmove(fifo->entries, fifo->entries + 1, --fifo->count * sizeof(entry_t));
}

// ---- sending

static uint32_t air_us(const frame_t *frame) {
    uint32_t bits = 8 * (1 + ADDRESS_BYTES + frame->count + (frame->crc & 0x04 ? 2 : 1)) + 9;
    return frame->rate & RATE_250K ? bits * 4 : frame->rate ? bits / 2 : bits;
}

static avr_cycle_count_t attempt(avr_t *avr, avr_cycle_count_t when, void *param);

static void begin_to_send(radio_t *radio, uint32_t in_us) {
    radio->sending = true;
    avr_cycle_timer_register_usec(radio->avr, in_us, attempt, radio);
}

static void end_sending(radio_t *radio, uint8_t flag) {
    radio->sending = false;
    radio->registers[STATUS] |= flag;
    if (flag == TX_DS) pop(&radio->tx);
    radio->next_id = (radio->next_id + 1) % 4;
    radio->attempts = 0;
    if (radio->enabled && may_send(radio)) begin_to_send(radio, SETTLE_US);
}

static avr_cycle_count_t sent(avr_t *avr, avr_cycle_count_t when, void *param) {
    (void)avr, (void)when;
    end_sending(param, TX_DS);
    return 0;
}

static avr_cycle_count_t attempt(avr_t *avr, avr_cycle_count_t when, void *param) {
    (void)when;
    radio_t *radio = param;
    const uint8_t *r = radio->registers;
    radio->sending = false;
    if (!may_send(radio)) return 0;
    const entry_t *entry = radio->tx.entries;
    frame_t frame = {.channel = r[RF_CH], .rate = r[RF_SETUP] & RATE, .crc = r[CONFIG] & CRC,
                     .count = entry->count, .id = radio->next_id};
    memcpy(frame.address, radio->tx_address, ADDRESS_BYTES);
    memcpy(frame.bytes, entry->bytes, entry->count);
    bool acknowledged = radio->send(radio, &frame);
    // The acknowledgement comes back on pipe 0, which must be open for it at the same address.
    bool wants = r[EN_AA] & 1;
    bool hears = r[EN_RXADDR] & 1 && !memcmp(radio->addresses[0], frame.address, ADDRESS_BYTES);
    radio->sending = true;
    uint32_t took_us = air_us(&frame);
    if (!wants || (acknowledged && hears)) {
        avr_cycle_timer_register_usec(avr, took_us + (wants ? SETTLE_US + 300 : 0), sent, radio);
    } else if (radio->attempts++ < (r[SETUP_RETR] & 15)) {
        uint32_t pause_us = 250 * ((r[SETUP_RETR] >> 4) + 1);
        avr_cycle_timer_register_usec(avr, took_us + pause_us, attempt, radio);
    } else {
        end_sending(radio, MAX_RT);
    }
    return 0;
}

// ---- hearing

static int pipe_of(radio_t *radio, const frame_t *frame) {
    for (int pipe = 0; pipe < PIPES; pipe++) {
        uint8_t address[ADDRESS_BYTES];
        memcpy(address, radio->addresses[pipe > 1 ? 1 : pipe], ADDRESS_BYTES);
        if (pipe > 1) address[0] = radio->registers[RX_ADDR_P0 + pipe];
        if (radio->registers[EN_RXADDR] & 1 << pipe && !memcmp(address, frame->address,
                                                               ADDRESS_BYTES))
            return pipe;
    }
    return -1;
}

bool radio_hear(radio_t *radio, const frame_t *frame) {
    uint8_t *r = radio->registers;
    int pipe = listens(radio) ? pipe_of(radio, frame) : -1;
    if (pipe < 0 || r[RF_CH] != frame->channel || (r[RF_SETUP] & RATE) != frame->rate ||
        (r[CONFIG] & CRC) != frame->crc || r[SETUP_AW] != ADDRESS_BYTES - 2 ||
        r[RX_PW_P0 + pipe] != frame->count)
        return false;
    r[RPD] = 1;
    bool acknowledges = r[EN_AA] & 1 << pipe;
    if (acknowledges && !memcmp(&radio->last, frame, sizeof *frame)) return true; // a repeat
    if (radio->rx.count == FIFO_DEPTH) return false;
    radio->last = *frame;
    push(&radio->rx, frame->bytes, frame->count, pipe);
    r[STATUS] |= RX_DR;
    return acknowledges;
}

// ---- the SPI

static uint8_t status(radio_t *radio) {
    uint8_t pipe = radio->rx.count ? radio->rx.entries[0].pipe : 7;
    return radio->registers[STATUS] | pipe << 1 | (radio->tx.count == FIFO_DEPTH);
}

static uint8_t fifo_status(radio_t *radio) {
    return (radio->tx.count == FIFO_DEPTH) << 5 | (radio->tx.count == 0) << 4 |
           (radio->rx.count == FIFO_DEPTH) << 1 | (radio->rx.count == 0);
}

static uint8_t *address_of(radio_t *radio, uint8_t address) {
    if (address == RX_ADDR_P0 || address == RX_ADDR_P0 + 1)
        return radio->addresses[address - RX_ADDR_P0];
    return address == TX_ADDR ? radio->tx_address : NULL;
}

static uint8_t read_register(radio_t *radio, uint8_t address, uint8_t at) {
    uint8_t *whole = address_of(radio, address);
    if (whole) return at < ADDRESS_BYTES ? whole[at] : 0;
    if (address == STATUS) return status(radio);
    if (address == FIFO_STATUS) return fifo_status(radio);
    return radio->registers[address];
}

static void write_register(radio_t *radio, uint8_t address, uint8_t at, uint8_t value) {
    uint8_t *whole = address_of(radio, address), *r = radio->registers;
    bool was_up = r[CONFIG] & PWR_UP;
    if (whole && at < ADDRESS_BYTES) whole[at] = value;
    if (address == STATUS) r[STATUS] &= ~(value & (RX_DR | TX_DS | MAX_RT));
    if (at || whole || !WRITABLE[address]) return;
    if (address == RF_SETUP && radio->plain) value &= ~RATE_250K;
    r[address] = value & WRITABLE[address];
    if (address != CONFIG) return;
    if (!was_up) radio->standby_from = after_us(radio, START_US);
    radio->listens_from = after_us(radio, (was_up ? 0 : START_US) + SETTLE_US);
}

static uint8_t exchange(radio_t *radio, uint8_t value) {
    uint8_t at = radio->at++ - 1; // of the bytes behind the command
    if (radio->at == 1) {
        radio->command = value;
        if (value == 0xE1) radio->tx.count = 0;
        if (value == 0xE2) radio->rx.count = 0;
        return status(radio);
    }
    if (radio->command < 0x20) return read_register(radio, radio->command, at);
    if (radio->command < 0x40) write_register(radio, radio->command & 0x1F, at, value);
    if (radio->command == 0x61 && at < MOST_BYTES) return radio->rx.entries[0].bytes[at];
    if (radio->command == 0x60) return radio->rx.entries[0].count;
    if (radio->command == 0xA0 && at < MOST_BYTES && radio->tx.count < FIFO_DEPTH) {
        radio->tx.entries[radio->tx.count].bytes[at] = value;
        radio->tx.entries[radio->tx.count].count = at + 1;
    }
    return 0;
}

static void end_transfer(radio_t *radio) {
    bool whole = radio->at > 1;
    if (whole && radio->command == 0x61) pop(&radio->rx);
    if (whole && radio->command == 0xA0 && radio->tx.count < FIFO_DEPTH) radio->tx.count++;
}

static void on_spi(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    radio_t *radio = param;
    uint8_t answer = 0xFF; // nobody drives the line
    if (radio->selected && is_on(radio)) answer = exchange(radio, value);
    if (radio->fault == RADIO_ZEROS || (radio->selected && !is_on(radio))) answer = 0;
    if (radio->fault == RADIO_ONES) answer = 0xFF;
    avr_raise_irq(radio->miso, answer);
}

static void on_csn(avr_irq_t *irq, uint32_t level, void *param) {
    (void)irq;
    radio_t *radio = param;
    if (radio->selected && level && is_on(radio)) end_transfer(radio);
    radio->selected = !level;
    radio->at = 0;
}

static avr_cycle_count_t pulse_was_long(avr_t *avr, avr_cycle_count_t when, void *param) {
    (void)avr, (void)when;
    radio_t *radio = param;
    if (!radio->sending && may_send(radio)) begin_to_send(radio, SETTLE_US);
    return 0;
}

static void on_ce(avr_irq_t *irq, uint32_t level, void *param) {
    (void)irq;
    radio_t *radio = param;
    if (level && !radio->enabled) {
        radio->listens_from = after_us(radio, SETTLE_US);
        if (radio->listens_from < radio->standby_from + avr_usec_to_cycles(radio->avr, SETTLE_US))
            radio->listens_from = radio->standby_from + avr_usec_to_cycles(radio->avr, SETTLE_US);
        avr_cycle_timer_register_usec(radio->avr, PULSE_US, pulse_was_long, radio);
    }
    if (!level) avr_cycle_timer_cancel(radio->avr, pulse_was_long, radio);
    radio->enabled = level;
}

void radio_power_on(radio_t *radio) {
    static const uint8_t AT_RESET[REGISTERS] = {
        0x08, 0x3F, 0x03, 0x03, 0x03, 0x02, 0x0E, 0, 0, 0, 0, 0, 0xC3, 0xC4, 0xC5, 0xC6};
    memcpy(radio->registers, AT_RESET, sizeof AT_RESET);
    memset(radio->addresses[0], 0xE7, ADDRESS_BYTES);
    memset(radio->addresses[1], 0xC2, ADDRESS_BYTES);
    memset(radio->tx_address, 0xE7, ADDRESS_BYTES);
    memset(&radio->last, 0, sizeof radio->last);
    radio->rx.count = radio->tx.count = 0;
    radio->reset_until = after_us(radio, POWER_ON_RESET_US);
}

void radio_attach(radio_t *radio, avr_t *avr, char ce_port, int ce_pin, char csn_port,
                  int csn_pin) {
    radio->avr = avr;
    radio->miso = avr_io_getirq(avr, AVR_IOCTL_SPI_GETIRQ(0), SPI_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_SPI_GETIRQ(0), SPI_IRQ_OUTPUT), on_spi,
                            radio);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(ce_port), ce_pin), on_ce,
                            radio);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(csn_port), csn_pin), on_csn,
                            radio);
    radio_power_on(radio);
}
