# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Challenges, token requests and the token cache, against a registry and a token service that misbehave."""

from __future__ import annotations

import json
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    ProtocolError,
    RegistryError,
    Unauthorized,
    UnsafeTarget,
)
from ansible_collections.ocikit.registry.plugins.module_utils._http.auth import (
    Answer,
    Authorizer,
    Challenge,
    parse_challenges,
    scope,
)
from ansible_collections.ocikit.registry.plugins.module_utils._http.credentials import Credentials
from ansible_collections.ocikit.registry.plugins.module_utils._http.origin import Origin
from tests.hostile import HostileRegistry
from tests.registries import Registry, images

ALICE = {"username": "alice", "password": "secret"}
IMAGE = images.image({"a": "1"})
PULL = scope("a/b", "pull")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([""], []),
        (["Basic"], [("basic", {})]),
        (['Basic realm="a, b"'], [("basic", {"realm": "a, b"})]),
        (['BASIC Realm="x"'], [("basic", {"realm": "x"})]),
        (["Bearer realm=https://x/t , service = s"], [("bearer", {"realm": "https://x/t", "service": "s"})]),
        (
            ['Bearer realm="https://x/t",service="s",scope="repository:a:pull,push"'],
            [("bearer", {"realm": "https://x/t", "service": "s", "scope": "repository:a:pull,push"})],
        ),
        (['Bearer realm="r",Basic realm="b"'], [("bearer", {"realm": "r"}), ("basic", {"realm": "b"})]),
        (['Bearer realm="r"', 'Basic realm="b"'], [("bearer", {"realm": "r"}), ("basic", {"realm": "b"})]),
        (['Bearer realm="r", Basic'], [("bearer", {"realm": "r"}), ("basic", {})]),
        (["Negotiate, NTLM, Basic realm=x"], [("negotiate", {}), ("ntlm", {}), ("basic", {"realm": "x"})]),
        (['Basic realm="a\\"b\\\\c"'], [("basic", {"realm": 'a"b\\c'})]),
        (['Basic realm="say \\"Bearer realm=x\\""'], [("basic", {"realm": 'say "Bearer realm=x"'})]),
        # Commas left out, or too many of them.
        (['Bearer realm="r" service="s"'], [("bearer", {"realm": "r", "service": "s"})]),
        ([',, Bearer realm="r",, service="s", ,'], [("bearer", {"realm": "r", "service": "s"})]),
        (['Bearer realm="first",realm="second"'], [("bearer", {"realm": "first"})]),
        (['Bearer realm=""'], [("bearer", {"realm": ""})]),
    ],
)
def test_challenges_are_read(values: list[str], expected: list[tuple[str, dict[str, str]]]) -> None:
    assert parse_challenges(values) == [Challenge(*one) for one in expected]


@pytest.mark.parametrize(
    "junk",
    [
        "Negotiate YII=, ",
        "NTLM TlRMTVNTUAAC==, ",
        '"quoted", ',
        "=, ",
        "===;;; ",
        "(a b), ",
        "Digest realm=, ",
        "a=b, ",
    ],
)
def test_a_challenge_after_what_cannot_be_read_is_found(junk: str) -> None:
    assert Challenge("bearer", {"realm": "r"}) in parse_challenges([junk + 'Bearer realm="r"'])


@given(st.lists(st.text(alphabet='Bearc"\\=, \t;x', max_size=60) | st.text(max_size=60), max_size=3))
def test_any_header_is_read_to_its_end(values: list[str]) -> None:
    for challenge in parse_challenges(values):
        assert challenge.scheme and challenge.scheme == challenge.scheme.lower()


