"""A certificate that is renewed while the server runs, or ends."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from cw_mqtt.config.settings import CertificateSettings
from cw_mqtt.config.values import DAY_S
from cw_mqtt.web.certificate import Certificate

ENDS = datetime(2040, 1, 31, tzinfo=UTC)


class Files:
    """A certificate's two files, written as an ACME client does."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.cert, self._key = folder / "cert.pem", folder / "key.pem"
        self.issue()
        self.settings = CertificateSettings(cert=self.cert, key=self._key)

    def issue(self, ends: datetime = ENDS) -> None:
        issued = self._authority.issue_cert("127.0.0.1", not_after=ends)
        self._replace(self._key, issued.private_key_pem.bytes())
        self._replace(self.cert, b"".join(p.bytes() for p in issued.cert_chain_pems))

    def spoil(self) -> None:
        self._replace(self.cert, b"nothing")

    def _replace(self, file: Path, content: bytes) -> None:
        new = file.with_suffix(".new")
        new.write_bytes(content)
        new.replace(file)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def looked_at_twice(certificate: Certificate) -> ssl.SSLContext | None:
    assert certificate.renewed() is None, "the other file may not be there yet"
    return certificate.renewed()


def test_what_did_not_change_is_not_loaded_again(files: Files) -> None:
    certificate = Certificate(files.settings)
    certificate.load()

    assert looked_at_twice(certificate) is None


def test_a_renewed_certificate_is_loaded(files: Files) -> None:
    certificate = Certificate(files.settings)
    certificate.load()

    files.issue(datetime(2050, 1, 31, tzinfo=UTC))

    assert looked_at_twice(certificate)
    assert datetime.fromtimestamp(certificate.expires_ts, UTC).year == 2050


def test_one_that_is_no_good_is_said_once_and_not_used(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(files.settings)
    certificate.load()

    files.spoil()

    assert [looked_at_twice(certificate), certificate.renewed()] == [None, None]
    assert len(caplog.records) == 1
    assert "the previous certificate stays in use" in caplog.text


def test_after_one_that_is_no_good_the_next_is_loaded(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(files.settings)
    certificate.load()
    files.spoil()
    looked_at_twice(certificate)

    files.issue()

    assert looked_at_twice(certificate)


def test_files_that_are_away_for_a_moment_change_nothing(files: Files) -> None:
    certificate = Certificate(files.settings)
    certificate.load()

    files.cert.unlink()

    assert looked_at_twice(certificate) is None


@pytest.mark.parametrize(("days", "left"), [(-2, 2), (-0.5, 0), (1, -1)])
def test_it_is_told_for_how_many_days_it_is_valid(files: Files, days: float, left: int) -> None:
    certificate = Certificate(files.settings)
    certificate.load()

    assert certificate.days_left(ENDS.timestamp() + days * DAY_S) == left


def test_one_that_has_ended_is_loaded_all_the_same(files: Files) -> None:
    files.issue(datetime(2020, 1, 31, tzinfo=UTC))
    certificate = Certificate(files.settings)
    certificate.load()

    assert certificate.days_left(ENDS.timestamp()) < 0
