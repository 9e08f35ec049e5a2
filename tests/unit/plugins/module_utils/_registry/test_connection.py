# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection options: what goes together, whom credentials belong to, and what is hidden."""

from __future__ import annotations

import base64
import http.server
import json
import os
import pathlib
import threading
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    Denied,
    InvalidInput,
    RegistryError,
    Unauthorized,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import parse
from ansible_collections.ocikit.registry.plugins.module_utils._parallel import map_concurrent
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import (
    OPTIONS,
    Events,
    RegistryClients,
)
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
from tests.unit.stub import Stub

IMAGE = images.image({"a": "1"})
ALICE = "YWxpY2U6c2VjcmV0"
# Writes down whom it was asked for; waits where the test wants that; has something for one registry only.
HELPER = """#!/bin/sh
read -r server
echo "$server" >> {place}/asked
while [ -e "{place}/wait-for-$server" ]; do sleep 0.01; done
case $server in
known*) echo '{{"Username": "alice", "Secret": "secret"}}';;
broken*) exit 1;;
*) echo credentials not found in native keychain; exit 1;;
esac
"""


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """A user without credentials anywhere. Returns the home directory."""
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "DOCKER_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def connection(events: t.Any, **options: t.Any) -> RegistryClients:
    return RegistryClients(
        {**{name: spec.get("default") for name, spec in OPTIONS.items()}, **options}, events
    )


def sent(server: HostileRegistry) -> set[str | None]:
    return {request.headers["Authorization"] for request in server.requests}


def test_credentials_go_to_the_registry_of_the_option_only(events: t.Any) -> None:
    with HostileRegistry(auth="basic") as mine, HostileRegistry(auth="basic") as other:
        mine.add("a/b", IMAGE, "x")
        them = connection(events, registry=mine.url, username="alice", password="secret")
        assert them.client(them.reference("a/b:x")).resolve("a/b", "x") is not None
        elsewhere = them.reference(f"{other.host}/a/b:x")
        with pytest.raises(Unauthorized, match="none were found"):
            them.client(elsewhere).resolve("a/b", "x")
        assert sent(mine) == {None, f"Basic {ALICE}"} and sent(other) == {None}


def test_credentials_go_to_the_one_registry_that_is_named(events: t.Any) -> None:
    with HostileRegistry(auth="basic") as one, HostileRegistry(auth="basic") as two:
        one.add("a/b", IMAGE, "x")
        them = connection(events, username="alice", password="secret")
        assert them.client(them.reference(f"{one.host}/a/b:x")).resolve("a/b", "x") is not None
        with pytest.raises(
            InvalidInput,
            match=f"names two registries, {one.host} and {two.host}: say with the option registry",
        ):
            them.client(them.reference(f"{two.host}/a/b:x"))
        assert two.requests == []


def test_without_credentials_any_number_of_registries_is_named(events: t.Any) -> None:
    with HostileRegistry() as one, HostileRegistry() as two:
        them = connection(events)
        for server in (one, two):
            server.add("a/b", IMAGE, "x")
            assert them.client(them.reference(f"{server.host}/a/b:x")).resolve("a/b", "x") is not None


def test_credentials_of_an_auth_file_are_hidden_and_bound_to_their_path(
    events: t.Any, tmp_path: pathlib.Path
) -> None:
    with HostileRegistry(auth="basic") as server:
        server.add("a/b", IMAGE, "x")
        server.add("c/d", IMAGE, "x")
        auth_file = tmp_path / "auth.json"
        auth_file.write_text(json.dumps({"auths": {f"{server.host}/a": {"auth": ALICE}}}), encoding="utf-8")
        them = connection(events, registry=server.url, auth_file=str(auth_file))
        assert them.default().resolve("a/b", "x") is not None
        assert events.hidden == {"secret", ALICE}
        server.requests.clear()
        with pytest.raises(Unauthorized):
            them.default().resolve("c/d", "x")
        assert sent(server) == {None}


