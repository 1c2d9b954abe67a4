"""Each explanation is found in what was made to be explained by it, and with few data none is."""

from dataclasses import replace
from random import Random

import pytest
from Crypto.Cipher import AES

from cw_mqtt.commands.analyze.analysis import bursts_of
from cw_mqtt.commands.analyze.findings import Likelihood
from cw_mqtt.commands.analyze.key_test import chance_of, plausible_share, regrouped
from cw_mqtt.commands.analyze.report import as_text
from cw_mqtt.commands.decode import Proof, explain_payload
from cw_mqtt.decode.formats import FORMATS, V1
from cw_mqtt.decode.packets import SensorKey
from cw_mqtt.simulate.firmware import SensorFirmware, receiver_line
from tests.listened import MINE, OWN_KEY, case_of, chunks, findings_of, holding, sensor, sent
from tests.packets import KEY, OTHER_KEY

HEALTHY = "the key is right and the sensor is healthy"
LOST = "packets are lost on the air"
REFUSED = "the key is right and the values are refused"
EXAMPLE_KEY = "these packets are encrypted with the published example key"
FOREIGN = "another sensor uses the same key"
UNKNOWN_KEY = "a wrong key, or another sensor"
REVERSED = "bytes are in reversed order"
DAMAGED = "lines are damaged on the cable"
STUCK = "the receiver's radio is stuck"
NOISE = "noise: it is no receiver's stream"
NO_SENSOR = "the receiver works and hears no sensor"
NOTHING = "nothing at all was received"
KEY_OF_MINE = SensorKey("main", OWN_KEY, 36000)
KEYS = (KEY_OF_MINE, replace(KEY_OF_MINE, max_power_w=600), SensorKey("x", KEY, 36000))
STATUS = b"CW1 S 60 0 0 0 *ED78\n"  # of our receiver, each minute


def lines(payloads):
    return [receiver_line(seq, payload) for seq, payload in enumerate(payloads)]


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("form", [list, lines])
def test_a_right_key_and_a_sensor_heard_well_are_healthy(format_name, form):
    bursts = form(sent(SensorFirmware(OWN_KEY, Random(1), format_name=format_name), 20))

    findings = findings_of(bursts)

    assert holding(findings) == [HEALTHY]
    assert findings[HEALTHY].likelihood is Likelihood.CERTAIN
    assert findings[HEALTHY].evidence.startswith("main: 20 of 20 packets open")


@pytest.mark.parametrize("format_name", FORMATS)
def test_one_packet_that_proves_its_key_is_enough(format_name):
    findings = findings_of(
        sent(SensorFirmware(OWN_KEY, Random(1), format_name=format_name), 1), timed=False
    )

    assert findings[HEALTHY].likelihood is Likelihood.CERTAIN


def test_one_packet_within_a_chain_makes_its_key_likely():
    findings = findings_of(sent(sensor(), 9)[8:])

    assert findings[HEALTHY].likelihood is Likelihood.LIKELY


@pytest.mark.usefixtures("caplog")  # the bridge warns of it
def test_a_previous_key_that_fits_is_named_as_such():
    changed = {**MINE, "key": OTHER_KEY.hex(), "previous_keys": [OWN_KEY.hex()]}

    findings = findings_of(sent(sensor(), 9), changed)

    assert findings[HEALTHY].holds
    assert "under previous key" in findings[HEALTHY].evidence


def test_packets_of_which_none_follows_another_are_lost_on_the_air():
    findings = findings_of(sent(sensor(), 40)[8::4], apart_s=33.0)

    assert holding(findings) == [LOST]


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"max_power_w": 400}, "power is 740 W, expected 0 to 400 W"),
        ({"format": "v1.1"}, "format is v1, expected v1.1 as configured"),
    ],
)
def test_values_that_the_settings_refuse_are_not_a_wrong_key(setting, why):
    findings = findings_of(sent(sensor(), 20), {**MINE, **setting})

    assert holding(findings) == [REFUSED]
    assert why in findings[REFUSED].evidence


def test_the_published_example_key_is_recognised_though_not_configured():
    findings = findings_of(sent(sensor(KEY), 20))

    assert holding(findings) == [EXAMPLE_KEY]
    assert "not in your config.yaml" in findings[EXAMPLE_KEY].advice


def test_the_published_example_key_is_warned_of_when_configured():
    findings = findings_of(sent(sensor(KEY), 20), {**MINE, "key": KEY.hex()})

    assert holding(findings) == [HEALTHY, EXAMPLE_KEY]
    assert "Make one of your own" in findings[EXAMPLE_KEY].advice


