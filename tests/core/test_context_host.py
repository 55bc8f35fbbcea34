"""What the host gives a plugin."""

import logging
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from servicetsunami.runtime import AddressPolicy, HostContext, Redactor
from servicetsunami.sdk import Cancelled, ConfigError, Context


def _context(folder: Path, *, cancel: threading.Event | None = None, allow_private: bool = True) -> HostContext:
    policy = AddressPolicy(allow_private=allow_private)
    return HostContext("acme", "postgres", folder / "data", policy, cancel, Redactor(["hunter2"]))


def test_the_host_keeps_the_contract_of_the_sdk(tmp_path: Path) -> None:
    context: Context = _context(tmp_path)

    assert (context.tenant, context.cancelled()) == ("acme", False)


def test_the_data_folder_is_made_for_the_host_user_only(tmp_path: Path) -> None:
    folder = _context(tmp_path).data_dir

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_sleep_ends_at_once_when_the_work_is_cancelled(tmp_path: Path) -> None:
    cancel = threading.Event()
    context = _context(tmp_path, cancel=cancel)
    cancel.set()

    with pytest.raises(Cancelled):
        context.sleep(3600)

    assert context.cancelled()


def test_sleep_returns_where_nobody_cancels(tmp_path: Path) -> None:
    context = _context(tmp_path)

    context.sleep(0)

    assert not context.cancelled()


def test_dial_follows_the_policy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = _context(tmp_path).dial("127.0.0.1", port)

        with pytest.raises(ConfigError) as refused:
            _context(tmp_path, allow_private=False).dial("127.0.0.1", port)

    assert (found.ip, refused.value.code) == ("127.0.0.1", "address_not_allowed")


def test_what_a_plugin_logs_is_masked_before_any_handler_sees_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    _context(tmp_path).log.info("connecting with %s", "hunter2")

    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("servicetsunami.plugin.postgres", "connecting with ***")
    ]


def test_importing_the_runtime_loads_no_heavy_library() -> None:
    program = "import sys, servicetsunami.runtime; print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    heavy = ["structlog", "pydantic_settings", "rich", "sqlalchemy", "pyarrow", "mcp", "asyncio", "ssl"]

    done = subprocess.run([sys.executable, "-c", program, *heavy], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
