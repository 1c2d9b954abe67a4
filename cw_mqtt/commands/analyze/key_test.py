"""What one key makes of packets, also with bytes in another order, and how likely chance is.

Pure: packets and a key in, one `KeyTest` out.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from Crypto.Cipher import AES

from cw_mqtt.commands.decode import Explained, Proof, explain_plain
from cw_mqtt.decode.formats import V1
from cw_mqtt.decode.packets import SensorKey, fingerprint
from cw_mqtt.model import TAIL_SIZE

LIKELY_BELOW = 1e-3
FEW = 3
VALUES = 2**16  # of a field of two bytes
TAIL_SHARE = 2.0**-48  # of all random blocks: with one certain padding
PROVED = {
    Proof.CHAIN: "continue another one",
    Proof.BOOT: "begin a boot",
    Proof.TAG: "have the tag of v1.1",
}
LEAST_LOG_CHANCE = -200.0  # less is no different, and may be no number


@dataclass(frozen=True, slots=True)
class ByteOrder:
    """An order of bytes: every group of so many is reversed; 1 leaves them as they are."""

    words: str
    packet: int = 1
    key: int = 1
    plain: int = 1


AS_SENT = ByteOrder("as sent")
BYTE_ORDERS = tuple(
    order
    for size, group in ((16, "all 16 bytes"), (4, "each 4 bytes"), (2, "each 2 bytes"))
    for order in (
        ByteOrder(f"{group} of the packets reversed", packet=size),
        ByteOrder(f"{group} of the key reversed", key=size),
        ByteOrder(f"{group} of the decrypted packets reversed", plain=size),
        ByteOrder(f"{group} of packets, key and decrypted packets reversed", size, size, size),
    )
)


@dataclass(frozen=True, slots=True)
class KeyTest:
    """What one key makes of the packets; `chance` is that noise looks as good to it."""

    sensor: str
    fingerprint: str
    previous: bool
    order: ByteOrder
    opened: int
    refused: int
    proofs: Mapping[Proof, int]
    failed: Mapping[str, int]
    chance: float
    explained: tuple[Explained, ...]

    @property
    def is_sure(self) -> bool:
        """Whether chance hardly explains what the key opens."""
        return self.chance < LIKELY_BELOW

    @property
    def loses_packets(self) -> bool:
        """Whether most of what the key opens has lost the packets beside it."""
        return self.opened > FEW and 2 * sum(self.proofs.values()) < self.opened

    def fit(self, count: int) -> str:
        """How well the key fits `count` packets, in words."""
        previous = "previous " if self.previous else ""
        proofs = (f"{n} {PROVED[proof]}" for proof, n in self.proofs.items())
        words = ", ".join((f"{self.opened} of {count} packets open", *proofs))
        key = f"{previous}key {self.fingerprint}"
        return f"{self.sensor}: {words} under {key}; chance: {one_in(self.chance)}"

    def refusal(self) -> str:
        """Why the first packet is refused that is proven to be the sensor's own."""
        refusals = (x.refusal() for x in self.explained if x.proof and not x.plausible)
        return next(refusals, "")


def best_reordered(blocks: Sequence[bytes], keys: Sequence[SensorKey], tried: int) -> KeyTest:
    """The test with reversed bytes that chance explains worst."""
    tried *= len(BYTE_ORDERS) * len(keys)
    tests = (check_key(blocks, key, order, tried) for key in keys for order in BYTE_ORDERS)
    return min(tests, key=lambda test: test.chance)


def check_key(blocks: Sequence[bytes], key: SensorKey, order: ByteOrder, tried: int) -> KeyTest:
    """What a key makes of all payloads; `tried` is in how many places noise had its chance."""
    decrypt = AES.new(regrouped(key.key, order.key), AES.MODE_ECB).decrypt
    payloads = [regrouped(block, order.packet) for block in blocks]
    tails = {payload[-TAIL_SIZE:] for payload in payloads}
    explained = tuple(
        explain_plain(regrouped(decrypt(payload), order.plain), payload, key, tails)
        for payload in payloads
    )
    opened = sum(each.plausible for each in explained)
    proofs = Counter(each.proof for each in explained if each.proof)
    failed = (check.field for each in explained for check in each.checks if check.passed is False)
    return KeyTest(
        key.sensor,
        fingerprint(key.key),
        key.previous,
        order,
        opened,
        sum(each.proof is not None and not each.plausible for each in explained),
        proofs,
        Counter(failed),
        min(
            chance_of(opened, tried, plausible_share(key)),
            chance_of(proofs.total(), tried, (len(tails) + 2) * TAIL_SHARE),
        ),
        explained,
    )


def one_in(chance: float) -> str:
    """A chance as people read it."""
    exponent = -math.log10(chance)
    return f"1 in {1 / chance:,.0f}" if exponent < 6 else f"1 in 10^{exponent:.0f}"


def regrouped(block: bytes, size: int) -> bytes:
    """A block in which every group of `size` bytes is reversed."""
    groups = (block[start : start + size] for start in range(0, len(block), size))
    return b"".join(group[::-1] for group in groups)


def plausible_share(key: SensorKey) -> float:
    """Which share of all random blocks passes for a packet of format v1: about 1.2e-4."""
    limits = [each.limit for each in V1.fields if each.limit]
    values = (*map(len, limits), min(VALUES, int(key.max_power_w) + 1))
    return math.prod(count / VALUES for count in values)


def chance_of(found: int, tried: int, share: float) -> float:
    """At most how likely so many of `tried` random blocks are what a `share` of them is."""
    if not found:
        return 1.0
    choices = math.lgamma(tried + 1) - math.lgamma(found + 1) - math.lgamma(tried - found + 1)
    return math.exp(min(0.0, max(LEAST_LOG_CHANCE, choices + found * math.log(share))))
