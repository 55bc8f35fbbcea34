"""All that a plugin may import.

A connector is a class `X(Source[XConfig])` with `streams()` and `read()`; a sink is a class `Y(Sink[YConfig])`. What
a class can do beyond that is the mixins it adds. Importing this package costs pluggy, pydantic and the standard
library only: pyarrow is imported when rows flow.
"""

from servicetsunami.sdk.capability import Capability, Manifest, capabilities, manifest
from servicetsunami.sdk.config import Config, secret_fields
from servicetsunami.sdk.context import Address, Context, FileEntry
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
from servicetsunami.sdk.items import (
    DELETED_AT,
    OP,
    RESCUED,
    UNCHANGED,
    ArrowStream,
    Changes,
    Checkpoint,
    Item,
    Json,
    Rows,
    Watermark,
)
from servicetsunami.sdk.oauth import AccessToken, TokenRequest
from servicetsunami.sdk.sink import (
    ColumnDetails,
    Commit,
    Deletes,
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
    "DELETED_AT",
    "ENTRY_POINT_GROUP",
    "OP",
    "RESCUED",
    "UNCHANGED",
    "AccessToken",
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
    "Deletes",
    "Evolve",
    "FileEntry",
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
    "TokenRequest",
    "Transaction",
    "TransientError",
    "TsunamiError",
    "Uploads",
    "Warehouse",
    "Watermark",
    "WriteMode",
    "capabilities",
    "hookimpl",
    "hookspec",
    "manifest",
    "nearest",
    "secret_fields",
]
