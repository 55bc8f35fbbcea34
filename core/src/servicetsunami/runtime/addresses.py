"""Which addresses may be reached, judged on the resolved address alone: names and spellings can lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Ip = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# `is_global` of the standard library calls several of these public; see also the special registries of IANA.
_NEVER: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "100.100.100.200/32",  # metadata, Alibaba Cloud
        "168.63.129.16/32",  # metadata, Azure
        "169.254.0.0/16",  # link-local and metadata
        "192.0.0.0/24",  # protocol assignments; holds the metadata address of Oracle Cloud
        "192.88.99.0/24",  # 6to4 relays
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "::/128",  # unspecified
        "64:ff9b:1::/48",  # NAT64 inside a network: hides an IPv4 address at a place that only its operator knows
        "100::/64",  # discard
        "fd00:ec2::/32",  # metadata, AWS
        "fd20:ce::/32",  # metadata, Google Cloud
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local, withdrawn
        "ff00::/8",  # multicast
    )
)
_LAST_32_BITS = (IPv6Network("::/96"), IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
_LOOPBACK_6 = IPv6Address("::1")
_ISATAP = (0x00005EFE, 0x02005EFE)


@dataclass(frozen=True)
class AddressPolicy:
    """What may be reached: public addresses always, link-local and metadata never, private ones by choice."""

    allow_private: bool = True
    networks: tuple[Network, ...] = ()
    """Private networks that may be reached even so."""

    def permits(self, address: Ip) -> bool:
        """Tell whether the address, and every IPv4 address wrapped in it, may be reached."""
        return all(self._permits_one(one) for one in (address, *_wrapped(address)))

    def _permits_one(self, address: Ip) -> bool:
        if _within(address, _NEVER):
            return False
        private = not address.is_global and not _is_carrier(address)
        return not private or self.allow_private or _within(address, self.networks)


def _within(address: Ip, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _is_carrier(address: Ip) -> bool:
    """Tell whether an address only carries an IPv4 address, so that it is as public as that one."""
    return isinstance(address, IPv6Address) and next(_wrapped(address), None) is not None


def _wrapped(address: Ip) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 address stands for: mapped, compatible, NAT64, 6to4, Teredo, ISATAP."""
    if not isinstance(address, IPv6Address) or address == _LOOPBACK_6:
        return
    if any(address in network for network in _LAST_32_BITS):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
