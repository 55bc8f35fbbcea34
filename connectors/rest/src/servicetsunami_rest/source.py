"""The connector: what the host asks, answered by the modules beside this one, which bring the drivers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from servicetsunami.sdk import Context, Item, NotFound, Read, Source, Stream, nearest
from servicetsunami_rest.config import RestConfig, StreamSettings
from servicetsunami_rest.session import Session


class RestSource(Source[RestConfig]):
    """Reads any API that answers in JSON, as its settings or its OpenAPI document describe it."""

    name = "rest"
    title = "REST API"

    def __init__(self, config: RestConfig, ctx: Context) -> None:
        super().__init__(config, ctx)
        self._session = Session(config, ctx)

    def check(self) -> None:
        """Read a row of every stream."""
        for stream in self.streams():
            for _ in self.read(Read(stream, limit=1)):
                pass

    def streams(self) -> Iterable[Stream]:
        """Yield the streams of the settings; without any, those that the OpenAPI document proposes."""
        return [_offered(stream) for stream in self._streams.values()]

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the rows of a stream, page by page; its columns are settled by the first page that shows them."""
        from servicetsunami_rest.reading import Reading

        stream = self._chosen(read.stream)
        reading = Reading(self._session, stream, read, at_once=self.config.parallel_requests)
        if stream.parent is None:
            return reading.items()
        return reading.children(self._streams[stream.parent.stream])

    def close(self) -> None:
        """Close every connection."""
        self._session.close()

    @cached_property
    def _streams(self) -> dict[str, StreamSettings]:
        from servicetsunami_rest.openapi import proposed

        found = self.config.streams or proposed(self.config.openapi or "", self._session)
        return {stream.name: stream for stream in found}

    def _chosen(self, asked: Stream) -> StreamSettings:
        """Return the settings of a stream; its key and its cursor may have been chosen by a person since."""
        stream = self._streams.get(asked.name)
        if stream is None:
            raise NotFound(
                f"there is no stream '{asked.name}' in the settings",
                code="stream_not_found",
                field="streams",
                fix="list the connection's streams and name one of them",
                did_you_mean=nearest(asked.name, self._streams),
            )
        if asked.cursor != stream.cursor and asked.cursor:
            stream = stream.model_copy(update={"cursor": asked.cursor, "cursor_param": None})
        return stream.model_copy(update={"key": asked.key})


def _offered(stream: StreamSettings) -> Stream:
    return Stream(stream.name, key=stream.key, cursor=stream.cursor, kind="endpoint", description=stream.path)