@pytest.mark.parametrize("part", ["a ", "a=", "a,", '"', '\\"', 'a="', " ", ",", "a", 'x y="\\', "=,"])
def test_long_junk_is_read_in_linear_time(part: str) -> None:
    # With a quadratic reader this would take hours.
    parse_challenges([part * (300000 // len(part)) + "!"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"token": "t"}, "t"),
        ({"access_token": "t"}, "t"),
        ({"token": "t", "access_token": "u"}, "t"),
        ({"token": "", "access_token": "u"}, "u"),
        ({"token": "t", "expires_in": None}, "t"),
        ({"token": "t", "expires_in": "300"}, "t"),
        ({"token": "t", "expires_in": -5}, "t"),
        ({"token": "t", "expires_in": float("inf")}, "t"),
        ({"token": "t", "expires_in": float("nan")}, "t"),
    ],
)
def test_token_answers(content: dict[str, t.Any], expected: str) -> None:
    assert answered(json.dumps(content).encode()) == f"Bearer {expected}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100000,
        b'{"token": 3}',
        b'{"token": "a b"}',
        b'{"token": "a\\r\\nX: y"}',
    ]
    + [
        b'{"token": ["t"]}',
        b'{"token": "t", "expires_in": [1]}',
        b'{"token": "t", "expires_in": 1' + b"0" * 400 + b"}",
    ],
)
def test_answers_without_a_token(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="The token service x.y gave no token."):
        answered(body)


def answered(body: bytes) -> str:
    """Return the Authorization header after a token service answered ``body``."""
    origin = Origin("https", "x.y", 443)
    authorizer = Authorizer(origin, lambda _repository: Credentials(), lambda *_request: Answer(200, body))
    return authorizer.answer([Challenge("bearer", {"realm": "https://x.y/token"})], [PULL], None)


