# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules at real registries that want to know who asks: token services, passwords, certificates."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import http.server
import json
import pathlib
import ssl
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    ProtocolError,
    RegistryError,
    TlsFailure,
    Unauthorized,
    UnsafeTarget,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import (
    registry_catalog_info,
    registry_promote,
    registry_rmtag,
    registry_tag,
)
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
from tests.registries.tokens import EXPIRED, LEEWAY, TokenRequest, TokenServer
from tests.unit.copying import Mover, assert_layout, assert_whole
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]

USERS = {"alice": "pa:ss wörd", "bob": "w0rd-of-bob"}
ALICE = {"username": "alice", "password": USERS["alice"]}
BOB = {"username": "bob", "password": USERS["bob"]}
IMAGE = images.image({"a": "1"})
OTHER = images.image({"a": "2"})
LAYERS = images.image([images.layer({f"file-{number}": str(number)}) for number in range(16)])


@pytest.fixture(autouse=True)
def no_auth_files(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


class Place:
    """A registry behind a token service, and its content without both of them."""

    def __init__(self, tokens: TokenServer, registry: Registry, content: Registry) -> None:
        self.tokens = tokens
        self.registry = registry
        self.url = registry.url
        self.content = content.url

    def add(self, repository: str, image: images.Image, name: str) -> None:
        images.push(self.content, repository, image, name)

    def tags(self, repository: str) -> dict[str, str | None]:
        return images.state(self.content, repository)

    def asked(self) -> list[list[str]]:
        """The scopes of each token request so far."""
        return [sorted_scopes(request) for request in self.tokens.requests]

    def refused(self, method: str = "") -> int:
        """How many requests the registry answered with 401."""
        return sum(status == 401 and method in ("", verb) for verb, _uri, status in self.registry.requests())


def sorted_scopes(request: TokenRequest) -> list[str]:
    """The scopes of a request. The registry names their actions in any order, and the client follows it."""
    parts = (scope.rpartition(":") for scope in request.scopes)
    return [f"{resource}:{','.join(sorted(actions.split(',')))}" for resource, _colon, actions in parts]


@contextlib.contextmanager
def guarded(storage: pathlib.Path, tokens: TokenServer | None = None, **options: t.Any) -> t.Iterator[Place]:
    """A registry with deletion, whose token service knows USERS; ``options`` are those of the service."""
    with contextlib.ExitStack() as stack:
        content = stack.enter_context(Registry(storage=storage))
        service = tokens or stack.enter_context(TokenServer(USERS, **options))
        registry = stack.enter_context(Registry(storage=storage, token=service.settings))
        yield Place(service, registry, content)


def rmtag(connect: Connect, url: str, options: t.Any, image: str) -> t.Any:
    clients, _client = connect(url, **{"retries": 0, **options})
    return task(registry_rmtag, clients, image=image)


def retag(connect: Connect, url: str, options: t.Any, image: str, *to: str) -> t.Any:
    clients, _client = connect(url, **{"retries": 0, **options})
    return task(registry_tag, clients, image=image, to=list(to))


def catalog(connect: Connect, url: str, options: t.Any) -> t.Any:
    clients, _client = connect(url, **{"retries": 0, **options})
    return task(registry_catalog_info, clients)


def assert_secret(error: RegistryError, events: t.Any, *more: str) -> None:
    """Assert that an error is one sentence, and that neither it nor the log holds what must stay secret."""
    assert "\n" not in str(error) and len(str(error)) < 800
    shown = str(error) + json.dumps(error.to_dict()) + json.dumps(error.result) + "".join(events.lines)
    packed = [base64.b64encode(f"{name}:{word}".encode()).decode() for name, word in USERS.items()]
    assert not [secret for secret in [*USERS.values(), *packed, *more] if secret in shown]


# Tokens


@pytest.mark.parametrize(
    "service",
    [
        {"algorithm": "RS256", "key_in": "x5c", "token_name": "token", "announced": 300},
        {"algorithm": "RS256", "key_in": "kid", "token_name": "access_token", "announced": None},
        {"algorithm": "ES256", "key_in": "x5c", "token_name": "both", "announced": 60},
        {"algorithm": "ES256", "key_in": "kid", "token_name": "access_token", "announced": 1},
    ],
    ids=lambda service: "-".join(map(str, service.values())),
)
def test_pull_push_retag_and_delete(
    connect: Connect, mover: Mover, events: t.Any, tmp_path: pathlib.Path, service: dict[str, t.Any]
) -> None:
    with guarded(tmp_path / "storage", **service) as place:
        place.add("team/app", IMAGE, "1")
        place.add("team/app", OTHER, "2")
        mover.pull(place.url, "team/app:1", tmp_path / "layout", options=ALICE)
        assert_layout(tmp_path / "layout")
        mover.push(place.url, tmp_path / "layout", "new/app:1", options=ALICE)
        assert_whole(place.content, "new/app", "1", IMAGE)
        retag(connect, place.url, ALICE, "team/app:1", "team/app:3", "team/app:4")
        result = rmtag(connect, place.url, ALICE, "team/app:3")
        assert [one["tag"] for one in result["removed"]] == ["3"]
        assert place.tags("team/app") == {"1": IMAGE.digest, "2": OTHER.digest, "4": IMAGE.digest}
        assert {request.user for request in place.tokens.requests} == {"alice"}
        shown = json.dumps(result) + "".join(events.lines)
        assert place.tokens.given and not [one for one in place.tokens.given if one in shown]


def test_each_scope_is_asked_for_once(mover: Mover, tmp_path: pathlib.Path) -> None:
    with guarded(tmp_path / "storage") as place:
        place.add("team/app", LAYERS, "1")
        mover.pull(place.url, "team/app:1", tmp_path / "layout", options={**ALICE, "concurrency": 16})
        assert place.asked() == [["repository:team/app:pull"]]
        place.tokens.clear()
        mover.push(place.url, tmp_path / "layout", "new/app:1", options={**ALICE, "concurrency": 16})
        assert place.asked() == [["repository:new/app:pull,push"]]
        assert_whole(place.content, "new/app", "1", LAYERS)


def promote(connect: Connect, url: str, options: t.Any, *repositories: str) -> t.Any:
    entries = [{"image": f"{name}:1", "to": [f"{name}:stable"]} for name in repositories]
    clients, _client = connect(url, **{"retries": 0, **options})
    return task(registry_promote, clients, images=entries)


def test_a_promotion_of_many_repositories_asks_for_few_tokens(
    connect: Connect, tmp_path: pathlib.Path
) -> None:
    """One token for ten repositories, with all that the task will do there."""
    names = [f"team/app-{number:02}" for number in range(20)]
    with guarded(tmp_path / "storage") as place:
        for name in names:
            place.add(name, IMAGE, "1")
        assert promote(connect, place.url, ALICE, *names)["changed"]
        assert len(place.asked()) == 2
        asked = sorted(scope for scopes in place.asked() for scope in scopes)
        assert asked == [f"repository:{name}:pull,push" for name in names]
        assert place.refused() == 1, "the base of the API says how to authenticate"
        assert all(place.tags(name)["stable"] == IMAGE.digest for name in names)


def test_rights_on_some_repositories_only_are_asked_for_alone(
    connect: Connect, tmp_path: pathlib.Path
) -> None:
    rights = {"alice": {"repository:team/*": "pull,push", "repository:other/*": "pull"}}
    with guarded(tmp_path / "storage", rights=rights) as place:
        for name in ("team/app", "other/app"):
            place.add(name, IMAGE, "1")
        assert promote(connect, place.url, ALICE, "team/app")["changed"]
        with pytest.raises(RegistryError, match="other/app"):
            promote(connect, place.url, ALICE, "team/app", "other/app")
        # What changes nothing needs no right to write.
        place.add("other/app", IMAGE, "stable")
        assert not promote(connect, place.url, ALICE, "team/app", "other/app")["changed"]


def test_threads_share_one_request_for_a_scope(connect: Connect, tmp_path: pathlib.Path) -> None:
    with guarded(tmp_path / "storage", delay=0.1) as place:
        for repository in ("team/app", "team/other"):
            place.add(repository, IMAGE, "1")
        _connection, client = connect(place.url, **ALICE)
        start = threading.Barrier(16, timeout=20)

        def look(number: int) -> str | None:
            start.wait()
            found = client.resolve(("team/app", "team/other")[number % 2], "1")
            return found.digest if found else None

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(look, range(16))) == [IMAGE.digest] * 16
        assert sorted(place.asked()) == [["repository:team/app:pull"], ["repository:team/other:pull"]]


