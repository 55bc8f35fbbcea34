"""The smallest picture and the shortest sound."""

from __future__ import annotations

from mcp.types import AudioContent, ImageContent

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
"""One red pixel, in base64."""
IMAGE = ImageContent(type="image", data=PNG, mime_type="image/png")
SOUND = AudioContent(
    type="audio", data="UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA==", mime_type="audio/wav"
)
"""One sample of silence."""
