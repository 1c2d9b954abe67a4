"""French and English: words, numbers, amounts of money, dates and ages.

Written here and not taken from a library: it is forty lines, of two languages, and the catalogues
of all others would be 30 MB.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from cw_mqtt.web.page.words import MONTHS, SHORT_MONTHS, SHORT_WEEKDAYS, WEEKDAYS, WORDS

NARROW, WIDE = "\N{NARROW NO-BREAK SPACE}", "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$"}


@dataclass(frozen=True, slots=True)
class Language:
    """How one language says things; `code` is `fr` or `en`."""

    code: str

    def __call__(self, key: str, **values: Any) -> str:
        """The words of the catalogue, with values filled in."""
        return WORDS[key][self.code].format(**values)

    def rate(self, tariff: str) -> str:
        """The name of a tariff; of one that the user has named, its own."""
        key = f"rate_{tariff}"
        return self(key) if key in WORDS else tariff.replace("_", " ").capitalize()

    def number(self, value: float, decimals: int = 0) -> str:
        """A number, its thousands apart: `12 345,6` or `12,345.6`."""
        text = f"{value:,.{decimals}f}".replace("-", MINUS)
        if text.strip(f"{MINUS}0.,") == "":
            text = text.removeprefix(MINUS)
        if self.code == "fr":
            text = text.replace(",", NARROW).replace(".", ",")
        return text

    def kwh(self, value: float) -> str:
        """Energy in kWh without its unit, as exact as people want it: 3.94, 19.4, 477."""
        return self.number(value, 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0)

    def watts(self, value: float) -> str:
        """Power without its unit."""
        return self.number(value)

    def percent(self, share: float, decimals: int = 0, *, sign: bool = False) -> str:
        """A share of 1 as percents."""
        text = self.number(100 * share, decimals)
        plus = "+" if sign and share > 0 and text.strip("0.,") else ""
        return f"{plus}{text}{WIDE}%" if self.code == "fr" else f"{plus}{text}%"

    def symbol(self, currency: str) -> str:
        """The sign of a currency, where it has one."""
        return SYMBOLS.get(currency, currency)

    def money(self, value: float, currency: str = "EUR", decimals: int | None = None) -> str:
        """An amount: from a thousand on in whole units."""
        if decimals is None:
            decimals = 2 if abs(value) < 999.995 else 0
        text, symbol = self.number(value, decimals), self.symbol(currency)
        if self.code == "fr" or len(symbol) > 1:
            return f"{text}{WIDE}{symbol}"
        sign = MINUS if text.startswith(MINUS) else ""
        return f"{sign}{symbol}{text.removeprefix(MINUS)}"

    def ago(self, seconds: float) -> str:
        """How long ago in one unit: `3 s`, `12 min`, `5 h`, `3 days`."""
        for unit_s, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
            if seconds >= 2 * unit_s:
                return self(unit, n=int(seconds // unit_s))
        return self("seconds", n=max(0, int(seconds)))

    def weekday(self, day: date) -> str:
        """The name of its weekday."""
        return WEEKDAYS[self.code][day.weekday()]

    def short_weekdays(self) -> Sequence[str]:
        """From Monday on."""
        return SHORT_WEEKDAYS[self.code]

    def month(self, day: date) -> str:
        """The name of its month."""
        return MONTHS[self.code][day.month - 1]

    def short_month(self, day: date) -> str:
        """Its month in a few letters."""
        return SHORT_MONTHS[self.code][day.month - 1]

    def day(self, day: date, *, weekday: bool = False, year: bool = False) -> str:
        """`1er novembre`, `1 November`; with its weekday in front, its year behind."""
        number = "1er" if self.code == "fr" and day.day == 1 else str(day.day)
        parts = [self.weekday(day)] * weekday + [number, self.month(day)] + [str(day.year)] * year
        return " ".join(parts)

    def initial(self, day: date) -> str:
        """The first letter of its month, for where there is no room."""
        return self.month(day)[0].upper()

    def moment(self, at: datetime, now: datetime) -> str:
        """A time, with its day unless that is today's."""
        return (
            self.time(at) if at.date() == now.date() else f"{self.day(at.date())} {self.time(at)}"
        )

    def time(self, at: datetime) -> str:
        """The time of a day."""
        return f"{at:%H:%M}"


LANGUAGES = {code: Language(code) for code in ("en", "fr")}


def preferred(accept_language: str) -> Language:
    """What a browser asks for (RFC 9110, `Accept-Language`); English when it knows neither."""
    wanted = []
    for position, part in enumerate(accept_language[:200].split(",")):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        code = tag.strip().lower()[:2]
        if code in LANGUAGES and weight > 0:
            wanted.append((-weight, position, code))
    return LANGUAGES[min(wanted)[2]] if wanted else LANGUAGES["en"]
