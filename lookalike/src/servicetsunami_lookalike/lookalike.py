"""The look-alike as what others start: a workspace with a server before it."""

from __future__ import annotations

import secrets
import threading
from typing import Self

from servicetsunami_lookalike.faults import Faults
from servicetsunami_lookalike.http.server import Server
from servicetsunami_lookalike.workspace import Workspace

WAREHOUSE_ID = "lookalike"


class Lookalike:
    """A workspace on loopback, empty at first, gone at the end; use it as a context manager.

    `host`, `token` and `warehouse_id` are what a client needs to work as an admin.
    """

    warehouse_id = WAREHOUSE_ID

    def __init__(self, port: int = 0, token: str | None = None) -> None:
        self.workspace = Workspace()
        self.token = token or secrets.token_urlsafe(24)
        self.workspace.add_token(self.token, "admin@lookalike.test", admin=True)
        self._server = Server(self.workspace, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def host(self) -> str:
        """Return the address, such as http://127.0.0.1:8080."""
        return self.workspace.base_url

    @property
    def http_path(self) -> str:
        """Return the path of the warehouse, as the SQL connector takes it."""
        return f"/sql/1.0/warehouses/{self.warehouse_id}"

    def environment(self) -> dict[str, str]:
        """Return the variables by which a client finds this server."""
        return {
            "DATABRICKS_HOST": self.host,
            "DATABRICKS_TOKEN": self.token,
            "DATABRICKS_WAREHOUSE_ID": self.warehouse_id,
        }

    @property
    def faults(self) -> Faults:
        """Return what makes requests go wrong, and the labels of those that came."""
        return self.workspace.faults

    def add_service_principal(self, client_id: str, secret: str, *, admin: bool = False) -> None:
        """Let a service principal sign in by OAuth."""
        self.workspace.add_client(client_id, secret, admin=admin)

    def add_user(self, token: str, name: str) -> None:
        """Let in somebody who is no admin, by a token."""
        self.workspace.add_token(token, name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.workspace.close()