@pytest.mark.usefixtures("caplog")  # the bridge warns of it
def test_another_chain_under_the_same_key_is_a_foreign_sensor():
    mine = sent(SensorFirmware(OWN_KEY, Random(1), timer_ms=9_000_000, tail=b"before"), 20)
    other = sent(SensorFirmware(OWN_KEY, Random(2), timer_ms=500_000_000, tail=b"others"), 20)
    bursts = [payload for pair in zip(mine, other, strict=True) for payload in pair]

    findings = findings_of(bursts, apart_s=4.0)

    assert holding(findings) == [HEALTHY, FOREIGN]


@pytest.mark.parametrize("form", [list, lines])
def test_whole_packets_that_nothing_opens_have_a_wrong_key(form):
    findings = findings_of(form(sent(sensor(OTHER_KEY), 20)))

    assert holding(findings) == [UNKNOWN_KEY]
    assert findings[UNKNOWN_KEY].likelihood is Likelihood.LIKELY
    assert "20 of 20 packets" in findings[UNKNOWN_KEY].evidence


def test_well_timed_bursts_are_said_to_be_so():
    findings = findings_of(sent(sensor(OTHER_KEY), 20))

    assert "19 of 19 times within a tenth of 8.2 s apart" in findings[UNKNOWN_KEY].evidence


def test_a_neighbours_packets_among_ones_own_are_counted():
    bursts = sent(sensor(), 10) + sent(sensor(OTHER_KEY), 10)

    findings = findings_of(bursts, apart_s=4.0)

    assert holding(findings) == [HEALTHY, UNKNOWN_KEY]
    assert "10 of 20 packets" in findings[UNKNOWN_KEY].evidence


@pytest.mark.parametrize("size", [16, 4, 2])
def test_packets_whose_bytes_are_reversed_are_recognised(size):
    findings = findings_of([regrouped(payload, size) for payload in sent(sensor(), 20)])

    assert holding(findings) == [REVERSED]
    assert findings[REVERSED].likelihood is Likelihood.CERTAIN
    assert "of the packets reversed" in findings[REVERSED].evidence


@pytest.mark.parametrize("size", [16, 4, 2])
def test_a_key_whose_bytes_are_reversed_is_recognised(size):
    findings = findings_of(sent(sensor(regrouped(OWN_KEY, size)), 20))

    assert holding(findings) == [REVERSED]
    assert "of the key reversed" in findings[REVERSED].evidence


def test_fields_whose_bytes_are_reversed_are_recognised():
    plain = V1.layout.pack(500, 240, 3300, 99_000, b"before")
    encrypt = AES.new(OWN_KEY, AES.MODE_ECB).encrypt
    fields = [regrouped(plain[:9] + bytes([n]) + plain[10:], 2) for n in range(20)]

    findings = findings_of([encrypt(each) for each in fields])

    assert holding(findings) == [REVERSED]
    assert "of the decrypted packets reversed" in findings[REVERSED].evidence


def test_packets_that_begin_within_bursts_are_read_all_the_same():
    findings = findings_of([b"\x01\x02\x03" + payload for payload in sent(sensor(), 20)])

    assert holding(findings) == [HEALTHY]


def test_lines_with_wrong_checksums_are_damaged():
    right, wrong = lines(sent(sensor(), 20)), lines(sent(sensor(), 20))
    bursts = right[:10] + [line.replace(b" 1 ", b" 2 ") for line in wrong[10:]]

    findings = findings_of(bursts)

    assert DAMAGED in holding(findings)
    assert "10 lines with a wrong checksum, 10 right ones" in findings[DAMAGED].evidence


@pytest.mark.parametrize("stuck", [bytes(16), b"\xff" * 16])
def test_a_stuck_radio_is_recognised(stuck):
    findings = findings_of([stuck] * 20, apart_s=0.1)

    assert holding(findings) == [STUCK]
    assert findings[STUCK].likelihood is Likelihood.CERTAIN


def test_some_bursts_of_noise_that_happen_to_have_16_bytes_are_no_wrong_key():
    random = Random(3)

    findings = findings_of([random.randbytes(size) for size in (16, 5, 16, 30, 16, 9)])

    assert holding(findings) == [NOISE]
    assert findings[UNKNOWN_KEY].likelihood is Likelihood.UNKNOWN


