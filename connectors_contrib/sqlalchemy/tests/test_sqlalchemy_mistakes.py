"""The twelve commonest mistakes: what a person sees is what the README says they see, and holds no secret."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from servicetsunami.sdk import Read, Stream, TsunamiError

README = Path(__file__).parents[1] / "README.md"
CANARY = "canary"
Database = Any


def wrong_password(maria: Database) -> None:
    maria.source(password="canary").check()


def wrong_database(maria: Database) -> None:
    maria.source(database="shopp").check()


def wrong_port(maria: Database) -> None:
    maria.source(port=1).check()


def wrong_host(maria: Database) -> None:
    maria.source(host="no.such.host.invalid").check()


def no_right(maria: Database) -> None:
    maria.run("create table t (id int primary key)")
    whose = f"{maria.user}@'%'"
    maria.server.run(f"revoke select on {maria.name}.* from {whose}", f"grant insert on {maria.name}.* to {whose}")
    list(maria.source().read(Read(next(iter(maria.source().streams())))))


def certificate_not_trusted(maria: Database) -> None:
    maria.source(tls="verify").check()


def table_is_gone(maria: Database) -> None:
    maria.run("create table orders (id int primary key)")
    list(maria.source().read(Read(Stream("order"))))


def no_driver(maria: Database) -> None:
    maria.source(dialect="mssql+nothing").check()


def no_such_file(sqlite: Database) -> None:
    sqlite.source(database="shopp.db").check()


def file_elsewhere(sqlite: Database) -> None:
    sqlite.source(database="/etc/canary.db").check()


def no_database_file(sqlite: Database) -> None:
    sqlite.path.write_text("canary, not SQLite " * 100, encoding="utf-8")
    sqlite.source().check()


def host_is_missing(sqlite: Database) -> None:
    sqlite.source(dialect="mysql")


MISTAKES: tuple[Callable[[Database], None], ...] = (
    wrong_password,
    wrong_database,
    wrong_port,
    wrong_host,
    no_right,
    certificate_not_trusted,
    table_is_gone,
    no_driver,
    no_such_file,
    file_elsewhere,
    no_database_file,
    host_is_missing,
)


@pytest.mark.server
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: str(mistake.__name__))
def test_a_common_mistake_is_told_as_the_readme_says(
    mistake: Callable[[Database], None], request: pytest.FixtureRequest
) -> None:
    (fixture,) = mistake.__annotations__.keys() - {"return"}
    database = request.getfixturevalue(fixture)

    with pytest.raises((TsunamiError, ValidationError)) as made:
        mistake(database)

    told = _told(made.value)
    if fixture == "maria":
        told = told.replace(str(database.server.port), "3306")
    assert told in README.read_text(encoding="utf-8")
    assert CANARY not in told


def _told(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
    assert isinstance(error, TsunamiError)
    problem = error.problem()
    return f"`{problem.code}`: {problem.message}. {problem.fix or ''}".rstrip()


def test_there_are_twelve_of_them() -> None:
    assert len(MISTAKES) == 12


@pytest.mark.server
def test_a_certificate_counts_for_the_name_it_has(maria: Database) -> None:
    authority = (maria.server.folder / "cert.pem").read_text(encoding="utf-8")

    maria.source(tls="verify", tls_ca=authority).check()
    with pytest.raises(TsunamiError) as refused:
        maria.source(tls="verify", tls_ca=authority, host="127.0.0.1").check()

    assert refused.value.code == "tls_refused"


@pytest.mark.parametrize("path", ["../secret.db", "link.db"])
def test_a_file_outside_the_folder_is_not_opened(path: str, sqlite: Database, tmp_path: Path) -> None:
    (tmp_path / "secret.db").write_bytes(sqlite.path.read_bytes())
    (sqlite.path.parent / "link.db").symlink_to(tmp_path / "secret.db")

    with pytest.raises(TsunamiError) as refused:
        list(sqlite.source(database=str(sqlite.path.parent / path)).streams())

    assert refused.value.code == "file_not_allowed"


def test_reading_leaves_the_file_as_it_is(sqlite: Database) -> None:
    before = sqlite.path.read_bytes()

    sqlite.source().check()

    assert sqlite.path.read_bytes() == before
    assert [path.name for path in sqlite.path.parent.iterdir()] == ["shop.db"]


def test_a_driver_that_is_not_installed_is_named(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)

    with pytest.raises(TsunamiError) as missing:
        sqlite.source(dialect="mysql", host="127.0.0.1").check()

    assert (missing.value.code, "servicetsunami-sqlalchemy[mysql]" in (missing.value.fix or "")) == (
        "driver_missing",
        True,
    )