@pytest.mark.parametrize(
    ("registry", "realm", "trusted", "allowed"),
    [
        ("x.y", "https://x.y/token", (), True),
        ("x.y", "https://x.y:5001/token", (), True),
        ("registry.example.com", "https://example.com/jwt/auth", (), True),
        ("example.com", "https://auth.example.com/token", (), True),
        ("registry-1.docker.io", "https://auth.docker.io/token", (), True),
        ("registry.example.com", "https://auth.example.com/token", (), False),
        ("registry.example.com", "https://auth.example.com/token", ("auth.example.com",), True),
        ("registry.example.com", "https://auth.example.com/token", ("Auth.Example.COM",), True),
        ("registry.example.com", "https://auth.example.com/token", ("*.example.com",), True),
        ("registry.example.com", "https://auth.example.com:8443/token", ("auth.example.com:8443",), True),
        ("registry.example.com", "https://auth.example.com/token", ("auth.example.com:8443",), False),
        ("registry.example.com", "https://com/token", (), False),
        ("registry.example.com", "https://evil-registry.example.com/token", (), False),
        ("example.com", "https://evilexample.com/token", (), False),
        ("8.8.8.8", "https://8.8.4.4/token", (), False),
        ("8.8.8.8", "https://8.8/token", (), False),
        # No trust makes these right.
        ("x.y", "http://x.y/token", ("*",), False),
        ("x.y", "https://169.254.169.254/token", ("*",), False),
        ("x.y", "https://127.0.0.1/token", ("*",), False),
        ("x.y", "https://user@x.y/token", ("*",), False),
        ("x.y", "silly-realm", ("*",), False),
    ],
)
def test_where_credentials_go(registry: str, realm: str, trusted: tuple[str, ...], allowed: bool) -> None:
    asked: list[str] = []

    def fetch(method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> Answer:
        asked.append(url)
        return Answer(200, b'{"token": "t"}')

    credentials = Credentials("alice", "secret", source="a test")
    authorizer = Authorizer(Origin("https", registry, 443), lambda _repository: credentials, fetch, trusted)
    if allowed:
        assert authorizer.answer([Challenge("bearer", {"realm": realm})], [PULL], None) == "Bearer t"
        assert asked[0].startswith(realm + "?")
    else:
        with pytest.raises(UnsafeTarget):
            authorizer.answer([Challenge("bearer", {"realm": realm})], [PULL], None)
        assert asked == []


def test_an_expired_token_is_asked_for_again_before_it_is_refused() -> None:
    now, given_out = [1000.0], iter("abc")
    authorizer = Authorizer(
        Origin("https", "x.y", 443),
        lambda _repository: Credentials(),
        lambda *_request: Answer(200, json.dumps({"token": next(given_out), "expires_in": 300}).encode()),
        clock=lambda: now[0],
    )
    assert authorizer.header([PULL]) is None
    assert authorizer.answer([Challenge("bearer", {"realm": "https://x.y/t"})], [PULL], None) == "Bearer a"
    now[0] += 280
    assert authorizer.header([PULL]) == "Bearer a"
    now[0] += 15
    assert authorizer.header([PULL]) == "Bearer b"
    # What a token service says is no lifetime counts as the 60 seconds of the specification.
    assert authorizer.header([scope("a/c", "pull")]) == "Bearer c"


def test_tokens_of_one_repository_are_not_used_for_another() -> None:
    users = {"a/b": Credentials("alice", "1"), "a/c": Credentials("bob", "2")}
    basic: list[str] = []

    def fetch(method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> Answer:
        basic.append(headers["Authorization"])
        return Answer(200, json.dumps({"token": f"t{len(basic)}"}).encode())

    authorizer = Authorizer(Origin("https", "x.y", 443), users.__getitem__, fetch)
    challenge = [Challenge("bearer", {"realm": "https://x.y/t"})]
    assert authorizer.answer(challenge, [PULL], None) == "Bearer t1"
    assert authorizer.header([scope("a/c", "pull")]) == "Bearer t2"
    assert basic == [f"Basic {one.basic}" for one in users.values()]


def test_a_realm_keeps_its_own_query() -> None:
    asked: list[str] = []

    def fetch(method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> Answer:
        asked.append(url)
        return Answer(200, b'{"token": "t"}')

    authorizer = Authorizer(Origin("https", "x.y", 443), lambda _repository: Credentials(), fetch)
    challenge = Challenge(
        "bearer", {"realm": "https://x.y/t?tenant=a%20b&x=#f", "service": "s", "scope": "repository:o:pull *"}
    )
    authorizer.answer([challenge], [PULL], None)
    assert asked == ["https://x.y/t?tenant=a+b&x=&service=s&scope=repository%3Ao%3Apull&scope=%2A"]


# Against servers


def test_basic(connect: t.Any) -> None:
    with HostileRegistry(auth="basic") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, **ALICE)
        assert client.resolve("a/b", "x").digest == IMAGE.digest
        assert client.resolve("a/b", "x").digest == IMAGE.digest
        sent = [request.headers["Authorization"] for request in server.requests]
        assert sent == [None, "Basic YWxpY2U6c2VjcmV0", "Basic YWxpY2U6c2VjcmV0"]


@pytest.mark.parametrize(
    "behaviour", [{}, {"token_key": "access_token"}, {"token_key": "both"}, {"token_expires": None}]
)
@pytest.mark.parametrize("realm", ["same", "other"])
def test_bearer(connect: t.Any, behaviour: dict[str, t.Any], realm: str) -> None:
    with HostileRegistry(auth="bearer", realm=realm, **behaviour) as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, **ALICE)
        assert client.resolve("a/b", "x").digest == IMAGE.digest
        assert client.manifest("a/b", "x").raw == IMAGE.raw
        assert [(r.method, r.path) for r in server.requests] == [
            ("HEAD", "/v2/a/b/manifests/x"),
            ("GET", "/token"),
            ("HEAD", "/v2/a/b/manifests/x"),
            ("GET", "/v2/a/b/manifests/x"),
        ]
        token = server.requests[1]
        assert token.query == {"service": ["hostile"], "scope": ["repository:a/b:pull"], "account": ["alice"]}


def test_once_the_way_is_known_uploads_are_not_sent_in_vain(connect: t.Any) -> None:
    with HostileRegistry(auth="bearer", realm="same") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, **ALICE)
        manifest = client.manifest("a/b", "x")
        client.put_manifest("a/b", "y", manifest)
        assert server.count("^PUT ") == 1 and server.repositories["a/b"].tags["y"] == IMAGE.digest


