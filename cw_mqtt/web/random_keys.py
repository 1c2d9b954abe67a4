"""Keys that nobody has to remember: of sessions, and the tokens of programs."""

import hashlib
import secrets

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
