"""`tsunami lookalike`: started, used with what it prints, ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_ended_and_leaves_nothing(tmp_path: Path, ended_by: signal.Signals) -> None:
    command = [sys.executable, "-m", "servicetsunami.cli", "lookalike"]
    environment = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        server.stderr.readline()
        lines = [server.stdout.readline().strip() for _ in range(3)]
        told = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        client = WorkspaceClient(host=told["DATABRICKS_HOST"], token=told["DATABRICKS_TOKEN"])
        name = client.current_user.me().user_name
        server.send_signal(ended_by)
        output, _ = server.communicate(timeout=30)

    assert (name, server.returncode, output) == ("admin@lookalike.test", 0, "")
    assert told["DATABRICKS_WAREHOUSE_ID"] == "lookalike"
    assert list(tmp_path.iterdir()) == []
