"""Streams that an OpenAPI document proposes: every GET that needs no more than its path and answers with a list."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from servicetsunami.sdk import ConfigError, NotFound
from servicetsunami_rest.config import Hint, Paging, StreamSettings, placeholders
from servicetsunami_rest.session import Session

_DEEPEST = 4
_MOST_REFERENCES = 16
_SIZES = ("per_page", "page_size", "pagesize", "limit", "size", "count")
_CURSORS = ("cursor", "page_token", "pagetoken", "after", "starting_after", "next_token")
_NEXT = ("next_cursor", "next_page_token", "nextpagetoken", "next_token", "cursor")
_LINKS = ("next", "next_url", "next_page_url")
_FORMATS: dict[tuple[str, str], Hint] = {
    ("string", "date-time"): "timestamp",
    ("string", "date"): "date",
    ("number", ""): "decimal",
    ("number", "double"): "number",
    ("number", "float"): "number",
    ("integer", ""): "integer",
    ("integer", "int32"): "integer",
    ("integer", "int64"): "integer",
    ("boolean", ""): "boolean",
}
_MOST_SIZE = 100


def proposed(document: str, session: Session) -> tuple[StreamSettings, ...]:
    """Return the lists that a document describes; raises `ConfigError` where it describes none."""
    spec = _Spec(_read(document, session))
    found = {stream.name: stream for stream in spec.streams()}
    if not found:
        raise ConfigError(
            "the OpenAPI document describes no GET that answers with a list of objects",
            code="nothing_proposed",
            field="openapi",
            fix="give the streams in the settings",
        )
    return tuple(found[name] for name in sorted(found))


def _read(document: str, session: Session) -> Mapping[str, Any]:
    inline = document.lstrip().startswith("{")
    try:
        body = json.loads(document) if inline else session.get((document, {})).json()
    except NotFound as error:
        raise NotFound(
            f"there is no OpenAPI document: {error.message}",
            code="openapi_not_found",
            field="openapi",
            fix="check its path below base_url, or give its JSON text, or streams",
        ) from error
    except ValueError as error:
        raise _no_document() from error
    if not isinstance(body, Mapping) or not isinstance(body.get("paths"), Mapping):
        raise _no_document()
    return body


def _no_document() -> ConfigError:
    return ConfigError(
        "what openapi names is not an OpenAPI document in JSON: it has no paths",
        code="bad_openapi",
        field="openapi",
        fix="name the JSON document, not YAML and not the page for people",
    )


class _Spec:
    """One document, with its references."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def streams(self) -> Iterator[StreamSettings]:
        """Yield a stream for each path that answers with a list."""
        for path, item in self._document["paths"].items():
            operation = self._at(self._at(item).get("get"))
            parameters = self._parameters(self._at(item), operation)
            needed = [name for name, one in parameters.items() if one.get("required")]
            found = self._list_in(self._answer(operation), ())
            if operation and found is not None and not needed and not placeholders(path):
                yield self._stream(path, operation, parameters, found)

    def _stream(
        self,
        path: str,
        operation: Mapping[str, Any],
        parameters: Mapping[str, Mapping[str, Any]],
        found: tuple[tuple[str, ...], Mapping[str, Any]],
    ) -> StreamSettings:
        place, record = found
        columns = {name: self._at(kind) for name, kind in _mapping(record.get("properties")).items()}
        named = [part for part in path.split("/") if part]
        return StreamSettings(
            name="_".join(named) or str(operation.get("operationId") or "root"),
            path=path,
            records=".".join(place),
            key=("id",) if "id" in columns else (),
            paging=_paging(parameters, self._names(self._answer(operation), ())),
            types={name: hint for name, kind in columns.items() if (hint := _hint(kind)) is not None},
        )

    def _parameters(self, *holders: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        lists = (holder.get("parameters") for holder in holders)
        every = [self._at(one) for found in lists if isinstance(found, list) for one in found]
        return {one["name"]: one for one in every if one.get("in") == "query" and isinstance(one.get("name"), str)}

    def _answer(self, operation: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the schema of a success in JSON, as OpenAPI 3 writes it, or Swagger 2."""
        answers = _mapping(operation.get("responses"))
        answer = self._at(answers.get("200") or answers.get("2XX") or answers.get("default"))
        content = _mapping(answer.get("content"))
        kinds = [self._at(kind) for name, kind in content.items() if "json" in name]
        return self._at((kinds[0] if kinds else answer).get("schema"))

    def _list_in(
        self, schema: Mapping[str, Any], place: tuple[str, ...]
    ) -> tuple[tuple[str, ...], Mapping[str, Any]] | None:
        """Find the first list of objects in a schema, and what its objects are."""
        if schema.get("type") == "array":
            record = self._merged(self._at(schema.get("items")))
            return (place, record) if record.get("type", "object") == "object" and record else None
        if len(place) >= _DEEPEST:
            return None
        inner = _mapping(self._merged(schema).get("properties"))
        found = (self._list_in(self._at(kind), (*place, name)) for name, kind in inner.items() if "." not in name)
        return min((one for one in found if one is not None), key=lambda one: len(one[0]), default=None)

    def _names(self, schema: Mapping[str, Any], place: tuple[str, ...]) -> list[str]:
        """Name what an answer holds beside its records, by path."""
        found: list[str] = []
        for name, kind in _mapping(self._merged(schema).get("properties")).items():
            found.append(".".join((*place, name)))
            if len(place) < 1:
                found += self._names(self._at(kind), (*place, name))
        return found

    def _merged(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        parts = [self._at(part) for part in schema.get("allOf") or () if isinstance(part, Mapping)]
        properties = {
            name: kind for part in (*parts, schema) for name, kind in _mapping(part.get("properties")).items()
        }
        return {**schema, "properties": properties} if parts else schema

    def _at(self, node: Any) -> Mapping[str, Any]:
        """Follow references within the document; those that lead elsewhere are not followed."""
        for _ in range(_MOST_REFERENCES):
            reference = node.get("$ref") if isinstance(node, Mapping) else None
            if not isinstance(reference, str):
                break
            node = self._pointed(reference)
        return _mapping(node)

    def _pointed(self, reference: str) -> Any:
        node: Any = self._document if reference.startswith("#/") else {}
        for part in reference[2:].split("/"):
            node = _mapping(node).get(part.replace("~1", "/").replace("~0", "~"))
        return node


def _mapping(node: Any) -> Mapping[str, Any]:
    return node if isinstance(node, Mapping) else {}


def _hint(kind: Mapping[str, Any]) -> Hint | None:
    name, written = kind.get("type"), kind.get("format", "")
    if isinstance(name, list):
        name = next((one for one in name if one != "null"), None)
    return _FORMATS.get((str(name), str(written)))


def _paging(parameters: Mapping[str, Mapping[str, Any]], answer: list[str]) -> Paging:
    """Guess the kind of paging from the names of parameters and of what the answer holds."""
    names = {name.lower(): name for name in parameters}
    size = next((names[name] for name in _SIZES if name in names), None)
    sized: dict[str, Any] = {"size_param": size, "size": _size(parameters[size])} if size else {}
    cursor = next((names[name] for name in _CURSORS if name in names), None)
    following = _first_of(_NEXT, answer)
    if cursor and following:
        return Paging(kind="cursor", param=cursor, next=following, **sized)
    if link := _first_of(_LINKS, answer):
        return Paging(kind="next_url", next=link, **sized)
    if "page" in names:
        return Paging(kind="page", param=names["page"], first=_first_page(parameters[names["page"]]), **sized)
    offset = next((names[name] for name in ("offset", "skip") if name in names), None)
    return Paging(kind="offset", param=offset, **sized) if offset else Paging()


def _first_of(wanted: tuple[str, ...], answer: list[str]) -> str | None:
    last = {path.rpartition(".")[2].lower(): path for path in reversed(answer)}
    return next((last[name] for name in wanted if name in last), None)


def _size(parameter: Mapping[str, Any]) -> int:
    most = _mapping(parameter.get("schema") or parameter).get("maximum")
    return min(int(most), _MOST_SIZE) if isinstance(most, int) and most > 0 else _MOST_SIZE


def _first_page(parameter: Mapping[str, Any]) -> int:
    schema = _mapping(parameter.get("schema") or parameter)
    return 0 if 0 in (schema.get("default"), schema.get("minimum")) and schema.get("default") != 1 else 1
