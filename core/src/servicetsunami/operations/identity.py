"""Which source a connection leads to, as far as its settings tell."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from servicetsunami.sdk import Json, Source, secret_fields


def source_identity(cls: type[Source[Any]], settings: Json) -> str:
    """Return a short digest of the settings that name the source; it changes when they lead to another one.

    What was synced from one source says nothing of how far another was read, even under the same connection.
    """
    config = cls.config_type
    secrets = secret_fields(config)
    names = config.identity or [name for name in config.model_fields if name not in secrets]
    values = {name: settings.get(name, config.model_fields[name].default) for name in names}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]
