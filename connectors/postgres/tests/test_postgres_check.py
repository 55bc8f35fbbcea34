"""The connection test names the step that failed, and what to do."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from servicetsunami.sdk import TsunamiError
from servicetsunami_postgres import PostgresConfig, PostgresSource

if TYPE_CHECKING:
    from conftest import Database

pytestmark = pytest.mark.server

ROLE = (
    "DROP ROLE IF EXISTS reader",
    "CREATE ROLE reader LOGIN PASSWORD 'wave-9'",
)


def _failure(source: PostgresSource) -> TsunamiError:
    with pytest.raises(TsunamiError) as raised:
        source.check()
    return raised.value


@contextmanager
def _server_that(answers: bytes) -> Iterator[int]:
    """A server that answers each connection's first message with these bytes and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                if connection.recv(1024):
                    connection.sendall(answers)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_good_connection_passes(database: "Database") -> None:
    database.run("CREATE TABLE t (a int)")
    source = database.source()

    source.check()

    assert [stream.id for stream in source.streams()] == ["t"]


def test_a_socket_folder_serves_as_host(database: "Database") -> None:
    database.run("CREATE TABLE t (a int)")
    source = database.source(host=str(database.server.directory))

    source.check()

    assert [stream.id for stream in source.streams()] == ["t"]


def test_a_path_that_is_no_folder_fails_at_resolve(database: "Database") -> None:
    error = _failure(database.source(host="/nowhere/at/all"))

    assert (error.step, error.code, error.field) == ("resolve", "host_not_found", "host")


def test_an_unknown_host_fails_at_resolve(database: "Database") -> None:
    error = _failure(database.source(host="db.example"))

    assert (error.step, error.code, error.field) == ("resolve", "host_not_found", "host")


def test_a_wrong_port_fails_at_connect_and_tells_what_was_tried(database: "Database") -> None:
    error = _failure(database.source(port=1))

    assert (error.step, error.code, error.field) == ("connect", "connection_refused", "port")
    assert "127.0.0.1:1" in error.message


def test_a_server_that_is_no_postgresql_fails_at_connect(database: "Database") -> None:
    with _server_that(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        error = _failure(database.source(port=port, sslmode="disable"))

    assert error.step == "connect"
    assert f"127.0.0.1:{port}" in error.message
    assert error.fix == "check that a PostgreSQL server listens on this port"


def test_a_server_without_tls_fails_at_tls_where_tls_is_demanded(database: "Database") -> None:
    error = _failure(database.source(sslmode="require"))

    assert (error.step, error.code, error.field) == ("tls", "tls_failed", "sslmode")
    assert error.fix == "turn TLS on at the server, or set sslmode to prefer if the network is trusted"


def test_a_wrong_password_fails_at_auth_and_is_not_told(database: "Database") -> None:
    error = _failure(database.source(password="secret-canary"))

    assert (error.step, error.code, error.field) == ("auth", "auth", "password")
    assert error.message == f"the server 127.0.0.1:{database.server.port} refused the password of user postgres"
    assert error.why == 'password authentication failed for user "postgres"'
    assert error.fix == "connect again with the right user and password"
    assert "secret-canary" not in str(error.problem())


def test_no_password_is_taken_from_the_environment(database: "Database", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", database.server.password)
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLNEGOTIATION", "direct")
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "standby")

    error = _failure(database.source(password=""))

    assert error.step == "auth"


def test_no_password_is_taken_from_a_file(
    database: "Database", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "pgpass"
    file.write_text(f"*:*:*:*:{database.server.password}\n", encoding="utf-8")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))

    error = _failure(database.source(password=""))

    assert error.step == "auth"


def test_an_unknown_database_fails_with_those_there_are(database: "Database") -> None:
    database.run("DROP DATABASE IF EXISTS customers")
    database.run("CREATE DATABASE customers")

    error = _failure(database.source(database="custmers"))

    assert (error.step, error.code, error.field) == ("database", "database_not_found", "database")
    assert error.did_you_mean == ("customers",)
    assert error.fix == "choose one of those the role may open: customers, postgres"


def test_a_role_without_the_right_to_connect_fails_at_permission(database: "Database") -> None:
    database.run("DROP DATABASE IF EXISTS closed", *ROLE)
    database.run("CREATE DATABASE closed")
    database.run("REVOKE CONNECT ON DATABASE closed FROM public")

    error = _failure(database.source(database="closed", user="reader", password="wave-9"))

    assert (error.step, error.code) == ("permission", "permission")
    assert error.fix == "run as its owner: GRANT CONNECT ON DATABASE closed TO reader"


def test_a_role_that_may_read_nothing_fails_at_permission(database: "Database") -> None:
    database.run(*ROLE, "CREATE TABLE t (a int)")

    error = _failure(database.source(user="reader", password="wave-9"))

    assert (error.step, error.code) == ("permission", "nothing_readable")
    assert "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader" in str(error.fix)


def test_an_unknown_schema_fails_with_those_there_are(database: "Database") -> None:
    database.run("DROP SCHEMA IF EXISTS sales CASCADE", "CREATE SCHEMA sales", "CREATE TABLE sales.t (a int)")

    error = _failure(database.source(schemas=["sale"]))

    assert (error.code, error.field, error.did_you_mean) == ("schema_not_found", "schemas", ("sales",))
    database.run("DROP SCHEMA sales CASCADE")


def test_a_view_that_cannot_be_read_fails_at_read(database: "Database") -> None:
    database.run("CREATE VIEW v AS SELECT 1 / (random() * 0)::int AS a")

    error = _failure(database.source())

    assert (error.step, error.code, error.why) == ("read", "source_failed", "division by zero")


@pytest.mark.parametrize("broken", [{"ssl_root_cert": "nonsense", "sslmode": "verify-ca"}])
def test_a_broken_certificate_fails_at_tls(database: "Database", broken: dict[str, Any]) -> None:
    error = _failure(database.source(**broken))

    assert (error.step, error.code, error.field) == ("tls", "bad_certificate", "ssl_root_cert")


def test_settings_hold_no_dsn_and_print_no_secret() -> None:
    config = PostgresConfig.model_validate({"host": "h", "database": "d", "user": "u", "password": "wave-9"})

    assert "dsn" not in PostgresConfig.model_fields
    assert "wave-9" not in repr(config) + config.model_dump_json()
    assert all(field.description for field in PostgresConfig.model_fields.values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "postgres://u:wave-9@db.example.com/shop"},
        {"host": "u:wave-9@db.example.com"},
        {"host": "db1.example.com,db2.example.com"},
        {"host": "db.example.com\0.evil"},
        {"user": "u\0options\0-c x=y"},
        {"database": ""},
        {"port": 65536},
        {"sslmode": "requir"},
        {"dsn": "postgres://u:wave-9@h/d"},
    ],
)
def test_settings_that_cannot_be_right_are_refused_without_an_echo(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        PostgresConfig.model_validate({"host": "h", "database": "d", "user": "u", **wrong})

    assert "wave-9" not in str(refused.value)