@pytest.mark.parametrize("how", ["copy", "retag"])
def test_a_mount_takes_two_scopes_in_one_token(
    connect: Connect, mover: Mover, tmp_path: pathlib.Path, how: str
) -> None:
    with guarded(tmp_path / "storage") as place:
        place.add("team/app", LAYERS, "1")
        if how == "copy":
            mover.copy(place.url, "team/app:1", "new/app:1", options=ALICE)
        else:
            retag(connect, place.url, ALICE, "team/app:1", "new/app:1")
        assert_whole(place.content, "new/app", "1", LAYERS)
        both = ["repository:new/app:pull,push", "repository:team/app:pull"]
        assert place.asked().count(both) == 1
        mounts = [
            status for _verb, uri, status in place.registry.requests() if "mount=" in uri and status != 401
        ]
        assert mounts == [201] * len(LAYERS.blobs)


def test_a_repository_that_may_not_be_mounted_from_is_done_without(
    mover: Mover, tmp_path: pathlib.Path
) -> None:
    rights = {"alice": {"repository:team/*": "pull,push"}}
    with guarded(tmp_path / "storage", rights=rights) as place:
        place.add("team/app", IMAGE, "1")
        place.add("closed/app", IMAGE, "1")
        mover.pull(place.url, "team/app:1", tmp_path / "layout", options=ALICE)
        mover.push(place.url, tmp_path / "layout", "team/new:1", options=ALICE, mount_from=["closed/app"])
        assert_whole(place.content, "team/new", "1", IMAGE)


