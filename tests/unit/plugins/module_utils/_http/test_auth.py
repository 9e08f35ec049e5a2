# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Challenges, token requests and the token cache, against a registry and a token service that misbehave."""

from __future__ import annotations

import base64
import itertools
import json
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

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
    AskBase,
    Auth,
    Challenge,
    Send,
    Step,
    TokenRequest,
    parse_challenges,
    scope,
)
from ansible_collections.ocikit.registry.plugins.module_utils._http.credentials import Credentials
from ansible_collections.ocikit.registry.plugins.module_utils._http.origin import Origin
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
from tests.unit.auth_flow import auth_of, carry_out

ALICE = {"username": "alice", "password": "secret"}
PASSWORD = Credentials("alice", "secret", source="a test")
ORIGIN = Origin("https", "x.y", 443)
REALM = 'Bearer realm="https://x.y/token"'
IMAGE = images.image({"a": "1"})
PULL = scope("a/b", "pull")


def auth(origin: Origin = ORIGIN, trusted: t.Sequence[str] = ()) -> Auth:
    return auth_of(origin, trusted)


class Registry401:
    """A registry that answers 401 with ``challenge`` to all but ``accepted``, and its token service."""

    def __init__(
        self,
        challenge: str | None = REALM,
        accepted: t.Container[str | None] = (),
        base: str | None = None,
        token: t.Callable[[TokenRequest], Answer] = lambda request: Answer(200, b'{"token": "t"}'),
    ) -> None:
        self.challenge = challenge
        self.accepted = accepted
        self.base = base
        self.token = token
        self.steps: list[Step] = []

    def sent(self) -> list[str | None]:
        return [step.authorization for step in self.steps if isinstance(step, Send)]

    def asked(self) -> list[TokenRequest]:
        return [step for step in self.steps if isinstance(step, TokenRequest)]

    def scopes(self) -> list[list[str]]:
        return [parse_qs(urlsplit(request.url).query).get("scope", []) for request in self.asked()]

    def _answer(self, step: Step, now: float) -> Answer:
        self.steps.append(step)
        if isinstance(step, TokenRequest):
            return self.token(step)._replace(time=now)
        if isinstance(step, AskBase):
            return Answer(401 if self.base else 200, challenges=[self.base] if self.base else [], time=now)
        if step.authorization in self.accepted:
            return Answer(200, time=now)
        return Answer(401, challenges=[self.challenge] if self.challenge else [], time=now)

    def run(
        self,
        by: Auth,
        credentials: Credentials = PASSWORD,
        scopes: t.Sequence[str] = (PULL,),
        now: float = 1000.0,
        ahead: t.Sequence[str] = (),
    ) -> Answer:
        """Carry out a flow, and return the last answer to the request itself."""
        flow = by.flow(scopes, credentials, now, lambda: ahead)
        return carry_out(flow, lambda step: self._answer(step, now))[1]


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
    with pytest.raises(ProtocolError, match="The token service x.y:443 gave no token."):
        answered(body)


def answered(body: bytes) -> str | None:
    """Return the Authorization header after a token service answered ``body``."""
    registry = Registry401(token=lambda request: Answer(200, body))
    registry.run(auth(), Credentials())
    return registry.sent()[-1]


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
        # Nobody owns a single label or a public suffix.
        ("dev", "https://evil.dev/token", (), False),
        ("registry", "https://auth.registry/token", (), False),
        ("acme.herokuapp.com", "https://herokuapp.com/token", (), False),
        ("herokuapp.com", "https://evil.herokuapp.com/token", (), False),
        ("acme.co.uk", "https://co.uk/token", (), False),
        ("registry.acme.co.uk", "https://acme.co.uk/token", (), True),
        ("co.uk", "https://evil.co.uk/token", (), False),
        ("acme.com.br", "https://com.br/token", (), False),
        ("acme.github.io", "https://github.io/token", (), False),
        ("registry.team.svc.cluster.local", "https://svc.cluster.local/token", (), False),
        ("1.dkr.ecr.eu-west-1.amazonaws.com", "https://dkr.ecr.eu-west-1.amazonaws.com/token", (), False),
        ("acme.herokuapp.com", "https://herokuapp.com/token", ("herokuapp.com",), True),
        ("registry.example.com", "https://evil-registry.example.com/token", (), False),
        ("example.com", "https://evilexample.com/token", (), False),
        ("8.8.8.8", "https://8.8.4.4/token", (), False),
        ("8.8.8.8", "https://8.8/token", (), False),
        # No trust makes these right.
        ("x.y", "http://auth.x.y/token", ("*",), False),
        ("x.y", "https://[2002:7f00:1::]/token", ("*",), False),
        ("x.y", "https://[fec0::1]/token", ("*",), False),
        ("x.y", "https://192.0.0.192/token", ("*",), False),
        ("x.y", "https://169.254.169.254/token", ("*",), False),
        ("x.y", "https://127.0.0.1/token", ("*",), False),
        ("x.y", "https://user@x.y/token", ("*",), False),
        ("x.y", "silly-realm", ("*",), False),
    ],
)
def test_where_credentials_go(registry: str, realm: str, trusted: tuple[str, ...], allowed: bool) -> None:
    origin = Origin("https", registry, 443)
    server = Registry401(f'Bearer realm="{realm}"', base=f'Bearer realm="{realm}"')
    if allowed:
        server.run(auth(origin, trusted))
        assert server.sent()[0] == "Bearer t" and server.asked()[0].url.startswith(realm + "?")
    else:
        with pytest.raises(UnsafeTarget):
            server.run(auth(origin, trusted))
        assert server.asked() == []


