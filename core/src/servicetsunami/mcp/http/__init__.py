"""The MCP server over HTTP: who may reach it, who calls, and how it stops."""
