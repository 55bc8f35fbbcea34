"""MCP Apps: pages that a client can show beside the answers of some tools."""

from servicetsunami.mcp.apps.pages import RUN, TABLE, Pages, listed, read

__all__ = ["RUN", "TABLE", "Pages", "listed", "read"]