def test_an_expired_token_is_asked_for_again_before_it_is_refused() -> None:
    given_out = iter("abc")
    registry = Registry401(
        accepted=["Bearer a", "Bearer b", "Bearer c"],
        token=lambda request: Answer(200, json.dumps({"token": next(given_out), "expires_in": 300}).encode()),
    )
    mine = auth()
    for now in (1000.0, 1280.0, 1295.0):
        registry.run(mine, Credentials(), now=now)
    assert registry.sent() == [None, "Bearer a", "Bearer a", "Bearer b"]
    # Less than the 60 seconds of the specification count as these.
    registry.token = lambda request: Answer(200, b'{"token": "c", "expires_in": 1}')
    for now in (1300.0, 1345.0):
        registry.run(mine, Credentials(), [scope("a/c", "pull")], now=now)
    assert registry.sent()[4:] == ["Bearer c", "Bearer c"] and len(registry.asked()) == 3


def test_tokens_of_one_repository_are_not_used_for_another() -> None:
    def token(request: TokenRequest) -> Answer:
        return Answer(
            200, json.dumps({"token": request.headers["Authorization"].rpartition(" ")[2]}).encode()
        )

    alice, bob = Credentials("alice", "1"), Credentials("bob", "2")
    registry = Registry401(base=REALM, accepted=[f"Bearer {alice.basic}", f"Bearer {bob.basic}"], token=token)
    mine = auth()
    registry.run(mine, alice)
    registry.run(mine, bob, [scope("a/c", "pull")])
    assert registry.sent() == registry.accepted


def granting(*access: dict[str, t.Any]) -> t.Callable[[TokenRequest], Answer]:
    """Return a token service whose tokens, each another one, say what they grant of ``access``."""
    count = itertools.count()

    def give(request: TokenRequest) -> Answer:
        asked = " ".join(parse_qs(urlsplit(request.url).query).get("scope", []))
        granted = [one for one in access if f":{one['name']}:" in asked]
        claims = base64.urlsafe_b64encode(json.dumps({"access": granted}).encode()).decode().rstrip("=")
        return Answer(200, json.dumps({"token": f"{next(count)}.{claims}.signature"}).encode())

    return give


def access(name: str, *actions: str) -> dict[str, t.Any]:
    return {"type": "repository", "name": name, "actions": list(actions)}


class Accepting(Registry401):
    """A registry that accepts every token, and knows none of the requests without one."""

    def _answer(self, step: Step, now: float) -> Answer:
        answer = super()._answer(step, now)
        if isinstance(step, Send) and step.authorization and step.authorization.startswith("Bearer"):
            return Answer(200, time=now)
        return answer


A, A_PUSH, B = "repository:a:pull", "repository:a:pull,push", "repository:b:pull"


