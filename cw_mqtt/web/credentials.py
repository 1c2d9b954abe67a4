"""What a request says of who sends it: headers, cookies and forms, as values."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from io import BytesIO
from urllib.parse import parse_qsl

from multipart import MultipartError, MultipartParser, parse_options_header

Credentials = tuple[str, str] | None

MOST_FIELDS = 20


def basic_credentials(authorization: str) -> Credentials:
    """Login and password of an `Authorization: Basic` header (RFC 7617), None without one.

    What is no UTF-8, which we ask for, comes from a client that writes Latin-1.
    """
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        said = base64.b64decode(encoded, validate=True)
    except ValueError:
        return None
    try:
        text = said.decode()
    except UnicodeDecodeError:
        text = said.decode("latin-1")
    login, colon, password = text.partition(":")
    return (login, password) if colon else None


def bearer_token(authorization: str) -> str | None:
    """The token of an `Authorization: Bearer` header (RFC 6750), None without one."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def cookie(header: str, name: str) -> str | None:
    """The value of one cookie; what other programs of this host have set is passed over."""
    for pair in header.split(";"):
        key, _, value = pair.partition("=")
        if key.strip() == name:
            return value.strip()
    return None


def form_fields(content_type: str, body: bytes) -> dict[str, str]:
    """The fields of a form; none when it cannot be read.

    Whatever is not multipart is read as urlencoded: known clients call theirs JSON.
    """
    if content_type.lower().startswith("multipart/"):
        return multipart_fields(content_type, body)
    return urlencoded_fields(body)


def form_credentials(fields: Mapping[str, str]) -> Credentials:
    """Login and password of a form, None without them."""
    if "login" not in fields or "password" not in fields:
        return None
    return fields["login"], fields["password"]


def urlencoded_fields(body: bytes) -> dict[str, str]:
    """The fields of an urlencoded form; none when there are too many."""
    try:
        text = body.decode(errors="replace")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        return {}


def multipart_fields(content_type: str, body: bytes) -> dict[str, str]:
    """The fields of a multipart form (RFC 7578), as texts; none when it cannot be read."""
    _, options = parse_options_header(content_type)
    try:
        parts = MultipartParser(
            BytesIO(body), options.get("boundary", ""), len(body), part_limit=MOST_FIELDS
        )
        return {part.name: part.raw.decode(errors="replace") for part in parts}
    except (MultipartError, ValueError):  # ValueError: a boundary that is no text
        return {}


PREFIX = "cwmqtt_"  # for those who look for secrets where none should be


def new_key() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """A key that shows what it is for."""
    return PREFIX + new_key()


def key_hash(key: str) -> str:
    """What is stored of a key: it is random, so that one round is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


# the more special ones first: most call themselves Mozilla, Chrome and Safari too
NAMES = {
    "Edg": "Edge",
    "OPR": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrom": "Chrome",
    "Safari": "Safari",
    "Home Assistant": "Home Assistant",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
LONGEST = 40


def browser_in(user_agent: str) -> str:
    """Such as `Firefox on Linux`; of an unknown one how its header begins."""
    name = next((NAMES[mark] for mark in NAMES if mark in user_agent), None)
    system = next((SYSTEMS[mark] for mark in SYSTEMS if mark in user_agent), None)
    if name and system:
        return f"{name} on {system}"
    printable = "".join(filter(str.isprintable, user_agent)).strip()
    return name or printable[:LONGEST] or "unknown"
