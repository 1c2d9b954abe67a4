"""How much the long tests do: a little in the suite, the whole of it in `make torture`."""

import os
from typing import TypeVar

TORTURE = "CW_MQTT_TORTURE" in os.environ

Amount = TypeVar("Amount")


def amount(little: Amount, *, torture: Amount) -> Amount:
    """A number, or a list of cases, of this run."""
    return torture if TORTURE else little
