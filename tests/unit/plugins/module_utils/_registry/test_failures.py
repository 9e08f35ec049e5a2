# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users are told about answers that are no success, and about options: each in one sentence that says what to do."""

from __future__ import annotations

import json
import os
import re
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    Denied,
    InvalidInput,
    ProtocolError,
    RateLimited,
    RegistryError,
    ServerFault,
    Unauthorized,
    Unreachable,
    UnsafeTarget,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.failures import failure
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
from tests.unit.stub import Stub

IMAGE = images.image({"a": "1"})
BLOB, CONTENT = next(iter(IMAGE.blobs.items()))
PAGE = b"<!DOCTYPE html><html><head><title>Log in</title></head></html>"


def errors(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def answering(status: int, body: bytes = b"", **headers: str) -> t.Callable[[t.Any], None]:
    return lambda server: server.reply(status, body, **headers)


# What a client does in the field, and a word for it.
ACTIONS: dict[str, t.Callable[[RegistryClient], object]] = {
    "resolve": lambda client: client.resolve("a/b", "1"),
    "manifest": lambda client: client.manifest("a/b", "1"),
    "tags": lambda client: client.tags("a/b"),
    "blob": lambda client: client.open_blob("a/b", BLOB),
    "blob exists": lambda client: client.has_blob("a/b", BLOB),
    "upload": lambda client: client.start_upload("a/b"),
    "catalog": lambda client: list(client.catalog()),
}
READS = [name for name in ACTIONS if name != "upload"]


@pytest.mark.parametrize("action", [name for name in ACTIONS if name != "blob exists"])
@pytest.mark.parametrize("status", [401, 403, 404, 413, 500])
def test_each_message_names_host_and_port(connect: t.Any, action: str, status: int) -> None:
    headers = {"WWW_Authenticate": 'Basic realm="x"'} if status == 401 else {}
    with Stub(answering(status, b"{}", Content_Type="application/json", **headers)) as stub:
        _connection, client = connect(stub.url, retries=0)
        with pytest.raises(RegistryError) as caught:
            ACTIONS[action](client)
    assert stub.host in str(caught.value)


def test_a_name_without_a_port_is_shown_with_that_of_its_scheme(connect: t.Any) -> None:
    """Nothing answers there: port 80 of a loopback address that no interface has a server on."""
    _connection, client = connect("http://127.99.0.1", retries=0, connect_timeout=2.0)
    with pytest.raises(Unreachable, match=r"127\.99\.0\.1:80\b"):
        client.resolve("a/b", "1")


def test_413_says_what_limits_requests(connect: t.Any) -> None:
    page = b"<html>413 Request Entity Too Large</html>"
    with Stub(answering(413, page, Content_Type="text/html")) as stub:
        _connection, client = connect(stub.url, retries=0)
        manifest = Manifest.parse(IMAGE.raw, IMAGE.media_type)
        with pytest.raises(ProtocolError) as caught:
            client.put_manifest("a/b", "1", manifest)
    limits = (
        "(a proxy before the registry, or the registry itself, limits the size of requests: raise that limit"
    )
    assert f"answered HTTP 413 {limits}" in str(caught.value)
    assert "client_max_body_size in nginx" in str(caught.value) and caught.value.status == 413


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("action", ["resolve", "upload"])
def test_http_that_redirects_to_https_names_the_address_to_use(
    connect: t.Any, action: str, status: int
) -> None:
    with Stub(
        lambda server: server.reply(status, Location=f"https://{server.headers['Host']}{server.path}")
    ) as stub:
        _connection, client = connect(stub.url, retries=0, username="alice", password="s3cret")
        with pytest.raises((UnsafeTarget, ProtocolError)) as caught:
            ACTIONS[action](client)
        assert all(
            "Authorization" not in headers or stub.host in headers["Host"]
            for _m, _p, headers, _port in stub.seen
        )
    assert f"write https://{stub.host} in the option registry" in str(caught.value)


@pytest.mark.parametrize("action", READS)
@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/xhtml+xml"])
def test_a_web_page_is_neither_a_list_nor_a_blob_that_exists(
    connect: t.Any, action: str, content_type: str
) -> None:
    with Stub(answering(200, PAGE, Content_Type=content_type)) as stub:
        _connection, client = connect(stub.url, retries=0)
        with pytest.raises(ProtocolError) as caught:
            ACTIONS[action](client)
    text = str(caught.value)
    assert "not a registry: is it a proxy or login page?" in text
    assert f"{stub.url}/v2/" in text and content_type.partition(";")[0] in text


@pytest.mark.parametrize("said", ["insufficient quota: 10 GiB used", "repository is read-only"])
def test_a_403_with_a_reason_gets_no_hint_that_contradicts_it(connect: t.Any, said: str) -> None:
    with Stub(answering(403, errors("DENIED", said), Content_Type="application/json")) as stub:
        _connection, client = connect(stub.url, retries=0, username="alice", password="s3cret")
        with pytest.raises(Denied) as caught:
            client.manifest("a/b", "1")
    assert str(caught.value).endswith(f"answered HTTP 403 DENIED: {said}.")


def test_a_403_without_a_reason_says_whose_right_it_is(connect: t.Any) -> None:
    with Stub(answering(403, b"", Content_Type="text/plain")) as stub:
        _connection, client = connect(stub.url, retries=0, username="alice", password="s3cret")
        with pytest.raises(
            Denied, match="the credentials from the options username and password have no right"
        ):
            client.manifest("a/b", "1")


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize(
    ("status", "challenge"),
    [(401, 'Basic realm="x"'), (401, "Negotiate"), (401, None), (403, None)],
)
@pytest.mark.parametrize("action", ["manifest", "tags", "blob", "upload"])
def test_401_and_403_fill_status_and_url(
    connect: t.Any, action: str, status: int, challenge: str | None, given: bool
) -> None:
    headers = {"WWW_Authenticate": challenge} if challenge else {}
    with Stub(answering(status, b"", Content_Type="text/plain", **headers)) as stub:
        credentials = {"username": "alice", "password": "s3cret"} if given else {}
        _connection, client = connect(stub.url, retries=0, **credentials)
        with pytest.raises((Unauthorized, Denied)) as caught:
            ACTIONS[action](client)
    error = caught.value.to_dict()
    assert error["status"] == status
    assert error["url"].startswith(f"{stub.url}/v2/") and error["method"] in ("GET", "HEAD", "POST")
    if not given:
        assert "have no right" not in str(caught.value)
        assert re.search(
            "none were found in|no credentials were found|offers no way to authenticate", str(caught.value)
        )


def test_a_token_service_that_refuses_fills_status_and_url(connect: t.Any) -> None:
    with HostileRegistry(auth="bearer", realm="same", user=("alice", "other")) as server:
        server.add("a/b", IMAGE, "1")
        _connection, client = connect(server.url, retries=0, username="alice", password="s3cret")
        with pytest.raises(Unauthorized) as caught:
            client.manifest("a/b", "1")
    assert caught.value.status == 401 and str(caught.value.url).startswith("http://127.0.0.1:")


def test_a_registry_that_redirects_to_another_gets_an_anonymous_token_there(connect: t.Any) -> None:
    """Artifactory and mirrors do: the other registry has its own challenge, and never sees the credentials."""
    with HostileRegistry(auth="bearer", realm="same", anonymous="pull") as other:
        other.add("a/b", IMAGE, "1")

        def answer(server: t.Any) -> None:
            if server.path == "/v2/":
                server.reply(200)
            else:
                server.reply(307, Location=f"{other.url}{server.path}")

        with Stub(answer) as stub:
            _connection, client = connect(stub.url, retries=0, username="alice", password="s3cret")
            assert client.manifest("a/b", "1").digest == IMAGE.digest
        seen = [request.headers["Authorization"] for request in other.requests if "/v2/a/b" in request.path]
        asked = [request for request in other.requests if "token" in request.path]
    assert asked and all(request.headers["Authorization"] is None for request in asked)
    assert seen[-1].startswith("Bearer ") and not any("YWxpY2U6czNjcmV0" in str(value) for value in seen)


# Options of the destination


SIDE_FAULTS: list[tuple[dict[str, t.Any], str]] = [
    ({"username": "alice"}, "destination.username needs destination.password."),
    ({"password": "s3cret"}, "destination.password needs destination.username."),
    (
        {"token": "s3cret", "identity_token": "s3cret"},
        "destination.token and destination.identity_token exclude",
    ),
    ({"read_timeout": -1.0}, "destination.read_timeout must be more than 0."),
    ({"retries": 1000}, "destination.retries must be at most 100."),
    ({"registry": "http:/x.y"}, "destination.registry: 'http:/x.y' is not a valid registry"),
    (
        {"registry": "https://x.y", "plain_http": True},
        "destination.registry: plain_http contradicts the scheme",
    ),
    ({"registry": "alice:s3cret@x.y"}, "destination.registry: The registry must not contain credentials"),
    ({"proxy": "nonsense"}, "destination.proxy must be a URL"),
    ({"ca_path": "/nowhere/ca.pem"}, "destination.ca_path '/nowhere/ca.pem' does not exist"),
    ({"client_cert": "/nowhere/c.pem"}, "destination.client_cert"),
    ({"auth_file": "/nowhere/auth.json"}, "let destination.auth_file name an auth file"),
]


@pytest.mark.parametrize(("options", "says"), SIDE_FAULTS, ids=[says[:40] for _options, says in SIDE_FAULTS])
def test_faults_of_the_destination_name_its_options(
    connect: t.Any, options: dict[str, t.Any], says: str
) -> None:
    connection, _client = connect("http://127.0.0.1:1", retries=0)
    with pytest.raises(InvalidInput) as caught:
        side = connection.for_destination({"registry": "https://127.0.0.1:1", **options})
        side.default().resolve("a/b", "1")
    assert says in str(caught.value) and "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (
            401,
            b"",
            "none were found in.*set destination.username and destination.password, or destination.auth_file",
        ),
        (429, b"", "try again later, or lower concurrency"),
        (404, b"nothing here", "check the option destination.registry"),
        (200, PAGE, "check the option destination.registry"),
    ],
)
def test_answers_of_the_destination_name_its_options(
    connect: t.Any, status: int, body: bytes, says: str
) -> None:
    headers = {"WWW_Authenticate": 'Basic realm="x"'} if status == 401 else {}
    content_type = "text/html" if body == PAGE else "text/plain"
    with Stub(answering(status, body, Content_Type=content_type, **headers)) as stub:
        connection, _client = connect("http://127.0.0.1:1", retries=0, auth_file=os.devnull)
        side = connection.for_destination({"registry": stub.url})
        with pytest.raises(RegistryError) as caught:
            side.default().manifest("a/b", "1")
    assert re.search(says, str(caught.value)), str(caught.value)


