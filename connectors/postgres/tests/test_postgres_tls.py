"""TLS against a real server: encryption, trust, names and client certificates."""

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from servicetsunami.sdk import QueryLimits, TsunamiError
from servicetsunami_postgres import PostgresSource

if TYPE_CHECKING:
    from conftest import Database

pytestmark = pytest.mark.server

NAME = "db.example.com"
ENCRYPTED = "SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()"


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ca", "-out", "ca.pem")

    @property
    def certificate(self) -> str:
        return self.text("ca.pem")

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def issue(self, name: str, subject: str) -> None:
        (self.folder / "names").write_text(f"subjectAltName=DNS:{subject}", encoding="utf-8")
        request = ("-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}", "-out", f"{name}.csr")
        self._run("req", *request, key=f"{name}.key")
        signed = ("-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-extfile", "names")
        self._run("x509", "-req", *signed, "-CAcreateserial", "-out", f"{name}.pem", key=None)

    def _run(self, *arguments: str, key: str | None = "ca.key") -> None:
        keyed = () if key is None else ("-keyout", key)
        command = ["openssl", *arguments, *keyed]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue("server", NAME)
    authority.issue("client", "postgres")
    return authority


@pytest.fixture
def secured(installed: "Database", authority: Authority) -> "Database":
    """The installed server with TLS on; database `vault` asks for a client certificate."""
    data = installed.server.directory / "data"
    for source, target in (("server.pem", "server.crt"), ("server.key", "server.key"), ("ca.pem", "root.crt")):
        (data / target).write_text(authority.text(source), encoding="utf-8")
        (data / target).chmod(0o600)
        os.chown(data / target, data.stat().st_uid, data.stat().st_gid)
    admitted = "hostssl vault all 127.0.0.1/32 cert\nhost all all 127.0.0.1/32 scram-sha-256\n"
    (data / "pg_hba.conf").write_text(admitted, encoding="utf-8")
    installed.run("CREATE TABLE t AS SELECT 1 AS a", "DROP DATABASE IF EXISTS vault", "CREATE DATABASE vault")
    installed.run("ALTER SYSTEM SET ssl_ca_file = 'root.crt'", "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
    # The server reads its settings anew in its own time; each question is a connection of its own.
    while installed.ask("SELECT current_setting('ssl')") != "on":
        pass
    installed.run(f"CREATE VIEW secured AS {ENCRYPTED}")
    installed.ctx.resolved = {NAME: "127.0.0.1", "other.example.com": "127.0.0.1"}
    return installed


def _is_encrypted(source: PostgresSource) -> bool:
    table = source.query("SELECT * FROM secured", QueryLimits(rows=1)).read_all()
    return bool(table.column("ssl")[0].as_py())


def _failure(source: PostgresSource) -> TsunamiError:
    with pytest.raises(TsunamiError) as raised:
        source.check()
    return raised.value


@pytest.mark.parametrize(("mode", "encrypted"), [("disable", False), ("prefer", True), ("require", True)])
def test_a_mode_encrypts_or_not(secured: "Database", mode: str, *, encrypted: bool) -> None:
    source = secured.source(sslmode=mode)

    assert _is_encrypted(source) is encrypted


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_certificate_of_the_authority_and_for_the_name_is_trusted(
    secured: "Database", authority: Authority, mode: str
) -> None:
    source = secured.source(host=NAME, sslmode=mode, ssl_root_cert=authority.certificate)

    assert _is_encrypted(source)


def test_a_certificate_for_another_name_is_refused(secured: "Database", authority: Authority) -> None:
    source = secured.source(host="other.example.com", sslmode="verify-full", ssl_root_cert=authority.certificate)

    error = _failure(source)

    assert (error.step, error.code, error.field) == ("tls", "tls_untrusted", "ssl_root_cert")
    assert "other.example.com" in str(error.why)


def test_verify_ca_does_not_look_at_the_name(secured: "Database", authority: Authority) -> None:
    source = secured.source(host="other.example.com", sslmode="verify-ca", ssl_root_cert=authority.certificate)

    assert _is_encrypted(source)


def test_a_certificate_of_another_authority_is_refused(secured: "Database", tmp_path: Path) -> None:
    source = secured.source(host=NAME, sslmode="verify-ca", ssl_root_cert=Authority(tmp_path).certificate)

    error = _failure(source)

    assert (error.step, error.code) == ("tls", "tls_untrusted")


def test_a_certificate_is_refused_where_only_the_system_is_trusted(secured: "Database") -> None:
    error = _failure(secured.source(host=NAME, sslmode="verify-full"))

    assert (error.step, error.code) == ("tls", "tls_untrusted")


def test_a_client_certificate_logs_in_without_a_file(secured: "Database", authority: Authority) -> None:
    secured.run("CREATE TABLE IF NOT EXISTS t AS SELECT 1 AS a")
    source = secured.source(
        database="vault",
        password="",
        sslmode="require",
        ssl_cert=authority.text("client.pem"),
        ssl_key=authority.text("client.key"),
    )

    error = _failure(source)

    assert error.code == "nothing_readable", "it came in; the database is empty"


def test_a_missing_client_certificate_fails_at_auth(secured: "Database") -> None:
    error = _failure(secured.source(database="vault", password="", sslmode="require"))

    assert error.step == "auth"


def test_a_key_that_is_none_fails_at_tls_and_is_not_told(secured: "Database", authority: Authority) -> None:
    source = secured.source(sslmode="require", ssl_cert=authority.text("client.pem"), ssl_key="canary-key")

    error = _failure(source)

    assert (error.step, error.code, error.field) == ("tls", "bad_certificate", "ssl_cert")
    assert "canary-key" not in str(error.problem())
