# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP below the registry's API: retries, redirects, limits, TLS, proxies, and what never leaves."""

from __future__ import annotations

import email.utils
import gzip
import pathlib
import socket
import ssl
import subprocess
import threading
import time
import typing as t
import zlib

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    ProtocolError,
    RateLimited,
    RegistryError,
    ServerFault,
    TlsFailure,
    Unauthorized,
    Unreachable,
    UnsafeTarget,
)
from ansible_collections.ocikit.registry.plugins.module_utils._http import transport as _transport
from ansible_collections.ocikit.registry.plugins.module_utils._http.transport import (
    Body,
    Request,
    retry_after,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from tests.hostile import HostileRegistry
from tests.registries import Registry, find_tool, images
from tests.unit.stub import Stub

ALICE = {"username": "alice", "password": "secret"}
IMAGE = images.image({"a": "1"})
BLOB, CONTENT = next(iter(IMAGE.blobs.items()))
HEAD = "^HEAD /v2/a/b/manifests/"


@pytest.fixture(autouse=True)
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[t.Any]:
    """The addresses that were to be connected to. None outside loopback is let through."""
    found: list[t.Any] = []
    connect = socket.socket.connect

    def watch(self: socket.socket, address: t.Any) -> None:
        found.append(address)
        assert address[0] in ("127.0.0.1", "::1"), f"a connection to {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watch)
    return found


def get(client: RegistryClient, path: str = "", **more: t.Any) -> t.Any:
    return client._transport.send(Request("GET", client.endpoint.base + path, **more))


# Retries


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_burst_of_failures_is_overcome(connect: t.Any, status: int) -> None:
    with HostileRegistry(fail_first=4, fail_status=status, fail_on=HEAD) as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        assert client.resolve("a/b", "x").digest == IMAGE.digest
        assert server.count(HEAD) == 5


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_an_answer_that_will_not_change_is_not_asked_for_again(connect: t.Any, status: int) -> None:
    with HostileRegistry(fail_first=-1, fail_status=status) as server:
        _connection, client = connect(server.url)
        assert get(client).status == status
        assert server.count("") == 1


def test_failures_without_end(connect: t.Any) -> None:
    with HostileRegistry(fail_first=-1, fail_status=503) as server:
        _connection, client = connect(server.url, retries=2)
        with pytest.raises(ServerFault, match="answered HTTP 503 UNAVAILABLE: Not now") as caught:
            client.manifest("a/b", "x")
        assert server.count("") == 3
        error = caught.value.to_dict()
        assert (error["kind"], error["status"], error["code"], error["message"], error["method"]) == (
            "server", 503, "UNAVAILABLE", "Not now.", "GET"
        )  # fmt: skip
        assert error["url"] == f"{server.url}/v2/a/b/manifests/x"


def test_no_retries(connect: t.Any) -> None:
    with HostileRegistry(drop_first=1) as server:
        _connection, client = connect(server.url, retries=0)
        with pytest.raises(Unreachable):
            get(client)
        assert server.count("") == 1


@pytest.mark.parametrize("value", ["1", "date"])
def test_retry_after_is_respected(connect: t.Any, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    with HostileRegistry(fail_first=1, fail_status=429, retry_after=value) as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        monkeypatch.setattr(time, "sleep", slept.append)
        assert client.resolve("a/b", "x").digest == IMAGE.digest
    # A date has whole seconds only.
    assert (
        len(slept) <= 1
        and all(0 < pause <= 1 for pause in slept)
        and (slept and slept[0] > 0.9 or value == "date")
    )


def test_a_retry_after_that_is_too_long_fails_at_once(connect: t.Any) -> None:
    with HostileRegistry(fail_first=-1, fail_status=429, retry_after="3600") as server:
        _connection, client = connect(server.url)
        with pytest.raises(RateLimited, match="asks to come back in 3600 seconds") as caught:
            client.resolve("a/b", "x")
        assert caught.value.to_dict()["status"] == 429 and server.count("") == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("5", 5.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("soon", None),
        ("nan", None),
        (email.utils.formatdate(1030, usegmt=True), 30.0),
        (email.utils.formatdate(900, usegmt=True), 0.0),
        ("Thu, 01 Jan 1970 00:17:10", 30.0),
        ("Thu, 99 Jan 1970 00:00:00 GMT", None),
        ("Thu, 01 Jan 99999 00:00:00 GMT", None),
    ],
)
def test_values_of_retry_after(value: str | None, expected: float | None) -> None:
    assert retry_after(value, now=1000.0) == expected


def test_an_endless_retry_after_is_too_long(connect: t.Any) -> None:
    with HostileRegistry(fail_first=-1, fail_status=503, retry_after="inf") as server:
        _connection, client = connect(server.url)
        with pytest.raises(RateLimited):
            get(client)


@pytest.mark.parametrize("when", ["before", "after"])
def test_dropped_connections_are_made_anew(connect: t.Any, when: str) -> None:
    with HostileRegistry(drop_first=3, drop_when=when) as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        assert client.resolve("a/b", "x").digest == IMAGE.digest
        assert server.count(HEAD) == 4


@pytest.mark.parametrize("behaviour", [{"drop_first": -1}, {"fail_first": -1, "fail_status": 503}])
def test_what_must_not_be_repeated_is_sent_once(connect: t.Any, behaviour: dict[str, t.Any]) -> None:
    with HostileRegistry(**behaviour) as server:
        _connection, client = connect(server.url)
        request = Request("PUT", client.endpoint.base + "x", body=b"1", repeatable=False)
        try:
            assert client._transport.send(request).status == 503
        except Unreachable:
            assert "drop_first" in behaviour
        assert server.count("^PUT ") == 1


def test_what_was_too_much_for_the_registry_can_be_sent_again(connect: t.Any) -> None:
    with HostileRegistry(fail_first=2, fail_status=429, fail_on="^PUT ") as server:
        _connection, client = connect(server.url)
        client._transport.send(Request("PUT", client.endpoint.base + "x", body=b"1", repeatable=False))
        assert server.count("^PUT ") == 3


def test_nobody_is_there(connect: t.Any) -> None:
    # The port stays taken, so that no server of another test listens at it.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        _connection, client = connect(f"http://127.0.0.1:{port}")
        with pytest.raises(
            Unreachable, match=f"127.0.0.1:{port}: the connection was refused: check that"
        ) as caught:
            # Names with SSL or 407 in them are no sign of anything.
            client.resolve("a/ssl407", "SSL-407")
    assert caught.value.to_dict()["kind"] == "unreachable"


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the name cannot be resolved: check its spelling"),
        (
            socket.gaierror(-3, "Temporary failure in name resolution"),
            "the name cannot be resolved at present",
        ),
    ],
)
def test_names_that_do_not_resolve(connect: t.Any, monkeypatch: t.Any, problem: Exception, says: str) -> None:
    def resolve(*_unused: t.Any, **_more: t.Any) -> t.NoReturn:
        raise problem

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    _connection, client = connect("https://registry.invalid", retries=1)
    with pytest.raises(Unreachable, match=f"registry.invalid:443: {says}"):
        client.resolve("a/b", "x")


