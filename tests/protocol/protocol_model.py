"""A model that says what a script tells it, behind the Messages API, and remembers what its tools answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

ENDED = "That was all."
"""What the model says at the end."""
Result = Any
Step = Callable[[list[Result]], tuple[str, dict[str, Any]]]
"""Given what the tools have answered so far, the next tool to call and its arguments."""


class Model:
    """One conversation's model."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self.results: list[Result] = []
        """What the tools answered, in order; JSON is parsed."""
        self.tools: list[str] = []
        """The tools that the model was shown in full."""

    def answer(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the blocks of the next message."""
        if not request.get("tools"):  # a side request, such as one for the conversation's title
            return [{"type": "text", "text": "A conversation"}]
        self.tools = [tool["name"] for tool in request["tools"]]
        self.results = [_parsed(block) for block in _tool_results(request["messages"])]
        done = len(self.results)
        if done == len(self._steps):
            return [{"type": "text", "text": ENDED}]
        name, arguments = self._steps[done](self.results)
        return [{"type": "tool_use", "id": f"toolu_{done}", "name": name, "input": arguments}]


@contextmanager
def served(model: Model) -> Iterator[str]:
    """Serve a model on loopback; yields the base address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told = "".join(
                f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in _stream(request, model)
            )
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(told.encode())))
            self.end_headers()
            self.wfile.write(told.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


def _stream(request: dict[str, Any], model: Model) -> Iterator[dict[str, Any]]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": request["model"], "content": []}
    yield {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}}
    blocks = model.answer(request)
    for index, block in enumerate(blocks):
        yield from _block(index, block)
    reason = "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"
    yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}
    yield {"type": "message_stop"}


def _block(index: int, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    is_text = block["type"] == "text"
    begun = {**block, "text": ""} if is_text else {**block, "input": {}}
    yield {"type": "content_block_start", "index": index, "content_block": begun}
    text = {"type": "text_delta", "text": block.get("text")}
    data = {"type": "input_json_delta", "partial_json": json.dumps(block.get("input"))}
    yield {"type": "content_block_delta", "index": index, "delta": text if is_text else data}
    yield {"type": "content_block_stop", "index": index}


def _tool_results(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        blocks = message["content"] if isinstance(message["content"], list) else []
        yield from (block for block in blocks if block["type"] == "tool_result")


def _parsed(block: dict[str, Any]) -> Result:
    content = block["content"]
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    try:
        return json.loads(text)
    except ValueError:
        return text
