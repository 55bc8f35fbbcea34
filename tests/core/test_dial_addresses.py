"""No connection to an address the policy forbids, however it is spelt; what is allowed is reached."""

import socket
from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from servicetsunami.runtime import AddressPolicy, dial
from servicetsunami.runtime.dialling import Endpoint, SystemNetwork
from servicetsunami.sdk import ConfigError

_NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "169.254.170.2",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.0.1",
    "100.100.100.200",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "192.88.99.1",
    "::",
    "fe80::1",
    "fe80::1%1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "100::1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "::ffff:168.63.129.16",
    "::ffff:0.0.0.0",
    "64:ff9b::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::169.254.169.254",
    "2002:a9fe:a9fe::",
    "2002:a83f:8110::1",
    "2001:0:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:5601:5601",
    "2001:db8::5efe:169.254.169.254",
    "2001:db8::200:5efe:169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "0xa9.0xfe.0xa9.0xfe",
]
_PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "203.0.113.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:0a00:0001::1",
    "2130706433",
    "0177.0.0.1",
    "127.1",
    "0x7f000001",
]
_MALFORMED = [
    "",
    "127.0.0.1\0.example.com",
    "example.com\n",
    "example.com\r\nHost: x",
    "exa mple.com",
    "\texample.com",
    "example.com\x7f",
    "example.com\\@127.0.0.1",
    "ada:secret@example.com",
    "ada@example.com",
    "example.com/path",
    "/var/run/postgresql",
    "example.com?x",
    "example.com#x",
    "a" * 254,
]


class _RecordingNetwork:
    """Resolves as the system does, or to what it is told; remembers every connection instead of making it."""

    def __init__(self, *answers: str, failures: Sequence[OSError | None] = ()) -> None:
        self.answers = answers
        self.failures = list(failures)
        self.connected: list[str] = []

    def resolve(self, host: str, port: int) -> Sequence[Endpoint]:
        names = self.answers or (host,)
        return [endpoint for name in names for endpoint in SystemNetwork().resolve(name, port)]

    def connect(self, endpoint: Endpoint, timeout_seconds: float) -> None:
        assert timeout_seconds > 0
        self.connected.append(endpoint.ip)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure


def _refusal(host: str, network: _RecordingNetwork, policy: AddressPolicy, port: int = 5432) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        dial(host, port, policy, network=network)
    return refused.value


@pytest.mark.parametrize("host", _NEVER)
def test_a_metadata_or_special_address_is_never_dialled(host: str) -> None:
    network = _RecordingNetwork()
    everything = AddressPolicy(allow_private=True, networks=(ip_network("0.0.0.0/0"), ip_network("::/0")))

    error = _refusal("metadata.example.com", _RecordingNetwork(host), everything)
    direct = error if "%" in host else _refusal(host, network, everything)

    assert error.code == direct.code == "address_not_allowed"
    assert network.connected == []


@pytest.mark.parametrize("host", _PRIVATE)
def test_a_private_address_is_dialled_only_where_the_policy_allows_it(host: str) -> None:
    refused, allowed = _RecordingNetwork(), _RecordingNetwork()

    error = _refusal(host, refused, AddressPolicy(allow_private=False))
    dial(host, 5432, AddressPolicy(allow_private=True), network=allowed)

    assert (error.code, refused.connected) == ("address_not_allowed", [])
    assert len(allowed.connected) == 1


@pytest.mark.parametrize("host", _MALFORMED)
def test_a_host_that_is_no_host_name_is_refused_before_it_is_resolved(host: str) -> None:
    network = _RecordingNetwork("93.184.216.34")

    error = _refusal(host, network, AddressPolicy())

    assert (error.code, error.step, network.connected) == ("address_not_allowed", "resolve", [])
    assert "secret" not in error.message


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    error = _refusal("127.0.0.1", _RecordingNetwork(), AddressPolicy(), port)

    assert (error.code, error.field) == ("address_not_allowed", "port")


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "2002:5db8:d822::1"])
def test_a_public_address_is_dialled_under_the_strictest_policy(address: str) -> None:
    network = _RecordingNetwork(address)

    found = dial("www.example.com", 443, AddressPolicy(allow_private=False), network=network)

    assert (found.host, found.ip, found.port) == ("www.example.com", address, 443)
    assert network.connected == [address]


def test_a_listed_network_is_dialled_and_its_neighbour_is_not() -> None:
    policy = AddressPolicy(allow_private=False, networks=(ip_network("10.1.0.0/16"),))

    found = dial("10.1.2.3", 5432, policy, network=_RecordingNetwork())
    error = _refusal("10.2.2.3", _RecordingNetwork(), policy)

    assert (found.ip, error.code) == ("10.1.2.3", "address_not_allowed")


@pytest.mark.parametrize("answers", [("93.184.216.34", "10.0.0.1"), ("10.0.0.1", "93.184.216.34")])
def test_one_forbidden_answer_refuses_the_name(answers: tuple[str, str]) -> None:
    network = _RecordingNetwork(*answers)

    error = _refusal("rebinding.example.com", network, AddressPolicy(allow_private=False))

    assert (error.code, network.connected) == ("address_not_allowed", [])


def test_every_refusal_of_an_address_reads_the_same() -> None:
    strict = AddressPolicy(allow_private=False)

    errors = [_refusal("db.example.com", _RecordingNetwork(ip), strict) for ip in ("10.0.0.1", "127.0.0.1", "fe80::1")]

    assert len({error.problem() for error in errors}) == 1


def test_the_next_address_is_tried_where_the_first_refuses() -> None:
    network = _RecordingNetwork("10.0.0.1", "10.0.0.2", failures=[ConnectionRefusedError(111, "refused"), None])

    found = dial("db.example.com", 5432, AddressPolicy(), network=network)

    assert (found.ip, network.connected) == ("10.0.0.2", ["10.0.0.1", "10.0.0.2"])


def test_silence_is_told_apart_from_refusal() -> None:
    silent = _RecordingNetwork("10.0.0.1", "10.0.0.2", failures=[TimeoutError(), ConnectionRefusedError(111, "no")])
    closed = _RecordingNetwork("10.0.0.1", failures=[ConnectionRefusedError(111, "Connection refused")])

    timeout = _refusal("db.example.com", silent, AddressPolicy())
    refused = _refusal("db.example.com", closed, AddressPolicy())

    assert (timeout.code, timeout.step) == ("connection_timeout", "connect")
    assert (refused.code, refused.step, refused.why) == ("connection_refused", "connect", "Connection refused")


def test_an_unknown_name_is_told_at_the_step_resolve() -> None:
    class _Nobody(_RecordingNetwork):
        def resolve(self, host: str, port: int) -> Sequence[Endpoint]:
            raise socket.gaierror(socket.EAI_NONAME, f"{host}:{port} is not known")

    error = _refusal("no-such-host.example.com", _Nobody(), AddressPolicy())

    assert (error.code, error.step, error.field) == ("host_not_found", "resolve", "host")


def test_a_label_too_long_for_a_name_is_an_unknown_host() -> None:
    error = _refusal("a" * 64 + ".example.com", _RecordingNetwork(), AddressPolicy())

    assert error.code == "host_not_found"


def test_a_real_listener_is_reached_and_a_closed_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = dial("127.0.0.1", port, AddressPolicy())

    with pytest.raises(ConfigError) as refused:
        dial("127.0.0.1", port, AddressPolicy(), timeout_seconds=5)

    assert (found.ip, found.port) == ("127.0.0.1", port)
    assert refused.value.code == "connection_refused"
