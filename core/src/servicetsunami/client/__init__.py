"""A Python client of the server: its tools as methods, over HTTP or through a process of its own."""

from servicetsunami.client.blocking import ServiceTsunami
from servicetsunami.client.remote import AsyncServiceTsunami

__all__ = ["AsyncServiceTsunami", "ServiceTsunami"]
