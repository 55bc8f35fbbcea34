"""Connectors that an installation keeps: written down in its home, so that a new environment gets them back."""

from servicetsunami.operations.connector_set.changing import add_connectors, remove_connector, sync_connectors
from servicetsunami.operations.connector_set.listing import list_connectors, lost_connectors

__all__ = ["add_connectors", "list_connectors", "lost_connectors", "remove_connector", "sync_connectors"]
