"""The contract of a connector, as tests: subclass `SourceContract` and give it a `config`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from itertools import compress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from servicetsunami.sdk import (
    ENTRY_POINT_GROUP,
    RESCUED,
    AuthError,
    ConfigError,
    NotFound,
    PermissionDenied,
    Queryable,
    QueryLimits,
    Read,
    Source,
    Split,
    Splittable,
    Stream,
    TsunamiError,
    manifest,
)
from servicetsunami.sdk.testing.probe import Caught, Reading, SourceProbe, canonical, overheard
from servicetsunami.sdk.testing.settled import MeanwhileChecks

_LOOKS_SECRET = re.compile(r"password|passphrase|secret|token|api_?key|private_?key|credential")
_ANSWERS_TO_BAD_SETTINGS = (ConfigError, AuthError, PermissionDenied, NotFound)
_LIGHT = """
import sys, servicetsunami.sdk
before = set(sys.modules)
__import__(sys.argv[1])
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new - set(sys.stdlib_module_names) - {sys.argv[1].partition(".")[0], "servicetsunami"}))
"""


class SourceContract(MeanwhileChecks):
    """What the host relies on. A check that has nothing to look at is skipped and says why."""

    connector: ClassVar[type[Source[Any]]]
    """The class under test."""
    bad_configs: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Changes to the settings that make `check()` fail, such as a wrong password."""
    max_rows: ClassVar[int] = 5_000
    """Streams with more rows are left out of the checks that need every row."""

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        """Return settings that work, as a person would give them; override this."""
        raise NotImplementedError("define a fixture `config` that returns settings that work")

    @pytest.fixture
    def probe(self, config: Mapping[str, Any], tmp_path: Path) -> SourceProbe:
        """Return what opens and reads the connector."""
        return SourceProbe(self.connector, config, tmp_path / "data", self.bad_configs, self.max_rows)

    def test_manifest_needs_no_connection(self, probe: SourceProbe) -> None:
        """The class alone tells name, description and settings."""
        described = manifest(probe.connector)

        assert re.fullmatch(r"[a-z][a-z0-9_]*", described.name), "the name must be a lower-case identifier"
        assert described.description, "the class needs a docstring: its first line is shown to people"
        json.dumps(described.model_dump(mode="json"))

    def test_settings_that_look_secret_are_secret(self, probe: SourceProbe) -> None:
        """A password is a `SecretStr`, so that it is encrypted and never shown."""
        described = manifest(probe.connector)

        plain = {name for name in described.config_schema.get("properties", {}) if _LOOKS_SECRET.search(name)}

        assert plain <= set(described.secrets), "declare these as SecretStr"

    def test_module_import_is_light(self, probe: SourceProbe) -> None:
        """Finding the connector imports no driver."""
        module = _entry_module(probe.connector)
        if module is None:
            pytest.skip(f"no installed entry point of {ENTRY_POINT_GROUP} leads to {probe.connector.__module__}")

        command = [sys.executable, "-c", _LIGHT, module]
        loaded = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()

        assert loaded == [], f"importing {module} loads these; import them where they are first used"

    def test_check_passes(self, probe: SourceProbe) -> None:
        """`check()` accepts settings that work."""
        with probe.open() as source:
            source.check()

    def test_bad_config_says_so(self, probe: SourceProbe) -> None:
        """`check()` answers settings that cannot work with an error that says what to do about them."""
        if not probe.bad_configs:
            pytest.skip("the suite names no bad_configs")
        for changes in probe.bad_configs:
            error = _error_of_check(probe, changes)

            assert error is not None, f"check() accepts {sorted(changes)} although they are wrong"
            assert isinstance(error, (*_ANSWERS_TO_BAD_SETTINGS, ValidationError)), f"{type(error).__name__}: untyped"
            assert str(error), "the error has no text"

    def test_secrets_stay_out_of_sight(self, probe: SourceProbe) -> None:
        """No secret is in a representation, a log record, an error or on the terminal."""
        secrets = {secret for changes in ({}, *probe.bad_configs) for secret in probe.secrets(**changes)}
        if not secrets:
            pytest.skip("the connector has no secret settings, or the suite's config gives none a value")

        seen = "".join(_all_it_says(probe))

        assert [secret for secret in sorted(secrets) if secret in seen] == [], "these secrets came out"

    def test_discovery_is_stable(self, probe: SourceProbe) -> None:
        """Two discoveries give the same streams in the same order, at least one."""
        first, second = probe.streams(), probe.streams()

        assert first, "no stream was found"
        assert [(s.id, s.schema, s.key) for s in first] == [(s.id, s.schema, s.key) for s in second]

    def test_stream_ids_are_unique(self, probe: SourceProbe) -> None:
        """No two streams share the name people use."""
        counts = Counter(stream.id for stream in probe.streams())

        assert [name for name, count in counts.items() if count > 1] == []

    def test_streams_are_declared_consistently(self, probe: SourceProbe) -> None:
        """Key and cursor are columns, each once, and `ordered` comes with a cursor."""
        for stream in probe.streams():
            named = [*stream.key, *filter(None, [stream.cursor]), *stream.cursor_candidates]

            assert stream.cursor or not stream.ordered, f"{stream.id} is ordered by nothing: it has no cursor"
            assert len(set(stream.key)) == len(stream.key), f"{stream.id} names a key column twice"
            if stream.schema is not None:
                assert set(named) <= set(stream.schema.names), f"{stream.id} names columns its schema does not have"

    def test_rows_fit_the_declared_schema(self, probe: SourceProbe) -> None:
        """Every cell fits its column, and no column comes unannounced."""
        for stream, reading in _those(probe, lambda s: s.schema is not None, "no stream declares a schema"):
            schema: Any = stream.schema
            rescued = {key for row in reading.rows if row.get(RESCUED) for key in json.loads(row[RESCUED])}
            columns = {name for row in reading.rows for name in row} - {RESCUED}
            never_null = [field.name for field in schema if not field.nullable]

            assert not rescued, f"{stream.id}: cells of these columns did not fit the declared schema"
            assert columns <= set(schema.names), f"{stream.id}: rows bring columns the schema does not have"
            assert not [name for name in never_null for row in reading.rows if row[name] is None], stream.id

    def test_keys_are_unique_and_not_null(self, probe: SourceProbe) -> None:
        """A key names one row."""
        for stream, reading in _those(probe, lambda s: bool(s.key), "no stream has a key"):
            keys = [tuple(row.get(name) for name in stream.key) for row in reading.rows]

            assert not any(None in key for key in keys), f"{stream.id}: a key is null"
            assert len(set(keys)) == len(keys), f"{stream.id}: a key came twice"

    def test_ordered_means_ordered(self, probe: SourceProbe) -> None:
        """A stream that says so comes in the order of its cursor."""
        for stream, reading in _those(probe, lambda s: s.ordered, "no stream is ordered"):
            values = [value for value in _cursor_values(stream, reading) if value is not None]

            assert values == sorted(values), f"{stream.id} is declared ordered, but {stream.cursor} goes backwards"

    def test_since_is_inclusive_and_filters(self, probe: SourceProbe) -> None:
        """`since` gives the rows at and after a cursor value, and no others."""
        for stream, reading in _those(probe, lambda s: bool(s.cursor), "no stream has a cursor"):
            found = _cursor_values(stream, reading)
            values = sorted({value for value in found if value is not None})
            if len(values) < 3:
                pytest.skip(f"{stream.id} has fewer than three cursor values")
            middle = values[len(values) // 2]
            at_or_after = [value is not None and value >= middle for value in found]
            expected = list(compress(reading.rows, at_or_after))

            got = probe.read(Read(stream, since=middle)).rows

            assert canonical(got) == canonical(expected), f"{stream.id}: since={middle!r} must mean >="

    def test_columns_are_honoured(self, probe: SourceProbe) -> None:
        """A read of some columns gives those columns, unchanged."""
        for stream, reading in _those(probe, lambda _: True, "no stream has rows"):
            names = [name for name in reading.rows[0] if name != RESCUED][-1:]
            expected = [{name: row.get(name) for name in names} for row in reading.rows]

            got = probe.read(Read(stream, columns=tuple(names))).rows

            assert {name for row in got for name in row} - {RESCUED} == set(names), stream.id
            assert canonical(got, without=[RESCUED]) == canonical(expected), stream.id

    def test_limit_is_honoured(self, probe: SourceProbe) -> None:
        """A preview stops after as many rows as it asked for."""
        for stream, reading in _those(probe, lambda _: True, "no stream has rows"):
            got = probe.read(Read(stream, limit=1)).rows

            assert len(got) == 1, f"{stream.id} has {len(reading.rows)} rows and was asked for one"

    def test_splits_cover_everything_once(self, probe: SourceProbe) -> None:
        """The parts of a stream, read by instances of their own, are the stream."""
        if not issubclass(probe.connector, Splittable):
            pytest.skip("the connector is not Splittable")
        for stream, reading in _those(probe, lambda _: True, "no stream has rows"):
            with probe.open() as planner:
                assert isinstance(planner, Splittable)
                parts = [_sent(part) for part in planner.splits(Read(stream), 3)]
                got = [row for part in parts for row in probe.read(Read(stream, split=part)).rows]

            assert len({part.id for part in parts}) == len(parts), f"{stream.id}: two parts share an id"
            assert not parts or canonical(got) == canonical(reading.rows), f"{stream.id}: parts differ from the whole"

    def test_checkpoint_state_is_json(self, probe: SourceProbe) -> None:
        """A checkpoint survives being stored."""
        for stream, reading in _with_checkpoints(probe):
            for _, state in reading.checkpoints:
                assert _survives_json(state), f"{stream.id}: a checkpoint's state must be a dict that survives JSON"

    def test_resume_from_every_checkpoint_loses_nothing(self, probe: SourceProbe) -> None:
        """A read that ends after a checkpoint and goes on from it gives every row; without a key, each once."""
        for stream, reading in _with_checkpoints(probe):
            for count, state in reading.checkpoints:
                if not _survives_json(state):
                    continue  # test_checkpoint_state_is_json tells
                rest = probe.read(Read(stream, state=json.loads(json.dumps(state)))).rows

                resumed, whole = canonical(reading.rows[:count] + rest), canonical(reading.rows)
                same = set(resumed) == set(whole) if stream.key else resumed == whole
                assert same, f"{stream.id}: going on after {count} rows from {state} gives other rows"

    def test_two_reads_agree(self, probe: SourceProbe) -> None:
        """Reading twice gives the same rows."""
        for stream, reading in _those(probe, lambda _: True, "no stream has rows"):
            assert canonical(probe.read(Read(stream)).rows) == canonical(reading.rows), stream.id

    def test_unknown_stream_is_a_typed_error(self, probe: SourceProbe) -> None:
        """A stream that vanished is told as such."""
        with Caught() as caught:
            probe.read(Read(Stream("contract_no_such_stream")))

        assert caught.error is not None, "a stream that is not there reads like an empty one; raise NotFound"
        assert isinstance(caught.error, TsunamiError), f"it raises {type(caught.error).__name__} instead of NotFound"

    def test_query_refuses_to_write(self, probe: SourceProbe) -> None:
        """A source that answers SQL answers SELECT only."""
        if not issubclass(probe.connector, Queryable):
            pytest.skip("the connector is not Queryable")
        with Caught() as caught, probe.open() as source:
            assert isinstance(source, Queryable)
            source.query("DROP TABLE contract_no_such_table", QueryLimits(rows=1)).read_all()

        assert isinstance(caught.error, ConfigError), "DROP TABLE must be refused with ConfigError"
        assert caught.error.code == "sql_refused"

    def test_close_is_safe(self, probe: SourceProbe) -> None:
        """An instance may be closed unused, and in the middle of a read."""
        with probe.open():
            pass
        for stream in probe.streams():
            with probe.open() as source:
                next(iter(source.read(Read(stream, batch_rows=1))), None)


def _error_of_check(probe: SourceProbe, changes: Mapping[str, Any]) -> Exception | None:
    with Caught() as caught, probe.open(**changes) as source:
        source.check()
    return caught.error


def _all_it_says(probe: SourceProbe) -> Iterator[str]:
    with overheard() as heard:
        with probe.open() as source:
            yield repr(source) + repr(source.config)
            source.check()
        for stream in probe.streams():
            probe.read(Read(stream, limit=10))
            yield repr(stream)
        for error in [_error_of_check(probe, changes) for changes in probe.bad_configs]:
            yield repr(error)
            yield error.problem().model_dump_json() if isinstance(error, TsunamiError) else ""
    yield heard.getvalue()


def _those(probe: SourceProbe, wanted: Any, otherwise: str) -> Iterator[tuple[Stream, Reading]]:
    """Yield the streams with rows that are `wanted`; skip the check where there are none."""
    count = 0
    for stream, reading in probe.whole():
        if reading.rows and wanted(stream):
            count += 1
            yield stream, reading
    if not count:
        pytest.skip(f"{otherwise} (of at most {probe.max_rows} rows)")


def _cursor_values(stream: Stream, reading: Reading) -> list[Any]:
    return [row.get(stream.cursor or "") for row in reading.rows]


def _with_checkpoints(probe: SourceProbe) -> Iterator[tuple[Stream, Reading]]:
    count = 0
    for stream, reading in probe.whole():
        if reading.checkpoints:
            count += 1
            yield stream, reading
    if not count:
        pytest.skip("no read yields a checkpoint")


def _survives_json(state: Any) -> bool:
    try:
        return isinstance(state, dict) and json.loads(json.dumps(state, allow_nan=False)) == state
    except (TypeError, ValueError):
        return False


def _sent(part: Split) -> Split:
    """Return the part as another process gets it."""
    return Split(part.id, json.loads(json.dumps(part.params)))


def _entry_module(cls: type) -> str | None:
    """Return the module that discovery imports to find `cls`."""
    package = cls.__module__.partition(".")[0]
    modules = (entry.module for entry in entry_points(group=ENTRY_POINT_GROUP))
    return next((module for module in modules if module.partition(".")[0] == package), None)
