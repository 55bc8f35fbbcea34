"""Azure's object store, against its vendor's own local server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import protocol_node
import pyarrow as pa
import pytest

from servicetsunami.sdk import Read, TsunamiError
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_files import FilesConfig, FilesSource

_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Account and key are printed in that server's manual."""
_STARTING = ("--inMemoryPersistence", "--blobHost", "127.0.0.1", "--blobPort", "0", "--disableTelemetry")


def _signature(permissions: str) -> str:
    """Return a shared access signature for the whole account, as Azure's documents describe it."""
    asked = {"sv": "2021-12-02", "ss": "b", "srt": "sco", "sp": permissions, "se": "2099-01-01T00:00:00Z"}
    signed = [_ACCOUNT, asked["sp"], asked["ss"], asked["srt"], "", asked["se"], "", "", asked["sv"], "", ""]
    mark = hmac.new(base64.b64decode(_KEY), "\n".join(signed).encode(), hashlib.sha256).digest()
    return urlencode({**asked, "sig": base64.b64encode(mark).decode()})


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    script = protocol_node.need("azurite") / "azurite" / "dist" / "src" / "blob" / "main.js"
    with ExitStack() as stack:
        server = stack.enter_context(
            subprocess.Popen(
                [str(protocol_node.node()), str(script), *_STARTING, "--skipApiVersionCheck"],
                stdout=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                text=True,
            )
        )
        stack.callback(server.kill)
        yield f"{_address(server)}/{_ACCOUNT}"


def _address(server: subprocess.Popen[str]) -> str:
    for line in server.stdout or ():
        found = re.search(r"successfully listens on (\S+)", line)
        if found:
            return found[1]
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module")
def shop(endpoint: str) -> str:
    """Fill a container by the vendor's plain HTTP interface."""
    writing = _signature("rwlc")
    httpx2.put(f"{endpoint}/shop?restype=container&{writing}").raise_for_status()
    for name, body in {"a/orders.csv": b"id\n1\n2\n", "a/more/köln 1.csv": b"id\n3\n", "b/x.csv": b"id\n9\n"}.items():
        kind = {"x-ms-blob-type": "BlockBlob"}
        httpx2.put(f"{endpoint}/shop/{name}?{writing}", content=body, headers=kind).raise_for_status()
    return endpoint


def _rows(ctx: LocalContext, endpoint: str, **settings: Any) -> list[dict[str, Any]]:
    config = FilesConfig(location="az://shop/a", endpoint=endpoint, account_name=_ACCOUNT, **settings)
    source = FilesSource(config, ctx)
    try:
        items = [item for stream in source.streams() for item in source.read(Read(stream))]
    finally:
        source.close()
    return [row for item in items if isinstance(item, pa.RecordBatch) for row in item.to_pylist()]


@pytest.fixture
def ctx(tmp_path: Path) -> LocalContext:
    return LocalContext(data_dir=tmp_path)


@pytest.mark.parametrize("way", [{"account_key": _KEY}, {"sas_token": f"?{_signature('rl')}"}])
def test_azure_is_read_by_key_and_by_signature(way: dict[str, str], shop: str, ctx: LocalContext) -> None:
    found = {(row["_source_file"], row["id"]) for row in _rows(ctx, shop, **way)}

    assert found == {("orders.csv", 1), ("orders.csv", 2), ("more/köln 1.csv", 3)}


@pytest.mark.parametrize("way", [{}, {"account_key": "Y2FuYXJ5"}, {"sas_token": _signature("w")}])
def test_azure_refuses_what_may_not_read(way: dict[str, str], shop: str, ctx: LocalContext) -> None:
    with pytest.raises(TsunamiError) as refused:
        _rows(ctx, shop, **way)

    assert refused.value.code in ("permission_denied", "credentials_refused")
    assert "Y2FuYXJ5" not in str(refused.value)
