# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where names lead. Name resolution and connections are replaced below requests, so nothing leaves this machine."""

from __future__ import annotations

import socket
import typing as t

import pytest
import urllib3.util.connection

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    RegistryError,
    Unreachable,
    UnsafeTarget,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor
from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit.stub import Stub

REGISTRY, STORAGE, TOKENS = "registry.example.com", "storage.example.net", "auth.registry.example.com"
PUBLIC, PRIVATE, LOOPBACK, METADATA = "8.8.8.8", "10.0.0.5", "127.0.0.1", "169.254.169.254"
INSIDE = [
    PRIVATE,
    LOOPBACK,
    METADATA,
    "100.64.0.1",
    "0.0.0.0",
    "::1",
    "fd00::1",
    "fe80::1",
    "::ffff:10.0.0.5",
]
DIGEST = "sha256:" + "1" * 64
ALICE = {"username": "alice", "password": "secret"}
IMAGE = images.image({"a": "1"})


class Network:
    """What names stand for, each answer once and the last for good, and who was connected to."""

    def __init__(self) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.servers: dict[str, str] = {}
        self.attempts: list[str] = []
        self.lookups: list[str] = []

    def set(self, name: str, *answers: list[str] | str) -> None:
        self.names[name] = [[one] if isinstance(one, str) else one for one in answers]

    def addresses(self, name: str) -> list[str]:
        self.lookups.append(name)
        answers = self.names[name]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """Addresses without one of ``servers`` behind them refuse connections."""
    made = Network()
    look_up, connect = socket.getaddrinfo, urllib3.util.connection.create_connection

    def getaddrinfo(host: str, port: int, *more: t.Any, **options: t.Any) -> t.Any:
        if host in made.names:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in made.addresses(host)]
        host.encode("idna")
        assert ":" in host or host.replace(".", "").isdigit(), host
        return look_up(host, port, *more, **options)

    def create_connection(address: tuple[str, int], *more: t.Any, **options: t.Any) -> t.Any:
        made.attempts.append(address[0])
        if len(address[0]) > 63:
            return connect(address, *more, **options)
        if address[0] not in made.servers:
            raise ConnectionRefusedError(111, "Connection refused")
        host, port = made.servers[address[0]].split(":")
        return connect((host, int(port)), *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(urllib3.util.connection, "create_connection", create_connection)
    made.set(REGISTRY, PUBLIC)
    return made


def redirecting(url: str) -> Stub:
    """A registry whose blobs are at ``url``."""
    return Stub(lambda server: server.reply(307, b"", Location=url))


def answering() -> Stub:
    return Stub(lambda server: server.reply(200, b"content"))


def read_blob(client: t.Any) -> bytes:
    response = client.open_blob("a/b", DIGEST)
    try:
        return bytes(response.stream.read(100) or b"")
    finally:
        response.close()


@pytest.mark.parametrize("address", INSIDE)
def test_a_public_registry_leads_to_no_name_inside(connect: t.Any, network: Network, address: str) -> None:
    network.set(STORAGE, address)
    with redirecting(f"http://{STORAGE}/x?sig=s3cret") as registry, answering() as storage:
        network.servers = {PUBLIC: registry.host, address: storage.host}
        _connection, client = connect(f"http://{REGISTRY}", **ALICE)
        with pytest.raises(
            UnsafeTarget, match=f"{REGISTRY}:80 leads to {STORAGE}:80, which has the address "
        ) as caught:
            read_blob(client)
        assert "s3cret" not in str(caught.value) and f"set trusted_realms: [{STORAGE}]" in str(caught.value)
        assert network.attempts == [PUBLIC]


@pytest.mark.parametrize("address", INSIDE)
def test_nor_to_a_token_service(connect: t.Any, network: Network, address: str) -> None:
    network.set(TOKENS, address)
    challenge = f'Bearer realm="https://{TOKENS}/token",service="x"'
    with HostileRegistry(auth="bearer", challenge=challenge) as registry:
        network.servers = {PUBLIC: registry.host}
        _connection, client = connect(f"http://{REGISTRY}", **ALICE)
        with pytest.raises(UnsafeTarget, match=f"{REGISTRY}:80 leads to {TOKENS}"):
            client.resolve("a/b", "x")
        assert network.attempts == [PUBLIC]


@pytest.mark.parametrize("address", INSIDE)
def test_nor_with_an_upload(connect: t.Any, network: Network, address: str) -> None:
    network.set(STORAGE, address)
    with Stub(lambda server: server.reply(202, b"", Location=f"http://{STORAGE}/upload")) as registry:
        network.servers = {PUBLIC: registry.host}
        _connection, client = connect(f"http://{REGISTRY}", **ALICE)
        session = client.start_upload("a/b")
        with pytest.raises(UnsafeTarget, match=f"{REGISTRY}:80 leads to {STORAGE}"):
            client.finish_upload("a/b", session, DIGEST, b"content")
        assert set(network.attempts) == {PUBLIC}


def test_nor_by_a_page(connect: t.Any, network: Network) -> None:
    """Of a Link only the query counts, so that the name is not even looked up."""
    link = f'<http://{STORAGE}/v2/a/b/tags/list?last=x>; rel="next"'
    with Stub(lambda server: server.reply(200, b'{"tags": ["x"]}', Link=link)) as registry:
        network.servers = {PUBLIC: registry.host}
        _connection, client = connect(f"http://{REGISTRY}")
        assert client.tags("a/b").names == ["x"]
        assert set(network.attempts) == {PUBLIC} and set(network.lookups) == {REGISTRY}


@pytest.mark.parametrize(
    ("home", "address", "allowed"),
    [
        (PUBLIC, "8.8.4.4", True),
        (PRIVATE, "8.8.4.4", True),
        (PRIVATE, "10.0.0.6", True),
        (PRIVATE, LOOPBACK, False),
        (PRIVATE, METADATA, False),
        (LOOPBACK, PRIVATE, True),
        (LOOPBACK, METADATA, False),
        ("fd00::1", PRIVATE, True),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_a_registry_inside_leads_as_far_as_it_lies_itself(
    connect: t.Any, network: Network, home: str, address: str, allowed: bool, named: bool
) -> None:
    """Storage of a private registry may be private, by name or as a bare address."""
    network.set(REGISTRY, home)
    network.set(STORAGE, address)
    with redirecting(f"http://{STORAGE if named else address}/x") as registry, answering() as storage:
        network.servers = {home: registry.host, address: storage.host}
        _connection, client = connect(f"http://{REGISTRY}")
        if allowed:
            assert read_blob(client) == b"content"
            assert network.attempts == [home, address]
        else:
            with pytest.raises(UnsafeTarget):
                read_blob(client)
            assert network.attempts == [home]


def test_what_was_checked_is_what_is_connected_to(connect: t.Any, network: Network) -> None:
    """A name that is public when it is looked at, and something else a moment later (DNS rebinding)."""
    network.set(STORAGE, "8.8.4.4", LOOPBACK)
    with redirecting(f"http://{STORAGE}/x") as registry, answering() as storage:
        network.servers = {PUBLIC: registry.host, "8.8.4.4": storage.host, LOOPBACK: storage.host}
        _connection, client = connect(f"http://{REGISTRY}")
        assert read_blob(client) == b"content"
        assert network.lookups == [REGISTRY, STORAGE] and network.attempts == [PUBLIC, "8.8.4.4"]


@pytest.mark.parametrize("address", [PRIVATE, LOOPBACK, METADATA])
def test_the_registrys_own_name_turns_inside(connect: t.Any, network: Network, address: str) -> None:
    network.set(REGISTRY, PUBLIC, address)
    with redirecting(f"http://{REGISTRY}:8080/x") as registry, answering() as storage:
        network.servers = {PUBLIC: registry.host, address: storage.host}
        _connection, client = connect(f"http://{REGISTRY}")
        with pytest.raises(UnsafeTarget, match=f"which has the address {address}"):
            read_blob(client)
        assert network.attempts == [PUBLIC]


def test_addresses_inside_are_left_out_among_others(connect: t.Any, network: Network) -> None:
    network.set(STORAGE, [PRIVATE, METADATA, "8.8.4.4"])
    with redirecting(f"http://{STORAGE}/x") as registry, answering() as storage:
        network.servers = {PUBLIC: registry.host, PRIVATE: storage.host, "8.8.4.4": storage.host}
        _connection, client = connect(f"http://{REGISTRY}")
        assert read_blob(client) == b"content"
        assert network.attempts == [PUBLIC, "8.8.4.4"]


@pytest.mark.parametrize(("address", "allowed"), [(PRIVATE, True), (LOOPBACK, True), (METADATA, False)])
@pytest.mark.parametrize("entry", [STORAGE, f"{STORAGE}:80", "*.example.net"])
def test_a_host_that_the_user_names_may_be_inside(
    connect: t.Any, network: Network, address: str, allowed: bool, entry: str
) -> None:
    network.set(STORAGE, address)
    with redirecting(f"http://{STORAGE}/x") as registry, answering() as storage:
        network.servers = {PUBLIC: registry.host, address: storage.host}
        _connection, client = connect(f"http://{REGISTRY}", trusted_realms=[entry])
        if allowed:
            assert read_blob(client) == b"content"
        else:
            with pytest.raises(UnsafeTarget):
                read_blob(client)
            assert network.attempts == [PUBLIC]


def test_all_addresses_are_tried(connect: t.Any, network: Network) -> None:
    network.set(REGISTRY, ["2001:4860:4860::8888", PUBLIC, "8.8.4.4"])
    with HostileRegistry() as registry:
        registry.add("a/b", IMAGE, "x")
        network.servers = {"8.8.4.4": registry.host}
        _connection, client = connect(f"http://{REGISTRY}", retries=0)
        assert client.resolve("a/b", "x") == Descriptor(IMAGE.media_type, IMAGE.digest, len(IMAGE.raw))
        assert network.attempts == ["2001:4860:4860::8888", PUBLIC, "8.8.4.4"]
        network.servers.clear()
        _connection, other = connect(f"http://{REGISTRY}", retries=0)
        with pytest.raises(Unreachable, match="the connection was refused"):
            other.resolve("a/b", "x")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (socket.gaierror(-2, "Name or service not known"), "cannot be resolved: check its spelling|the DNS"),
        (socket.gaierror(-3, "Temporary failure in name resolution"), "cannot be resolved at present"),
    ],
)
def test_a_name_without_an_address(
    connect: t.Any, monkeypatch: pytest.MonkeyPatch, error: OSError, says: str
) -> None:
    def fail(*_arguments: t.Any, **_options: t.Any) -> t.Any:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    _connection, client = connect(f"http://{REGISTRY}", retries=0)
    with pytest.raises(Unreachable, match=says):
        client.resolve("a/b", "x")


def test_a_name_that_no_address_can_have(connect: t.Any, network: Network) -> None:
    with redirecting(f"http://{'a' * 70}.example.net/x") as registry:
        network.servers = {PUBLIC: registry.host}
        _connection, client = connect(f"http://{REGISTRY}", retries=0)
        with pytest.raises(RegistryError, match="cannot be requested|broke: LocationParseError"):
            read_blob(client)
