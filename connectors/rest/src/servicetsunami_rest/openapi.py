"""Streams that an OpenAPI document proposes."""

from __future__ import annotations

from servicetsunami_rest.config import StreamSettings
from servicetsunami_rest.session import Session


def proposed(document: str, session: Session) -> tuple[StreamSettings, ...]:
    """Return the lists that a document describes."""
    del document, session
    return ()
