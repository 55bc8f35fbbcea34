"""A group of commands that knows what somebody may have meant."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

_BORROWED = {"ls": "tables", "list": "connections", "status": "runs", "install": "plugins", "sql": "query"}
"""Words of other tools, and what they are called here."""


class Commands(TyperGroup):
    """Refuses an unknown command with the nearest known ones."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; raises `ConfigError` for a name that is neither a command nor an option."""
        command = super().get_command(ctx, cmd_name)
        if command is None and not cmd_name.startswith("-") and not ctx.resilient_parsing:
            self._refuse(ctx, cmd_name)
        return command

    def _refuse(self, ctx: Any, name: str) -> None:
        from servicetsunami.sdk import ConfigError, nearest

        borrowed = _BORROWED.get(name, "")
        near = nearest(name, self.commands) or ((borrowed,) if borrowed in self.commands else ())
        raise ConfigError(
            f"{ctx.command_path} has no command '{name[:64]}'",
            code="unknown_command",
            fix=f"{ctx.command_path} --help lists the commands",
            did_you_mean=near,
        )