def test_credentials_of_the_home_directory(events: t.Any, nobody: pathlib.Path) -> None:
    with HostileRegistry(auth="basic") as server:
        server.add("a/b", IMAGE, "x")
        (nobody / ".docker").mkdir()
        config = {"auths": {server.host: {"auth": ALICE}}}
        (nobody / ".docker" / "config.json").write_text(json.dumps(config), encoding="utf-8")
        assert connection(events, registry=server.url).default().resolve("a/b", "x") is not None
        assert "secret" in events.hidden


@pytest.fixture
def asked(nobody: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[], list[str]]:
    """Install a helper for all registries, beside an entry for a path. Returns whom it was asked for."""
    program = nobody / "docker-credential-test"
    program.write_text(HELPER.format(place=nobody), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{nobody}{os.pathsep}{os.defpath}")
    config = {"credsStore": "test", "auths": {"unknown.example.com/team": {"auth": ALICE}}}
    (nobody / ".docker").mkdir()
    (nobody / ".docker/config.json").write_text(json.dumps(config), encoding="utf-8")
    return lambda: (nobody / "asked").read_text(encoding="utf-8").split()


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_helper_is_asked_once_for_a_registry(
    events: t.Any, asked: t.Callable[[], list[str]], concurrency: int
) -> None:
    them = connection(events)
    questions = [
        (registry, f"{team}/app-{number}")
        for registry in ("known.example.com", "unknown.example.com")
        for team in ("team", "other")
        for number in range(20)
    ]
    found = map_concurrent(lambda question: them.credentials(*question).username, questions, concurrency)
    assert found == ["alice"] * 60 + [""] * 20
    assert sorted(asked()) == ["known.example.com", "unknown.example.com"]


def test_no_registry_waits_for_the_helper_of_another(
    events: t.Any, nobody: pathlib.Path, asked: t.Callable[[], list[str]]
) -> None:
    gate = nobody / "wait-for-known.example.com"
    gate.touch()
    them, late = connection(events), []
    thread = threading.Thread(
        target=lambda: late.append(them.credentials("known.example.com", "a/b").username)
    )
    thread.start()
    try:
        assert them.credentials("unknown.example.com", "team/app").username == "alice"
        assert late == []
    finally:
        gate.unlink()
        thread.join(60)
    assert late == ["alice"] and len(asked()) == 2


def test_a_helper_that_failed_is_asked_again(events: t.Any, asked: t.Callable[[], list[str]]) -> None:
    them = connection(events)
    for _repository in range(2):
        with pytest.raises(RegistryError, match="failed with exit status 1"):
            them.credentials("broken.example.com", "a/b")
    assert len(asked()) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"username": "alice"}, "username needs password."),
        ({"password": "s3cret"}, "password needs username."),
        (
            {"username": "alice", "password": "s3cret", "token": "t0p-s3cret"},
            "username and token exclude each other",
        ),
        ({"token": "s3cret", "identity_token": "s3cret"}, "token and identity_token exclude each other"),
        ({"connect_timeout": 0.0}, "connect_timeout must be more than 0."),
        ({"read_timeout": -1.0}, "read_timeout must be more than 0."),
        ({"read_timeout": float("nan")}, "read_timeout must be more than 0."),
        ({"retries": -1}, "retries must be at least 0."),
        ({"concurrency": 0}, "concurrency must be at least 1."),
        ({"registry": "https://alice:s3cret@x.y"}, "The registry must not contain credentials"),
        ({"registry": "alice:s3cret@x.y"}, "The registry must not contain credentials"),
        ({"registry": "https://x.y", "plain_http": True}, "plain_http contradicts the scheme"),
        ({"registry": "http:/x.y"}, "is not a valid registry"),
    ],
)
def test_options_that_are_refused(events: t.Any, options: dict[str, t.Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        connection(events, **options)
    assert "s3cret" not in str(caught.value) and str(caught.value).endswith(".")
    if "s3cret" in repr(options):
        assert any("s3cret" in secret for secret in events.hidden) or "needs" in says or "exclude" in says


def test_options_that_are_left_out_have_their_defaults(events: t.Any) -> None:
    with HostileRegistry() as server:
        them = RegistryClients({**dict.fromkeys(OPTIONS), "registry": server.url}, events)
        assert them.concurrency == 8 and them.default().ping().status == 200


def test_secrets_of_options_are_hidden(events: t.Any) -> None:
    connection(events, username="alice", password="secret", proxy="http://bob:pr%40xy@127.0.0.1:1")
    assert events.hidden == {"secret", ALICE, "pr%40xy", "pr@xy"}
    connection(events, identity_token="1dentity")
    connection(events, token="t0ken")
    assert {"1dentity", "t0ken"} <= events.hidden


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_no_secret_is_in_anything_that_is_told(connect: t.Any, events: t.Any, auth: str) -> None:
    told: list[str] = []
    with HostileRegistry(auth=auth, realm="same", warning="mind the gap", blob_redirect="other") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, username="alice", password="secret")
        client.resolve("a/b", "x")
        client.open_blob("a/b", next(iter(IMAGE.blobs))).close()
        for path in ("nope", "sha256:" + "0" * 64):
            try:
                client.manifest("a/b", path)
            except RegistryError as error:
                told.append(str(error) + repr(error.to_dict()) + repr(error))
        server.behaviour.user = ("alice", "changed")
        server.tokens.clear()
        for _turn in range(2):
            try:
                client.manifest("a/b", "x")
            except RegistryError as error:
                told.append(str(error) + repr(error.to_dict()) + repr(error))
        assert len(told) == 4
        everything = "\n".join(told + events.lines + events.warnings)
        # The hostile storage signs its addresses with this word.
        for secret in ("secret", ALICE, "s3cret", "?", *server.tokens):
            assert secret not in everything
        assert len(events.lines) == len(server.requests)


@pytest.mark.parametrize(("auth", "word"), [("basic", "secret"), ("basic", None), ("bearer", None)])
def test_a_long_warning_is_cut_after_its_secrets_are_gone(
    connect: t.Any, events: t.Any, auth: str, word: str | None
) -> None:
    """It quotes the password, or the Authorization that came, so that only its first characters would be left."""
    with HostileRegistry(auth=auth, realm="same") as server:
        server.add("a/b", IMAGE, "x")
        filler = "." * 496

        def quote(request: t.Any) -> None:
            header = request.headers["Authorization"]
            if header:
                server.behaviour.warning = filler + (word or header.rpartition(" ")[2])

        server.before = quote
        _connection, client = connect(server.url, username="alice", password="secret")
        client.resolve("a/b", "x")
        assert [text[-5:] for text in events.warnings] == ["****…"]


class Quoting(http.server.BaseHTTPRequestHandler):
    """Refuses everybody, and says with which password they came, where messages are cut."""

    def log_message(self, format: str, *args: t.Any) -> None:  # pylint: disable=redefined-builtin
        """Stay silent."""

    def reply(self) -> None:
        sent = base64.b64decode((self.headers["Authorization"] or "").rpartition(" ")[2]).decode()
        content = json.dumps({"errors": [{"code": "DENIED", "message": "." * 497 + sent[len("alice:") :]}]})
        self.send_response(403 if sent else 401)
        self.send_header("WWW-Authenticate", 'Basic realm="here"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    do_GET = reply


def test_an_error_is_cut_after_its_secrets_are_gone(connect: t.Any) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quoting) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        _connection, client = connect(url, username="alice", password="secret")
        with pytest.raises(Denied) as caught:
            client.manifest("a/b", "x")
        server.shutdown()
    assert ".**" in str(caught.value)
    assert ".s" not in json.dumps([str(caught.value), caught.value.to_dict()])


def test_each_registry_has_one_client(events: t.Any) -> None:
    them = connection(events, registry="x.y")
    assert them.client(them.reference("a/b:1")) is them.client(them.reference("x.y/c/d")) is them.default()
    assert them.client(them.reference("z.y/a")) is not them.default()


@pytest.mark.parametrize(
    ("options", "first", "second", "name"),
    [
        ({}, "x.y/a/b:1", "x.y:443/a/b:1", "x.y"),
        ({}, "x.y:443/a/b:1", "X.y/a/b:1", "x.y:443"),
        ({"plain_http": True}, "x.y/a/b:1", "x.y:80/a/b:1", "x.y"),
        ({"registry": "x.y"}, "a/b:1", "x.y:443/a/b:1", "x.y"),
        ({"registry": "https://x.y:443"}, "x.y/a/b:1", "a/b:1", "x.y:443"),
        ({"registry": "http://x.y/nested"}, "x.y:80/a/b:1", "a/b:1", "x.y"),
        ({"username": "alice", "password": "secret"}, "x.y/a/b:1", "x.y:443/a/b:1", "x.y"),
        ({}, "docker.io/a/b:1", "index.docker.io:443/a/b:1", "docker.io"),
        ({}, "localhost:80/a/b:1", "localhost/a/b:1", "localhost:80"),
    ],
)
def test_the_port_that_a_scheme_has_anyway_makes_no_other_registry(
    events: t.Any, options: dict[str, t.Any], first: str, second: str, name: str
) -> None:
    them = connection(events, **options)
    one, two = them.reference(first), them.reference(second)
    assert one == two and one.registry == name
    assert them.client(one) is them.client(parse(second, options.get("registry")))
    assert them.repository(first[:-2]) == them.repository(second[:-2])


@pytest.mark.parametrize(
    ("options", "first", "second"),
    [
        ({}, "x.y/a/b:1", "x.y:80/a/b:1"),
        ({"plain_http": True}, "x.y/a/b:1", "x.y:443/a/b:1"),
        ({"registry": "http://x.y"}, "a/b:1", "x.y:443/a/b:1"),
        ({"registry": "https://x.y:5000"}, "a/b:1", "x.y/a/b:1"),
    ],
)
def test_another_port_is_another_registry(
    events: t.Any, options: dict[str, t.Any], first: str, second: str
) -> None:
    them = connection(events, **options)
    one, two = them.reference(first), them.reference(second)
    assert one != two and them.client(one) is not them.client(two)


def test_plain_http_is_for_registries_that_name_no_scheme(events: t.Any) -> None:
    them = connection(events, plain_http=True)
    assert str(them.client(them.reference("x.y/a")).endpoint) == "http://x.y"
    them = connection(events, registry="https://127.0.0.1:5000")
    assert str(them.default().endpoint) == "https://127.0.0.1:5000"


@pytest.mark.parametrize(("status", "fewer"), [(429, True), (503, True), (502, False)])
def test_a_registry_that_asks_for_a_pause_gets_fewer_requests_at_a_time(
    connect: t.Any, status: int, fewer: bool
) -> None:
    answered: set[str] = set()

    def answer(handler: t.Any) -> None:
        known = handler.path in answered
        answered.add(handler.path)
        handler.reply(404 if known else status, b"{}", Retry_After="0", Content_Type="application/json")

    with Stub(answer) as stub:
        clients, _client = connect(stub.url)
        repository = clients.repository_of(clients.reference("a/b:1"))
        repository.map(lambda number: repository.resolve(f"t{number}", trust_absence=True), range(30))
        assert (clients.concurrency.width == 4) is fewer
        assert (clients.concurrency.width >= 8) is not fewer
        assert clients.concurrency == 8


@pytest.mark.parametrize("keeps_lines", (True, False))
def test_lines_are_made_only_where_they_are_kept(registry: Registry, keeps_lines: bool) -> None:
    class Kept(Events):
        lines = 0

        def log(self, line: str) -> None:
            self.lines += 1

    events = Kept(keeps_lines)
    options = {**{name: spec.get("default") for name, spec in OPTIONS.items()}, "registry": registry.url}
    with RegistryClients(options, events) as clients:
        clients.repository_of(clients.reference("a")).client.get("", "", ())
    assert (events.lines > 0) == keeps_lines
