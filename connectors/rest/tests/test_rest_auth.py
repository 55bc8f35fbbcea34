"""Every way to be let in, against a server that lets nobody else in; and no key where it does not belong."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs

import pytest

from servicetsunami.sdk import AuthError, ConfigError, TsunamiError

Api = Any
Reader = Any
"""The fixtures; their classes are in conftest.py, which tests cannot import."""
ROWS = [{"id": number} for number in range(5)]
STREAM = {"name": "users", "path": "/users", "paging": {"kind": "page", "size_param": "limit", "size": 2}}
BASIC = b64encode("ada:canary-päss".encode()).decode()


def ids(reader: Reader, stream: Any = STREAM, **settings: Any) -> list[int]:
    return [row["id"] for row in reader.rows(stream, **settings)]


def guarded(api: Api, header: str, value: str) -> None:
    """Let in who sends a header, or a query parameter, with one value."""

    def route(asked: Any) -> Any:
        sent = asked.query.get(header) if header == "api_key" else asked.headers.get(header)
        return api.paged(ROWS)(asked) if sent == value else api.reply({"error": "canary"}, status=401)

    api.routes["/users"] = route


@pytest.mark.parametrize(
    ("settings", "header", "value"),
    [
        ({"auth": "header", "auth_name": "X-Key", "token": "canary"}, "x-key", "canary"),
        ({"auth": "bearer", "token": "canary"}, "authorization", "Bearer canary"),
        ({"auth": "basic", "user": "ada", "password": "canary-päss"}, "authorization", f"Basic {BASIC}"),
        ({"auth": "query", "token": "canary"}, "api_key", "canary"),
    ],
)
def test_the_right_credentials_let_in_and_wrong_ones_are_told(
    settings: dict[str, Any], header: str, value: str, reader: Reader, api: Api
) -> None:
    guarded(api, header, value)
    wrong = {name: "canary-wrong" if name in ("token", "password") else one for name, one in settings.items()}

    found = ids(reader, **settings)
    with pytest.raises(AuthError) as refused:
        ids(reader, **wrong)

    assert found == [0, 1, 2, 3, 4]
    assert "canary" not in f"{refused.value} {refused.value.problem()}"


class Tokens:
    """A token endpoint whose refresh tokens serve once, and whose access tokens end after some requests."""

    def __init__(self, api: Api, lasts: int) -> None:
        self.given, self.left, self.lasts, self.refresh = 0, 0, lasts, "canary-0"
        self.api = api
        api.routes |= {"/token": self.token, "/users": self.users}

    def token(self, asked: Any) -> Any:
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        known = form.get("client_secret") == "canary-client"
        if form["grant_type"] == "refresh_token":
            known = form["refresh_token"] == self.refresh
        if not known:
            return self.api.reply({"error": "invalid_grant"}, status=400)
        self.given, self.left = self.given + 1, self.lasts
        self.refresh = f"canary-{self.given}"
        return {"access_token": f"access-{self.given}", "refresh_token": self.refresh}

    def users(self, asked: Any) -> Any:
        if asked.headers.get("authorization") != f"Bearer access-{self.given}" or self.left == 0:
            return self.api.reply({}, status=401)
        self.left -= 1
        return self.api.paged(ROWS)(asked)


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize(
    "settings",
    [
        {"auth": "oauth2_client_credentials", "client_id": "c", "client_secret": "canary-client", "scopes": "read"},
        {"auth": "oauth2_refresh_token", "client_id": "c", "refresh_token": "canary-0"},
    ],
)
def test_a_token_that_ends_in_the_middle_is_renewed_and_no_page_lost_or_doubled(
    settings: dict[str, Any], at_once: int, reader: Reader, api: Api
) -> None:
    tokens = Tokens(api, lasts=max(2, at_once))

    found = ids(reader, oauth_url=f"{api.base_url}/token", parallel_requests=at_once, **settings)

    assert found == [0, 1, 2, 3, 4]
    assert tokens.given >= 2


def test_a_client_that_is_not_known_is_told_without_its_secret(reader: Reader, api: Api) -> None:
    Tokens(api, lasts=9)
    settings = {"auth": "oauth2_client_credentials", "client_id": "c", "client_secret": "canary-wrong"}

    with pytest.raises(AuthError) as refused:
        ids(reader, oauth_url=f"{api.base_url}/token", **settings)

    assert refused.value.code == "token_refused"
    assert "canary" not in f"{refused.value} {refused.value.problem()}"


def test_a_token_that_is_refused_again_and_again_ends_the_read(reader: Reader, api: Api) -> None:
    Tokens(api, lasts=0)
    settings = {"auth": "oauth2_client_credentials", "client_id": "c", "client_secret": "canary-client"}

    with pytest.raises(AuthError):
        ids(reader, oauth_url=f"{api.base_url}/token", **settings)


@pytest.mark.parametrize("auth", ["header", "bearer", "query"])
def test_a_redirect_to_another_origin_takes_no_key_along(auth: str, reader: Reader, api: Api, other_api: Api) -> None:
    other_api.routes["/users"] = ROWS
    api.routes["/users"] = api.reply(b"", status=302, headers={"location": f"{other_api.base_url}/users"})
    stream = {"name": "users", "path": "/users"}

    found = ids(reader, stream, auth=auth, token="canary")

    assert found == [0, 1, 2, 3, 4]
    (asked,) = other_api.asked
    assert "canary" not in f"{asked.headers} {asked.query}"


def test_a_private_address_is_refused_before_it_is_asked(reader: Reader, api: Api) -> None:
    api.routes["/users"] = api.reply(b"", status=302, headers={"location": "http://169.254.169.254/latest/meta-data"})

    with pytest.raises(ConfigError) as refused:
        ids(reader, {"name": "users", "path": "/users"})

    assert refused.value.code == "address_not_allowed"


@pytest.mark.parametrize("wait", ["2", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_a_server_that_says_when_to_come_back_is_listened_to(wait: str, reader: Reader, api: Api) -> None:
    refusals = iter([api.reply({}, status=429, headers={"retry-after": wait})] * 3)
    api.routes["/users"] = lambda asked: next(refusals, None) or api.paged(ROWS)(asked)

    found = ids(reader)

    assert found == [0, 1, 2, 3, 4]
    assert [round(one) for one in reader.ctx.waits[:3]] == ([2] * 3 if wait == "2" else [300] * 3)


def test_a_storm_of_refusals_ends_as_a_passing_error(reader: Reader, api: Api) -> None:
    api.routes["/users"] = api.reply({}, status=429)

    with pytest.raises(TsunamiError) as refused:
        ids(reader)

    assert (refused.value.code, refused.value.problem().retryable) == ("rate_limited", True)