@pytest.mark.parametrize("challenge", ["both", "bearer"])
def test_a_bearer_service_without_tokens_leaves_basic(connect: t.Any, challenge: str) -> None:
    with HostileRegistry(auth="both", token_key="empty") as server:
        server.add("a/b", IMAGE, "x")
        if challenge == "bearer":
            server.behaviour.challenge = f'Bearer realm="{server.url}/token"'
        _connection, client = connect(server.url, **ALICE)
        if challenge == "both":
            assert client.resolve("a/b", "x").digest == IMAGE.digest
        else:
            with pytest.raises(ProtocolError, match="The token service 127.0.0.1 gave no token."):
                client.resolve("a/b", "x")


@pytest.mark.parametrize("status", ["200", "404", "405"])
def test_identity_tokens_are_posted(connect: t.Any, tmp_path: t.Any, status: str) -> None:
    # Docker writes the identity token beside a pair whose password is empty; others keep the password there.
    entry = {"auth": "YWxpY2U6c2VjcmV0", "identitytoken": "identity-alice"}
    with HostileRegistry(auth="bearer", token_post=status) as server:
        server.add("a/b", IMAGE, "x")
        auth_file = tmp_path / "auth.json"
        auth_file.write_text(json.dumps({"auths": {server.host: entry}}), encoding="utf-8")
        _connection, client = connect(server.url, auth_file=str(auth_file))
        assert client.resolve("a/b", "x").digest == IMAGE.digest
        methods = [request.method for request in server.requests if request.path == "/token"]
        assert methods == (["POST"] if status == "200" else ["POST", "GET"])
        assert server.requests[1].headers["Authorization"] is None
        assert server.requests[1].headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_an_identity_token_that_the_service_does_not_take(connect: t.Any, events: t.Any) -> None:
    with HostileRegistry(auth="bearer", token_post="404") as server:
        _connection, client = connect(server.url, identity_token="identity-alice")
        with pytest.raises(RegistryError, match="The token service 127.0.0.1 answered HTTP 404") as caught:
            client.resolve("a/b", "x")
        assert "identity-alice" not in str(caught.value) + repr(caught.value.to_dict()) + "".join(
            events.lines
        )
        assert server.count("/token") == 1


def test_a_service_that_knows_no_delete_is_asked_in_other_words(connect: t.Any) -> None:
    with HostileRegistry(auth="bearer", token_delete="400") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, **ALICE)
        assert client.delete_manifest("a/b", "x").outcome == "deleted"
        asked = [request.query["scope"] for request in server.requests if request.path == "/token"]
        assert asked == [["repository:a/b:delete,pull"], ["repository:a/b:*"]]


def test_the_last_words_for_delete(connect: t.Any) -> None:
    asked: list[str] = []
    with HostileRegistry(auth="bearer", fail_status=400, fail_first=-1, fail_on="/token") as server:
        server.before = lambda request: asked.extend(request.query.get("scope", []))
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, **ALICE)
        with pytest.raises(Unauthorized, match="HTTP 400"):
            client.delete_manifest("a/b", "x")
    assert asked == ["repository:a/b:delete,pull", "repository:a/b:*", "repository:a/b:pull,push"]


def test_a_challenge_for_more_scope_is_answered_once_more(connect: t.Any) -> None:
    # distribution asks for the source of a mount only in its challenge.
    with HostileRegistry(auth="bearer") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, **ALICE)
        client._transport._authorizer._way = Challenge(
            "bearer", {"realm": f"{server.url}/token", "service": "hostile"}
        )
        response = client.get("_catalog", [PULL])
        assert response.status == 200
        asked = [request.query["scope"] for request in server.requests if request.path == "/token"]
        assert asked == [["repository:a/b:pull"], ["registry:catalog:*"]]


def test_rights_that_no_token_has_are_not_asked_for_again_and_again(connect: t.Any) -> None:
    with HostileRegistry(auth="bearer", anonymous="pull") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        manifest = client.manifest("a/b", "x")
        with pytest.raises(Unauthorized, match="the credentials have no right to it") as caught:
            client.put_manifest("a/b", "y", manifest)
        assert caught.value.to_dict()["status"] == 401 and caught.value.code == "UNAUTHORIZED"
        assert server.count("^PUT ") <= 3 and "y" not in server.repositories["a/b"].tags


