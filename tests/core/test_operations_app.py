"""Opening the app says what is wrong with the installation."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from servicetsunami.operations.app import open_app
from servicetsunami.runtime import load_settings
from servicetsunami.sdk import ConfigError


def test_a_home_that_cannot_be_made_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    loaded = load_settings({"home": str(tmp_path / "file" / "home")}, environ={}, cwd=tmp_path)

    async def opened() -> None:
        async with open_app(loaded):
            pass

    with pytest.raises(ConfigError) as refused:
        asyncio.run(opened())

    assert (refused.value.code, refused.value.why) == ("home_unavailable", "Not a directory")
    assert "TSUNAMI_HOME" in (refused.value.fix or "")
