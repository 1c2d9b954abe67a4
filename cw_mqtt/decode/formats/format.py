"""What is to be known of a packet's format: which bytes are what, and what proves a packet."""

import struct
from dataclasses import dataclass, field
from typing import Any

CODES = {1: "B", 2: "H", 4: "I"}
PADDING_SIZE = 6  # noise has as many right bytes once in 2^48 blocks


@dataclass(frozen=True, slots=True)
class Field:
    """Some bytes of a decrypted packet; a little-endian number unless it is the `padding`.

    `limit` is what it must be within; the power's is the sensor's own.
    """

    name: str
    size: int
    unit: str = ""
    limit: range | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """How a sensor's firmware fills the 16 bytes.

    The fields `power`, `voltage`, `battery`, `timer` and a `padding` of six bytes are in any order,
    and may have others beside them. With a `tag`,
    which is the padding then, a packet proves itself; without, it has the encrypted end of the one
    before it there, or zeros, and is proven by that.
    """

    name: str
    fields: tuple[Field, ...]
    tag: bytes | None = None
    layout: struct.Struct = field(init=False)
    names: tuple[str, ...] = field(init=False)
    padding: slice = field(init=False)

    def __post_init__(self) -> None:
        codes = (f"{f.size}s" if f.name == "padding" else CODES[f.size] for f in self.fields)
        names = tuple(each.name for each in self.fields)
        place = names.index("padding")
        if self.fields[place].size != PADDING_SIZE:
            raise ValueError(f"{self.name}: a padding of {PADDING_SIZE} bytes is what proves")
        start = sum(each.size for each in self.fields[:place])
        object.__setattr__(self, "layout", struct.Struct("<" + "".join(codes)))
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "padding", slice(start, start + self.fields[place].size))

    @property
    def proves_itself(self) -> bool:
        """Whether a packet needs no other one to prove its sender."""
        return self.tag is not None

    def is_shown_by(self, plain: bytes) -> bool:
        """Whether a decrypted block has this format, if it has none of those before it."""
        return self.tag is None or plain[self.padding] == self.tag

    def values(self, plain: bytes) -> dict[str, Any]:
        """The value of each field of a decrypted block."""
        return dict(zip(self.names, self.layout.unpack(plain), strict=True))

    def pack(self, **values: Any) -> bytes:
        """The block that holds these values."""
        return self.layout.pack(*(values[name] for name in self.names))
