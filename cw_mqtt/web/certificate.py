"""The server's certificate: loaded anew when its files are renewed, and how long it is valid."""

import logging
import ssl
from contextlib import suppress
from pathlib import Path

from cw_mqtt.config.settings import CertificateSettings
from cw_mqtt.config.values import DAY_S
from cw_mqtt.errors import ResourceAwayError

log = logging.getLogger(__name__)

WARN_DAYS = 14
NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which Python has no name for

Stamps = tuple[tuple[int, int, int], ...]


class Certificate:
    """The files of `web.tls`, as they were when they were loaded last."""

    def __init__(self, settings: CertificateSettings) -> None:
        self._settings = settings
        self._files = [file for file in (settings.cert, settings.key) if file]
        self._loaded: Stamps | None = None
        self._seen: Stamps | None = None
        self._refused = ""
        self.expires_ts = 0.0

    def load(self) -> ssl.SSLContext:
        """TLS with the files as they are now. Raises `ResourceAwayError` when they are no good."""
        settings = self._settings
        stamps = self._stamps()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(settings.cert or "", settings.key, settings.passphrase)
            self.expires_ts = expiry(context, settings.cert or Path())
        except OSError as error:
            raise ResourceAwayError(
                f"cannot use web.tls ({settings.cert}, {settings.key}): "
                f"{error.strerror or error}{settings.doubt}"
            ) from error
        self._loaded = self._seen = stamps
        return context

    def renewed(self) -> ssl.SSLContext | None:
        """TLS with files that have changed since, and did not change since the call before.

        None when there is nothing new. Files that are no good are said once, and the ones before
        stay in use.
        """
        before, self._seen = self._seen, self._stamps()
        if self._seen in (self._loaded, None) or self._seen != before:
            return None
        try:
            context = self.load()
        except ResourceAwayError as error:
            if str(error) != self._refused:
                log.error("%s; the previous certificate stays in use", error)
            self._refused = str(error)
            return None
        self._refused = ""
        log.info("web.tls: the renewed certificate is in use")
        return context

    def days_left(self, now_ts: float) -> int:
        """How many whole days it is valid still; below 0 when it is not."""
        return int((self.expires_ts - now_ts) // DAY_S)

    def _stamps(self) -> Stamps | None:
        """What changes when a file is replaced; None while one is not there."""
        with suppress(OSError):
            found = [file.stat() for file in self._files]
            return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)
        return None


def expiry(server: ssl.SSLContext, cert: Path) -> float:
    """When the certificate that `server` shows ends, learned by shaking hands with it in memory."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cert)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for end in [*ends, *ends]:
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    found = ends[0].getpeercert() or {}
    return ssl.cert_time_to_seconds(str(found["notAfter"]))
