"""Where a request really comes from, when reverse proxies stand before the server."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache


class Proxies:
    """Believes what the `trusted` addresses say of their callers, and nobody else."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._trusted = {normal(address) for address in trusted}

    def address(self, peer: str, forwarded_for: str) -> str:
        """The caller's address: the last one in `X-Forwarded-For` that no trusted proxy has.

        What stands before it may be made up by the caller.
        """
        address = normal(peer) or peer
        for told in reversed(forwarded_for.split(",")):
            if address not in self._trusted or not (told_address := normal(told)):
                break
            address = told_address
        return address

    def scheme(self, peer: str, scheme: str, forwarded_proto: str) -> str:
        """`https` when the caller speaks TLS with us or with a trusted proxy, else `http`."""
        if forwarded_proto and normal(peer) in self._trusted:
            scheme = forwarded_proto.rpartition(",")[2].strip().lower()
        return "https" if scheme == "https" else "http"


@lru_cache
def normal(address: str) -> str | None:
    """An IP address in its usual form, None for anything else."""
    try:
        ip = ipaddress.ip_address(address.strip().partition("%")[0])
    except ValueError:
        return None
    return str(getattr(ip, "ipv4_mapped", None) or ip)
