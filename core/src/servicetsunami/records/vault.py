"""The vault: seals secrets so that each opens only as what it was sealed as.

An envelope is bytes: version, algorithm, id of the master key, the secret's own key sealed under the master key, and
the secret sealed under its own key, each with its nonce. Both seals are AES-256-GCM over the same associated data:
tenant, connection, field and version of the secret, and the envelope's head. So an envelope moved, mixed, truncated or
changed in any bit does not open.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from servicetsunami.records.key_stores import FixedKeys, KeyFile, KeyStore, SystemKeyring
from servicetsunami.records.keys import KeyRing, MasterKey
from servicetsunami.sdk import PermanentError

_PURPOSE = "servicetsunami/secret/v1"
_HEAD = b"\x01\x01"
"""Version 1, algorithm AES-256-GCM."""
_KEY, _NONCE, _TAG = 32, 12, 16
_WRAPPED_FROM = len(_HEAD) + 8
_SECRET_FROM = _WRAPPED_FROM + _NONCE + _KEY + _TAG


@dataclass(frozen=True)
class SecretName:
    """What a secret is; an envelope opens as nothing else."""

    tenant: str
    connection: str
    field: str
    version: int


class Vault:
    """Seals and opens secrets; made by `open_vault`."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        store.prepare()
        self._ring = KeyRing(store.load())
        self._seen = store.state()

    @property
    def key_id(self) -> str:
        """The id of the key that seals now."""
        self._refresh()
        return self._ring.newest.id

    @property
    def makes_keys(self) -> bool:
        """Tell whether new master keys are made here, or handed over with the settings."""
        return self._store.writable

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes derived from the key that seals now, for one purpose; a rotation changes them."""
        self._refresh()
        return self._ring.newest.derive(purpose)

    def seal(self, name: SecretName, secret: str) -> bytes:
        """Seal a secret under a fresh key of its own."""
        self._refresh()
        master, own = self._ring.newest, secrets.token_bytes(_KEY)
        head = _HEAD + bytes.fromhex(master.id)
        bound = _bound(head, name)
        return head + _encrypt(master.wrapping, own, bound) + _encrypt(own, secret.encode(), bound)

    def open(self, name: SecretName, envelope: bytes) -> str:
        """Open a secret; raises `PermanentError` (`secret_unreadable`) unless it was sealed as this one."""
        from cryptography.exceptions import InvalidTag

        head = envelope[:_WRAPPED_FROM]
        master = self._master(head)
        if master is None or len(envelope) < _SECRET_FROM + _NONCE + _TAG:
            raise unreadable(name.connection, name.field)
        try:
            own = _decrypt(master.wrapping, envelope[_WRAPPED_FROM:_SECRET_FROM], _bound(head, name))
            return _decrypt(own, envelope[_SECRET_FROM:], _bound(head, name)).decode()
        except InvalidTag:
            raise unreadable(name.connection, name.field) from None

    @staticmethod
    def key_id_of(envelope: bytes) -> str:
        """Return the id of the master key an envelope was sealed under."""
        return envelope[len(_HEAD) : _WRAPPED_FROM].hex()

    def add_key(self) -> str:
        """Make a master key that seals from now on, keep the older ones, and return the new one's id."""
        self._store.save([MasterKey.new(), *self._store.load()])
        self._refresh()
        return self._ring.newest.id

    def drop_old_keys(self) -> None:
        """Forget every master key but the newest. Only when no secret is sealed under the others any more."""
        self._store.save(self._store.load()[:1])
        self._refresh()

    def is_rotating(self) -> bool:
        """Tell whether older master keys are still kept."""
        self._refresh()
        return len(self._ring) > 1

    def _master(self, head: bytes) -> MasterKey | None:
        if not head.startswith(_HEAD):
            return None
        key_id = head[len(_HEAD) :].hex()
        known = self._ring.find(key_id)
        if known is None:
            self._refresh()
            known = self._ring.find(key_id)
        return known

    def _refresh(self) -> None:
        """Take over keys that another process made."""
        state = self._store.state()
        if state != self._seen:
            self._ring.take(self._store.load())
            self._seen = state


def open_vault(home: Path, *, master_key: str | None, use_keyring: bool = False) -> Vault:
    """Open the vault with the keys given, else with those of the keyring, else with those of `home/master.key`.

    `master_key` is base64 or hex of at least 32 bytes; several have commas between, the first seals and all open. The
    key of a keyring or a file is made at first use. Raises `ConfigError` for keys that cannot be trusted or read.
    """
    if master_key is not None:
        return Vault(FixedKeys(master_key))
    return Vault(SystemKeyring(home) if use_keyring else KeyFile(home / "master.key"))


def unreadable(connection: str, field: str) -> PermanentError:
    """Return the one error for a secret that does not open, whatever the reason."""
    return PermanentError(
        f"the stored secret '{field}' of connection {connection} cannot be opened, so the connection cannot be used",
        code="secret_unreadable",
        field=field,
        fix="connect the source again to store the secret anew; if the master key was replaced, bring the old one back",
    )


def _bound(head: bytes, name: SecretName) -> bytes:
    words = [_PURPOSE, name.tenant, name.connection, name.field, name.version]
    return head + json.dumps(words, separators=(",", ":")).encode()


def _encrypt(key: bytes, plain: bytes, bound: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def _decrypt(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)
