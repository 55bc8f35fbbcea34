"""All that a plugin may import.

A connector is a class `X(Source[XConfig])` with `streams()` and `read()`; a sink is a class `Y(Sink[YConfig])`. What
a class can do beyond that is the mixins it adds. Importing this package costs pluggy, pydantic and the standard
library only: pyarrow is imported when rows flow.
"""

from servicetsunami.sdk.capability import Capability, Manifest, capabilities, manifest
from servicetsunami.sdk.config import Config, secret_fields
from servicetsunami.sdk.context import Address, Context
from servicetsunami.sdk.errors import (
    AuthError,
    Cancelled,
    ConfigError,
    DataError,
    NotFound,
    PermanentError,
    PermissionDenied,
    Problem,
    RateLimited,
    TransientError,
    TsunamiError,
    nearest,
)
from servicetsunami.sdk.hooks import API_VERSION, ENTRY_POINT_GROUP, Hooks, hookimpl, hookspec
from servicetsunami.sdk.items import RESCUED, ArrowStream, Changes, Checkpoint, Item, Json, Rows
from servicetsunami.sdk.sink import (
    ColumnDetails,
    Commit,
    Evolve,
    Load,
    QueryLimits,
    Sink,
    TableDetails,
    TableName,
    TableSummary,
    Transaction,
    Warehouse,
    WriteMode,
)
from servicetsunami.sdk.source import ChangeFeed, Queryable, Source, Splittable, Uploads
from servicetsunami.sdk.stream import Read, Split, Stream

__all__ = [
    "API_VERSION",
    "ENTRY_POINT_GROUP",
    "RESCUED",
    "Address",
    "ArrowStream",
    "AuthError",
    "Cancelled",
    "Capability",
    "ChangeFeed",
    "Changes",
    "Checkpoint",
    "ColumnDetails",
    "Commit",
    "Config",
    "ConfigError",
    "Context",
    "DataError",
    "Evolve",
    "Hooks",
    "Item",
    "Json",
    "Load",
    "Manifest",
    "NotFound",
    "PermanentError",
    "PermissionDenied",
    "Problem",
    "QueryLimits",
    "Queryable",
    "RateLimited",
    "Read",
    "Rows",
    "Sink",
    "Source",
    "Split",
    "Splittable",
    "Stream",
    "TableDetails",
    "TableName",
    "TableSummary",
    "Transaction",
    "TransientError",
    "TsunamiError",
    "Uploads",
    "Warehouse",
    "WriteMode",
    "capabilities",
    "hookimpl",
    "hookspec",
    "manifest",
    "nearest",
    "secret_fields",
]
