"""`make bench`: how fast and how small, each beside a baseline measured in the same run.

python -m tests.bench [decode] [latency] [throughput] [wear] [size] [store] [web] [idle]
"""

import os
import resource
import socket
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

import paho.mqtt.client as paho
import psycopg2
from Crypto.Cipher import AES
from paho.mqtt.enums import CallbackAPIVersion

from cw_mqtt.decode.framing import Framer, StatusLine
from cw_mqtt.decode.packets import Decrypted, Keyring, SensorKey
from cw_mqtt.decode.verify import judge, tails
from cw_mqtt.model import Chain as SensorChain
from cw_mqtt.model import Chunk, Heard, Kept, Verdict
from cw_mqtt.simulate.household import plausible_power_w
from cw_mqtt.store.flush import request_flush
from tests.bench_store import bench_store
from tests.bench_web import bench_web
from tests.end_to_end.process import Board, Bridge, Subscriber, rows
from tests.figures import cpu_s, percentile, say
from tests.mosquitto import Broker
from tests.packets import KEY
from tests.postgres import running_postgres
from tests.program import HOST
from tests.waiting import wait_until

LATENCY_PACKETS = 400
APART_S = 0.06  # or a packet waits for what the one before it still has to do
SENSORS = 100
PACKETS_EACH = 300
BASELINE_PACKETS = 500
DECODED_KEYS = 10
DECODED_PACKETS = 20_000
GARBAGE_BYTES = 100_000
IDLE_S = 120
WEAR_PACKETS = 1100
BATCHES = (4, 4, 3)  # packets in each half minute, at one every 8.192 s
PACKETS_A_DAY = 86_400 / 8.192
IMPORTS = (
    "pydantic, ruamel.yaml, Crypto.Cipher.AES, sqlalchemy.dialects.sqlite, psycopg2, "
    "paho.mqtt.client, serial, cherrypy, argon2, jinja2, click"
)


class Chain:
    """A sensor's packets, of any power, each chained onto the one before."""

    def __init__(self, key: bytes = KEY) -> None:
        self._encrypt = AES.new(key, AES.MODE_ECB).encrypt
        self._tail, self._timer_ms = b"before", 1_000_000

    def packet(self, power_w: int) -> bytes:
        """The next packet."""
        self._timer_ms += 1
        plain = struct.pack("<HHHI6s", power_w, 240, 3300, self._timer_ms, self._tail)
        payload = self._encrypt(plain)
        self._tail = payload[-6:]
        return payload


def sensor_key(number: int) -> bytes:
    """A key for each sensor."""
    return number.to_bytes(16)