def test_anonymous_tokens(connect: t.Any) -> None:
    with HostileRegistry(auth="bearer", anonymous="pull") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        assert client.resolve("a/b", "x").digest == IMAGE.digest
        assert [request.headers["Authorization"] for request in server.requests[:2]] == [None, None]
        assert "account" not in server.requests[1].query


def test_a_token_that_is_refused_in_the_middle_is_replaced(connect: t.Any) -> None:
    with HostileRegistry(auth="bearer", token_uses=2) as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, **ALICE)
        for _turn in range(6):
            assert client.resolve("a/b", "x").digest == IMAGE.digest
        assert server.count("/token") == 3
        manifest = client.manifest("a/b", "x")
        for number in range(5):
            client.put_manifest("a/b", f"y{number}", manifest)
        assert len(server.repositories["a/b"].tags) == 6


def test_threads_share_one_token_request_for_a_scope(connect: t.Any) -> None:
    with HostileRegistry(auth="bearer", delay=0.05, delay_on="/token") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, **ALICE)
        start = threading.Barrier(16, timeout=20)

        def work(_number: int) -> str:
            start.wait()
            return client.resolve("a/b", "x").digest

        with ThreadPoolExecutor(16) as pool:
            assert set(pool.map(work, range(16))) == {IMAGE.digest}
        assert server.count("/token") == 1


def test_threads_whose_token_was_refused_share_the_next_one(connect: t.Any) -> None:
    with HostileRegistry(auth="bearer", delay=0.05, delay_on="/token") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, **ALICE)
        client.resolve("a/b", "x")
        server.tokens.clear()
        with ThreadPoolExecutor(16) as pool:
            assert set(pool.map(lambda _n: client.resolve("a/b", "x").digest, range(16))) == {IMAGE.digest}
        assert server.count("/token") == 2


def test_a_realm_on_another_host_gets_nothing(connect: t.Any) -> None:
    with HostileRegistry(auth="bearer") as server:
        server.behaviour.challenge = (
            f'Bearer realm="{server.other_url.replace("127.0.0.1", "localhost")}/token"'
        )
        _connection, client = connect(server.url, trusted_realms=["localhost"], **ALICE)
        with pytest.raises(UnsafeTarget, match="without TLS: localhost"):
            client.resolve("a/b", "x")
        assert {request.origin for request in server.requests} == {"registry"}


def test_a_realm_on_another_host_needs_trust(connect: t.Any, tls: Registry) -> None:
    files = (tls.path("server.pem"), tls.path("server.key"))
    with HostileRegistry(auth="bearer", tls=files, anonymous="pull") as server:
        server.add("a/b", IMAGE, "x")
        realm = server.other_url.replace("127.0.0.1", "localhost") + "/token"
        server.behaviour.challenge = f'Bearer realm="{realm}",service="hostile",scope="repository:a/b:pull"'
        _connection, client = connect(server.url, ca_path=tls.ca, **ALICE)
        with pytest.raises(
            UnsafeTarget, match=r"another host. .* set trusted_realms: \[localhost\]"
        ) as caught:
            client.resolve("a/b", "x")
        assert caught.value.to_dict()["kind"] == "unsafe_target"
        assert {request.origin for request in server.requests} == {"registry"}
        # Who has nothing to lose may ask anywhere, and who trusts may as well.
        _connection, anonymous = connect(server.url, ca_path=tls.ca)
        assert anonymous.resolve("a/b", "x").digest == IMAGE.digest
        _connection, trusting = connect(server.url, ca_path=tls.ca, trusted_realms=["localhost"], **ALICE)
        assert trusting.resolve("a/b", "x").digest == IMAGE.digest
        sent = [request.headers["Authorization"] for request in server.requests if request.origin == "other"]
        assert sent == [None, "Basic YWxpY2U6c2VjcmV0"]


