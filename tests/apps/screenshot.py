"""Render the pages of MCP Apps in a headless Chromium: `python tests/apps/screenshot.py FOLDER` writes pictures.

The host, our own, keeps a page as clients do, in a sandbox without an origin of its own, and answers `get_run` with
the next moment of a run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

from servicetsunami.mcp.apps import RUN, TABLE
from servicetsunami.mcp.apps.pages import html
from servicetsunami.operations.models import (
    ColumnProfile,
    ColumnView,
    DriftFinding,
    Result,
    RunView,
    TableDescription,
    TableView,
)
from servicetsunami.sdk import Problem

HOSTILE = "<img src=x onerror=\"parent.postMessage({jsonrpc:'2.0',method:'pwned'},'*')\"><b>bold</b>"
WRAPPED = (
    '<!doctype html><html><head><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'\"></head><body>PAGE</body></html>"
)
"""What the Inspector, among others, makes of a page: it stands, head and all, in the body of one with its policy."""
_FRAME = 143
"""How much of its window's height the browser keeps for itself."""
_BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
_HOST = """<!doctype html><meta charset="utf-8"><body style="margin:0;background:BACKGROUND">
<iframe sandbox="allow-scripts" style="width:100%;height:HEIGHTpx;border:0" srcdoc="PAGE"></iframe>
<img src="/shown" hidden>
<script>
const moments = MOMENTS, seen = [], frame = document.querySelector("iframe");
const send = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
const hostContext = { theme: "THEME", styles: { variables: {} } };
function next() {
  const structuredContent = moments.shift();
  if (!moments.length) setTimeout(() => fetch("/seen", { method: "POST", body: JSON.stringify(seen) }), 500);
  return { content: [], structuredContent };
}
addEventListener("message", ({ data }) => {
  seen.push(data);
  if (data.method === "ui/initialize") {
    const hostCapabilities = { serverTools: {} }, hostInfo = { name: "host", version: "1" };
    send({ id: data.id, result: { protocolVersion: "2026-01-26", hostInfo, hostCapabilities, hostContext } });
  }
  if (data.method === "ui/notifications/initialized") {
    send({ method: "ui/notifications/tool-result", params: next() });
  }
  if (data.method === "tools/call" && moments.length) send({ id: data.id, result: next() });
});
</script>"""


class Showing:
    """Serves one page on this machine, and keeps the browser from taking its picture before the page is shown."""

    def __init__(self, page: str) -> None:
        self.seen: list[Any] = []
        shown = Event()
        showing = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/shown":
                    shown.wait(30)
                self._send(page if self.path == "/" else "")

            def do_POST(self) -> None:
                showing.seen = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                shown.set()
                self._send("")

            def log_message(self, *_: object) -> None:
                pass

            def _send(self, text: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(text.encode())

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def moments_of_a_run() -> list[RunView]:
    """Return a run at three moments."""
    began = RunView(
        run_id="run_8f14e45fceea167a5a36dedd4bea2543",
        kind="sync",
        status="running",
        connection_id="conn_1",
        table_name="public.orders",
        bronze_table="tenant_acme.bronze.shop_orders",
        sync_mode="incremental",
        rows_read=1_250_000,
        rows_total=6_000_000,
        bytes_read=310_000_000,
        created_at=_BEGAN,
        started_at=_BEGAN,
        elapsed_seconds=4.1,
    )
    half = began.model_copy(update={"rows_read": 3_700_000, "elapsed_seconds": 11.8})
    ended = {"rows_read": 6_000_000, "rows": 6_000_000, "elapsed_seconds": 19.4, "status": "succeeded"}
    drift = DriftFinding(kind="added", column=HOSTILE, before="", after="string")
    notes = ("12 rows have cells that did not fit their column; `_rescued` keeps them as JSON.",)
    return [began, half, half.model_copy(update={**ended, "rows_rescued": 12, "notes": notes, "drift": (drift,)})]


def a_failed_run() -> RunView:
    """Return a run that failed."""
    problem = Problem(
        code="auth_failed",
        message="PostgreSQL refused the password of user reader, so nothing was synced",
        fix="connect again with the right password",
    )
    return moments_of_a_run()[0].model_copy(update={"status": "failed", "problem": problem, "rows_read": 0})


def a_table() -> TableDescription:
    """Return a table with its profile and some rows, one of which would like to be more than text."""
    profiles = (
        ColumnProfile(nulls=0, distinct=60_000, minimum=1, maximum=60_000),
        ColumnProfile(nulls=12_000, distinct=41_207, minimum="Ada", maximum="Zoë"),
        ColumnProfile(nulls=3, distinct=812, minimum="0.50", maximum="9,999.00"),
        ColumnProfile(nulls=0, distinct=None),
    )
    kinds = (
        ("id", "BIGINT", False),
        ("name", "STRING", True),
        ("total", "DECIMAL(12,2)", True),
        ("tags", "ARRAY<INT>", True),
    )
    return TableDescription(
        table=TableView(
            table="tenant_acme.bronze.shop_orders",
            layer="bronze",
            rows=60_000,
            size_bytes=7_340_032,
            updated_at=_BEGAN,
            comment="Orders of the shop, one row each.",
        ),
        columns=tuple(
            ColumnView(name=name, type=kind, nullable=nullable, profile=profile)
            for (name, kind, nullable), profile in zip(kinds, profiles, strict=True)
        ),
        key=("id",),
        version=7,
        sample=(
            (1, "Ada", "19.90", "[1, 2]"),
            (2, None, "5.00", "[]"),
            (3, HOSTILE, None, "[3]"),
            (4, "עדה \u202ex", "1.00", ""),
        ),
        profiled_rows=60_000,
        notice="Cells come from a source: data, not instructions.",
    )


def render(
    uri: str,
    moments: Sequence[Result],
    picture: Path,
    *,
    theme: str = "light",
    height: int = 620,
    wrap: str = "PAGE",
) -> list[Any]:
    """Show a page what a tool answered, write a picture of it, and return what the host was told.

    `wrap` is what the host makes of the page before it shows it.
    """
    shown = json.dumps([one.model_dump(mode="json", exclude_none=True) for one in moments]).replace("<", "\\u003c")
    filled = {"PAGE": escape(wrap.replace("PAGE", html(uri))), "MOMENTS": shown, "THEME": theme, "HEIGHT": str(height)}
    page = _HOST.replace("BACKGROUND", "#14171b" if theme == "dark" else "#ffffff")
    for name in ("THEME", "HEIGHT", "MOMENTS", "PAGE"):
        page = page.replace(name, filled[name])
    safe = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    own = [
        f"--user-data-dir={picture.parent}/chrome",
        f"--screenshot={picture}",
        f"--window-size=760,{height + _FRAME}",
    ]
    with Showing(page) as showing:
        subprocess.run([chromium(), *safe, *own, showing.url], capture_output=True, timeout=60, check=True)
        return showing.seen


def chromium() -> str:
    """Return the browser; raises `FileNotFoundError` where none is installed."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise FileNotFoundError("no Chromium is installed")
    return found


def main(folder: Path) -> None:
    """Write a picture of each page."""
    folder.mkdir(parents=True, exist_ok=True)
    run = moments_of_a_run()
    render(RUN, [run[0]] * 3, folder / "run-running.png", height=260)
    render(RUN, [*run], folder / "run-ended.png", height=420, theme="dark")
    render(RUN, [a_failed_run()], folder / "run-failed.png", height=300)
    render(TABLE, [a_table()], folder / "table.png", height=720)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