def test_a_broken_connection_says_no_more_than_it_knows(connect: t.Any) -> None:
    with HostileRegistry(drop_first=-1) as server:
        _connection, client = connect(server.url, retries=1)
        with pytest.raises(Unreachable, match=r"The connection with 127.0.0.1:\d+ broke: \w+\.$"):
            client.resolve("a/ssl", "SSL-407")


def test_a_read_that_takes_too_long(connect: t.Any) -> None:
    with HostileRegistry(delay=1.0) as server:
        _connection, client = connect(server.url, read_timeout=0.1, retries=0)
        with pytest.raises(Unreachable, match=r"did not answer in time \(read_timeout\)"):
            get(client)


def test_threads_wait_together(connect: t.Any) -> None:
    with HostileRegistry(fail_first=1, fail_status=429, retry_after="1") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        moments: list[float] = []
        server.before = lambda _request: moments.append(time.monotonic())
        first = threading.Thread(target=client.resolve, args=("a/b", "x"))
        first.start()
        while not client._transport._resume_at:
            time.sleep(0.005)
        client.resolve("a/b", "x")
        first.join()
        assert len(moments) == 3 and min(moments[1:]) - moments[0] > 0.9


# Redirects


def test_another_origin_gets_no_credentials(connect: t.Any, tmp_path: t.Any, monkeypatch: t.Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password netrc-secret\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    for auth in ("basic", "bearer"):
        with HostileRegistry(auth=auth, realm="same", blob_redirect="other") as server:
            server.add("a/b", IMAGE, "x")
            _connection, client = connect(server.url, **ALICE)
            # Storage rejects whatever is sent with an Authorization header.
            assert client.open_blob("a/b", BLOB).status == 200
            there = [request for request in server.requests if request.origin == "other"]
            assert [request.headers["Authorization"] for request in there] == [None]
            sent = " ".join(str(request.headers) for request in server.requests)
            assert "ZXZlOm5ldHJj" not in sent and "Cookie" not in sent


def test_netrc_is_not_used_for_the_registry_either(
    connect: t.Any, tmp_path: t.Any, monkeypatch: t.Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login alice password secret\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    with HostileRegistry(auth="basic") as server:
        _connection, client = connect(server.url)
        with pytest.raises(Unauthorized):
            client.resolve("a/b", "x")
        assert [request.headers["Authorization"] for request in server.requests] == [None]


def test_the_own_origin_keeps_credentials_on_redirects(connect: t.Any) -> None:
    with HostileRegistry(auth="basic", blob_redirect="same") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, **ALICE)
        assert client.open_blob("a/b", BLOB).status == 200
        assert all(request.headers["Authorization"] for request in server.requests[1:])


def test_redirects_without_end(connect: t.Any) -> None:
    with HostileRegistry(blob_redirect="loop") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        with pytest.raises(ProtocolError, match="redirects more than 5 times") as caught:
            client.open_blob("a/b", BLOB)
        assert server.count("") == 6 and "?" not in str(caught.value)


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://0.0.0.0/",
        "http://2852039166/",
        "http://user@127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_redirects_to_where_nobody_should_go(
    connect: t.Any, attempts: list[t.Any], target: str, method: str
) -> None:
    with Stub(
        lambda server: server.reply(307, Location=target.encode("latin-1", "replace").decode("latin-1"))
    ) as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(UnsafeTarget):
            client._transport.send(Request(method, client.endpoint.base))
        assert {address[1] for address in attempts} == {int(stub.host.rpartition(":")[2])}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_writes_are_not_redirected(connect: t.Any, status: int) -> None:
    with Stub(lambda server: server.reply(status, Location="/elsewhere")) as stub:
        _connection, client = connect(stub.url)
        for method in ("PUT", "POST", "PATCH", "DELETE"):
            answer = client._transport.send(
                Request(method, client.endpoint.base, body=b"1" if method != "DELETE" else None)
            )
            assert answer.status == status
        assert [path for _method, path, _headers, _port in stub.seen] == ["/v2/"] * 4


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_the_body_of_a_redirect_has_a_limit_too(connect: t.Any, method: str) -> None:
    bomb = gzip.compress(bytes(4 << 20))
    with Stub(lambda server: server.reply(307, bomb, Location="/elsewhere", Content_Encoding="gzip")) as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(ProtocolError, match="larger than 1048576 bytes"):
            client._transport.send(Request(method, client.endpoint.base, limit=1 << 20))
        assert [path for _method, path, _headers, _port in stub.seen] == ["/v2/"]


