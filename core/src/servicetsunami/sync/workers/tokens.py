"""Access tokens for a worker: it asks, and the host fetches, keeps and renews them for all workers of a connection."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue

from pydantic import SecretStr

from servicetsunami.sdk import AccessToken, Cancelled, Json, PermanentError, TokenRequest, TsunamiError
from servicetsunami.sdk.oauth import TokenSource
from servicetsunami.sync.workers import wire
from servicetsunami.sync.workers.frames import Channel, Kind

_POLL_SECONDS = 0.1


class AskedTokens:
    """The worker's side. Threads may share it; the answers arrive where calls do."""

    def __init__(self, channel: Channel, stop: threading.Event) -> None:
        self._channel = channel
        self._stop = stop
        self._one = threading.Lock()
        self._answers = SimpleQueue[Json]()

    def take(self, answer: Json) -> None:
        """Learn what the host answered."""
        self._answers.put(answer)

    def get(self, request: TokenRequest, *, renew: bool = False) -> AccessToken:
        """Ask the host and wait; raises what it raised, and `Cancelled`."""
        asked = {"url": request.url, "form": dict(request.form), "headers": dict(request.headers)}
        with self._one:
            self._channel.send(Kind.TOKEN, {**asked, "refresh_field": request.refresh_field, "renew": renew})
            answer = self._awaited()
        if "error" in answer:
            raise wire.decode_error(answer["error"])
        return AccessToken(SecretStr(answer["value"]), answer["expires_at"], answer["answer"])

    def _awaited(self) -> Json:
        while not self._stop.is_set():
            try:
                return self._answers.get(timeout=_POLL_SECONDS)
            except Empty:
                continue
        raise Cancelled("the work was cancelled")


def answer_token(asked: Json, tokens: TokenSource | None) -> Json:
    """Answer a worker, on the host's side."""
    try:
        if tokens is None:
            raise _not_understood()
        request = TokenRequest(
            _text(asked["url"]), _texts(asked["form"]), _texts(asked["headers"]), asked["refresh_field"]
        )
        token = tokens.get(request, renew=asked["renew"] is True)
    except TsunamiError as error:
        return {"error": wire.encode_error(error)}
    except (KeyError, TypeError, AttributeError):
        return {"error": wire.encode_error(_not_understood())}
    return {"value": token.value.get_secret_value(), "expires_at": token.expires_at, "answer": dict(token.answer)}


def _texts(found: Json) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in found.items()}


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise _not_understood()
    return found


def _not_understood() -> TsunamiError:
    return PermanentError("the connector's process asked for a token as it may not", code="worker_misused")