@pytest.mark.parametrize("seed", range(5))
def test_bursts_of_other_sizes_that_nothing_opens_are_noise(seed):
    random = Random(seed)
    bursts = [random.randbytes(random.randint(1, 40)) for _ in range(40)]

    assert holding(findings_of(bursts, apart_s=1.0)) == [NOISE]


def test_bytes_without_a_pause_are_noise_though_some_blocks_open_by_chance():
    stream = Random(0).randbytes(20_000)

    case, findings = case_of([stream]), findings_of([stream])

    assert case.key_tests[0].opened
    assert holding(findings) == [NOISE]


def test_a_program_that_writes_text_is_recognised():
    findings = findings_of([b"Power: %d W\r\n" % (400 + n) for n in range(20)])

    assert holding(findings) == [NOISE]
    assert "it is text" in findings[NOISE].evidence
    assert "another program" in findings[NOISE].advice.lower()


def test_a_receiver_that_only_tells_of_itself_hears_no_sensor():
    findings = findings_of([STATUS] * 3)

    assert holding(findings) == [NO_SENSOR]
    assert "the last: S 60 0 0 0" in findings[NO_SENSOR].evidence


@pytest.mark.parametrize("line", [b"CW1 H 1.0.0 none *00E3\n", b"CW1 E radio-lost *1FA9\n"])
def test_a_receiver_that_says_that_it_has_no_radio_is_believed(line):
    assert holding(findings_of([STATUS, line, STATUS])) == [STUCK]


def test_a_radio_that_is_back_is_not_stuck():
    assert holding(
        findings_of([b"CW1 E radio-lost *1FA9\n", b"CW1 E radio-restarted *09F2\n"])
    ) == [NO_SENSOR]


def test_where_nothing_came_nothing_was_received():
    findings = findings_of([])

    assert holding(findings) == [NOTHING]
    assert findings[HEALTHY].likelihood is Likelihood.NO


@pytest.mark.parametrize(
    "bursts",
    [sent(sensor(OTHER_KEY), 1), sent(sensor(OTHER_KEY), 2), [b"garbage"], [bytes(range(40))]],
)
def test_with_few_data_nothing_is_claimed(bursts):
    assert holding(findings_of(bursts)) == []
    assert "cannot be told yet" in as_text(
        case_of(bursts), list(findings_of(bursts).values()), verbose=False
    )


@pytest.mark.parametrize("seed", range(20))
def test_few_random_packets_never_make_a_key_certain(seed):
    random = Random(seed)

    findings = findings_of([random.randbytes(16) for _ in range(100)])

    assert Likelihood.CERTAIN not in {each.likelihood for each in findings.values()}


def test_a_packet_repeated_by_the_radio_counts_once():
    payload = sent(sensor(), 9)[8]

    case = case_of([payload] * 10, apart_s=0.1)

    assert case.key_tests[0].opened == 1


def test_a_random_block_is_plausible_once_in_eight_thousand():
    assert plausible_share(KEY_OF_MINE) == pytest.approx(1.22e-4, rel=0.01)


@pytest.mark.parametrize(
    ("found", "tried", "share", "chance"),
    [(0, 10, 0.5, 1.0), (1, 1, 0.25, 0.25), (2, 3, 0.1, 0.03), (10, 10, 0.5, 2**-10)],
)
def test_chance_is_the_union_over_all_choices(found, tried, share, chance):
    assert chance_of(found, tried, share) == pytest.approx(chance)


def test_chunks_are_joined_up_to_a_silence():
    pieces = [
        replace(piece, content=content)
        for piece, content in zip(
            chunks([b"x"] * 2, apart_s=0.01), (b"ab", b"", b"c"), strict=False
        )
    ]

    assert [burst.content for burst in bursts_of(pieces)] == [b"ab", b"c"]


@pytest.mark.parametrize(
    "key", [KEY_OF_MINE, replace(KEY_OF_MINE, max_power_w=600), SensorKey("x", KEY, 36000)]
)
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_packet_is_plausible_exactly_when_no_check_fails(key, format_name):
    payloads = sent(SensorFirmware(OWN_KEY, Random(1), format_name=format_name), 5)

    shown = [one for payload in payloads for one in explain_payload(payload, [key])]

    assert [each.plausible for each in shown] == [each.refusal() == "" for each in shown]


def test_each_byte_is_in_one_check():
    (tagged,) = explain_payload(
        sent(SensorFirmware(OWN_KEY, Random(1), format_name="v1.1"), 1)[0], [KEY_OF_MINE]
    )

    assert tagged.proof is Proof.TAG
    assert len("".join(check.raw for check in tagged.checks)) == 32