def test_a_location_that_is_not_utf8(connect: t.Any) -> None:
    with Stub(lambda server: server.reply(307, Location="http\xcf://127.0.0.1/")) as stub:
        _connection, client = connect(stub.url, retries=0)
        with pytest.raises(RegistryError):
            get(client)


def test_signed_addresses_are_asked_for_as_they_are(connect: t.Any) -> None:
    signed = "/x%2By/~a!$&'()*+,;=:@?X-Sig=a+b%3D%2F~!*'()&empty=&x"

    def answer(server: t.Any) -> None:
        server.reply(200, b"ok") if server.path == signed else server.reply(307, Location=signed)

    with Stub(answer) as stub:
        _connection, client = connect(stub.url)
        assert get(client).body == b"ok"
        assert [path for _method, path, _headers, _port in stub.seen] == ["/v2/", signed]


def test_addresses_with_other_letters_are_encoded(connect: t.Any) -> None:
    encoded = "/caf%C3%A9?name=%C3%BC"

    def answer(server: t.Any) -> None:
        server.reply(200, b"ok") if server.path == encoded else server.reply(
            307, Location="/caf\xe9?name=\xfc"
        )

    with Stub(answer) as stub:
        _connection, client = connect(stub.url)
        assert get(client).body == b"ok"
        assert [path for _method, path, _headers, _port in stub.seen] == ["/v2/", encoded]


