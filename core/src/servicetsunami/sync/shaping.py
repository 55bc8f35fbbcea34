"""How the rows of a stream become the rows of its table: chosen, renamed, hidden, and of the types that landed.

For a column of the table (`known`) and the source's type of now:

| the source's column          | add                         | widen            | freeze      |
|------------------------------|-----------------------------|------------------|-------------|
| same type                    | as it is                    | as it is         | as it is    |
| new                          | added                       | added            | refused     |
| gone                         | stays, null                 | stays, null      | stays, null |
| narrower                     | cast                        | cast             | cast        |
| wider, and tables can widen  | cast what fits, rescue rest | the table widens | refused     |
| any other type               | cast what fits, rescue rest | the same         | refused     |

Wider are byte < short < int < long, float < double, larger decimals and finer time units, inside structs, lists and
maps too; a struct's new field counts as a new column. A rescued cell is null in its column, and its text is in
`_rescued`. A cell of the key is never rescued, since the row would merge with others: it stops the sync.
Without `known` the source's types land, and for a stream without a schema those of its first rows do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import pyarrow as pa

from servicetsunami.sdk import OP, RESCUED, UNCHANGED, ConfigError, DataError, Evolve, Json, Stream
from servicetsunami.sync.choosing import RESERVED, Choice
from servicetsunami.sync.drift import Finding, change_of, landing_type
from servicetsunami.sync.fitting import Misfits, fit, settled
from servicetsunami.sync.masking import Masking
from servicetsunami.sync.rescuing import Rescue
from servicetsunami.sync.schemas import SEEN, decode_schema, encode_schema

__all__ = ["Shape", "decode_schema", "encode_schema", "settings_identity"]

_BROUGHT = frozenset({OP, UNCHANGED, RESCUED})
"""Columns of the host that a batch may bring."""


class Shape:
    """Turns the batches of one stream into those of its table; to be used by one thread at a time.

    `apply` learns: a batch with a new column changes `landed`, and what did not fit adds to `drift`.
    """

    def __init__(self, stream: Stream, choice: Choice, masking: Masking, evolve: Evolve) -> None:
        self.evolve = evolve
        self._source = stream
        self._choice = choice
        self._masking = masking
        self._rescue = Rescue(choice, masking)
        self._fields: dict[str, pa.Field] = {}
        self._findings: dict[tuple[str, str], Finding] = {}
        self._met: set[str] = set()
        self._last: pa.Schema | None = None
        self._fits_as_is = False

    @classmethod
    def of(
        cls,
        stream: Stream,
        settings: Json,
        known: pa.Schema | None,
        evolve: Evolve = "add",
        *,
        pepper: bytes = b"",
    ) -> Shape:
        """Shape `stream` by its validated settings; `known` is the schema that landed last, None for a new table.

        `settings["evolve"]` has precedence over `evolve`. `pepper` is the tenant's key for hashes. Raises
        `ConfigError` (`schema_frozen`) where the source has what a frozen table does not.
        """
        masking = Masking(settings.get("hash", ()), settings.get("mask", {}), pepper)
        shape = cls(stream, Choice.of(settings), masking, settings.get("evolve") or evolve)
        shape._start(known)
        return shape

    @property
    def stream(self) -> Stream:
        """The stream under the names of the table: schema, key and cursor."""
        target = self._choice.target
        return replace(
            self._source,
            schema=self.landed if self._source.schema is not None else None,
            key=tuple(target(name) for name in self._source.key),
            cursor=target(self._source.cursor) if self._source.cursor else None,
            cursor_candidates=tuple(target(name) for name in self._source.cursor_candidates),
        )

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The columns to read, named as at the source; None for all of them."""
        if self._source.schema is None:
            return self._choice.only
        names = self._source.schema.names
        chosen = tuple(name for name in names if self._choice.takes(name))
        return None if len(chosen) == len(names) else chosen

    @property
    def landed(self) -> pa.Schema:
        """The schema that lands, without the host's own columns; to be kept as the next sync's `known`."""
        gone = self._gone()
        fields = [_seen(field, "") if name in gone else field for name, field in self._fields.items()]
        return pa.schema(fields, metadata=self._source.schema.metadata if self._source.schema is not None else None)

    @property
    def drift(self) -> tuple[Finding, ...]:
        """What differs from the schema that landed last, told once: what was told before is not a finding."""
        fields = (self._fields[name] for name in sorted(self._gone()))
        gone = [Finding("removed", field.name, str(field.type)) for field in fields if _last_seen(field)]
        return (*self._findings.values(), *gone)

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch as it lands, with `_rescued` where a cell is rescued; `_op` and `_unchanged` pass through.

        A batch with nothing to change is returned as it is. Raises `DataError` (`key_conflict`) for a key that does
        not fit its column, and `ConfigError` (`schema_frozen`).
        """
        if self._last is None or not batch.schema.equals(self._last):
            self._meet(batch.schema)
            self._last = batch.schema
            self._fits_as_is = self._is_as_landed(batch.schema)
        return batch if self._fits_as_is else self._shaped(batch)

    def _start(self, known: pa.Schema | None) -> None:
        self._known = known is not None
        hidden = self._choice.hidden(self._source.schema.names if self._source.schema is not None else ())
        for field in known or ():
            if field.name not in RESERVED and field.name not in hidden:
                self._fields[field.name] = field
        if self._source.schema is not None:
            self._meet(self._source.schema)

    def _meet(self, schema: pa.Schema) -> None:
        """Take the columns of a schema in: add the new ones, let the others grow as far as they may."""
        arriving = list(self._arriving(schema))
        if self.evolve == "freeze" and (self._known or self._met):
            self._refuse_changes(arriving)
        for field in arriving:
            self._met.add(field.name)
            before = self._fields.get(field.name)
            if before is None:
                self._add(field)
            else:
                self._fields[field.name] = self._grown(before, field)

    def _arriving(self, schema: pa.Schema) -> Iterator[pa.Field]:
        """Yield the fields that land, under their new names. A column of nulls has no type yet, so it waits."""
        names: set[str] = set()
        for field in schema:
            named = self._masking.field(field).with_name(self._choice.target(field.name))
            if named.name in _BROUGHT or not self._choice.takes(field.name) or pa.types.is_null(field.type):
                continue
            if named.name in names or named.name in RESERVED:
                raise _name_taken(named.name)
            names.add(named.name)
            kind = settled(named.type)
            yield named if kind == named.type else named.with_type(kind)

    def _add(self, field: pa.Field) -> None:
        self._fields[field.name] = field
        if self._known:
            self._find(Finding("added", field.name, after=str(field.type)))

    def _grown(self, before: pa.Field, now: pa.Field) -> pa.Field:
        kind = landing_type(before.type, now.type, self.evolve)
        change = change_of(before.type, now.type)
        if _last_seen(before) == "":
            self._find(Finding("added", now.name, after=str(now.type)))
        elif change is not None and self._known and _last_seen(before) != str(now.type):
            self._find(Finding(change, now.name, str(before.type), str(now.type)))
        field = now.with_type(kind).with_nullable(before.nullable or now.nullable)
        return _seen(field, str(now.type)) if change is not None and kind != now.type else field

    def _refuse_changes(self, arriving: Iterable[pa.Field]) -> None:
        new = [field.name for field in arriving if field.name not in self._fields]
        changed = [
            field.name
            for field in arriving
            if field.name in self._fields
            and change_of(self._fields[field.name].type, field.type) in ("widened", "retyped")
        ]
        if new or changed:
            raise _frozen(self._source.id, new, changed)

    def _is_as_landed(self, schema: pa.Schema) -> bool:
        if self._masking or self._choice.renames or schema.names != list(self._fields):
            return False
        return all(field.type == self._fields[field.name].type for field in schema)

    def _shaped(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        sources = {self._choice.target(name): name for name in batch.schema.names if self._choice.takes(name)}
        fields, arrays, misfits = [], [], {}
        for name, field in self._fields.items():
            array, found = self._column(batch, sources.get(name), field)
            if found:
                misfits[name] = found
            fields.append(field.with_nullable(field.nullable or array.null_count > 0))
            arrays.append(array)
        for name, array in self._extras(batch, misfits):
            fields.append(pa.field(name, array.type))
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    def _column(self, batch: pa.RecordBatch, source: str | None, field: pa.Field) -> tuple[pa.Array, Misfits]:
        if source is None:
            return pa.nulls(batch.num_rows, field.type), {}
        fitted = fit(self._masking.column(source, batch.column(source)), field.type)
        if fitted.misfits:
            self._refuse_key(source, field)
            self._find(Finding("rescued", field.name, str(field.type), str(batch.schema.field(source).type)))
        return fitted.array, fitted.misfits

    def _refuse_key(self, source: str, field: pa.Field) -> None:
        if source in self._source.key:
            raise DataError(
                f"the key column '{source}' of stream '{self._source.id}' has values that do not fit the type "
                f"{field.type} it landed with, so their rows cannot be told apart",
                code="key_conflict",
                field=f"streams.{self._source.id}",
                fix="let the column widen with the stream setting evolve=widen, or give the stream a new target",
            )

    def _extras(self, batch: pa.RecordBatch, misfits: Mapping[str, Misfits]) -> Iterator[tuple[str, pa.Array]]:
        names = batch.schema.names
        brought = batch.column(RESCUED).cast(pa.string()) if RESCUED in names else None
        if brought is not None or misfits:
            yield RESCUED, self._rescue.column(batch.num_rows, brought, misfits)
        if OP in names:
            yield OP, batch.column(OP)
        if UNCHANGED in names:
            yield UNCHANGED, self._unchanged(batch.column(UNCHANGED))

    def _unchanged(self, lists: pa.Array) -> pa.Array:
        if not self._choice or lists.null_count == len(lists):
            return lists
        choice = self._choice
        named = [names and [choice.target(name) for name in names if choice.takes(name)] for names in lists.to_pylist()]
        return pa.array(named, lists.type)

    def _gone(self) -> set[str]:
        return self._fields.keys() - self._met if self._met else set()

    def _find(self, finding: Finding) -> None:
        self._findings.setdefault((finding.kind, finding.column), finding)


def settings_identity(settings: Json, pepper: bytes) -> str:
    """Digest what settings make of the rows; "" if they change nothing. If it changes, a sync has to begin anew.

    The key for hashes is in it, since after its rotation the same value has another hash.
    """
    chosen = {name: settings[name] for name in ("rename", "mask") if settings.get(name)}
    chosen |= {name: sorted(settings[name]) for name in ("columns", "exclude", "hash") if settings.get(name)}
    if not chosen:
        return ""
    text = json.dumps(chosen, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=16, key=pepper if "hash" in chosen else b"").hexdigest()


def _last_seen(field: pa.Field) -> str:
    """Return the type the source gave last, "" if it gave none."""
    seen: bytes | None = (field.metadata or {}).get(SEEN)
    return str(field.type) if seen is None else seen.decode()


def _seen(field: pa.Field, kind: str) -> pa.Field:
    return field.with_metadata({**(field.metadata or {}), SEEN: kind.encode()})


def _frozen(stream: str, new: list[str], changed: list[str]) -> ConfigError:
    found = [f"{what} {', '.join(names)}" for what, names in (("new:", new), ("of another type:", changed)) if names]
    return ConfigError(
        f"the columns of stream '{stream}' changed at the source ({'; '.join(found)}), and its table is frozen",
        code="schema_frozen",
        field=f"streams.{stream}",
        fix="set evolve to add or widen to let the table follow, or exclude the columns",
    )


def _name_taken(name: str) -> DataError:
    reserved = name in RESERVED
    found = "a name that every synced table keeps for itself" if reserved else "as another column already does"
    return DataError(
        f"a column of the source would land as '{name}', {found}",
        code="reserved_column" if reserved else "duplicate_column",
        fix="rename or exclude it in the stream's settings",
    )
