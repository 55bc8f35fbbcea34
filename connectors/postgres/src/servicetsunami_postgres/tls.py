"""TLS contexts from PEM text, with nothing taken from files or the environment."""

from __future__ import annotations

import os
import ssl
from typing import Any

from servicetsunami.sdk import ConfigError
from servicetsunami_postgres.config import PostgresConfig


class _NamedContext(ssl.SSLContext):
    """Verifies against the host a person named, while the connection goes to the address that was checked."""

    server_name: str

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Wrap as the base does, with the name to verify."""
        return super().wrap_bio(*args, **{**kwargs, "server_hostname": self.server_name})


def tls_context(config: PostgresConfig) -> ssl.SSLContext | None:
    """Return the context `config` asks for, None where it asks for no TLS; raises `ConfigError` for bad PEM text."""
    if config.sslmode == "disable":
        return None
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = config.host
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["postgresql"])
    context.check_hostname = config.sslmode == "verify-full"
    if config.sslmode.startswith("verify"):
        context.verify_mode = ssl.CERT_REQUIRED
        _trust(context, config.ssl_root_cert)
    else:
        context.verify_mode = ssl.CERT_NONE
    _identify(context, config)
    return context


def _trust(context: ssl.SSLContext, authorities: str | None) -> None:
    if not authorities:
        context.load_default_certs()
        return
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise _bad_pem("ssl_root_cert", "certificate authorities") from error


def _identify(context: ssl.SSLContext, config: PostgresConfig) -> None:
    if not config.ssl_cert:
        return
    if config.ssl_key is None:
        raise ConfigError(
            "a client certificate is set, but not its key",
            code="bad_certificate",
            field="ssl_key",
            fix="set ssl_key to the PEM text of the certificate's key",
        )
    _load_pair(context, config.ssl_cert + "\n" + config.ssl_key.get_secret_value())


def _load_pair(context: ssl.SSLContext, pem: str) -> None:
    """Load certificate and key through a file in memory: OpenSSL takes them from a path only, and no disk sees them."""
    if not hasattr(os, "memfd_create"):
        raise ConfigError(
            "client certificates need a file in memory, which this system does not offer",
            code="unsupported",
            field="ssl_cert",
            fix="run on Linux, or use a password",
        )
    descriptor = os.memfd_create("tsunami-client-key", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem.encode())
        # An empty password, so that OpenSSL never asks for one at the terminal.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
    except (ssl.SSLError, OSError) as error:
        raise _bad_pem("ssl_cert", "a client certificate with its unencrypted key") from error
    finally:
        os.close(descriptor)


def _bad_pem(field: str, what: str) -> ConfigError:
    return ConfigError(
        f"{field} does not hold {what} in PEM text, so no TLS connection can be made",
        code="bad_certificate",
        field=field,
        step="tls",
        fix="paste the whole text, from -----BEGIN to -----END",
    )
