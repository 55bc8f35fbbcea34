"""A plugin's settings say which of their fields are secret, and a secret the host cannot keep is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr

from servicetsunami.sdk import Config, ConfigError, secret_fields


class Login(BaseModel):
    user: str
    password: SecretStr


class Proxy(BaseModel):
    host: str
    through: Proxy | None = None
    logins: dict[str, list[Login]] = {}


class Open(BaseModel):
    host: str
    next: Open | None = None


class Flat(Config):
    user: str
    password: SecretStr | None = None
    keys: tuple[SecretBytes, ...] = ()
    route: Open | None = None


class WithLogin(Config):
    login: Login


class WithProxies(Config):
    token: SecretStr
    proxies: tuple[Proxy, ...] = ()


def test_secret_fields_are_named_in_order_whatever_holds_them() -> None:
    assert secret_fields(Flat) == ("password", "keys")


@pytest.mark.parametrize(
    ("config", "path"), [(WithLogin, "login.password"), (WithProxies, "proxies.logins.password")], ids=str
)
def test_a_secret_within_a_nested_model_is_refused_by_its_path(config: Any, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        secret_fields(config)

    assert caught.value.code == "nested_secret"
    assert caught.value.field == path
