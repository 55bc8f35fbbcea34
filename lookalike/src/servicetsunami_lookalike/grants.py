"""Who may do what: grants on catalogs, schemas, tables and volumes, inherited downwards as Unity Catalog does."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from servicetsunami_lookalike.sql.errors import denied


@dataclass(frozen=True)
class Principal:
    """Who a token stands for; an admin may do everything."""

    name: str
    admin: bool = False


class Grants:
    """Privileges by securable: `catalog`, `catalog.schema` or `catalog.schema.table`, of principals by name."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))

    def give(self, securable: str, principal: str, privileges: set[str]) -> None:
        """Grant privileges."""
        self._held[securable][principal] |= privileges

    def take(self, securable: str, principal: str, privileges: set[str]) -> None:
        """Revoke privileges."""
        self._held[securable][principal] -= privileges

    def on(self, securable: str) -> dict[str, set[str]]:
        """Return who holds what on a securable itself."""
        return {who: set(held) for who, held in self._held[securable].items() if held}

    def forget(self, securable: str) -> None:
        """Drop what was granted on something that is gone, and on what it held."""
        for name in [name for name in self._held if name == securable or name.startswith(f"{securable}.")]:
            del self._held[name]

    def require(self, principal: Principal, privilege: str, *names: str, owners: tuple[str, ...] = ()) -> None:
        """Raise unless `principal` has the privilege on the last of `names`, and may use what it lies in.

        `names` are the parts of a securable's name, `owners` who owns it or what it lies in.
        """
        if principal.admin or principal.name in owners:
            return
        for depth, needed in ((1, "USE CATALOG"), (2, "USE SCHEMA")):
            if len(names) >= depth and not self._has(principal, needed, names[:depth]):
                raise denied(principal.name, needed, ".".join(names[:depth]))
        if not self._has(principal, privilege, names):
            raise denied(principal.name, privilege, ".".join(names))

    def _has(self, principal: Principal, privilege: str, names: tuple[str, ...]) -> bool:
        chain = (".".join(names[:depth]) for depth in range(1, len(names) + 1))
        wanted = {privilege, "ALL PRIVILEGES"}
        return any(wanted & self._held[name][who] for name in chain for who in (principal.name, "account users"))