def test_what_is_needed_later_is_asked_for_at_once() -> None:
    registry = Accepting(REALM, base=REALM, token=granting(access("a", "pull", "push"), access("b", "pull")))
    mine = auth()
    for scopes in ([A], [A_PUSH], [B], [A_PUSH, B]):
        assert registry.run(mine, scopes=scopes, ahead=[A_PUSH, B]).status == 200
    assert [sorted(scopes) for scopes in registry.scopes()] == [[A_PUSH, B]]
    assert len({*registry.sent()}) == 1


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(granting(access("b", "pull")), id="without the repository"),
        pytest.param(granting(access("a", "push"), access("b", "pull")), id="without the action"),
        pytest.param(lambda request: Answer(200, b'{"token": "opaque"}'), id="does not say"),
        pytest.param(lambda request: Answer(200, b'{"token": "a.b.c"}'), id="says nothing that can be read"),
    ],
)
def test_a_token_that_does_not_say_it_grants_what_is_needed_is_not_used(
    token: t.Callable[[TokenRequest], Answer],
) -> None:
    """A registry may answer it as if nothing were there. Nothing is asked for together any more then."""
    registry = Accepting(REALM, base=REALM, token=token)
    mine = auth()
    registry.run(mine, scopes=[A], ahead=[A_PUSH, B])
    registry.run(mine, scopes=[B], ahead=[A_PUSH, B])
    together, *alone = registry.scopes()
    assert sorted(together) == [A_PUSH, B] and alone == [[A], [B]]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_token_service_that_refuses_several_scopes_is_asked_for_each(status: int) -> None:
    give = granting(access("a", "pull"), access("b", "pull"))

    def token(request: TokenRequest) -> Answer:
        return Answer(status) if request.url.count("scope=") > 1 else give(request)

    registry = Accepting(REALM, base=REALM, token=token)
    mine = auth()
    for scopes in ([A], [B]):
        assert registry.run(mine, scopes=scopes, ahead=[A, B]).status == 200
    assert registry.scopes() == [[A, B], [A], [B]]


def test_other_credentials_get_tokens_of_their_own() -> None:
    registry = Accepting(REALM, base=REALM, token=granting(access("a", "pull"), access("b", "pull")))
    mine = auth()
    for credentials in (PASSWORD, Credentials(username="bob", password="other")):
        registry.run(mine, credentials, scopes=[A], ahead=[A, B])
    assert len({*registry.sent()}) == 2


def test_a_token_is_for_few_repositories() -> None:
    """Each makes it longer, and headers have limits."""
    names = [f"repo-{number}" for number in range(25)]
    needed = [f"repository:{name}:pull" for name in names]
    registry = Accepting(REALM, base=REALM, token=granting(*(access(name, "pull") for name in names)))
    mine = auth()
    for one in needed:
        assert registry.run(mine, scopes=[one], ahead=needed).status == 200
    assert [len(scopes) for scopes in registry.scopes()] == [10, 10, 5]


def test_a_realm_keeps_its_own_query() -> None:
    registry = Registry401(
        'Bearer realm="https://x.y/t?tenant=a%20b&x=#f",service="s",scope="repository:a/b:pull *"',
        accepted=["Bearer t"],
    )
    registry.run(auth(), Credentials())
    assert [one.url for one in registry.asked()] == [
        "https://x.y/t?tenant=a+b&x=&service=s&scope=repository%3Aa%2Fb%3Apull&scope=%2A"
    ]


# What is asked for, and in which order


PLACEHOLDER = REALM + ',scope="repository:user/image:pull"'


@pytest.mark.parametrize(
    ("challenge", "base", "scopes", "expected"),
    [
        (REALM, REALM, [PULL], [[PULL]]),
        (REALM + f',scope="{PULL}"', REALM, [PULL], [[PULL]]),
        # The scope of the base is about no request.
        (PLACEHOLDER, PLACEHOLDER, [PULL], [[PULL]]),
        (PLACEHOLDER, PLACEHOLDER, [], [[]]),
        (REALM + ',scope="*"', REALM + ',scope="*"', [PULL], [[PULL]]),
    ],
)
def test_the_scope_that_is_needed_is_asked_for_ahead(
    challenge: str, base: str, scopes: list[str], expected: list[list[str]]
) -> None:
    registry = Registry401(challenge, accepted=["Bearer t"], base=base)
    assert registry.run(auth(), scopes=scopes).status == 200
    assert registry.scopes() == expected and registry.sent() == ["Bearer t"]


