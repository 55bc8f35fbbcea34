"""The source contract passes a good connector, and each broken one fails exactly the check that names its fault."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import SecretStr

from servicetsunami.sdk import AuthError, Checkpoint, Config, Item, NotFound, Read, Source, Split, Splittable, Stream
from servicetsunami.sdk.testing import SourceContract, SourceProbe, failing_checks

PASSWORD = "canary-correct-horse"
PEOPLE = [{"id": n, "at": n * 10, "name": f"person {n}", "vip": n % 2 == 0} for n in range(1, 8)]
SCHEMA = pa.schema([("id", pa.int64()), ("at", pa.int64()), ("name", pa.string()), ("vip", pa.bool_())])
NOTES = [{"text": "first"}, {"text": "second"}]


class PeopleConfig(Config):
    user: str = "reader"
    password: SecretStr


class People(Source[PeopleConfig], Splittable):
    """People and notes that lie in memory."""

    name = "people"
    page = 2

    def check(self) -> None:
        if self.config.password.get_secret_value() != PASSWORD:
            raise AuthError("the password was refused", fix="check the password")

    def streams(self) -> Iterable[Stream]:
        yield Stream("people", schema=SCHEMA, key=("id",), cursor="at", ordered=True)
        yield Stream("notes")

    def read(self, read: Read) -> Iterator[Item]:
        rows = self.selected(read)[: read.limit]
        done = int(read.state.get("done", 0))
        for start in range(done, len(rows), self.page):
            page = [self.projected(row, read) for row in rows[start : start + self.page]]
            yield from self.items(page, start + len(page))

    def items(self, page: list[dict[str, Any]], done: int) -> Iterator[Item]:
        yield page
        yield Checkpoint({"done": done})

    def selected(self, read: Read) -> list[dict[str, Any]]:
        rows = self.table(read.stream.name)
        if read.split is not None:
            rows = rows[read.split.params["from"] : read.split.params["to"]]
        return [row for row in rows if read.since is None or row["at"] >= read.since]

    def table(self, name: str) -> list[dict[str, Any]]:
        tables: dict[str, list[dict[str, Any]]] = {"people": PEOPLE, "notes": NOTES}
        if name not in tables:
            raise NotFound(f"there is no stream {name}")
        return tables[name]

    def projected(self, row: dict[str, Any], read: Read) -> dict[str, Any]:
        return row if read.columns is None else {name: row[name] for name in read.columns}

    def splits(self, read: Read, target: int) -> Sequence[Split]:
        if read.stream.name != "people":
            return ()
        step = -(-len(PEOPLE) // target)
        return [Split(f"{n}", {"from": n, "to": n + step}) for n in range(0, len(PEOPLE), step)]


class TestPeopleContract(SourceContract):
    connector = People
    bad_configs = ({"password": "wrong-canary"},)

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        return {"password": PASSWORD}


class CheckpointBeforeItsRows(People):
    def items(self, page: list[dict[str, Any]], done: int) -> Iterator[Item]:
        yield Checkpoint({"done": done})
        yield page


class StateThatIsNotJson(People):
    def items(self, page: list[dict[str, Any]], done: int) -> Iterator[Item]:
        yield page
        yield Checkpoint({"at": datetime(2024, 1, done, tzinfo=UTC)})


class SplitOffByOne(People):
    def splits(self, read: Read, target: int) -> Sequence[Split]:
        return [
            replace(part, params={**part.params, "to": part.params["to"] - 1}) for part in super().splits(read, target)
        ]


class SplitsThatShareAnId(People):
    def splits(self, read: Read, target: int) -> Sequence[Split]:
        return [replace(part, id="same") for part in super().splits(read, target)]


class ExclusiveSince(People):
    def selected(self, read: Read) -> list[dict[str, Any]]:
        return [row for row in super().selected(read) if read.since is None or row["at"] > read.since]


class IgnoredSince(People):
    def selected(self, read: Read) -> list[dict[str, Any]]:
        return super().selected(replace(read, since=None))


class IgnoredColumns(People):
    def read(self, read: Read) -> Iterator[Item]:
        return super().read(replace(read, columns=None))


class IgnoredLimit(People):
    def read(self, read: Read) -> Iterator[Item]:
        return super().read(replace(read, limit=None))


class NotInOrder(People):
    def table(self, name: str) -> list[dict[str, Any]]:
        return super().table(name)[::-1]


class KeyThatComesTwice(People):
    def table(self, name: str) -> list[dict[str, Any]]:
        return [{**row, "id": 1} if row.get("id") == 2 else row for row in super().table(name)]


class NullInTheKey(People):
    def table(self, name: str) -> list[dict[str, Any]]:
        return [{**row, "id": None} if row.get("id") == 2 else row for row in super().table(name)]


class WrongType(People):
    def table(self, name: str) -> list[dict[str, Any]]:
        return [{**row, "vip": "perhaps"} if row.get("id") == 2 else row for row in super().table(name)]


class CheckThatSaysYes(People):
    def check(self) -> None:
        pass


class UntypedError(People):
    def check(self) -> None:
        if self.config.password.get_secret_value() != PASSWORD:
            raise RuntimeError("401")


class CheckThatSaysNo(People):
    def check(self) -> None:
        raise AuthError("the password was refused")


class LoggedSecret(People):
    def check(self) -> None:
        logging.getLogger("anything").debug("logging in with %s", self.config.password.get_secret_value())
        super().check()


class SecretInTheError(People):
    def check(self) -> None:
        if self.config.password.get_secret_value() != PASSWORD:
            raise AuthError("refused", why=self.config.password.get_secret_value())


class PrintedSecret(People):
    def table(self, name: str) -> list[dict[str, Any]]:
        sys.stdout.write(self.config.password.get_secret_value())
        return super().table(name)


class UnstableDiscovery(People):
    discoveries = 0

    def streams(self) -> Iterable[Stream]:
        UnstableDiscovery.discoveries += 1
        streams = list(super().streams())
        return streams if UnstableDiscovery.discoveries % 2 else streams[::-1]


class OneNameTwice(People):
    def streams(self) -> Iterable[Stream]:
        return [*super().streams(), *super().streams()]


class KeyThatIsNoColumn(People):
    def streams(self) -> Iterable[Stream]:
        return [replace(stream, cursor_candidates=("nowhere",)) for stream in super().streams() if stream.schema]


class UnstableRows(People):
    reads = 0

    def read(self, read: Read) -> Iterator[Item]:
        UnstableRows.reads += 1
        yield [{"text": f"read {UnstableRows.reads}"[: 99 if read.columns is None else 4]}]

    def streams(self) -> Iterable[Stream]:
        return [Stream("notes")]


class EmptyInsteadOfMissing(People):
    def table(self, name: str) -> list[dict[str, Any]]:
        return super().table(name) if name in ("people", "notes") else []


class KeyErrorInsteadOfMissing(People):
    def table(self, name: str) -> list[dict[str, Any]]:
        tables: dict[str, list[dict[str, Any]]] = {"people": PEOPLE, "notes": NOTES}
        return tables[name]


class CloseThatNeedsARead(People):
    opened = False

    def streams(self) -> Iterable[Stream]:
        self.opened = True
        return super().streams()

    def read(self, read: Read) -> Iterator[Item]:
        self.opened = True
        return super().read(read)

    def check(self) -> None:
        self.opened = True
        super().check()

    def splits(self, read: Read, target: int) -> Sequence[Split]:
        self.opened = True
        return super().splits(read, target)

    def close(self) -> None:
        if not self.opened:
            raise RuntimeError("never opened")


class PlainConfig(Config):
    api_key: str = "k"
    password: SecretStr


class PlainSecret(People):
    pass


PlainSecret.config_type = PlainConfig


class Nameless(People):
    name = "Bad-Name"


MUTANTS: dict[type[People], str] = {
    CheckpointBeforeItsRows: "test_resume_from_every_checkpoint_loses_nothing",
    StateThatIsNotJson: "test_checkpoint_state_is_json",
    SplitOffByOne: "test_splits_cover_everything_once",
    SplitsThatShareAnId: "test_splits_cover_everything_once",
    ExclusiveSince: "test_since_is_inclusive_and_filters",
    IgnoredSince: "test_since_is_inclusive_and_filters",
    IgnoredColumns: "test_columns_are_honoured",
    IgnoredLimit: "test_limit_is_honoured",
    NotInOrder: "test_ordered_means_ordered",
    KeyThatComesTwice: "test_keys_are_unique_and_not_null",
    NullInTheKey: "test_keys_are_unique_and_not_null",
    WrongType: "test_rows_fit_the_declared_schema",
    CheckThatSaysYes: "test_bad_config_says_so",
    UntypedError: "test_bad_config_says_so",
    LoggedSecret: "test_secrets_stay_out_of_sight",
    SecretInTheError: "test_secrets_stay_out_of_sight",
    PrintedSecret: "test_secrets_stay_out_of_sight",
    UnstableDiscovery: "test_discovery_is_stable",
    OneNameTwice: "test_stream_ids_are_unique",
    KeyThatIsNoColumn: "test_streams_are_declared_consistently",
    EmptyInsteadOfMissing: "test_unknown_stream_is_a_typed_error",
    KeyErrorInsteadOfMissing: "test_unknown_stream_is_a_typed_error",
    CloseThatNeedsARead: "test_close_is_safe",
    PlainSecret: "test_settings_that_look_secret_are_secret",
    Nameless: "test_manifest_needs_no_connection",
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda cls: cls.__name__)
def test_a_broken_connector_fails_exactly_the_check_that_names_its_fault(mutant: type[People], tmp_path: Path) -> None:
    probe = SourceProbe(mutant, {"password": PASSWORD}, tmp_path, [{"password": "wrong-canary"}])

    failed = failing_checks(SourceContract(), probe)

    assert failed == {MUTANTS[mutant]}


def test_a_connector_whose_reads_differ_is_caught(tmp_path: Path) -> None:
    probe = SourceProbe(UnstableRows, {"password": PASSWORD}, tmp_path)

    failed = failing_checks(SourceContract(), probe)

    assert "test_two_reads_agree" in failed


def test_a_connector_that_refuses_good_settings_is_caught(tmp_path: Path) -> None:
    probe = SourceProbe(CheckThatSaysNo, {"password": PASSWORD}, tmp_path)

    failed = failing_checks(SourceContract(), probe)

    assert "test_check_passes" in failed


def test_a_connector_that_imports_a_driver_at_once_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import pyarrow\nfrom servicetsunami.sdk import Source\n\nclass Heavy(Source):\n    name = 'heavy'\n"
    (tmp_path / "heavy_connector.py").write_text(source, encoding="utf-8")
    about = tmp_path / "heavy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.4\nName: heavy\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text("[servicetsunami.v1]\nheavy = heavy_connector\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    heavy = importlib.import_module("heavy_connector").Heavy

    with pytest.raises(AssertionError, match="first used"):
        SourceContract().test_module_import_is_light(SourceProbe(heavy, {}, tmp_path))
