"""Which source a connection leads to, as far as its settings tell."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from servicetsunami.sdk import Json, Source, secret_fields

_GUARDS = re.compile(r"user(_?name)?|account|role|(ssl|tls)_?.*", re.IGNORECASE)


def source_identity(cls: type[Source[Any]], settings: Mapping[str, Any]) -> str:
    """Return a short digest of the settings that name the source; it changes when they lead to another one.

    What was synced from one source says nothing of how far another was read, even under the same connection.
    """
    config = cls.config_type
    secrets = secret_fields(config)
    names = config.identity or [name for name in config.model_fields if name not in secrets]
    values = {name: settings.get(name, config.model_fields[name].default) for name in names}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def leads_elsewhere(cls: type[Source[Any]], before: Json, now: Mapping[str, Any]) -> bool:
    """Tell whether a secret that was given for the settings `before` may not be sent where the settings `now` lead.

    So it is for another source, another account there, and another protection of the way.
    """
    if source_identity(cls, before) != source_identity(cls, now):
        return True
    fields = cls.config_type.model_fields
    guards = [name for name in fields if _GUARDS.fullmatch(name) and name not in secret_fields(cls.config_type)]
    return any(before.get(name, fields[name].default) != now.get(name, fields[name].default) for name in guards)
