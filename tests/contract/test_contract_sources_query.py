"""The source contract's check of SQL at the source: a guarded connector passes, one that runs anything does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from servicetsunami.sdk import Config, ConfigError, Item, NotFound, Queryable, QueryLimits, Read, Source, Stream
from servicetsunami.sdk.testing import SourceContract, SourceProbe, failing_checks


class Asked(Source[Config], Queryable):
    """Numbers that can be asked for."""

    name = "asked"
    dialect = "Numbers"

    def streams(self) -> Iterable[Stream]:
        yield Stream("numbers")

    def read(self, read: Read) -> Iterator[Item]:
        if read.stream.name != "numbers":
            raise NotFound(f"there is no stream {read.stream.name}")
        yield [{"number": 1}]

    def query(self, sql: str, limits: QueryLimits) -> pa.RecordBatchReader:
        if not sql.startswith("SELECT "):
            raise ConfigError("only SELECT is answered", code="sql_refused")
        return pa.table({"number": range(limits.rows)}).to_reader()


class RunsAnything(Asked):
    def query(self, sql: str, limits: QueryLimits) -> pa.RecordBatchReader:
        return super().query(f"SELECT {sql}", limits)


class RefusesWithoutACode(Asked):
    def query(self, sql: str, limits: QueryLimits) -> pa.RecordBatchReader:
        raise ConfigError(f"{sql} for {limits.rows} rows is refused")


class BreaksAtAWrite(Asked):
    def query(self, sql: str, limits: QueryLimits) -> pa.RecordBatchReader:
        raise RuntimeError(f"syntax error in {sql} for {limits.rows} rows")


def test_a_connector_that_answers_select_only_passes(tmp_path: Path) -> None:
    assert failing_checks(SourceContract(), SourceProbe(Asked, {}, tmp_path)) == set()


@pytest.mark.parametrize("mutant", [RunsAnything, RefusesWithoutACode, BreaksAtAWrite])
def test_a_connector_that_does_not_refuse_to_write_is_caught(mutant: type[Asked], tmp_path: Path) -> None:
    failed = failing_checks(SourceContract(), SourceProbe(mutant, {}, tmp_path))

    assert failed == {"test_query_refuses_to_write"}
