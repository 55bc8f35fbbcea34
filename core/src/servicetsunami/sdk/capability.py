"""What a plugin can do, read off what it is: a mixin is the declaration, and the type checker proves it."""

from __future__ import annotations

import inspect
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from servicetsunami.sdk.config import secret_fields
from servicetsunami.sdk.items import Json
from servicetsunami.sdk.sink import Derives, Notebooks, Provisions, Sink, Views, Warehouse
from servicetsunami.sdk.source import ChangeFeed, Queryable, Source, Splittable, Uploads

PluginClass = type[Source[Any]] | type[Sink[Any]]


class Capability(StrEnum):
    """One thing a plugin can do."""

    READ = "read"
    SPLIT = "split"
    CHANGES = "changes"
    QUERY = "query"
    UPLOAD = "upload"
    WRITE = "write"
    MERGE = "merge"
    APPLY = "apply"
    WAREHOUSE = "warehouse"
    VIEWS = "views"
    DERIVE = "derive"
    NOTEBOOKS = "notebooks"
    PROVISION = "provision"


_MIXINS: dict[type, Capability] = {
    Source: Capability.READ,
    Splittable: Capability.SPLIT,
    ChangeFeed: Capability.CHANGES,
    Queryable: Capability.QUERY,
    Uploads: Capability.UPLOAD,
    Sink: Capability.WRITE,
    Warehouse: Capability.WAREHOUSE,
    Views: Capability.VIEWS,
    Derives: Capability.DERIVE,
    Notebooks: Capability.NOTEBOOKS,
    Provisions: Capability.PROVISION,
}


class Manifest(BaseModel):
    """All that a catalogue, a form or a model needs to know of a plugin, without a connection."""

    model_config = ConfigDict(frozen=True)

    name: str
    title: str
    kind: Literal["connector", "sink"]
    description: str
    capabilities: tuple[Capability, ...]
    config_schema: Json
    secrets: tuple[str, ...]


def capabilities(cls: PluginClass) -> frozenset[Capability]:
    """Return what `cls` can do; needs no connection."""
    found = {capability for mixin, capability in _MIXINS.items() if issubclass(cls, mixin)}
    found |= {Capability(mode) for mode in getattr(cls, "write_modes", ()) if mode != "append"}
    return frozenset(found)


def manifest(cls: PluginClass) -> Manifest:
    """Describe `cls`; needs no connection."""
    return Manifest(
        name=cls.name,
        title=cls.title or cls.name,
        kind="connector" if issubclass(cls, Source) else "sink",
        description=(inspect.getdoc(cls) or "").split("\n", maxsplit=1)[0],
        capabilities=tuple(sorted(capabilities(cls))),
        config_schema=cls.config_type.model_json_schema(),
        secrets=secret_fields(cls.config_type),
    )
