"""The resources that the suite reads and watches."""

from __future__ import annotations

import json
import re

from mcp.types import BlobResourceContents, Resource, ResourceTemplate, TextResourceContents

from servicetsunami.mcp.conformance.media import PNG

RESOURCES = (
    Resource(uri="test://static-text", name="static-text", description="A text.", mime_type="text/plain"),
    Resource(uri="test://static-binary", name="static-binary", description="A picture.", mime_type="image/png"),
    Resource(
        uri="test://watched-resource", name="watched-resource", description="One to watch.", mime_type="text/plain"
    ),
)
TEMPLATES = (
    ResourceTemplate(
        uri_template="test://template/{id}/data",
        name="template",
        description="Data about an id.",
        mime_type="application/json",
    ),
)
_TEMPLATE = re.compile(r"test://template/([^/]+)/data")
_TEXTS = {
    "test://static-text": "This is the content of the static text resource.",
    "test://watched-resource": "This resource can be watched.",
}


def read(uri: str) -> TextResourceContents | BlobResourceContents | None:
    """Return a resource's content; None if there is no such resource."""
    if uri == "test://static-binary":
        return BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)
    if uri in _TEXTS:
        return TextResourceContents(uri=uri, mime_type="text/plain", text=_TEXTS[uri])
    filled = _TEMPLATE.fullmatch(uri)
    if filled is None:
        return None
    told = {"id": filled[1], "templateTest": True, "data": f"Data for ID: {filled[1]}"}
    return TextResourceContents(uri=uri, mime_type="application/json", text=json.dumps(told))
