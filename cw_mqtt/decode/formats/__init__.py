"""The formats of packets: each is a file here, and a line in this table."""

from collections.abc import Mapping

from cw_mqtt.decode.formats.format import Field, Format
from cw_mqtt.decode.formats.v1 import V1
from cw_mqtt.decode.formats.v1_1 import V1_1

__all__ = ["FORMATS", "V1", "V1_1", "Field", "Format", "format_of"]

# by the names that settings use; one without a tag is what has no other's
FORMATS: Mapping[str, Format] = {each.name: each for each in (V1_1, V1)}


def format_of(plain: bytes) -> Format:
    """The format that a decrypted block has."""
    return next(each for each in FORMATS.values() if each.is_shown_by(plain))
