"""Where the tables of a tenant lie.

<root>/tenant_<id>/<layer>/<name>/                            a table
<root>/tenant_<id>/<layer>/<name>.view.json                   a view
<root>/tenant_<id>/_generations/<layer>/<name>/<generation>/  a full refresh on its way, not a table of anybody
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from servicetsunami.sdk import ConfigError, TableName

LAYERS = ("bronze", "silver", "gold")
LOG = "_delta_log"
VIEW = ".view.json"
_ASIDE = "_generations"
_NAME = re.compile(r"[a-z0-9_]{1,128}")


@dataclass(frozen=True)
class Folders:
    """The folders of one tenant."""

    root: Path
    tenant: str

    @property
    def catalog(self) -> str:
        """Return the catalog's name, which is the tenant's folder too."""
        return f"tenant_{self.tenant}"

    @property
    def home(self) -> Path:
        """Return the folder that holds all of the tenant's tables."""
        return self.root / self.catalog

    def table(self, table: TableName) -> Path:
        """Return the folder of a table; raises `ConfigError` for a name that could lead out of the tenant's folder."""
        if table.layer not in LAYERS or not _NAME.fullmatch(table.name):
            raise ConfigError(
                f"'{table}' cannot be the name of a table",
                code="bad_table_name",
                field="table",
                fix=f"use layer.name; layers are {', '.join(LAYERS)}, names hold lower-case letters, digits and _",
            )
        return self.home / table.layer / table.name

    def view(self, view: TableName) -> Path:
        """Return the file of a view."""
        own = self.table(view)
        return own.with_name(f"{own.name}{VIEW}")

    def views(self, layer: str | None = None) -> list[TableName]:
        """List the views that exist, by layer and name."""
        layers = [name for name in LAYERS if layer in (None, name)]
        found = [
            TableName(name, file.name.removesuffix(VIEW))
            for name in layers
            for file in (self.home / name).glob(f"*{VIEW}")
            if _NAME.fullmatch(file.name.removesuffix(VIEW))
        ]
        return sorted(found)

    def generation(self, table: TableName, generation: str) -> Path:
        """Return the folder of a generation that is loaded aside."""
        own = self.table(table)
        # A generation's name is the host's; hashing it keeps any character of it out of the path.
        digest = sha256(generation.encode("utf-8")).hexdigest()[:32]
        return self.home / _ASIDE / own.parent.name / own.name / digest

    def tables(self, layer: str | None = None) -> list[TableName]:
        """List the tables that exist, by layer and name."""
        layers = [name for name in LAYERS if layer in (None, name)]
        found = [
            TableName(name, folder.name)
            for name in layers
            if (self.home / name).is_dir()
            for folder in (self.home / name).iterdir()
            if _NAME.fullmatch(folder.name) and any((folder / LOG).glob("*.json"))
        ]
        return sorted(found)