@pytest.mark.parametrize(
    ("challenged", "needed", "expected"),
    [
        (["repository:a/b:pull"], ["repository:a/b:pull,push"], [["repository:a/b:pull,push"]]),
        (["repository:a/b:push,pull"], ["repository:a/b:pull"], [["repository:a/b:push,pull"]]),
        ([], ["repository:a/b:pull"], [["repository:a/b:pull"]]),
        (
            ["repository:a/b:pull"],
            ["repository:a/b:pull,push", "repository:c/d:pull"],
            [["repository:a/b:pull,push", "repository:c/d:pull"]],
        ),
        # Names are others behind a proxy: those of the challenge come second.
        (
            ["repository:real/b:pull"],
            ["repository:a/b:pull"],
            [["repository:a/b:pull"], ["repository:real/b:pull"]],
        ),
        (["*"], ["repository:a/b:pull"], [["*", "repository:a/b:pull"]]),
    ],
)
@pytest.mark.parametrize("status", [200, 403])
def test_scopes_of_a_challenge_and_of_a_request(
    challenged: list[str], needed: list[str], expected: list[list[str]], status: int
) -> None:
    """The second scopes are asked for where the token service, or the registry, does not accept the first."""
    names = iter("uvwx")
    registry = Registry401(
        REALM + f',scope="{" ".join(challenged)}"',
        token=lambda request: Answer(status, json.dumps({"token": next(names)}).encode()),
    )
    if status == 200:
        assert registry.run(auth(), Credentials(), needed).status == 401
    else:
        with pytest.raises(Unauthorized, match="HTTP 403"):
            registry.run(auth(), Credentials(), needed)
    assert registry.scopes() == expected


def test_a_fresh_token_that_is_refused_is_a_matter_of_rights() -> None:
    registry = Registry401(REALM + f',scope="{PULL}"', base=REALM)
    assert registry.run(auth()).status == 401
    assert registry.sent() == ["Bearer t"] and registry.scopes() == [[PULL]]


def test_a_token_that_is_refused_later_is_replaced_once() -> None:
    names = iter("abc")
    registry = Registry401(
        REALM + f',scope="{PULL}"',
        base=REALM,
        accepted=["Bearer a"],
        token=lambda request: Answer(200, json.dumps({"token": next(names)}).encode()),
    )
    mine = auth()
    assert registry.run(mine).status == 200
    registry.accepted = ["Bearer b"]
    assert registry.run(mine, now=1001.0).status == 200
    assert registry.sent() == ["Bearer a", "Bearer a", "Bearer b"]


# Credentials that are given are used


@pytest.mark.parametrize(
    ("base", "credentials", "expected"),
    [
        ('Basic realm="x"', PASSWORD, [f"Basic {PASSWORD.basic}"]),
        (REALM, PASSWORD, ["Bearer t"]),
        # A registry that asks nobody may show less to those who are nobody.
        (None, PASSWORD, [f"Basic {PASSWORD.basic}"]),
        (None, Credentials(identity_token="i"), [None]),
        (REALM, Credentials(identity_token="i"), ["Bearer t"]),
        # Who takes another way than is offered says so itself.
        ("Negotiate", PASSWORD, [None]),
        ('Basic realm="x"', Credentials(), [None]),
        (None, Credentials(token="mine"), ["Bearer mine"]),
    ],
)
def test_credentials_are_sent_with_the_first_request(
    base: str | None, credentials: Credentials, expected: list[str | None]
) -> None:
    registry = Registry401(accepted=expected, base=base)
    mine = auth()
    for _turn in range(2):
        assert registry.run(mine, credentials).status == 200
    assert registry.sent() == expected * 2
    asks = sum(isinstance(step, AskBase) for step in registry.steps)
    assert asks == (0 if credentials.token or credentials.anonymous else 1)


def test_what_another_origin_answers_at_the_base_is_no_challenge() -> None:
    flow = auth().flow([PULL], PASSWORD, 0.0)
    assert next(flow) == AskBase()
    assert flow.send(Answer(401, challenges=['Basic realm="elsewhere"'], redirected=True)) == Send(None)


@pytest.mark.parametrize(
    ("origin", "realm", "expected"),
    [
        (ORIGIN, "http://x.y/token", "https://x.y/token"),
        (ORIGIN, "http://X.y:80/token?a=b", "https://x.y/token?a=b&"),
        (Origin("https", "x.y", 8443), "http://x.y:5000/token", "https://x.y:8443/token"),
        (Origin("https", "::1", 5000), "http://[::1]/token", "https://[::1]:5000/token"),
        (Origin("http", "x.y", 80), "http://x.y:5001/token", "http://x.y:5001/token"),
    ],
)
def test_a_realm_with_http_on_the_registrys_own_https_host(origin: Origin, realm: str, expected: str) -> None:
    registry = Registry401(f'Bearer realm="{realm}"', base=f'Bearer realm="{realm}"')
    registry.run(auth(origin))
    assert registry.asked()[0].url.startswith(expected)