def test_credentials_of_two_paths(mover: Mover, tmp_path: pathlib.Path) -> None:
    """One user may read, another may write, none may do both: their entries in an auth file are bound to paths."""
    rights = {"alice": {"repository:team/*": "pull"}, "bob": {"repository:new/*": "pull,push"}}
    with guarded(tmp_path / "storage", rights=rights) as place:
        place.add("team/app", IMAGE, "1")
        entries = {
            f"{place.registry.host}/{path}": {
                "auth": base64.b64encode(f"{name}:{USERS[name]}".encode()).decode()
            }
            for path, name in (("team", "alice"), ("new", "bob"))
        }
        file = tmp_path / "auth.json"
        file.write_text(json.dumps({"auths": entries}), encoding="utf-8")
        mover.copy(place.url, "team/app:1", "new/app:1", options={"auth_file": str(file)})
        assert_whole(place.content, "new/app", "1", IMAGE)
        who = {(request.user, min(sorted_scopes(request))) for request in place.tokens.requests}
        assert who == {
            ("alice", "repository:team/app:pull"),
            ("bob", "repository:new/app:pull,push"),
        }


def test_catalog(connect: Connect, events: t.Any, tmp_path: pathlib.Path) -> None:
    rights = {"bob": {"repository:*": "pull"}}
    with guarded(tmp_path / "storage", rights=rights) as place:
        place.add("team/app", IMAGE, "1")
        found = catalog(connect, place.url, ALICE)
        assert [one["name"] for one in found["repositories"]] == ["team/app"]
        assert place.asked() == [["registry:catalog:*"]]
        with pytest.raises(Unsupported, match="does not show its catalog to these credentials") as caught:
            catalog(connect, place.url, BOB)
        assert_secret(caught.value, events, *place.tokens.given)


