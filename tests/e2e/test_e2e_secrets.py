"""A password goes in by each way, opens a real database, and is found nowhere afterwards."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx2
import pytest
from http_lab import client_of, serving
from mcp import Client, StdioServerParameters
from mcp.types import ElicitRequestParams, ElicitRequestURLParams, ElicitResult
from secret_scan import RELAY, Processes, Tap, hits, hits_in_files, spellings

ERAS = ["legacy", "2026-07-28"]
_SERVE = [sys.executable, "-m", "servicetsunami.cli", "serve"]


class Lake(Protocol):
    """What the fixture `lake` offers."""

    home: Path
    database: Any


@dataclass
class Scene:
    """A database that opens with a password, and all places where that password must not turn up."""

    lake: Lake
    folder: Path
    role: str
    password: str
    wrong: str
    processes: Processes = field(default_factory=Processes)

    @property
    def canaries(self) -> tuple[str, str]:
        return self.password, self.wrong

    @property
    def place(self) -> dict[str, Any]:
        """The settings, without the password."""
        config = self.lake.database.config(user=self.role)
        del config["password"]
        return dict(config)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TSUNAMI_")}
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        settings = {"TSUNAMI_HOME": str(self.lake.home), "TSUNAMI_LOG_LEVEL": "debug", "TMPDIR": str(temporary)}
        return {**kept, **settings, **more}

    def server(self, **more: str) -> StdioServerParameters:
        """The server on standard streams, with all that goes through them kept."""
        traffic = self.folder / "traffic"
        traffic.mkdir(exist_ok=True)
        command, *arguments = [*RELAY, str(traffic), *_SERVE]
        return StdioServerParameters(command=command, args=arguments, env=self.environment(**more))

    def found(self, *, besides: tuple[str, ...] = ()) -> dict[str, list[str]]:
        """Say where the passwords are, apart from files of that name."""
        files = hits_in_files(self.canaries, self.folder, self.lake.home)
        shown = {f"/proc: {text!r}": held for text in self.processes.seen if (held := hits(self.canaries, text))}
        return {path: held for path, held in {**files, **shown}.items() if Path(path).name not in besides}


@pytest.fixture
def scene(lake: Lake, tmp_path: Path) -> Iterator[Scene]:
    role = f"canary_{secrets.token_hex(6)}"
    password, wrong = (f'{kind}"na/ry#+&=%20 \\{secrets.token_hex(8)}' for kind in ("ca", "wr"))
    folder = tmp_path / "scene"
    folder.mkdir()
    lake.database.run(
        f"create role {role} login password '{password}'",
        "create table t (id int primary key)",
        "insert into t values (1), (2)",
        f"grant select on t to {role}",
    )
    with Processes().watched() as processes:
        yield Scene(lake, folder, role, password, wrong, processes)
    lake.database.run(f"drop owned by {role}", f"drop role {role}")


def person(*answers: str) -> Any:
    """Someone who opens the page they are asked to open, and types what they have, one after the other."""

    async def opens(_context: Any, params: ElicitRequestParams) -> ElicitResult:
        assert isinstance(params, ElicitRequestURLParams)
        async with httpx2.AsyncClient(trust_env=False) as browser:
            for answer in answers:
                page = await browser.get(params.url)
                form = re.search(r'name="form" value="([^"]+)"', page.text)
                code = re.search(r"<code>([^<]+)</code>", page.text)
                assert form is not None
                assert code is not None
                assert code[1] in params.message
                given = await browser.post(params.url, data={"form": form[1], "secret.password": answer})
                assert not [answer for answer in answers if hits([answer], given.content)]
            assert "works" in given.text
            assert (await browser.get(params.url)).status_code == 404
        return ElicitResult(action="accept")

    return opens


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    answer: dict[str, Any] = result.structured_content or {}
    return answer


async def use(client: Client, connection: str) -> None:
    """Do with a connection what people do."""
    await call(client, "test_connection", connection_id=connection)
    synced = await call(client, "sync_to_bronze", connection_id=connection, table_name="t")
    assert (synced["status"], synced["rows"]) == ("succeeded", 2)
    listed = await call(client, "list_connections")
    assert listed["connections"][0]["status"] == "success"
    queried = await call(client, "query_source", connection_id=connection, sql="select count(*) from t")
    assert queried["rows"] == [[2]]


@asynccontextmanager
async def over_stdio(scene: Scene, era: str, *answers: str, **more: str) -> AsyncIterator[Client]:
    callback = person(*answers) if answers else None
    async with Client(scene.server(**more), mode=era, elicitation_callback=callback) as client:
        yield client


@contextmanager
def over_http(scene: Scene) -> Iterator[Tap]:
    settings = scene.environment(MCP_PORT="0")
    kept = {name: settings[name] for name in ("TSUNAMI_HOME", "TSUNAMI_LOG_LEVEL", "TMPDIR")}
    with serving(scene.folder, settings=kept) as served:
        tap = Tap(served.port)
        yield tap
        tap.close()


@pytest.mark.parametrize("secret", ["plain", 'a"b/c#d+e&f=g%20 \\h'])
def test_the_scan_finds_what_it_looks_for(tmp_path: Path, secret: str) -> None:
    for number, spelling in enumerate(spellings(secret)):
        (tmp_path / str(number)).write_bytes(b"before " + spelling + b" after")

    assert len(hits_in_files([secret], tmp_path)) == len(list(tmp_path.iterdir())) > 10
    assert not hits_in_files(["something else"], tmp_path)


def test_a_password_in_a_tool_call_on_stdio_is_in_that_call_alone(scene: Scene) -> None:
    async def job() -> dict[str, Any]:
        async with over_stdio(scene, "2026-07-28") as client:
            refused = await call(client, "connect_postgres", name="shop", **scene.place, password=scene.wrong)
            assert refused["status"] == "failed"
            connected = await call(client, "connect_postgres", name="shop", **scene.place, password=scene.password)
            await use(client, connected["connection_id"])
            return connected

    connected = asyncio.run(job())

    assert connected["status"] == "success"
    assert "passed through" in connected["notice"]
    assert scene.found(besides=("to",)) == {}
    calls = (scene.folder / "traffic" / "to").read_bytes().splitlines()
    assert [len([line for line in calls if hits([secret], line)]) for secret in scene.canaries] == [1, 1]
    assert scene.processes.looked_at


@pytest.mark.parametrize("era", ERAS)
def test_a_password_typed_on_the_page_of_a_stdio_server_is_nowhere(scene: Scene, era: str) -> None:
    async def job() -> dict[str, Any]:
        async with over_stdio(scene, era, scene.wrong, scene.password) as client:
            connected = await call(client, "connect_postgres", name="shop", **scene.place)
            await use(client, connected["connection_id"])
            return connected

    connected = asyncio.run(job())

    assert connected["status"] == "success"
    assert scene.found() == {}


@pytest.mark.parametrize("era", ERAS)
def test_a_password_typed_on_the_page_of_an_http_server_is_nowhere(scene: Scene, era: str) -> None:
    async def job(tap: Tap) -> dict[str, Any]:
        answers = person(scene.wrong, scene.password)
        url = f"http://127.0.0.1:{tap.port}/mcp"
        async with client_of(url, None, era, elicitation_callback=answers) as client:
            connected = await call(client, "connect_postgres", name="shop", **scene.place)
            await use(client, connected["connection_id"])
            return connected

    with over_http(scene) as tap:
        connected = asyncio.run(job(tap))

    assert connected["status"] == "success"
    assert b"connect_postgres" in tap.traffic
    assert hits(scene.canaries, bytes(tap.traffic)) == []
    assert scene.found() == {}


def test_a_password_over_http_is_refused_and_not_repeated(scene: Scene) -> None:
    async def job(tap: Tap) -> list[dict[str, Any]]:
        async with client_of(f"http://127.0.0.1:{tap.port}/mcp", None) as client:
            config = {**scene.place, "password": scene.password}
            return [
                await call(client, "connect_postgres", name="shop", **config),
                await call(client, "connect_source", connector="postgres", name="shop", config=config),
                await call(client, "list_connections"),
            ]

    with over_http(scene) as tap:
        typed, generic, listed = asyncio.run(job(tap))

    assert "error" in typed
    assert "error" in generic
    assert listed["connections"] == []
    assert hits(scene.canaries, str([typed, generic]).encode()) == []
    assert scene.found() == {}


def test_a_password_in_the_environment_is_read_there_and_is_nowhere_else(scene: Scene) -> None:
    scene.processes.besides = frozenset({"servicetsunami.cli", str(Path(RELAY[1]))})
    given = {"TSUNAMI_SECRET_SHOP": scene.password, "TSUNAMI_SECRET_WRONG": scene.wrong}

    async def job() -> dict[str, Any]:
        async with over_stdio(scene, "2026-07-28", **given) as client:
            for name in ("WRONG", "SHOP"):
                refs = {"password": f"env:TSUNAMI_SECRET_{name}"}
                connected = await call(client, "connect_postgres", name="shop", **scene.place, secret_refs=refs)
            await use(client, connected["connection_id"])
            return connected

    connected = asyncio.run(job())

    assert connected["status"] == "success"
    assert scene.found() == {}
    assert scene.processes.looked_at


def test_a_password_in_a_file_is_read_there_and_is_nowhere_else(scene: Scene, tmp_path: Path) -> None:
    place = tmp_path.resolve() / "kept"
    place.mkdir()
    (place / "shop").write_text(f"{scene.password}\n")
    (place / "wrong").write_text(f"{scene.wrong}\n")

    async def job() -> dict[str, Any]:
        async with over_stdio(scene, "2026-07-28", TSUNAMI_SECRET_REFERENCES=f"file:{place}/*") as client:
            for name in ("wrong", "shop"):
                refs = {"password": f"file:{place}/{name}"}
                config = {"connector": "postgres", "config": scene.place}
                connected = await call(client, "connect_source", name="shop", **config, secret_refs=refs)
            await use(client, connected["connection_id"])
            return connected

    connected = asyncio.run(job())

    assert connected["status"] == "success"
    assert scene.found() == {}


def test_a_password_piped_into_the_command_line_is_nowhere(scene: Scene) -> None:
    codes = []
    for number, password in enumerate((scene.wrong, scene.password)):
        done = subprocess.run(
            [*_connect(scene), "--secret-stdin", "password"],
            input=password.encode(),
            capture_output=True,
            env=scene.environment(),
            timeout=120,
            check=False,
        )
        codes.append(done.returncode)
        (scene.folder / f"said-{number}").write_bytes(done.stdout + done.stderr)

    assert codes[0] != 0 == codes[1]
    assert scene.found() == {}


def test_a_password_typed_at_a_terminal_is_nowhere(scene: Scene) -> None:
    near, far = pty.openpty()
    with subprocess.Popen(
        _connect(scene), stdin=far, stdout=far, stderr=far, env=scene.environment(), start_new_session=True
    ) as process:
        os.close(far)
        said = _read_until(near, b"password (not shown): ")
        os.write(near, f"{scene.password}\n".encode())
        said += _read_until(near, None)
        process.wait(120)
    os.close(near)
    (scene.folder / "said").write_bytes(said)

    assert process.returncode == 0, said
    assert scene.found() == {}


def _connect(scene: Scene) -> list[str]:
    settings = [part for name, value in scene.place.items() for part in ("--set", f"{name}={value}")]
    return [sys.executable, "-m", "servicetsunami.cli", "connect", "postgres", "--name", "shop", *settings]


def _read_until(descriptor: int, end: bytes | None) -> bytes:
    said = b""
    while end is None or end not in said:
        try:
            part = os.read(descriptor, 4096)
        except OSError:  # a terminal that nobody has open any more
            part = b""
        if not part:
            break
        said += part
    return said