def test_cookies_are_not_sent_back(connect: t.Any) -> None:
    with Stub(lambda server: server.reply(200, b"{}", Set_Cookie="session=1; Path=/")) as stub:
        _connection, client = connect(stub.url)
        get(client), get(client)
        assert [headers.get("Cookie") for _method, _path, headers, _port in stub.seen] == [None, None]


def test_headers_of_every_request(connect: t.Any) -> None:
    with Stub(lambda server: server.reply(200, b"{}")) as stub:
        _connection, client = connect(stub.url)
        get(client)
        headers = stub.seen[0][2]
        assert sorted(headers.keys()) == ["Accept-Encoding", "Host", "User-Agent"]
        assert (headers["Accept-Encoding"], headers["User-Agent"]) == ("identity", _transport.USER_AGENT)


# Bodies


def test_gzip_that_nobody_asked_for(connect: t.Any) -> None:
    with HostileRegistry(content_encoding="gzip") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        assert client.manifest("a/b", IMAGE.digest).raw == IMAGE.raw


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"\0" * (40 << 20)),
        b"x" * (2 << 20),
        # Nothing, compressed without end: only what comes in can be counted.
        zlib.compress(b"", 9)[:0] + gzip.compress(b"")[:10] + b"\x00\x00\x00\xff\xff" * (1 << 19),
    ],
    ids=["bomb", "plain", "nothing"],
)
def test_huge_bodies_are_cut(connect: t.Any, body: bytes) -> None:
    encoding = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    with Stub(lambda server: server.reply(200, body, **encoding)) as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(ProtocolError, match="is larger than 1048576 bytes"):
            get(client, limit=1 << 20)


def test_a_body_without_a_length_is_bounded_too(connect: t.Any) -> None:
    sent = [0]

    def answer(server: t.Any) -> None:
        server.send_response(200)
        server.send_header("Transfer-Encoding", "chunked")
        server.end_headers()
        while sent[0] < 64 << 20:
            server.wfile.write(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")
            sent[0] += 1 << 20

    with Stub(answer) as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(ProtocolError, match="is larger than"):
            get(client, limit=1 << 20)
    assert sent[0] < 64 << 20


def test_a_huge_manifest(connect: t.Any) -> None:
    with HostileRegistry(huge_manifest=9 << 20) as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        with pytest.raises(ProtocolError, match="is larger than 8388608 bytes"):
            client.manifest("a/b", "x")


@pytest.mark.parametrize("body", [b"\x1f\x8bnonsense", b"plain"])
def test_gzip_that_is_none(connect: t.Any, body: bytes) -> None:
    with Stub(lambda server: server.reply(200, body, Content_Encoding="gzip")) as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(ProtocolError, match="The gzip encoding of .* is broken"):
            get(client)


def test_a_body_that_ends_early_is_asked_for_again(connect: t.Any) -> None:
    def answer(server: t.Any) -> None:
        short = len(stub.seen) < 3
        server.reply(200, b"12345" if short else b"1234567890", Content_Length="10")
        server.close_connection = True

    with Stub(answer) as stub:
        _connection, client = connect(stub.url)
        assert get(client).body == b"1234567890" and len(stub.seen) == 3


def test_the_body_of_a_416_is_not_read(connect: t.Any) -> None:
    with HostileRegistry(range_error="wrong-length") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, read_timeout=5.0)
        answer = get(client, f"a/b/blobs/{BLOB}", headers={"Range": "bytes=999999-"})
        assert (answer.status, answer.body) == (416, b"")
        assert client.resolve("a/b", "x").digest == IMAGE.digest


