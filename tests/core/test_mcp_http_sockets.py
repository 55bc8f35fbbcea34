"""How the server listens."""

import socket

from http_lab import free_port

from servicetsunami.mcp.http.serving import listen
from servicetsunami.runtime import Settings


def test_the_packets_of_an_answer_do_not_wait_for_one_another() -> None:
    with (
        listen(Settings(mcp_port=free_port())) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