# The form of all of them


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, ProtocolError, "protocol"),
        (401, Unauthorized, "unauthorized"),
        (403, Denied, "denied"),
        (405, Unsupported, "unsupported"),
        (412, ProtocolError, "protocol"),
        (429, RateLimited, "rate_limited"),
        (500, ServerFault, "server"),
        (501, ServerFault, "server"),
    ],
)
def test_errors_are_sentences_with_structure(
    connect: t.Any, status: int, kind: type[RegistryError], name: str
) -> None:
    entry = {"code": "SOME_CODE", "message": "No\x1b[31m\r\nway", "detail": {"a": "b\x07"}}
    body = json.dumps({"errors": [entry]}).encode()
    challenge = {"WWW_Authenticate": "Basic"} if status == 401 else {}
    with Stub(
        lambda server: server.reply(status, body, Content_Type="application/json", **challenge)
    ) as stub:
        _connection, client = connect(stub.url, retries=0, username="alice", password="s3cret")
        with pytest.raises(kind) as caught:
            client.manifest("a/b", "x")
    text, error = str(caught.value), caught.value.to_dict()
    assert error["kind"] == name and text.isprintable() and text.endswith(".")
    if status != 401:
        assert text.startswith(
            f"The manifest a/b:x cannot be read: {stub.host} answered HTTP {status} SOME_CODE: No [31m way"
        )
        assert (error["status"], error["code"], error["message"], error["method"]) == (
            status,
            "SOME_CODE",
            "No [31m way",
            "GET",
        )
        assert error["url"] == f"{stub.url}/v2/a/b/manifests/x" and error["detail"].isprintable()
    assert "s3cret" not in repr(error) + text and "YWxpY2U6czNjcmV0" not in repr(error) + text


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"Too many requests", "answered HTTP 418 'Too many requests'."),
        (
            b"<html>" + b"x" * 3000,
            "x is a web page of the type unknown and not a registry: is it a proxy or login page?",
        ),
        (b"\xff\xfe\x00", "answered HTTP 418"),
        (b'{"errors": {"code": "A", "message": null}}', "answered HTTP 418 A."),
        (b'{"errors": ["x", 3]}', "answered HTTP 418 "),
        (b"[" * 100000, "answered HTTP 418 "),
        (b"x" * 100000, "answered HTTP 418 'xxx"),
    ],
)
def test_errors_in_other_forms(connect: t.Any, body: bytes, says: str) -> None:
    with Stub(lambda server: server.reply(418, body)) as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(ProtocolError) as caught:
            client.manifest("a/b", "x")
    assert says in str(caught.value) and len(str(caught.value)) < 400 and str(caught.value).isprintable()


def test_errors_show_no_query(connect: t.Any, events: t.Any) -> None:
    with HostileRegistry() as server:
        _connection, client = connect(server.url)
        session = f"{server.url}/v2/a/b/blobs/uploads/nope?_state=s3cret"
        response = client.finish_upload("a/b", session, BLOB, CONTENT)
        assert response.status == 404
        error = failure(response, "x")
        assert error.url == f"{server.url}/v2/a/b/blobs/uploads/nope"
        assert "s3cret" not in str(error) + repr(error.to_dict()) + "".join(events.lines)
        assert len(events.lines) == 1 and events.lines[0].startswith(f"PUT {error.url} 404 ")


def test_a_real_registry_behind_a_wrong_address(connect: t.Any, registry: Registry) -> None:
    _connection, client = connect(registry.url + "/nested")
    with pytest.raises(ProtocolError, match="check the option registry"):
        client.resolve("a/b", "x")
