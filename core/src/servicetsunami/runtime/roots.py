"""The folders of this machine that a tenant may read files of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

TENANT = "{tenant}"


def roots_for(tenant: str, listed: Iterable[str], *, exposed: bool) -> tuple[Path, ...]:
    """Return the folders a tenant may read: the working directory too, unless others can reach the server.

    Where they can, a listed folder counts only if its path holds `{tenant}`, so that no folder is shared by accident.
    """
    texts = [text for text in listed if TENANT in text or not exposed]
    own = [] if exposed else [Path.cwd()]
    return (*own, *(Path(text.replace(TENANT, tenant)).expanduser().absolute() for text in texts))
