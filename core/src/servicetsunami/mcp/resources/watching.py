"""Which resources a caller may be told of: those that exist and are theirs, by the exact URI that changes name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from servicetsunami.sdk import NotFound

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_RUN = re.compile(r"run://([a-z0-9_]+)")
_CONNECTION = re.compile(r"datasource://([a-z0-9_]+)/(?:status|tables)")
_TABLE = re.compile(r"table://tenant_([a-z0-9_]+)/([^/]+)/([^/]+)/(?:schema|preview)")


async def is_there(app: App, caller: Caller, uri: str) -> bool:
    """Tell whether the caller's tenant has the run, connection or table of a URI."""
    try:
        if run := _RUN.fullmatch(uri):
            return (await app.records.run(caller.tenant, run[1])).id == run[1]
        if connection := _CONNECTION.fullmatch(uri):
            # Changes name a connection by its id, never by its name.
            return (await app.records.connection(caller.tenant, connection[1])).id == connection[1]
    except NotFound:
        return False
    if (table := _TABLE.fullmatch(uri)) and table[1] == caller.tenant:
        wanted = f"{table[2]}.{table[3]}"
        return any(str(dataset.table) == wanted for dataset in await app.records.datasets(caller.tenant))
    return False
