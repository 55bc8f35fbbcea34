"""Read the pages of a REST API: the connector, typed Arrow out, beside a bare client loop that only collects bytes.

    uv run --all-packages --all-extras python benchmarks/rest_pages.py [--pages 1000] [--records 500] [--rounds 5]

One local server in a process of its own gives every page from memory. Arms of one round follow one another: the bare
loop, the connector one page after another, and, against a server that waits 20 ms before each answer, the connector
with 1 and with 8 pages at once. A ratio is the median of the ratios of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from servicetsunami.sdk import Read
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_rest import RestConfig, RestSource

_WAIT_SECONDS = 0.02


def main() -> None:
    """Print one JSON document with the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--slow-pages", type=int, default=200)
    parser.add_argument("--records", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(asked.records, there), daemon=True)
    server.start()
    try:
        print(json.dumps(_report(f"http://127.0.0.1:{here.recv()}", asked), indent=2))
    finally:
        server.terminate()


def _report(base: str, asked: argparse.Namespace) -> dict[str, Any]:
    pages, slow = asked.pages, asked.slow_pages
    arms: dict[str, Callable[[], int]] = {
        "bare": lambda: _bare(f"{base}/fast/{pages}", pages),
        "connector": lambda: _connector(base, f"/fast/{pages}", at_once=1),
        "slow_1": lambda: _connector(base, f"/slow/{slow}", at_once=1),
        "slow_8": lambda: _connector(base, f"/slow/{slow}", at_once=8),
    }
    rounds = [{name: _timed(arm) for name, arm in arms.items()} for _ in range(asked.rounds)]
    seconds = {name: round(statistics.median(one[name][0] for one in rounds), 2) for name in arms}
    return {
        "rows": rounds[0]["connector"][1],
        "bytes": rounds[0]["bare"][1],
        "seconds": seconds,
        "connector_to_bare": _ratio(rounds, "connector", "bare"),
        "one_to_eight_at_once": _ratio(rounds, "slow_1", "slow_8"),
    }


def _ratio(rounds: list[dict[str, tuple[float, int]]], over: str, under: str) -> float:
    return round(statistics.median(one[over][0] / one[under][0] for one in rounds), 2)


def _timed(arm: Callable[[], int]) -> tuple[float, int]:
    began = time.perf_counter()
    count = arm()
    return time.perf_counter() - began, count


def _bare(url: str, pages: int) -> int:
    """Collect the bytes of every page, and nothing else."""
    size = 0
    with httpx2.Client() as client:
        for page in range(1, pages + 2):
            size += len(client.get(url, params={"page": page}).content)
    return size


def _connector(base: str, path: str, *, at_once: int) -> int:
    stream = {"name": "orders", "path": path, "records": "data", "key": ["id"], "paging": {"kind": "page"}}
    config = RestConfig.model_validate({"base_url": base, "parallel_requests": at_once, "streams": [stream]})
    with tempfile.TemporaryDirectory() as folder:
        source = RestSource(config, LocalContext(data_dir=Path(folder)))
        try:
            items = source.read(Read(next(iter(source.streams()))))
            return sum(getattr(item, "num_rows", 0) for item in items)
        finally:
            source.close()


def _serve(records: int, announce: Connection) -> None:
    asyncio.run(_serving(records, announce))


async def _serving(records: int, announce: Connection) -> None:
    bodies = [_body(page, records) for page in range(8)]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            url = urlsplit(head.split(b" ", 2)[1].decode())
            _, kind, pages = url.path.split("/")
            page = int(parse_qs(url.query)["page"][0])
            if kind == "slow":
                await asyncio.sleep(_WAIT_SECONDS)
            body = bodies[page % len(bodies)] if page <= int(pages) else b'{"data":[]}'
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    def quiet(_loop: object, _context: object) -> None:
        """Clients that go away are expected."""

    asyncio.get_running_loop().set_exception_handler(quiet)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    announce.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _body(page: int, records: int) -> bytes:
    rows = [
        {
            "id": page * records + i,
            "customer": f"customer {i * 7919 % 1000}",
            "status": ("open", "paid", "sent")[i % 3],
            "amount": float(Decimal(i * 37 % 10_000) / 100),
            "items": i % 9,
            "paid": i % 3 == 1,
            "note": None if i % 4 else "leave at the door, ring twice",
            "created_at": f"2026-01-{i % 28 + 1:02}T{i % 24:02}:00:00Z",
            "address": {"city": f"city {i % 50}", "zip": f"{i:05}", "lines": ["a", "b"]},
        }
        for i in range(records)
    ]
    return json.dumps({"data": rows, "page": page}, separators=(",", ":")).encode()


if __name__ == "__main__":
    main()
