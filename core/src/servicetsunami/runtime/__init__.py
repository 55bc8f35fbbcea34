"""What every part of the host stands on: settings, the way out to networks and files, redaction, plugin contexts."""

from servicetsunami.runtime.addresses import AddressPolicy
from servicetsunami.runtime.context import HostContext
from servicetsunami.runtime.dialling import dial
from servicetsunami.runtime.loading import LoadedSettings, load_settings
from servicetsunami.runtime.logs import configure_logging
from servicetsunami.runtime.presence import Presence
from servicetsunami.runtime.redaction import Redactor
from servicetsunami.runtime.references import References
from servicetsunami.runtime.roots import roots_for
from servicetsunami.runtime.serving import active_sink, refuse_unserved
from servicetsunami.runtime.settings import Settings, live_secrets, sink_settings, variable_of
from servicetsunami.sdk.files import open_in_root

__all__ = [
    "AddressPolicy",
    "HostContext",
    "LoadedSettings",
    "Presence",
    "Redactor",
    "References",
    "Settings",
    "active_sink",
    "configure_logging",
    "dial",
    "live_secrets",
    "load_settings",
    "open_in_root",
    "refuse_unserved",
    "roots_for",
    "sink_settings",
    "variable_of",
]
