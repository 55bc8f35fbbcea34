"""The connector keeps the contract that the host relies on."""

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from servicetsunami.sdk.testing import SourceContract
from servicetsunami_rest import RestSource

if TYPE_CHECKING:
    from conftest import Api, Asked

TOKEN = "token-of-the-contract-5"
USERS: list[dict[str, Any]] = [
    {
        "id": i,
        "name": f"no {i}",
        "balance": i * 3 if i % 2 else None,
        "updated_at": f"2026-01-{i // 2 + 1:02}T00:00:00Z",
    }
    for i in range(1, 41)
]
ORDERS = {i: [{"no": no, "total": 10 * i + no} for no in range(i % 4)] for i in range(1, 41)}
SETTINGS = {
    "auth": "header",
    "auth_name": "X-Key",
    "token": TOKEN,
    "parallel_requests": 3,
    "streams": [
        {
            "name": "users",
            "path": "/users",
            "records": "data.items",
            "key": ["id"],
            "cursor": "updated_at",
            "cursor_param": "since",
            "types": {"updated_at": "timestamp"},
            "cursor_format": "iso",
            "paging": {"kind": "page", "size_param": "limit", "size": 7},
        },
        {"name": "people", "path": "/people", "key": ["id"], "paging": {"kind": "link"}},
        {
            "name": "orders",
            "path": "/users/{user_id}/orders",
            "key": ["user_id", "no"],
            "parent": {"stream": "people", "fields": {"user_id": "id"}},
        },
        {"name": "log", "path": "/people", "paging": {"kind": "link"}, "cursor": "updated_at"},
    ],
}


class TestRestContract(SourceContract):
    connector = RestSource
    bad_configs = (
        {"token": "not-the-token-7"},
        {"base_url": "http://127.0.0.1:1"},
        {"auth": "basic", "user": "u", "password": "not-the-password-9"},
        {"base_url": "no url"},
        {"streams": [{"name": "users", "path": "/usres"}]},
        {"streams": [{"name": "users", "path": "/users", "records": "data.item"}]},
        {"streams": []},
        {"dsn": "x"},
    )

    @pytest.fixture
    def config(self, api: "Api") -> dict[str, Any]:
        api.routes["/users"] = _guarded(api, _users)
        api.routes["/people"] = _guarded(api, partial(_people, api))
        for user, orders in ORDERS.items():
            api.routes[f"/users/{user}/orders"] = orders
        return {"base_url": api.base_url, **SETTINGS}


def _guarded(api: "Api", route: Any) -> Any:
    return lambda asked: route(asked) if asked.headers.get("x-key") == TOKEN else api.reply({}, status=401)


def _users(asked: "Asked") -> Any:
    size, since = int(asked.query.get("limit", 7)), asked.query.get("since", "")
    begin = (int(asked.query.get("page", 1)) - 1) * size
    return {"data": {"items": [user for user in USERS if user["updated_at"] >= since][begin : begin + size]}}


def _people(api: "Api", asked: "Asked") -> Any:
    begin = int(asked.query.get("after", 0))
    more = {"link": f'</people?after={begin + 15}>; rel="next"'} if begin + 15 < len(USERS) else {}
    return api.reply(USERS[begin : begin + 15], headers=more)
