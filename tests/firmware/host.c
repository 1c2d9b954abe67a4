// Runs our sketches on simulated boards, with the air between them.
//
//     host [-r receiver.elf] [-s sensor.elf] [-p link [-x speed]] < script
//
// Without -p time is virtual and passes as fast as it can, the same on any machine. With it, time
// passes `speed` times as fast as real time, and `link` becomes a link to a pseudo-terminal, the
// receiver's serial port: whoever opens it resets the board.
//
// A line of the script is a time in ms and what happens then:
//     100 send ID ADDRESS HEX     somebody sends a payload (ID 0-3: the same again is a repeat)
//     100 radio works|zeros|ones|brownout|plain        the receiver's radio,
//                                 or its MISO is stuck; brownout: it works, as after power-on
//     100 serial BOARD HEX        bytes arrive at a board's serial port
//     100 registers BOARD         show its radio's CONFIG ... SETUP_RETR ... FEATURE
//     100 reset BOARD
//     100 clamp AMPERE   100 battery MV   100 mains HZ
//     100 loss SHARE              of all that a board sends and is acknowledged
//     100 count   200 awake       show the share of time awake since `count`
//     100 end
// What happens is said, with its time in ms: lines of the boards, what is on the air, and answers.

#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "board.h"

static const avr_cycle_count_t CYCLES_A_MS = 16000;
static const double STEP_MS = 0.1; // boards are never further apart

static board_t receiver, sensor;
static double loss;
static unsigned seed = 1;
static int terminal = -1;
static bool terminal_open;

static void tell(board_t *board, const char *what, const char *text) {
    printf("%.3f %s %s %s\n", board_ms(board), board->name, what, text);
}

static void to_hex(char *text, const uint8_t *bytes, int count) {
    for (int i = 0; i < count; i++) sprintf(text + 2 * i, "%02x", bytes[i]);
}

static int from_hex(uint8_t *bytes, int most, const char *text) {
    int count = 0;
    unsigned value;
    while (count < most && sscanf(text + 2 * count, "%2x", &value) == 1) bytes[count++] = value;
    return count;
}

// ---- the air

static bool is_lost(void) { return rand_r(&seed) < loss * RAND_MAX; }

static bool on_air(radio_t *radio, const frame_t *frame) {
    char hex[2 * MOST_BYTES + 1] = "", text[3 * MOST_BYTES];
    board_t *from = radio == &sensor.radio ? &sensor : &receiver;
    board_t *to = from == &sensor ? &receiver : &sensor;
    // Without the other board there is somebody who hears all.
    bool heard = !is_lost() && (!to->avr || radio_hear(&to->radio, frame));
    bool acknowledged = heard && !is_lost();
    to_hex(hex, frame->bytes, frame->count);
    snprintf(text, sizeof text, "%d %s %s", frame->id, hex,
             acknowledged ? "acknowledged" : "alone");
    tell(from, "air", text);
    return acknowledged;
}

static void send(int id, const char *address, const char *hex) {
    frame_t frame = {.channel = 76, .rate = 0x20, .crc = 0x0C, .id = id};
    unsigned long long number = strtoull(address, NULL, 16);
    memcpy(frame.address, &number, ADDRESS_BYTES);
    frame.count = from_hex(frame.bytes, MOST_BYTES, hex);
    tell(&receiver, "heard", radio_hear(&receiver.radio, &frame) ? "acknowledged" : "alone");
}

// ---- serial ports

static void said(board_t *board, uint8_t byte) {
    if (board == &receiver && terminal_open && write(terminal, &byte, 1) != 1)
        fprintf(stderr, "a byte is lost: nobody reads %s\n", board->name);
    bool full = board->line_length == LONGEST_LINE - 4;
    if (byte == '\n' || full) {
        board->line[board->line_length] = 0;
        board->line_length = 0;
        tell(board, "says", board->line);
    } else if (byte >= ' ' && byte <= '~') {
        board->line[board->line_length++] = byte;
    } else {
        board->line_length += sprintf(board->line + board->line_length, "<%02x>", byte);
    }
}

static void open_terminal(const char *link) {
    terminal = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (terminal < 0 || grantpt(terminal) || unlockpt(terminal) ||
        symlink(ptsname(terminal), link)) {
        perror(link);
        exit(1);
    }
    struct termios raw;
    int port = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    tcgetattr(port, &raw);
    cfmakeraw(&raw);
    tcsetattr(port, TCSANOW, &raw);
    close(port); // from now on it says when somebody has opened it
}

