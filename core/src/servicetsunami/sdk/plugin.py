"""What sources and sinks have in common."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

from servicetsunami.sdk.config import Config
from servicetsunami.sdk.context import Context

ConfigT = TypeVar("ConfigT", bound=Config)


class Plugin(ABC, Generic[ConfigT]):
    """A configured source or sink. One instance is used by one thread at a time and closed exactly once."""

    name: ClassVar[str]
    """Unique lower-case identifier, as people type it: `postgres`."""
    title: ClassVar[str] = ""
    """Name as its makers write it: `PostgreSQL`; empty for `name`."""
    config_type: ClassVar[type[Config]] = Config

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Take `config_type` from the base: `class X(Source[XConfig])`."""
        super().__init_subclass__(**kwargs)
        for base in cls.__dict__.get("__orig_bases__", ()):
            arguments = get_args(base) if get_origin(base) is not None else ()
            if arguments and isinstance(arguments[0], type) and issubclass(arguments[0], Config):
                cls.config_type = arguments[0]

    def __init__(self, config: ConfigT, ctx: Context) -> None:
        self.config = config
        self.ctx = ctx

    def close(self) -> None:
        """Release connections and files. Called once, always."""