@pytest.fixture(scope="module")
def tls() -> t.Iterator[Registry]:
    with Registry(tls=True) as server:
        yield server


def test_a_redirect_of_the_token_service_is_not_followed(connect: t.Any) -> None:
    with HostileRegistry(auth="bearer") as server:
        # A blob address that redirects to the other origin stands in for the token service.
        server.behaviour.blob_redirect = "other"
        blob = next(iter(IMAGE.blobs))
        server.add("a/b", IMAGE, "x")
        server.behaviour.challenge = f'Bearer realm="{server.url}/v2/a/b/blobs/{blob}"'
        _connection, client = connect(server.url, **ALICE)
        with pytest.raises(RegistryError):
            client.resolve("a/b", "x")
        assert {request.origin for request in server.requests} == {"registry"}


@pytest.mark.parametrize("auth", ["basic", "bearer", "both"])
def test_a_wrong_password_is_one_clear_sentence(connect: t.Any, events: t.Any, auth: str) -> None:
    with HostileRegistry(auth=auth) as server:
        _connection, client = connect(server.url, username="alice", password="wr0ng-pass")
        with pytest.raises(Unauthorized) as caught:
            client.resolve("a/b", "x")
    text = str(caught.value)
    assert "127.0.0.1" in text and "the options username and password" in text and text.count("\n") == 0
    assert caught.value.to_dict()["kind"] == "unauthorized"
    assert not any(
        secret in text + repr(caught.value.to_dict()) + "".join(events.lines) for secret in events.hidden
    )
    assert {"wr0ng-pass", "YWxpY2U6d3IwbmctcGFzcw=="} <= events.hidden


def test_no_credentials_is_one_clear_sentence(connect: t.Any) -> None:
    for auth, says in (
        ("basic", "none were found: set username and password, or auth_file"),
        ("bearer", "anonymous access"),
    ):
        with HostileRegistry(auth=auth) as server:
            _connection, client = connect(server.url)
            with pytest.raises(Unauthorized, match=says):
                client.resolve("a/b", "x")


def test_a_token_is_sent_at_once_and_its_refusal_is_final(connect: t.Any) -> None:
    with HostileRegistry(auth="bearer") as server:
        _connection, client = connect(server.url, token="t0p-secret")
        with pytest.raises(Unauthorized, match="does not accept the token from the option token") as caught:
            client.resolve("a/b", "x")
        assert "t0p-secret" not in str(caught.value)
        assert [request.headers["Authorization"] for request in server.requests] == ["Bearer t0p-secret"]


@pytest.mark.parametrize(
    ("challenge", "says"),
    [
        ("Negotiate", r"\(offered: negotiate\)"),
        ('Digest realm="x", NTLM', r"\(offered: digest, ntlm\)"),
        ('Bearer service="x"', r"\(offered: bearer\)"),
        ("???", r"\(offered: none at all\)"),
        ('Bearer realm="silly-realm"', "no http or https URL: 'silly-realm'"),
    ],
)
def test_challenges_that_cannot_be_answered(connect: t.Any, challenge: str, says: str) -> None:
    with HostileRegistry(auth="basic", challenge=challenge) as server:
        _connection, client = connect(server.url, **ALICE)
        with pytest.raises(RegistryError, match=says):
            client.resolve("a/b", "x")
        # Where a challenge says nothing the base of the API is asked as well.
        assert [request.path for request in server.requests[1:]] == (["/v2/"] if challenge == "???" else [])


def test_a_real_registry_with_basic_authentication(connect: t.Any) -> None:
    with Registry(users={"alice": "secret"}) as server:
        digests = images.seed_demo(server.url, "a/b", auth=("alice", "secret"))
        server.clear_requests()
        _connection, client = connect(server.url, **ALICE)
        tag, digest = next(iter(digests.items()))
        assert client.resolve("a/b", tag).digest == digest
        assert [status for _method, _path, status in server.requests()] == [401, 200]
        _connection, nobody = connect(server.url, username="alice", password="wrong")
        with pytest.raises(Unauthorized, match="does not accept the user name and password"):
            nobody.resolve("a/b", tag)
