"""Where a request really comes from, when reverse proxies stand before the server."""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")


class Proxies:
    """Believes what the `trusted` addresses and networks say of their callers, and nobody else.

    `base_path` is the path below which the site is shown when no proxy says so.
    """

    def __init__(self, trusted: Iterable[str], base_path: str = "") -> None:
        self._base_path = base_path
        self._trusted = [ipaddress.ip_network(each, strict=False) for each in trusted]

    def address(self, peer: str, forwarded_for: str) -> str:
        """The caller's address: the last one in `X-Forwarded-For` that no trusted proxy has.

        What stands before it may be made up by the caller.
        """
        address = normal(peer) or peer
        for told in reversed(forwarded_for.split(",")):
            if not self._is_trusted(address) or not (told_address := normal(told)):
                break
            address = told_address
        return address

    def scheme(self, peer: str, scheme: str, forwarded_proto: str) -> str:
        """`https` when the caller speaks TLS with us or with a trusted proxy, else `http`."""
        if forwarded_proto and self._is_trusted(peer):
            scheme = forwarded_proto.rpartition(",")[2].strip().lower()
        return "https" if scheme == "https" else "http"

    def base_path(self, peer: str, forwarded_prefix: str) -> str:
        """Below which path a trusted proxy shows this site, else the one of the settings."""
        told = forwarded_prefix.strip().rstrip("/")
        is_told = told and self._is_trusted(peer) and PREFIX.fullmatch(told)
        return told if is_told else self._base_path

    def _is_trusted(self, address: str) -> bool:
        found = normal(address)
        return found is not None and any(
            ipaddress.ip_address(found) in network for network in self._trusted
        )


@lru_cache
def normal(address: str) -> str | None:
    """An IP address in its usual form, None for anything else."""
    try:
        ip = ipaddress.ip_address(address.strip().partition("%")[0])
    except ValueError:
        return None
    return str(getattr(ip, "ipv4_mapped", None) or ip)
