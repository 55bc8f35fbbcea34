"""The twelve commonest mistakes: what a person sees is what the README says they see, and holds no secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from servicetsunami.sdk import QueryLimits, Read, Stream, TsunamiError

README = Path(__file__).parents[1] / "README.md"
CANARY = "canary"
Database = Any


def wrong_password(database: Database) -> None:
    database.source(password="canary").check()


def wrong_user(database: Database) -> None:
    database.source(user="redaer", password="canary").check()


def wrong_database(database: Database) -> None:
    database.source(database="shopp").check()


def wrong_port(database: Database) -> None:
    database.source(port=1).check()


def wrong_host(database: Database) -> None:
    database.source(host="no.such.host.invalid").check()


def certificate_not_given(database: Database) -> None:
    database.source(sslmode="verify-full", ssl_root_cert="canary").check()


def mistyped_schema(database: Database) -> None:
    database.source(schemas=["pubic"]).check()


def mistyped_table(database: Database) -> None:
    database.run("CREATE TABLE orders (id int PRIMARY KEY)")
    list(database.source().read(Read(Stream("order"))))


def a_statement_that_writes(database: Database) -> None:
    database.source().query("DELETE FROM orders", QueryLimits(10))


def mistyped_sslmode(database: Database) -> None:
    database.source(sslmode="on")


def port_that_is_none(database: Database) -> None:
    database.source(port=70_000)


def a_setting_too_many(database: Database) -> None:
    database.source(dsn="postgres://canary")


MISTAKES: tuple[Callable[[Database], None], ...] = (
    wrong_password,
    wrong_user,
    wrong_database,
    wrong_port,
    wrong_host,
    certificate_not_given,
    mistyped_schema,
    mistyped_table,
    a_statement_that_writes,
    mistyped_sslmode,
    port_that_is_none,
    a_setting_too_many,
)


@pytest.mark.server
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: str(mistake.__name__))
def test_a_common_mistake_is_told_as_the_readme_says(mistake: Callable[[Database], None], database: Database) -> None:
    with pytest.raises((TsunamiError, ValidationError)) as made:
        mistake(database)

    told = _told(made.value).replace(f"user {database.server.user}", "user reader")
    told = told.replace(str(database.server.host), "db.example.com").replace(str(database.server.port), "5432")
    told = told.replace(f" {database.server.database}", " shop")
    told = told.partition(" may open: ")[0]  # other tests have databases there too
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
