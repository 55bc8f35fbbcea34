"""Rows come exactly, all of them or none, deleted ones too, by the query API and in bulk."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from servicetsunami.sdk import ConfigError, Read, TransientError, TsunamiError
from servicetsunami.sdk.rows import to_batches

Desk = Any
"""The fixture; its class is in conftest.py, which tests cannot import."""
BOTH = pytest.mark.parametrize("way", [{}, {"bulk_from_rows": 0}], ids=["query", "bulk"])


def landed(desk: Desk, name: str = "Account", *, settings: Any = None, **asked: Any) -> list[dict[str, Any]]:
    """Read an object as the host does: what does not fit the declared schema is rescued."""
    source = desk.source(**(settings or {}))
    stream = next(stream for stream in source.streams() if stream.id == name)
    batches = [batch for item in source.read(Read(stream, **asked)) for batch in to_batches(item, stream.schema)]
    return [row for batch in batches for row in batch.to_pylist()]


@BOTH
def test_every_type_comes_exactly(way: Any, desk: Desk) -> None:
    nothing = dict.fromkeys(("Name", "Amount", "Employees", "Founded", "Opens", "Score"))
    desk.org.objects = {"Account": [desk.row(3), desk.row(4, **nothing)]}

    full, empty = landed(desk, settings=way)

    assert {name: value for name, value in full.items() if name != "_rescued"} == {
        "Id": "001000000000003AAA",
        "IsDeleted": False,
        "Name": "Zoë & Söhne, no 3",
        "Amount": Decimal("3.25"),
        "Employees": 3,
        "Founded": date(2001, 2, 3),
        "Opens": time(8, 30),
        "Score": 1.0,
        "SystemModstamp": datetime(2024, 5, 1, 10, 0, 3, tzinfo=UTC),
    }
    assert {name for name, value in empty.items() if value is None} >= set(nothing)


@BOTH
def test_a_number_with_more_digits_than_its_field_is_rescued(way: Any, desk: Desk) -> None:
    desk.org.objects = {"Account": [desk.row(1, Amount=0.125)]}

    (row,) = landed(desk, settings=way)

    assert (row["Amount"], json.loads(row["_rescued"])) == (None, {"Amount": "0.125"})


@BOTH
def test_all_pages_come_once(way: Any, desk: Desk) -> None:
    desk.org.polls = 3

    found = [row["Employees"] for row in landed(desk, settings=way)]

    assert sorted(found) == list(range(40))


@BOTH
def test_deleted_rows_come_with_their_mark_if_they_are_wanted(way: Any, desk: Desk) -> None:
    desk.org.objects = {"Account": [desk.row(1), desk.row(2, IsDeleted=True)]}

    wanted = [row["IsDeleted"] for row in landed(desk, settings=way)]
    unwanted = [row["IsDeleted"] for row in landed(desk, settings={**way, "include_deleted": False})]

    assert (wanted, unwanted) == ([False, True], [False])


def test_what_changed_comes_in_order_with_the_last_moment_again(desk: Desk) -> None:
    rows = landed(desk, since=datetime(2024, 5, 2, 10, 0, 5, tzinfo=UTC))

    assert [row["Employees"] for row in rows] == list(range(25, 40))


@BOTH
def test_an_object_without_rows_is_empty_and_no_error(way: Any, desk: Desk) -> None:
    desk.org.objects = {"Account": [], "User": []}

    assert landed(desk, settings=way) == []
    desk.source().check()


def test_an_object_with_more_fields_than_an_address_holds_is_read_in_bulk(desk: Desk) -> None:
    wide: Any = tuple((f"{'X' * 40}{number}__c", "string", {}) for number in range(400))
    desk.org.objects = {"Wide": [desk.row(1, **{name: "x" for name, _, _ in wide})]}
    desk.org.fields["Wide"] = (("Id", "id", {}), *wide)

    (row,) = landed(desk, "Wide")

    assert len(row) == 401
    assert ("POST", "/services/data/v64.0/jobs/query") in desk.org.requests


@BOTH
def test_a_job_is_not_left_behind(way: Any, desk: Desk) -> None:
    source = desk.source(**way)
    stream = next(stream for stream in source.streams() if stream.id == "Account")
    items = source.read(Read(stream))
    next(items)

    items.close()

    assert desk.org.jobs == {}


def test_a_token_that_ends_in_the_middle_is_renewed(desk: Desk) -> None:
    source = desk.source(refresh_token=None)
    stream = next(stream for stream in source.streams() if stream.id == "Account")
    found = []
    for batch in source.read(Read(stream)):
        found += [row["Employees"] for row in batch.to_pylist()]
        desk.org.good = "another"

    assert found == list(range(40))


def test_a_page_with_rows_missing_is_no_success(desk: Desk) -> None:
    source = desk.source()
    stream = next(stream for stream in source.streams() if stream.id == "Account")
    items = source.read(Read(stream))
    next(items)

    del desk.org._open[20:25]

    with pytest.raises(TransientError) as missing:
        list(items)
    assert missing.value.code == "rows_missing"


@pytest.mark.parametrize("loss", ["row of a part", "part"])
def test_a_bulk_answer_with_rows_missing_is_no_success(loss: str, desk: Desk) -> None:
    results = desk.org._results

    def lossy(job: Any, first: int) -> Any:
        status, text, headers = results(job, first)
        if loss == "part":
            return status, text, {**headers, "Sforce-Locator": "null"}
        return status, text.rstrip("\n").rpartition("\n")[0] + "\n", headers

    desk.org._results = lossy

    with pytest.raises(TransientError) as missing:
        landed(desk, settings={"bulk_from_rows": 0})
    assert missing.value.code == "rows_missing"


@pytest.mark.parametrize("state", ["Failed", "Aborted"])
def test_a_job_that_failed_is_a_typed_error(state: str, desk: Desk) -> None:
    told = {"id": "750J", "state": state, "errorMessage": "canary"}
    desk.org.faults.append(lambda method, path: (200, told, {}) if (method, path[-4:]) == ("GET", "750J") else None)

    with pytest.raises(TsunamiError) as failed:
        landed(desk, settings={"bulk_from_rows": 0})

    assert failed.value.code == "job_failed"
    assert "canary" not in f"{failed.value} {failed.value.problem()}"


@pytest.mark.parametrize("instance", ["http://evil.example", "https://salesforce.com.evil.example", ""])
def test_an_address_that_is_not_salesforces_gets_no_token(instance: str, desk: Desk) -> None:
    desk.org.instance = instance or "x"

    with pytest.raises(ConfigError) as refused:
        desk.source().check()

    assert refused.value.code == "bad_instance"


def test_fields_that_were_removed_meanwhile_are_asked_for_no_more_next_time(desk: Desk) -> None:
    desk.org.faults.append(lambda _, path: desk.refusal(400, "INVALID_FIELD") if "SELECT+Id" in path else None)

    with pytest.raises(TransientError) as changed:
        landed(desk)

    assert changed.value.code == "fields_changed"
