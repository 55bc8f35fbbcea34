"""Who calls, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal["read", "sync", "secrets:write", "admin"]
"""What a token may allow: look and ask; run syncs; connect sources; delete for good."""
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True)
class Caller:
    """Who calls: the tenant comes from here and from nothing the caller says."""

    tenant: str
    local: bool = True
    """True on stdio and the command line: the caller is the person whose machine this is."""
    subject: str = "local"
    """Who in the tenant: the token's subject."""
    scopes: frozenset[str] = frozenset(SCOPES)
    by_model: bool = True
    """True where a model acts for the subject: what it destroys needs a confirmation. False on the command line."""

    def may(self, scope: Scope) -> bool:
        """Tell whether the caller has a scope."""
        return scope in self.scopes