def test_an_empty_stream_has_a_length(connect: t.Any) -> None:
    with Stub(lambda server: server.reply(201)) as stub:
        _connection, client = connect(stub.url)
        client._transport.send(Request("PUT", client.endpoint.base, body=Body.of(b"")))
        headers = stub.seen[0][2]
        assert (headers["Content-Length"], headers["Transfer-Encoding"]) == ("0", None)


def test_connections_are_used_again(connect: t.Any) -> None:
    with Stub(lambda server: server.reply(404 if "x" in server.path else 200, b"{}")) as stub:
        _connection, client = connect(stub.url)
        for method in ("GET", "HEAD", "GET", "DELETE", "HEAD", "PUT"):
            for path in ("", "x"):
                client._transport.send(Request(method, client.endpoint.base + path))
        assert len({port for _method, _path, _headers, port in stub.seen}) == 1


def test_headers_that_contradict_each_other(connect: t.Any) -> None:
    with Stub(lambda server: server.reply(200, b"x", **{"Content-Length": "2"})) as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(ProtocolError, match="sent headers that contradict each other"):
            get(client)


@pytest.mark.parametrize("token", ["a b", "a\nX-Evil: 1", "tökén"])
def test_a_token_that_cannot_be_a_header(connect: t.Any, token: str) -> None:
    with Stub(lambda server: server.reply(200, b"{}")) as stub:
        _connection, client = connect(stub.url, token=token)
        with pytest.raises(InvalidInput, match="The token from the option token holds characters") as caught:
            get(client)
        assert stub.seen == [] and token not in str(caught.value)


@pytest.mark.parametrize(
    "answer", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", b""]
)
def test_what_is_no_http(connect: t.Any, answer: bytes) -> None:
    def write(server: t.Any) -> None:
        server.wfile.write(answer)
        server.close_connection = True

    with Stub(write) as stub:
        _connection, client = connect(stub.url, retries=1)
        with pytest.raises(Unreachable):
            get(client)


# TLS


@pytest.fixture(scope="module")
def tls() -> t.Iterator[Registry]:
    with Registry(tls=True) as server:
        images.push(server.url, "a/b", IMAGE, "x", verify=str(server.ca))
        yield server


@pytest.fixture(scope="module")
def demanding() -> t.Iterator[Registry]:
    """A registry that wants a client certificate."""
    with Registry(client_ca=True) as server:
        yield server


def test_an_unknown_authority(connect: t.Any, tls: Registry) -> None:
    tls.clear_requests()
    _connection, client = connect(tls.url, **ALICE)
    with pytest.raises(TlsFailure, match="not signed by a trusted authority: set ca_path") as caught:
        client.resolve("a/b", "x")
    assert caught.value.to_dict()["kind"] == "tls" and tls.requests() == []


def test_an_own_authority(connect: t.Any, tls: Registry, monkeypatch: t.Any) -> None:
    _connection, client = connect(tls.url, ca_path=tls.ca)
    assert client.resolve("a/b", "x").digest == IMAGE.digest
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.ca))
    _connection, client = connect(tls.url)
    assert client.resolve("a/b", "x").digest == IMAGE.digest
    monkeypatch.setenv("SSL_CERT_FILE", "/does/not/exist")
    _connection, client = connect(tls.url, validate_certs=False)
    assert client.resolve("a/b", "x").digest == IMAGE.digest


