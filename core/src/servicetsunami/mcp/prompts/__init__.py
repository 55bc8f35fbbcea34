"""Prompts: what a person can ask for by name, filled in with what is really there."""

from servicetsunami.mcp.prompts.library import Prompts

__all__ = ["Prompts"]
