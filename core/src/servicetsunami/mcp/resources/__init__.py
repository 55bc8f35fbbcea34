"""What a client can read and watch: guides, connections, tables, connectors and runs, each by its URI."""

from servicetsunami.mcp.resources.library import Resources

__all__ = ["Resources"]