def test_rights_that_do_not_suffice_change_nothing(
    connect: Connect, mover: Mover, events: t.Any, tmp_path: pathlib.Path
) -> None:
    rights = {"bob": {"repository:team/*": "pull"}, "": {"repository:team/public": "pull"}}
    with guarded(tmp_path / "storage", rights=rights) as place:
        for repository in ("team/app", "team/public", "closed/app"):
            place.add(repository, IMAGE, "1")
            place.add(repository, OTHER, "2")
        mover.pull(place.url, "team/app:1", tmp_path / "layout", options=BOB)
        mover.pull(place.url, "team/public:1", tmp_path / "public")
        before = {name: place.tags(name) for name in ("team/app", "team/public", "closed/app")}
        place.registry.clear_requests()
        # One request after another: those under way at once would each ask again.
        nobody: dict[str, t.Any] = {"concurrency": 1}
        bob = {**BOB, **nobody}
        denied, none = (
            "the credentials from the options .* have no right to it",
            "no credentials were found in",
        )
        attempts: list[tuple[str, t.Callable[[], t.Any]]] = [
            (denied, lambda: mover.pull(place.url, "closed/app:1", tmp_path / "closed", options=bob)),
            (none, lambda: mover.pull(place.url, "team/app:1", tmp_path / "closed", options=nobody)),
            (denied, lambda: mover.push(place.url, tmp_path / "layout", "team/app:3", options=bob)),
            (denied, lambda: mover.push(place.url, tmp_path / "layout", "closed/app:1", options=bob)),
            (denied, lambda: mover.copy(place.url, "team/app:1", "team/new:1", options=bob)),
            (denied, lambda: mover.copy(place.url, "closed/app:1", "closed/new:1", options=bob)),
            (denied, lambda: retag(connect, place.url, bob, "team/app:1", "team/app:2")),
            (none, lambda: retag(connect, place.url, nobody, "team/public:1", "team/public:2")),
            (denied, lambda: rmtag(connect, place.url, bob, "team/app:1")),
            (none, lambda: rmtag(connect, place.url, nobody, "team/public:1")),
        ]
        for reason, attempt in attempts:
            place.tokens.clear()
            with pytest.raises(Unauthorized, match=f"HTTP 401 UNAUTHORIZED.*{reason}") as caught:
                attempt()
            assert_secret(caught.value, events, *place.tokens.given)
            # A token that is refused is replaced once, and no more often.
            assert all(place.asked().count(scopes) <= 2 for scopes in place.asked())
        assert {name: place.tags(name) for name in before} == before
        assert not (tmp_path / "closed").exists()
        written = [
            line for line in place.registry.requests() if line[0] not in ("GET", "HEAD") and line[2] < 400
        ]
        assert written == []


def test_a_wrong_password(connect: Connect, events: t.Any, tmp_path: pathlib.Path) -> None:
    with guarded(tmp_path / "storage") as place:
        with pytest.raises(Unauthorized) as caught:
            retag(connect, place.url, {"username": "alice", "password": "wr0ng-w0rd"}, "a/b:1", "a/b:2")
        assert "refuses the credentials from the options username and password" in str(caught.value)
        assert "incorrect username or password" in str(caught.value)
        assert_secret(caught.value, events, "wr0ng-w0rd", base64.b64encode(b"alice:wr0ng-w0rd").decode())


# Expiry


def test_a_service_that_gives_expired_tokens_only(
    connect: Connect, events: t.Any, tmp_path: pathlib.Path
) -> None:
    with guarded(tmp_path / "storage", lifetime=EXPIRED) as place:
        place.add("team/app", IMAGE, "1")
        with pytest.raises(Unauthorized, match="HTTP 401 UNAUTHORIZED") as caught:
            retag(connect, place.url, ALICE, "team/app:1", "team/app:2")
        assert_secret(caught.value, events, *place.tokens.given)
        assert place.tags("team/app") == {"1": IMAGE.digest}


def expire(monkeypatch: pytest.MonkeyPatch, place: Place, method: str) -> None:
    """Let the tokens of the next scopes end, without the client's knowledge, before the third call of ``method``."""
    place.tokens.clear()
    place.registry.clear_requests()
    place.tokens.lifetimes = [2 - LEEWAY] * 2
    original, calls = getattr(RegistryClient, method), []

    def wait_and_go_on(self: RegistryClient, *arguments: t.Any, **more: t.Any) -> t.Any:
        calls.append(method)
        if len(calls) == 3:
            time.sleep(3.2)
        return original(self, *arguments, **more)

    monkeypatch.setattr(RegistryClient, method, wait_and_go_on)


@pytest.mark.parametrize("size", [0, 20 << 20], ids=["small", "large"])
def test_expiry_in_the_middle_of_a_push(
    mover: Mover, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, size: int
) -> None:
    """A large body is cut off when its token has expired: the answer comes before all of it was sent."""
    image = images.image(
        [images.layer({f"file-{number}": str(number) + "x" * size}, compression="") for number in range(3)]
    )
    with guarded(tmp_path / "storage") as place:
        place.add("team/app", image, "1")
        mover.pull(place.url, "team/app:1", tmp_path / "layout", options=ALICE)
        expire(monkeypatch, place, "finish_upload")
        mover.push(place.url, tmp_path / "layout", "new/app:1", options={**ALICE, "concurrency": 1})
        assert_whole(place.content, "new/app", "1", image)
        assert place.asked() == [["repository:new/app:pull,push"]] * 2


