"""The system of record: tenants, connections, credentials, datasets, runs.

Importing this costs no database library: `open_records` imports SQLAlchemy when it is called.
"""

from typing import TYPE_CHECKING

from servicetsunami.records.interface import Records
from servicetsunami.records.models import (
    Connection,
    Dataset,
    Run,
    RunChange,
    RunStatus,
    Schedule,
    SecretRequest,
    SyncPoint,
    Tenant,
)
from servicetsunami.records.opening import open_records
from servicetsunami.records.vault import Vault, open_vault

if TYPE_CHECKING:
    from servicetsunami.records.embedded import EmbeddedRecords

__all__ = [
    "Connection",
    "Dataset",
    "EmbeddedRecords",
    "Records",
    "Run",
    "RunChange",
    "RunStatus",
    "Schedule",
    "SecretRequest",
    "SyncPoint",
    "Tenant",
    "Vault",
    "open_records",
    "open_vault",
]


def __getattr__(name: str) -> object:
    if name == "EmbeddedRecords":
        from servicetsunami.records.embedded import EmbeddedRecords

        return EmbeddedRecords
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