def test_redirects_within_a_token_service_are_followed() -> None:
    def token(request: TokenRequest) -> Answer:
        if request.url.startswith("https://x.y/v2/token"):
            return Answer(200, b'{"token": "t"}')
        return Answer(307, location="/v2/token?moved")

    for credentials, method in ((PASSWORD, "GET"), (Credentials(identity_token="i"), "POST")):
        registry = Registry401(accepted=["Bearer t"], base=REALM, token=token)
        assert registry.run(auth(), credentials).status == 200
        first, second = registry.asked()
        assert (first.method, second.method, second.url) == (method, method, "https://x.y/v2/token?moved")
        assert (first.headers, first.body) == (second.headers, second.body)


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example.net/t",
        "https://x.y:444/t",
        "http://x.y/t",
        "https://auth.x.y/t",
        "//u@x.y/t",
        "https://127.0.0.1/t",
    ],
)
def test_redirects_of_a_token_service_elsewhere_are_refused(location: str) -> None:
    registry = Registry401(base=REALM, token=lambda request: Answer(302, location=location))
    with pytest.raises(UnsafeTarget):
        registry.run(auth())
    assert len(registry.asked()) == 1


def test_endless_redirects_of_a_token_service_end() -> None:
    registry = Registry401(base=REALM, token=lambda request: Answer(302, location="/t"))
    with pytest.raises(ProtocolError, match="redirects more than 5 times"):
        registry.run(auth())


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
            ("GET", "/v2/"),
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
            with pytest.raises(ProtocolError, match="The token service 127.0.0.1:[0-9]+ gave no token."):
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
        with pytest.raises(
            RegistryError, match="The token service 127.0.0.1:[0-9]+ answered HTTP 404"
        ) as caught:
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
        assert asked == [["repository:a/b:pull,delete"], ["repository:a/b:*"]]


def test_the_last_words_for_delete(connect: t.Any) -> None:
    asked: list[str] = []
    with HostileRegistry(auth="bearer", fail_status=400, fail_first=-1, fail_on="/token") as server:
        server.before = lambda request: asked.extend(request.query.get("scope", []))
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, **ALICE)
        with pytest.raises(Unauthorized, match="HTTP 400"):
            client.delete_manifest("a/b", "x")
    assert asked == ["repository:a/b:pull,delete", "repository:a/b:*", "repository:a/b:pull,push"]


def test_a_challenge_for_more_scope_is_answered_once_more(connect: t.Any) -> None:
    # distribution asks for the source of a mount only in its challenge.
    with HostileRegistry(auth="bearer") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, **ALICE)
        response = client.get("_catalog", "", [PULL])
        assert response.status == 200
        asked = [request.query["scope"] for request in server.requests if request.path == "/token"]
        assert asked == [["repository:a/b:pull"], ["registry:catalog:*", "repository:a/b:pull"]]


def test_rights_that_no_token_has_are_not_asked_for_again_and_again(connect: t.Any) -> None:
    with HostileRegistry(auth="bearer", anonymous="pull") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        manifest = client.manifest("a/b", "x")
        with pytest.raises(Unauthorized, match="no credentials were found in the options, ") as caught:
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
            return str(client.resolve("a/b", "x").digest)

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
        (
            "basic",
            "none were found in the options, .*config.json or .*: set username and password, or auth_file",
        ),
        ("bearer", "anonymous access .*: no credentials were found in .* Set username and password"),
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
        ('Bearer realm="silly-realm"', "no http or https URL: 'silly-realm'"),
    ],
)
def test_challenges_that_cannot_be_answered(connect: t.Any, challenge: str, says: str) -> None:
    with HostileRegistry(auth="basic", challenge=challenge) as server:
        _connection, client = connect(server.url, **ALICE)
        with pytest.raises(RegistryError, match=says):
            client.resolve("a/b", "x")
        assert all(request.headers["Authorization"] is None for request in server.requests)


def test_a_challenge_without_a_scheme_is_none(connect: t.Any) -> None:
    with HostileRegistry(auth="basic", challenge="???") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, **ALICE)
        assert client.resolve("a/b", "x").digest == IMAGE.digest
        _connection, client = connect(server.url, username="alice", password="wrong")
        with pytest.raises(Unauthorized, match=r"\(offered: none at all\)"):
            client.resolve("a/b", "x")


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