def test_expiry_in_the_middle_of_a_pull(
    mover: Mover, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    with guarded(tmp_path / "storage") as place:
        place.add("team/app", LAYERS, "1")
        expire(monkeypatch, place, "open_blob")
        mover.pull(place.url, "team/app:1", tmp_path / "layout", options={**ALICE, "concurrency": 4})
        assert_layout(tmp_path / "layout")
        # The tokens of both requests were short-lived; threads share what replaces the first one.
        assert set(map(tuple, place.asked())) == {("repository:team/app:pull",)}
        assert 2 <= len(place.asked()) <= 3


# Refresh tokens


def write_identity(path: pathlib.Path, host: str, user: str, password: str, identity: str) -> dict[str, str]:
    entry = {"auth": base64.b64encode(f"{user}:{password}".encode()).decode(), "identitytoken": identity}
    path.write_text(json.dumps({"auths": {host: entry}}), encoding="utf-8")
    return {"auth_file": str(path)}


@pytest.mark.parametrize("post", [200, 404, 405])
def test_refresh_tokens(mover: Mover, tmp_path: pathlib.Path, post: int) -> None:
    with guarded(tmp_path / "storage", post=post) as place:
        place.add("team/app", IMAGE, "1")
        place.tokens.refresh_tokens["refresh-me"] = "alice"
        options = write_identity(
            tmp_path / "auth.json", place.registry.host, "alice", USERS["alice"], "refresh-me"
        )
        mover.copy(place.url, "team/app:1", "new/app:1", options=options)
        assert_whole(place.content, "new/app", "1", IMAGE)
        methods = [(request.method, request.status) for request in place.tokens.requests]
        assert set(methods) == ({("POST", 200)} if post == 200 else {("POST", post), ("GET", 200)})
        for request in place.tokens.requests:
            assert ("Authorization" in request.headers) == (request.method == "GET")
            assert ("refresh_token" in request.fields) == (request.method == "POST")


def test_a_refresh_token_alone(connect: Connect, events: t.Any, tmp_path: pathlib.Path) -> None:
    with guarded(tmp_path / "storage") as place:
        place.add("team/app", IMAGE, "1")
        place.tokens.refresh_tokens["refresh-me"] = "alice"
        retag(connect, place.url, {"identity_token": "refresh-me"}, "team/app:1", "team/app:2")
        assert place.tags("team/app") == {"1": IMAGE.digest, "2": IMAGE.digest}
        for identity, post, sentence in (
            ("revoked-one", 200, "refuses the credentials from the option identity_token .HTTP 401."),
            ("refresh-me", 404, "answered HTTP 404"),
        ):
            place.tokens.post = post
            with pytest.raises((Unauthorized, ProtocolError), match=sentence) as caught:
                retag(connect, place.url, {"identity_token": identity}, "team/app:1", "team/app:3")
            assert_secret(caught.value, events, identity)
        assert "3" not in place.tags("team/app")


# Services and challenges that differ


def test_a_service_that_knows_no_delete(connect: Connect, tmp_path: pathlib.Path) -> None:
    with guarded(tmp_path / "storage", knows_delete=False) as place:
        place.add("team/app", IMAGE, "1")
        place.add("team/app", IMAGE, "2")
        rmtag(connect, place.url, ALICE, "team/app:1")
        assert place.tags("team/app") == {"2": IMAGE.digest}
        refused = [sorted_scopes(request) for request in place.tokens.requests if request.status == 400]
        asked = place.asked()
        assert refused and all(asked[asked.index(one) + 1] == ["repository:team/app:*"] for one in refused)


class Front(http.server.BaseHTTPRequestHandler):
    """Passes requests on to a registry, and changes the challenges on their way back."""

    registry: Registry
    challenges: t.Callable[[str], list[str]]
    seen: list[str]

    def log_message(self, format: str, *args: t.Any) -> None:  # pylint: disable=redefined-builtin
        """Stay silent."""

    def pass_on(self) -> None:
        self.seen.append(self.headers.get("Authorization", ""))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(self.registry.host, timeout=20)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            for one in type(self).challenges(value) if name == "Www-Authenticate" else [value]:
                self.send_header(name, one)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on


@contextlib.contextmanager
def served(
    handler: t.Callable[..., http.server.BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> t.Iterator[str]:
    """Serve with ``handler`` and return where: http://127.0.0.1:PORT."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), t.cast(t.Any, handler)) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    "challenges",
    [
        lambda own: [f'Negotiate, {own},Basic realm="registry"'],
        lambda own: [f'Basic realm="a, Bearer realm=b", {own}'],
        lambda own: ["NTLM TlRMTVNTUAAC==", 'Basic realm="registry"', own],
        lambda own: [own.replace("Bearer", "bEARER").replace(",", " , ")],
    ],
    ids=["one-header", "basic-first", "three-headers", "odd-spelling"],
)
def test_several_challenges(
    mover: Mover, tmp_path: pathlib.Path, challenges: t.Callable[[str], list[str]]
) -> None:
    with guarded(tmp_path / "storage") as place:
        place.add("team/app", IMAGE, "1")
        seen: list[str] = []
        own = {"registry": place.registry, "challenges": staticmethod(challenges), "seen": seen}
        front = type("ThisFront", (Front,), own)
        with served(front) as url:
            mover.copy(url, "team/app:1", "new/app:1", options=ALICE)
        assert_whole(place.content, "new/app", "1", IMAGE)
        # Where a token does, the password does not go to the registry.
        assert {sent.partition(" ")[0] for sent in seen} == {"", "Bearer"}


@pytest.fixture(scope="module")
def tls() -> t.Iterator[Registry]:
    with Registry(tls=True, users=USERS) as server:
        yield server


def test_a_token_service_on_another_host(
    connect: Connect, events: t.Any, tls: Registry, tmp_path: pathlib.Path
) -> None:
    certificate = (tls.path("server.pem"), tls.path("server.key"))
    with TokenServer(USERS, tls=certificate, host="localhost") as tokens:
        with guarded(tmp_path / "storage", tokens) as place:
            place.add("team/app", IMAGE, "1")
            options: dict[str, t.Any] = {**ALICE, "ca_path": tls.ca}
            with pytest.raises(UnsafeTarget, match=r"set trusted_realms: \[localhost\]") as caught:
                retag(connect, place.url, options, "team/app:1", "team/app:2")
            assert_secret(caught.value, events)
            assert tokens.requests == []
            trusting = {**options, "trusted_realms": ["localhost"]}
            retag(connect, place.url, trusting, "team/app:1", "team/app:2")
            assert place.tags("team/app") == {"1": IMAGE.digest, "2": IMAGE.digest}
            # Trust in the service does not make up for a certificate that nobody vouches for.
            tokens.clear()
            with pytest.raises(TlsFailure, match="set ca_path"):
                retag(connect, place.url, {**trusting, "ca_path": None}, "team/app:1", "team/app:3")
            assert tokens.requests == []


class Storage(http.server.SimpleHTTPRequestHandler):
    """Storage that the registry sends readers on to."""

    seen: list[tuple[str | None, t.Any]] = []

    def do_GET(self) -> None:
        secure = isinstance(self.connection, ssl.SSLSocket)
        certificate = t.cast(ssl.SSLSocket, self.connection).getpeercert() if secure else None
        self.seen.append((self.headers.get("Authorization"), certificate))
        super().do_GET()

    def log_message(self, format: str, *args: t.Any) -> None:  # pylint: disable=redefined-builtin
        """Stay silent."""


def test_tokens_and_passwords_stay_with_their_origin(mover: Mover, tmp_path: pathlib.Path) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    Storage.seen.clear()
    with served(functools.partial(Storage, directory=str(storage))) as elsewhere:
        with Registry(storage=storage) as content, TokenServer(USERS) as tokens:
            images.push(content.url, "team/app", IMAGE, "1")
            with Registry(storage=storage, token=tokens.settings, redirect_to=elsewhere) as registry:
                mover.pull(registry.url, "team/app:1", tmp_path / "layout", options=ALICE)
                assert_layout(tmp_path / "layout")
                assert [status for _verb, uri, status in registry.requests() if "/blobs/" in uri] == [
                    307,
                    307,
                ]
        assert Storage.seen == [(None, None)] * len(IMAGE.blobs)
        # The password goes to the token service, the token does not.
        assert [request.headers["Authorization"].split()[0] for request in tokens.requests] == ["Basic"]


def test_client_certificates_stay_with_their_origin(
    mover: Mover, tls: Registry, tmp_path: pathlib.Path
) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    Storage.seen.clear()
    # This storage would take a certificate, if it were shown one.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.path("server.pem"), tls.path("server.key"))
    context.verify_mode = ssl.CERT_OPTIONAL
    with served(functools.partial(Storage, directory=str(storage)), context) as elsewhere:
        with Registry(storage=storage) as content:
            images.push(content.url, "team/app", IMAGE, "1")
        with Registry(storage=storage, client_ca=True, redirect_to=elsewhere) as registry:
            assert registry.ca and registry.client_cert and registry.client_key and tls.ca
            context.load_verify_locations(registry.ca)
            trusted = tmp_path / "trusted.pem"
            trusted.write_bytes(pathlib.Path(registry.ca).read_bytes() + pathlib.Path(tls.ca).read_bytes())
            options = {"client_cert": registry.client_cert, "client_key": registry.client_key}
            with requests.Session() as shown:
                shown.trust_env = False
                shown.get(
                    elsewhere, verify=tls.ca, cert=(registry.client_cert, registry.client_key), timeout=10
                )
            assert Storage.seen[0][1]["subject"]
            Storage.seen.clear()
            options["ca_path"] = str(trusted)
            mover.pull(registry.url, "team/app:1", tmp_path / "layout", options=options)
    assert_layout(tmp_path / "layout")
    assert len(Storage.seen) == len(IMAGE.blobs)
    assert not any(sent or certificate for sent, certificate in Storage.seen)


# Passwords over TLS


def test_passwords_over_tls(
    connect: Connect, mover: Mover, events: t.Any, tls: Registry, tmp_path: pathlib.Path
) -> None:
    access: dict[str, t.Any] = {"auth": ("alice", USERS["alice"].encode()), "verify": tls.ca}
    images.push(tls.url, "team/app", IMAGE, "1", **access)
    tls.clear_requests()
    options: dict[str, t.Any] = {**ALICE, "ca_path": tls.ca}
    mover.copy(tls.url, "team/app:1", "new/app:1", options=options)
    assert images.head(tls.url, "new/app", "1", **access) == IMAGE.digest
    # The way in is found out once.
    assert sum(status == 401 for _verb, _uri, status in tls.requests()) == 1
    rmtag(connect, tls.url, options, "new/app:1")
    assert images.tags(tls.url, "new/app", **access) == []
    for wrong, kind, sentence in (
        ({"password": "wr0ng-w0rd"}, Unauthorized, "does not accept the user name and password"),
        ({"username": None, "password": None}, Unauthorized, "set username and password, or auth_file"),
        ({"ca_path": None}, TlsFailure, "set ca_path"),
    ):
        with pytest.raises(kind, match=sentence) as caught:
            retag(connect, tls.url, {**options, **wrong}, "team/app:1", "team/app:2")
        assert_secret(caught.value, events, "wr0ng-w0rd")
    assert images.tags(tls.url, "team/app", **access) == ["1"]


def test_passwords_are_not_sent_before_the_certificate_was_checked(connect: Connect, tls: Registry) -> None:
    tls.clear_requests()
    with pytest.raises(TlsFailure):
        retag(connect, tls.url, ALICE, "team/app:1", "team/app:2")
    assert tls.requests() == []


@pytest.mark.parametrize("kind", ["push", "pull", "copy"])
def test_a_wrong_password_is_not_sent_many_times_at_once(
    mover: Mover, tmp_path: pathlib.Path, kind: str
) -> None:
    """Some registries lock an account after a few."""
    image = images.image([images.layer({f"file{number}": str(number)}) for number in range(6)])
    wrong = {"username": "alice", "password": "wrong-password"}
    with HostileRegistry() as open_one, HostileRegistry(auth="basic") as server:
        for registry in (open_one, server):
            for number in range(10):
                registry.add("a", image, str(number))
        mover.pull(open_one.url, "a:1", tmp_path / "layout")
        names = [f"a:{number}" for number in range(10)]
        attempts = {
            "push": lambda: mover.push(server.url, tmp_path / "layout", "b:1", options=wrong),
            "pull": lambda: mover.pull(server.url, names, tmp_path / "all", options=wrong),
            "copy": lambda: mover.copy(server.url, "a:1", f"{server.host}/c:1", options=wrong),
        }
        with pytest.raises(Unauthorized, match="does not accept the user name and password"):
            attempts[kind]()
        sent = sum("Authorization" in request.headers for request in server.requests)
        # The task may end a moment after the next request was begun.
        assert 1 <= sent <= 2
