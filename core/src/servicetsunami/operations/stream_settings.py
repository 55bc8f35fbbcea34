"""What a person may set for one stream of a connection, checked before anything is stored or read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from servicetsunami.sdk import ConfigError, Deletes, Evolve, Json, Stream, nearest
from servicetsunami.sync.choosing import RESERVED, Choice, Mask


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Columns = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class StreamSettings(BaseModel):
    """Settings of one stream. Columns are named as at the source, except where `rename` gives a new name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    target: str | None = Field(None, description="Bronze table.")
    cursor: str | None = Field(None, description="Column that grows with every change; null for none.")
    key: Columns | None = Field(None, description="Columns that identify a row.")
    columns: Columns | None = Field(None, description="Only these.")
    exclude: Columns = Field((), description="Not these.")
    rename: dict[str, str] = Field({}, description="New names.")
    hash: Columns = Field((), description="Keyed hash instead of the value; joins still work.")
    mask: dict[str, Mask] = Field({}, description="Mask per column.")
    evolve: Evolve | None = Field(None, description="What changed columns do to the table.")
    deletes: Deletes | None = Field(None, description="soft keeps deleted rows, marked.")
    lag: float | None = Field(None, ge=0, allow_inf_nan=False, description="Reread this far before the cursor.")

    def stored(self) -> Json:
        """Return what was set, as JSON."""
        return self.model_dump(mode="json", exclude_unset=True)

    def applied(self, stream: Stream) -> Stream:
        """Return the stream with the cursor and key that are set; raises `ConfigError` for what it cannot do."""
        chosen = self.model_fields_set
        stream = replace(
            stream,
            cursor=self.cursor if "cursor" in chosen else stream.cursor,
            key=(self.key or ()) if "key" in chosen else stream.key,
        )
        self._check_columns(stream)
        self._check_needed(stream)
        self._check_names(stream)
        return stream

    def _check_columns(self, stream: Stream) -> None:
        if stream.schema is None:
            return
        cursor = [stream.cursor] if stream.cursor else []
        chosen = (*stream.key, *cursor, *(self.columns or ()), *self.exclude, *self.rename, *self.hash, *self.mask)
        for column in chosen:
            if column not in stream.schema.names:
                raise _no_column(stream, column)

    def _check_needed(self, stream: Stream) -> None:
        choice = Choice.of(self.stored())
        needed = {**dict.fromkeys(stream.key, "key"), **({stream.cursor: "cursor"} if stream.cursor else {})}
        for column, role in needed.items():
            if not choice.takes(column):
                raise _refused(
                    stream.id, f"leave out the {role} column '{column}'", "let it land, or hash a key column"
                )
            if column in self.mask:
                raise _refused(
                    stream.id, f"mask the {role} column '{column}'", "hash a key column; leave a cursor as is"
                )
        if stream.cursor in self.hash:
            raise _refused(stream.id, f"hash the cursor column '{stream.cursor}'", "leave it as it is")

    def _check_names(self, stream: Stream) -> None:
        choice = Choice.of(self.stored())
        names = stream.schema.names if stream.schema is not None else tuple(self.rename)
        landing = Counter(choice.target(name).casefold() for name in names if choice.takes(name))
        for column, name in self.rename.items():
            if choice.takes(column) and landing[name.casefold()] > 1:
                raise _refused(stream.id, f"rename '{column}' to '{name}', which another column is called", "rename it")


def parse_streams(streams: Json) -> Json:
    """Return the settings of all streams of a connection in the form they are stored in; raises `ConfigError`."""
    return {stream: _parse(stream, settings).stored() for stream, settings in streams.items()}


def settings_of(streams: Json, stream_id: str) -> StreamSettings:
    """Return the settings stored for one stream; without any, those that change nothing."""
    return _parse(stream_id, streams.get(stream_id, {}))


def check_streams(streams: Json, found: Iterable[Stream]) -> int:
    """Check the settings against the streams there are and return their number; raises `ConfigError`."""
    ids = []
    for stream in found:
        ids.append(stream.id)
        settings_of(streams, stream.id).applied(stream)
    missing = next((stream for stream in streams if stream not in ids), None)
    if missing is not None:
        raise ConfigError(
            f"there are settings for the stream '{missing}', which the source does not have",
            code="stream_not_found",
            field=f"streams.{missing}",
            fix="name the stream as the list of the source's tables does",
            did_you_mean=nearest(missing, ids),
        )
    return len(ids)


def _parse(stream: str, settings: Any) -> StreamSettings:
    try:
        parsed = StreamSettings.model_validate(settings)
    except ValidationError as error:
        raise _invalid(stream, error) from None
    if parsed.columns == ():
        raise _refused(stream, "leave no column", "name those that are to land")
    for name in parsed.rename.values():
        if not name.strip():
            raise _refused(stream, "rename a column to nothing", "give it a name")
        if name.casefold() in RESERVED:
            raise _refused(
                stream, f"rename a column to '{name}', which tables keep for themselves", "choose another name"
            )
    twice = sorted({*parsed.hash} & {*parsed.mask})
    if twice:
        raise _refused(stream, f"both hash and mask '{twice[0]}'", "choose one of them")
    return parsed


def _invalid(stream: str, error: ValidationError) -> ConfigError:
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    known: Mapping[str, Any] = StreamSettings.model_fields
    name = ".".join(str(part) for part in fault["loc"] if part != "[key]")
    if fault["type"] == "extra_forbidden":
        return ConfigError(
            f"the settings of stream '{stream}' hold '{name}', which is not known",
            code="unknown_setting",
            field=f"streams.{stream}",
            fix=f"use {', '.join(known)}",
            did_you_mean=nearest(name, known),
        )
    return ConfigError(
        f"the setting '{name}' of stream '{stream}' is not valid: {fault['msg']}"
        if name
        else f"the settings of stream '{stream}' are not a set of names and values",
        code="invalid_setting",
        field=f"streams.{stream}.{name}" if name else f"streams.{stream}",
        fix=f"correct it; the settings of a stream are {', '.join(known)}",
    )


def _no_column(stream: Stream, column: str) -> ConfigError:
    names: list[str] = stream.schema.names if stream.schema is not None else []
    return ConfigError(
        f"the settings of stream '{stream.id}' name the column '{column}', which it does not have",
        code="column_not_found",
        field=f"streams.{stream.id}",
        fix="connect again with a column the table has",
        did_you_mean=nearest(column, names),
    )


def _refused(stream: str, wish: str, fix: str) -> ConfigError:
    return ConfigError(
        f"the settings of stream '{stream}' would {wish}",
        code="stream_setting_refused",
        field=f"streams.{stream}",
        fix=f"connect again with other settings: {fix}",
    )
