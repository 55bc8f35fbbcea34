"""Objects and their fields, as Salesforce describes them, and their types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from servicetsunami.sdk import NotFound, Stream, nearest
from servicetsunami_salesforce.config import SalesforceConfig
from servicetsunami_salesforce.session import Session

if TYPE_CHECKING:
    import pyarrow as pa

CURSOR = "SystemModstamp"
_PARTS = frozenset({"address", "location", "base64"})
"""Types that are not read: compounds, whose parts are fields of their own, and files."""
_AT_ONCE = 8


@dataclass(frozen=True)
class Described:
    """One object."""

    name: str
    label: str
    fields: tuple[Mapping[str, Any], ...]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of its rows."""
        import pyarrow as pa

        return pa.schema(
            [
                pa.field(one["name"], arrow_type(one), one["name"] != "Id", {"source_type": str(one["type"])})
                for one in self.fields
            ]
        )

    def has(self, field: str) -> bool:
        """Tell whether it has a field."""
        return any(one["name"] == field for one in self.fields)

    def stream(self) -> Stream:
        """Describe it to the host."""
        return Stream(
            self.name,
            schema=self.schema,
            key=("Id",),
            cursor=CURSOR if self.has(CURSOR) else None,
            kind="object",
            description=self.label,
        )


def arrow_type(field: Mapping[str, Any]) -> pa.DataType:
    """Return the Arrow type that holds a field's values exactly; text where there is none."""
    import pyarrow as pa

    kind = field["type"]
    if kind in ("double", "currency", "percent"):
        precision = int(field.get("precision") or 0)
        is_exact = 0 < precision <= 38 and not field.get("calculated")
        return pa.decimal128(precision, int(field.get("scale") or 0)) if is_exact else pa.float64()
    plain = {
        "boolean": pa.bool_(),
        "int": pa.int32(),
        "long": pa.int64(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us", "UTC"),
        "time": pa.time64("us"),
    }
    return plain.get(kind, pa.string())


def described(session: Session, config: SalesforceConfig) -> Iterator[Described]:
    """Yield every object of the connection, several described at the same time."""
    names = _names(session, config)
    paths = session.whole([f"/sobjects/{name}/describe" for name in names])
    answers = session.renewing(lambda http: list(http.get_all(paths, at_once=_AT_ONCE)))
    for answer in answers:
        yield _described(answer.json())


def describe(session: Session, name: str) -> Described:
    """Describe one object; raises `NotFound` for a name that is none."""
    if not name.isidentifier():
        raise NotFound(f"'{name}' is no object", code="object_not_found", fix="list the tables of the connection")
    return _described(session.get(f"/sobjects/{name}/describe").json())


def _names(session: Session, config: SalesforceConfig) -> Sequence[str]:
    known = [one["name"] for one in session.get("/sobjects").json()["sobjects"] if one.get("queryable")]
    for name in config.objects:
        if name not in known:
            raise NotFound(
                f"there is no object '{name}' that the user who signed in may query",
                code="object_not_found",
                field="objects",
                fix="check the API name in Setup, Object Manager; custom objects end in __c",
                did_you_mean=nearest(name, known),
            )
    return config.objects or sorted(known)


def _described(told: Mapping[str, Any]) -> Described:
    fields = tuple(one for one in told["fields"] if one["type"] not in _PARTS)
    return Described(told["name"], str(told.get("label") or ""), fields)
