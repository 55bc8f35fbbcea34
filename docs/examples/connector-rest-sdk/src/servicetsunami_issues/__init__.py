"""Issues of a GitHub repository: a connector for an API over HTTP, with the SDK alone."""

from collections.abc import Iterator

from pydantic import SecretStr

from servicetsunami.sdk import Config, Item, Read, Source, Stream, hookimpl
from servicetsunami.sdk.http import link_header, pages


class IssuesConfig(Config):
    """Which repository, and who asks."""

    repository: str
    token: SecretStr | None = None
    base_url: str = "https://api.github.com"


class Issues(Source[IssuesConfig]):
    """Reads the issues of a GitHub repository."""

    name = "issues"

    def streams(self) -> Iterator[Stream]:
        """Offer the issues as one table."""
        yield Stream("issues", key=("id",), cursor="updated_at")

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the issues asked for, page by page."""
        left = read.limit
        with self.ctx.http(f"{self.config.base_url}/repos/{self.config.repository}", bearer=self.config.token) as http:
            for page in pages(http, read.stream.name, {"since": read.since, "state": "all"}, then=link_header):
                rows = [{name: row[name] for name in read.columns or row} for row in page.json()[:left]]
                yield rows
                if left is not None and (left := left - len(rows)) <= 0:
                    break


@hookimpl
def connectors() -> list[type[Issues]]:
    """Name what this package provides."""
    return [Issues]