@contextmanager
def neighbours() -> Iterator[tuple[Path, Broker, Board]]:
    """A folder, a broker and a receiver board."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cw-mqtt-bench-")))
        (folder / "broker").mkdir()
        broker = Broker(folder / "broker")
        broker.start()
        stack.callback(broker.stop)
        board = Board()
        stack.callback(board.close)
        yield folder, broker, board


def bench_latency() -> None:
    """From the last byte on the serial line to the message at a subscriber, on SQLite."""
    with neighbours() as (folder, broker, board):
        bridge = Bridge(folder, settings_on(board.port, broker))
        bridge.start()
        wait_until(lambda: bridge.works("receiver hall", "bridge", "mqtt", "database"))
        chain = Chain()
        board.send(chain.packet(1))
        with closing(Stopwatch(broker, "citizenwatt/main/power")) as watch:
            direct = watch.round_trips(LATENCY_PACKETS)
            taken = [
                watch.until(str(number), lambda n=number: board.send(chain.packet(n)))
                for number in range(2, LATENCY_PACKETS)
            ]
        bridge.stop()
        commits = commit_times(folder)
    taken_ms, direct_ms = [s * 1000 for s in taken], [s * 1000 for s in direct]
    p50, p99 = statistics.median(taken_ms), percentile(taken_ms, 99)
    say("serial byte to MQTT message, p50", f"{p50:.1f} ms")
    say("serial byte to MQTT message, p99 (aim: under 20 ms)", f"{p99:.1f} ms")
    base = statistics.median(direct_ms)
    commits_ms = [s * 1000 for s in commits]
    commit_ms = statistics.median(commits_ms)
    say("  baseline: publish to subscriber alone, p50", f"{base:.1f} ms")
    say("  baseline: one durable SQLite commit alone, p50", f"{commit_ms:.1f} ms")
    say("  baseline: one durable SQLite commit alone, p99", f"{percentile(commits_ms, 99):.1f} ms")
    say("  p50 as a ratio to both baselines together", f"{p50 / (base + commit_ms):.1f}")


class Stopwatch:
    """A subscriber that says how long a message took to come."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self._came = threading.Condition()
        self._payload = ""
        self._at_s = 0.0
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._note
        self._client.connect(broker.host, broker.port)
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.subscribe([(topic, 0), ("bench/direct", 0)])
        self._client.loop_start()
        assert subscribed.wait(10)

    def until(self, payload: str, act: Callable[[], Any]) -> float:
        """Seconds from `act` until this payload has come."""
        began_s = time.perf_counter()
        act()
        with self._came:
            assert self._came.wait_for(lambda: self._payload == payload, 10), payload
        time.sleep(APART_S)
        return self._at_s - began_s

    def round_trips(self, count: int) -> list[float]:
        """What a message takes from this process through the broker and back."""
        return [
            self.until(f"x{n}", lambda n=n: self._client.publish("bench/direct", f"x{n}"))
            for n in range(count)
        ]

    def close(self) -> None:
        """Leave the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _note(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        with self._came:
            self._payload, self._at_s = message.payload.decode(), time.perf_counter()
            self._came.notify()


def commit_times(folder: Path, apart_s: float = APART_S) -> list[float]:
    """What a commit of one row takes here, with the journal's guarantees."""
    times = []
    with closing(sqlite3.connect(folder / "commits.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE t (x)")
        for number in range(200):
            began_s = time.perf_counter()
            connection.execute("INSERT INTO t VALUES (?)", (number,))
            times.append(time.perf_counter() - began_s)
            time.sleep(apart_s)
    return times


def bench_throughput() -> None:
    """Many sensors on one socket, as fast as they are taken, into PostgreSQL and a broker."""
    with running_postgres() as server, neighbours() as (folder, broker, _):
        with socket.create_server((HOST, 0)) as listener:
            port = f"socket://{HOST}:{listener.getsockname()[1]}"
            sensors = [
                {"slug": f"s{n}", "name": f"Sensor {n}", "key": sensor_key(n).hex()}
                for n in range(SENSORS)
            ]
            changes = {"sensors": sensors, "database": {"url": server.url}}
            bridge = Bridge(folder, {**settings_on(port, broker), **changes})
            bridge.start()
            line, _address = listener.accept()
            wait_until(lambda: bridge.works("bridge", "mqtt", "database"))
            stream = packet_stream()
            began_s = time.perf_counter()
            line.sendall(stream)
            wait_until(lambda: is_done(bridge, folder, len(stream)))
            taken_s = time.perf_counter() - began_s
            line.close()
        with closing(Subscriber(broker.host, broker.port, "citizenwatt/+/energy")) as heard:
            wait_until(lambda: len({topic for topic, _ in heard.messages}) == SENSORS)
        bridge.stop()
        count = len(rows(folder, server.url, "id"))
        # a first packet, which nothing proves yet, may also be plausible under another's key
        assert SENSORS * PACKETS_EACH - count < SENSORS / 10, count
        each_s = one_by_one(server.url, broker)
    rate, baseline = count / taken_s, 1 / each_s
    say(f"packets stored and published, {SENSORS} sensors (aim: 1,000/s)", f"{rate:,.0f}/s")
    say("  baseline: a transaction and a publish for each", f"{baseline:,.0f}/s")
    say("  ratio", f"{rate / baseline:.1f}")


def is_done(bridge: Bridge, folder: Path, sent_bytes: int) -> bool:
    """Whether everything sent is read, judged and in the database."""
    time.sleep(0.1)  # to ask takes time from those who work
    report = bridge.health()
    if report["receivers"]["hall"].get("bytes", 0) == sent_bytes:
        request_flush(folder / "data")
        report = bridge.health()
    journal, read_bytes = report["journal"], report["receivers"]["hall"].get("bytes", 0)
    return read_bytes == sent_bytes and not journal["queue"] and not journal["unstored"]


def packet_stream() -> bytes:
    """The packets of all sensors in turn."""
    chains = [Chain(sensor_key(n)) for n in range(SENSORS)]
    return b"".join(chain.packet(500 + n % 500) for n in range(PACKETS_EACH) for chain in chains)


def one_by_one(url: str, broker: Broker) -> float:
    """Seconds a packet, decrypted, inserted, committed and published without any batching."""
    decrypt = AES.new(KEY, AES.MODE_ECB).decrypt
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect(broker.host, broker.port)
    client.loop_start()
    chain = Chain()
    payloads = [chain.packet(n) for n in range(BASELINE_PACKETS)]
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench (ts bigint, value float8)")
        began_s = time.perf_counter()
        for payload in payloads:
            power_w = struct.unpack_from("<H", decrypt(payload))[0]
            cursor.execute("INSERT INTO bench VALUES (1, %s)", (power_w,))
            connection.commit()
            client.publish("bench/power", power_w, qos=1).wait_for_publish(10)
        taken_s = time.perf_counter() - began_s
    client.disconnect()
    client.loop_stop()
    return taken_s / BASELINE_PACKETS


def bench_wear() -> None:
    """Bytes written to disk for each packet, on SQLite, with the batches that a half minute has."""
    with neighbours() as (folder, broker, board):
        bridge = Bridge(folder, settings_on(board.port, broker))
        bridge.start()
        wait_until(lambda: bridge.works("receiver hall", "bridge", "mqtt", "database"))
        chain, sent = Chain(), 0
        before = written(bridge.pid)
        for size in islice(cycle(BATCHES), len(BATCHES) * WEAR_PACKETS // sum(BATCHES)):
            for _ in range(size):
                sent += 1
                board.send(chain.packet(500 + sent % 100))
                time.sleep(APART_S)
            request_flush(folder / "data")
        each = (written(bridge.pid) - before) / sent
        bridge.stop()
        count = len(rows(folder, None, "id"))
        assert count > 0.99 * sent, count
        before = written(os.getpid())
        commits = len(commit_times(folder, apart_s=0))
        commit = (written(os.getpid()) - before) / commits
    say("written to disk for each packet, at speed", f"{each / 1024:.1f} KiB")
    say_a_day("  for a day and sensor (aim: under 150 MB)", each)
    say("  baseline: one durable SQLite commit of one row", f"{commit / 1024:.1f} KiB")
    say("  ratio", f"{each / commit:.1f}")


def say_a_day(what: str, bytes_a_packet: float) -> None:
    """Say what one sensor writes on a day."""
    say(what, f"{bytes_a_packet * PACKETS_A_DAY / 1e6:.0f} MB")


def written(pid: int) -> int:
    """The bytes that a process has caused to be written to disk."""
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


def bench_size() -> None:
    """Memory, and how soon a known sensor's state is there again after a start."""
    with neighbours() as (folder, broker, board):
        bridge = Bridge(folder, settings_on(board.port, broker))
        bridge.start()
        chain = Chain()
        wait_until(lambda: bridge.works("receiver hall", "bridge", "mqtt", "database"))
        board.send(chain.packet(1))
        board.send(chain.packet(2))
        wait_until(lambda: bridge.health()["sensors"]["main"]["heard"].get("verified"))
        bridge.stop()
        broker.stop()
        broker.start()  # it keeps nothing
        with closing(Subscriber(broker.host, broker.port, "citizenwatt/main/state")) as heard:
            began_s = time.perf_counter()
            bridge.start()
            wait_until(lambda: heard.messages)
            taken_s = time.perf_counter() - began_s
        wait_until(lambda: bridge.works("receiver hall", "bridge", "mqtt", "database"))
        rss_mb = bridge.health()["rss_mb"]
        bridge.stop()
    code = f"import {IMPORTS}, resource; print(open('/proc/self/statm').read().split()[1])"
    pages = int(subprocess.check_output([sys.executable, "-c", code]))
    baseline_mb = pages * resource.getpagesize() / 1e6
    began_s = time.perf_counter()
    subprocess.check_call([sys.executable, "-c", f"import {IMPORTS}"])
    imports_s = time.perf_counter() - began_s
    say("resident memory of `run` (aim: under 80 MB)", f"{rss_mb:.0f} MB")
    say("  baseline: Python with the libraries it needs", f"{baseline_mb:.0f} MB")
    say("  ratio", f"{rss_mb / baseline_mb:.2f}")
    say("start to the first retained state (aim: under 3 s)", f"{taken_s:.2f} s")
    say("  baseline: Python with the libraries it needs", f"{imports_s:.2f} s")


def bench_idle() -> None:
    """CPU time and bytes written while one sensor sends every 8 seconds."""
    with neighbours() as (folder, broker, _):
        bridge = Bridge(folder, settings_on("simulated:", broker))
        bridge.start()
        wait_until(lambda: bridge.works("bridge", "mqtt", "database"))
        wait_until(lambda: bridge.health()["sensors"]["main"]["heard"].get("verified"))
        before_s, before_bytes = cpu_s(bridge.pid), written(bridge.pid)
        time.sleep(IDLE_S)
        share = (cpu_s(bridge.pid) - before_s) / IDLE_S
        bytes_a_day = (written(bridge.pid) - before_bytes) / IDLE_S * 86_400
        bridge.stop()
    say(
        "written to disk a day and sensor, in real time (aim: under 150 MB)",
        f"{bytes_a_day / 1e6:.0f} MB",
    )
    say("CPU share, one sensor each 8 s (aim: under 1 %)", f"{share:.2%}")


def settings_on(port: str, broker: Broker) -> dict[str, Any]:
    """Settings with one receiver and this broker."""
    return {
        "receivers": [{"name": "hall", "port": port}],
        "mqtt": {"host": broker.host, "port": broker.port},
    }


def bench_decode() -> None:
    """Framing, decryption, verification, and a simulated household, each alone."""
    chain = Chain(sensor_key(DECODED_KEYS))  # the key that is tried last, until it fitted once
    packets = [chain.packet(n % 30_000) for n in range(DECODED_PACKETS)]
    began_s = time.perf_counter()
    verdicts = decode(packets)
    packet_s = (time.perf_counter() - began_s) / DECODED_PACKETS
    assert verdicts[Verdict.VERIFIED] + verdicts[Verdict.CONFIRMED] == DECODED_PACKETS, verdicts
    garbage = Random(1).randbytes(GARBAGE_BYTES)
    blocks = [garbage[start : start + 16] for start in range(0, GARBAGE_BYTES, 16)]
    began_s = time.perf_counter()
    assert decode(blocks)[Verdict.VERIFIED] == 0
    byte_s = (time.perf_counter() - began_s) / GARBAGE_BYTES
    decrypt = AES.new(KEY, AES.MODE_ECB).decrypt
    began_s = time.perf_counter()
    for packet in packets:
        decrypt(packet)
    block_s = (time.perf_counter() - began_s) / DECODED_PACKETS
    began_s = time.perf_counter()
    for n in range(DECODED_PACKETS):
        plausible_power_w(1.8e9 + 8.0 * n)
    power_s = (time.perf_counter() - began_s) / DECODED_PACKETS
    say("packets decoded, the last good key first (aim: 15,000/s)", f"{1 / packet_s:,.0f}/s")
    say(
        f"garbage, {DECODED_KEYS} keys (aim: 20 kB/s; a line brings 5.8)",
        f"{1e-3 / byte_s:.1f} kB/s",
    )
    say("  baseline: bare AES decryptions", f"{1 / block_s:,.0f}/s")
    say("  a packet as a ratio to one decryption", f"{packet_s / block_s:.1f}")
    say("  a power of a simulated household as a ratio to one", f"{power_s / block_s:.1f}")
    say(f"  a garbage byte as a ratio to {DECODED_KEYS}", f"{byte_s / block_s / DECODED_KEYS:.1f}")


def decode(bursts: list[bytes]) -> Counter[Verdict]:
    """The verdicts on bursts that come every 8 seconds, under many keys."""
    keys = [SensorKey(f"s{n}", sensor_key(n), 36_000) for n in range(1, DECODED_KEYS + 1)]
    chains = {key.sensor: SensorChain() for key in keys}
    kept: dict[str, Kept] = defaultdict(Kept)

    def expected(opened: Decrypted) -> Iterable[bytes]:
        return tails((chains[sensor] for sensor in opened.sensors), kept[opened.key])

    framer = Framer("raw", Keyring(keys, "hall", expected).open)
    verdicts: Counter[Verdict] = Counter()
    for number, burst in enumerate(bursts):
        ts = 1.8e9 + 8.0 * number
        for decryptions in framer.feed(Chunk("hall", ts, ts, burst)):
            assert not isinstance(decryptions, StatusLine)
            for opened in decryptions:
                known = {sensor: chains[sensor] for sensor in opened.sensors}
                judgement = judge(known, kept[opened.key], Heard(opened.packet, ts))
                chains.update(judgement.chains)
                kept[opened.key] = judgement.kept
                verdicts.update(ruling.verdict for ruling in judgement.rulings)
    return verdicts


BENCHES = {
    "decode": bench_decode,
    "latency": bench_latency,
    "throughput": bench_throughput,
    "wear": bench_wear,
    "size": bench_size,
    "store": bench_store,
    "web": bench_web,
    "idle": bench_idle,
}


def main() -> None:
    """Run the benches that are named, or all."""
    say("machine", f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()


if __name__ == "__main__":
    main()
