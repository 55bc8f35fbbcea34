"""HTTP for connectors: every address checked, every body whole, every refusal a typed error.

A connector gets its client from the host, `self.ctx.http(base_url, bearer=...)`, and walks pages with the helpers here:

    for page in pages(http, "/issues", {"per_page": 100}, then=link_header):
        yield page.json()
"""

from servicetsunami.sdk.http.client import Explain, HttpClient, basic, open_http
from servicetsunami.sdk.http.paging import (
    Next,
    body_cursor,
    body_next_url,
    link_header,
    next_offset,
    next_page_number,
    pages,
)
from servicetsunami.sdk.http.response import HttpResponse

__all__ = [
    "Explain",
    "HttpClient",
    "HttpResponse",
    "Next",
    "basic",
    "body_cursor",
    "body_next_url",
    "link_header",
    "next_offset",
    "next_page_number",
    "open_http",
    "pages",
]
