"""The connector: what the host asks, answered by the modules beside this one, which bring the libraries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from servicetsunami.sdk import Item, Read, SignIn, Source, Stream
from servicetsunami_salesforce.config import SalesforceConfig

if TYPE_CHECKING:
    from servicetsunami_salesforce.session import Session


class SalesforceSource(Source[SalesforceConfig]):
    """Reads Salesforce objects, standard and custom, incrementally, with rows that were deleted; large ones in bulk."""

    name = "salesforce"
    title = "Salesforce"

    @classmethod
    def sign_in(cls, settings: Mapping[str, Any]) -> SignIn | None:
        """Return how a person signs in at Salesforce."""
        from servicetsunami_salesforce.session import sign_in

        return sign_in(settings)

    def check(self) -> None:
        """Read a row of the first object that is named, else of users."""
        from servicetsunami_salesforce.objects import describe

        name = self.config.objects[0] if self.config.objects else "User"
        stream = describe(self._session, name).stream()
        next(self.read(Read(stream, limit=1, batch_rows=1)), None)

    def streams(self) -> Iterable[Stream]:
        """Yield every object that can be queried, or those of the settings."""
        from servicetsunami_salesforce.objects import described

        for found in described(self._session, self.config):
            yield found.stream()

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the rows of an object."""
        from servicetsunami_salesforce.reading import read_object

        yield from read_object(self._session, self.config, self.ctx, read)

    def close(self) -> None:
        """Close every connection."""
        if "_session" in vars(self):
            self._session.close()

    @cached_property
    def _session(self) -> Session:
        from servicetsunami_salesforce.session import Session

        return Session(self.config, self.ctx)