def test_a_directory_of_authorities(connect: t.Any, tls: Registry, tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "authorities"
    directory.mkdir()
    _connection, client = connect(tls.url, ca_path=str(directory))
    with pytest.raises(TlsFailure):
        client.resolve("a/b", "x")
    # OpenSSL finds a certificate there by the hash of its subject, as `openssl rehash` names it.
    command = [find_tool("openssl", "openssl"), "x509", "-in", str(tls.ca), "-noout", "-hash"]
    hashed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    (directory / f"{hashed}.0").write_bytes(pathlib.Path(str(tls.ca)).read_bytes())
    _connection, client = connect(tls.url, ca_path=str(directory))
    assert client.resolve("a/b", "x").digest == IMAGE.digest


def test_a_certificate_for_another_host(connect: t.Any, tls: Registry) -> None:
    # A tunnel gives the registry another name.
    with Stub(tunnel_to(tls.host)) as proxy:
        _connection, client = connect(
            tls.url.replace("127.0.0.1", "wrong.invalid"), ca_path=tls.ca, proxy=proxy.url
        )
        with pytest.raises(TlsFailure, match="its certificate is for another host name"):
            client.resolve("a/b", "x")


def test_https_to_a_plain_port(connect: t.Any, registry: Registry) -> None:
    _connection, client = connect(registry.url.replace("http:", "https:"))
    with pytest.raises(TlsFailure, match="it speaks plain HTTP: set plain_http to true"):
        client.resolve("a/b", "x")


def test_http_to_a_tls_port(connect: t.Any, tls: Registry) -> None:
    _connection, client = connect(tls.url.replace("https:", "http:"))
    with pytest.raises(TlsFailure, match="it speaks TLS: write https://"):
        client.resolve("a/b", "x")


def test_client_certificates(connect: t.Any, demanding: Registry) -> None:
    _connection, client = connect(demanding.url, ca_path=demanding.ca)
    with pytest.raises((TlsFailure, Unreachable)) as caught:
        client.resolve("a/b", "x")
    assert isinstance(caught.value, TlsFailure) and "it wants a client certificate: set client_cert" in str(
        caught.value
    )
    _connection, client = connect(
        demanding.url,
        ca_path=demanding.ca,
        client_cert=demanding.client_cert,
        client_key=demanding.client_key,
    )
    assert client.ping().status == 200
    both = pathlib.Path(demanding.path("both.pem"))
    both.write_bytes(
        b"".join(pathlib.Path(demanding.path(name)).read_bytes() for name in ("client.pem", "client.key"))
    )
    _connection, client = connect(demanding.url, ca_path=demanding.ca, client_cert=str(both))
    assert client.ping().status == 200


def test_files_that_are_no_certificates(connect: t.Any, tls: Registry, tmp_path: pathlib.Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk", encoding="utf-8")
    for options in ({"ca_path": str(junk)}, {"ca_path": tls.ca, "client_cert": str(junk)}):
        _connection, client = connect(tls.url, retries=0, **options)
        with pytest.raises(TlsFailure, match="is not a usable PEM file"):
            client.resolve("a/b", "x")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"ca_path": "/does/not/exist"},
            "ca_path '/does/not/exist' does not exist on the host that runs this task",
        ),
        ({"client_cert": "/does/not/exist"}, "client_cert '/does/not/exist' does not exist"),
        ({"client_key": "/etc/hostname"}, "client_key needs client_cert"),
    ],
)
def test_files_that_are_not_there(connect: t.Any, options: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        connect("https://127.0.0.1:1", **options)


def test_no_step_down_from_tls(connect: t.Any, tls: Registry) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.path("server.pem"), tls.path("server.key"))
    with Stub(lambda server: server.reply(200)) as plain:
        with Stub(lambda server: server.reply(307, Location=f"{plain.url}/x"), tls=context) as stub:
            _connection, client = connect(stub.url, ca_path=tls.ca, **ALICE)
            with pytest.raises(UnsafeTarget, match="leads from https to plain http"):
                get(client)
            assert len(stub.seen) == 1 and plain.seen == []


