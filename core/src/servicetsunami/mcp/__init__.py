"""The MCP front: tools made from what plugins declare."""