static void look_at_terminal(void) {
    struct pollfd look = {.fd = terminal, .events = POLLIN};
    uint8_t bytes[256];
    poll(&look, 1, 0);
    bool is_open = !(look.revents & POLLHUP);
    if (is_open && !terminal_open) board_reset(&receiver);
    terminal_open = is_open;
    if (look.revents & POLLIN) {
        int count = read(terminal, bytes, sizeof bytes);
        if (count > 0) board_give(&receiver, bytes, count);
    }
}

// ---- time

static double real_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * now.tv_sec + 1e-6 * now.tv_nsec;
}

static void run_until(double ms, double speed) {
    static double now_ms, start_ms;
    if (!start_ms) start_ms = real_ms();
    while (now_ms < ms) {
        now_ms += STEP_MS;
        if (receiver.avr) board_run(&receiver, now_ms * CYCLES_A_MS);
        if (sensor.avr) board_run(&sensor, now_ms * CYCLES_A_MS);
        if (terminal < 0) continue;
        look_at_terminal();
        double ahead_ms = now_ms / speed - (real_ms() - start_ms);
        if (ahead_ms > 1) usleep(1000 * ahead_ms);
    }
}

// ---- the script

static board_t *named(const char *name) { return strcmp(name, "sensor") ? &receiver : &sensor; }

static void show_registers(board_t *board) {
    char text[3 * (REGISTERS + 2 * ADDRESS_BYTES)] = "", *end = text;
    for (int i = 0; i < REGISTERS; i++) end += sprintf(end, "%02x", board->radio.registers[i]);
    end += sprintf(end, " ");
    for (int i = ADDRESS_BYTES; i--;) end += sprintf(end, "%02x", board->radio.addresses[1][i]);
    sprintf(end, " %d", board->radio.enabled);
    tell(board, "registers", text);
}

static void set_radio(const char *state) {
    radio_t *radio = &receiver.radio;
    radio->fault = !strcmp(state, "zeros") ? RADIO_ZEROS : !strcmp(state, "ones") ? RADIO_ONES
                                                                                 : RADIO_WORKS;
    radio->plain = !strcmp(state, "plain");
    if (!strcmp(state, "brownout") || radio->plain) radio_power_on(radio);
}

static void count_awake(bool show) {
    board_t *b = &sensor;
    char text[20];
    snprintf(text, sizeof text, "%.5f",
             1 - (double)b->slept / (double)(b->avr->cycle - b->counted_from + 1));
    if (show) tell(b, "awake", text);
    b->slept = 0;
    b->counted_from = b->avr->cycle;
}

static void perform(const char *verb, char *a, char *b, char *c) {
    uint8_t bytes[MOST_TO_SAY];
    if (!strcmp(verb, "send")) send(atoi(a), b, c);
    else if (!strcmp(verb, "radio")) set_radio(a);
    else if (!strcmp(verb, "serial")) board_give(named(a), bytes, from_hex(bytes, sizeof bytes, b));
    else if (!strcmp(verb, "registers")) show_registers(named(a));
    else if (!strcmp(verb, "reset")) board_reset(named(a));
    else if (!strcmp(verb, "clamp")) sensor.clamp_a = atof(a);
    else if (!strcmp(verb, "battery")) board_set_supply(&sensor, atoi(a));
    else if (!strcmp(verb, "mains")) sensor.mains_hz = atof(a);
    else if (!strcmp(verb, "loss")) loss = atof(a);
    else if (!strcmp(verb, "count")) count_awake(false);
    else if (!strcmp(verb, "awake")) count_awake(true);
    else if (strcmp(verb, "end")) {
        fprintf(stderr, "the script's verb is unknown: %s\n", verb);
        exit(1);
    }
}

int main(int argc, char **argv) {
    const char *link = NULL;
    double speed = 1, at_ms;
    char verb[16], a[2 * MOST_TO_SAY], b[2 * MOST_TO_SAY], c[80], line[2 * MOST_TO_SAY + 64];
    int option;
    setlinebuf(stdout);
    while ((option = getopt(argc, argv, "r:s:p:x:")) != -1) {
        if (option == 'r') board_make(&receiver, "receiver", optarg, 'D', 7, 'B', 0);
        else if (option == 's') board_make(&sensor, "sensor", optarg, 'B', 1, 'B', 2);
        else if (option == 'p') link = optarg;
        else if (option == 'x') speed = atof(optarg);
        else return 2;
    }
    receiver.said = sensor.said = said;
    receiver.radio.send = sensor.radio.send = on_air;
    if (link) open_terminal(link);
    while (fgets(line, sizeof line, stdin)) {
        int fields = sscanf(line, "%lf %15s %8191s %8191s %79s", &at_ms, verb, a, b, c);
        if (fields < 2) continue;
        run_until(at_ms, speed);
        perform(verb, a, b, c);
    }
    return 0;
}