def test_an_error_of_tls_that_nobody_foresaw_does_not_show_the_query(connect: t.Any, events: t.Any) -> None:
    internal_error = b"\x15\x03\x03\x00\x02\x02\x50"
    with socket.create_server(("127.0.0.1", 0)) as broken:

        def refuse() -> None:
            client, _address = broken.accept()
            with client:
                client.recv(65536)
                client.sendall(internal_error)

        threading.Thread(target=refuse, daemon=True).start()
        target = f"https://127.0.0.1:{broken.getsockname()[1]}/x?X-Sig=s3cret"
        with Stub(lambda server: server.reply(307, Location=target)) as stub:
            _connection, client = connect(stub.url, retries=0)
            with pytest.raises(TlsFailure, match="alert internal error") as caught:
                get(client)
    assert "s3cret" not in str(caught.value) + repr(caught.value.to_dict()) + "".join(events.lines)


# Proxies


def tunnel_to(target: str) -> t.Callable[[t.Any], None]:
    """Answer CONNECT with a tunnel to ``target``, whatever was asked for."""

    def answer(server: t.Any) -> None:
        host, _colon, port = target.partition(":")
        with socket.create_connection((host, int(port)), 10) as there:
            server.send_response(200)
            server.end_headers()
            here = server.connection
            back = threading.Thread(target=pump, args=(there, here), daemon=True)
            back.start()
            pump(here, there)
            back.join(10)
        server.close_connection = True

    return answer


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_proxy_for_plain_http(connect: t.Any) -> None:
    with Stub(lambda server: server.reply(200, b"proxied")) as proxy:
        _connection, client = connect("http://registry.invalid:5000", proxy=proxy.url)
        assert get(client).body == b"proxied"
        assert [path for _method, path, _headers, _port in proxy.seen] == ["http://registry.invalid:5000/v2/"]


def test_a_tunnel_for_tls(connect: t.Any, tls: Registry) -> None:
    with Stub(tunnel_to(tls.host)) as proxy:
        _connection, client = connect(
            tls.url, ca_path=tls.ca, proxy=proxy.url.replace("://", "://bob:pr0xy@"), **ALICE
        )
        assert client.resolve("a/b", "x").digest == IMAGE.digest
        method, path, headers, _port = proxy.seen[0]
        assert (method, path, headers["Proxy-Authorization"]) == ("CONNECT", tls.host, "Basic Ym9iOnByMHh5")
        assert headers["Authorization"] is None


def test_a_proxy_that_wants_credentials(connect: t.Any, tls: Registry) -> None:
    with Stub(lambda server: server.reply(407)) as proxy:
        for url in (tls.url, "http://registry.invalid"):
            _connection, client = connect(url, ca_path=tls.ca, proxy=proxy.url, retries=0)
            with pytest.raises(
                RegistryError, match="the proxy wants credentials: write them in the proxy's URL"
            ):
                client.resolve("a/b", "x")


def test_the_password_of_a_proxy_is_hidden(connect: t.Any, events: t.Any) -> None:
    # The port stays taken, so that no server of another test listens at it.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        proxy = f"http://bob:pr0xy@127.0.0.1:{taken.getsockname()[1]}"
        _connection, client = connect("https://registry.invalid", proxy=proxy, retries=0)
        with pytest.raises(Unreachable, match="through the proxy: the connection was refused") as caught:
            client.resolve("a/b", "x")
    assert "pr0xy" not in str(caught.value) + repr(caught.value.to_dict()) + "".join(events.lines)
    assert "pr0xy" in events.hidden


@pytest.mark.parametrize("proxy", ["127.0.0.1:1", "not a proxy", "http://", "ftp://x.y", "http://[::1"])
def test_what_is_no_proxy(connect: t.Any, proxy: str) -> None:
    with pytest.raises(InvalidInput, match="proxy must be a URL such as http://proxy.example.com:3128"):
        connect("https://registry.invalid", proxy=proxy)


def test_proxies_of_the_environment_are_not_for_loopback(connect: t.Any, monkeypatch: t.Any) -> None:
    with Stub(lambda server: server.reply(200, b"proxied")) as proxy, HostileRegistry() as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        assert client.resolve("a/b", "x").digest == IMAGE.digest
        assert proxy.seen == []
        _connection, client = connect("http://registry.invalid")
        assert get(client).body == b"proxied"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert len(proxy.seen) == 1
