# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection options: what goes together, whom credentials belong to, and what is hidden."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    RegistryError,
    Unauthorized,
)
from ansible_collections.ocikit.registry.plugins.module_utils._options import OPTIONS, Connection
from tests.hostile import HostileRegistry
from tests.registries import images

IMAGE = images.image({"a": "1"})
ALICE = "YWxpY2U6c2VjcmV0"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """A user without credentials anywhere. Returns the home directory."""
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "DOCKER_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def connection(events: t.Any, **options: t.Any) -> Connection:
    return Connection({**{name: spec.get("default") for name, spec in OPTIONS.items()}, **options}, events)


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
        assert them.home().resolve("a/b", "x") is not None
        assert events.hidden == {"secret", ALICE}
        server.requests.clear()
        with pytest.raises(Unauthorized):
            them.home().resolve("c/d", "x")
        assert sent(server) == {None}


def test_credentials_of_the_home_directory(events: t.Any, nobody: pathlib.Path) -> None:
    with HostileRegistry(auth="basic") as server:
        server.add("a/b", IMAGE, "x")
        (nobody / ".docker").mkdir()
        config = {"auths": {server.host: {"auth": ALICE}}}
        (nobody / ".docker" / "config.json").write_text(json.dumps(config), encoding="utf-8")
        assert connection(events, registry=server.url).home().resolve("a/b", "x") is not None
        assert "secret" in events.hidden


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
        them = Connection({**dict.fromkeys(OPTIONS), "registry": server.url}, events)
        assert them.concurrency == 8 and them.home().ping().status == 200


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


def test_each_registry_has_one_client(events: t.Any) -> None:
    them = connection(events, registry="x.y")
    assert them.client(them.reference("a/b:1")) is them.client(them.reference("x.y/c/d")) is them.home()
    assert them.client(them.reference("z.y/a")) is not them.home()


def test_plain_http_is_for_registries_that_name_no_scheme(events: t.Any) -> None:
    them = connection(events, plain_http=True)
    assert str(them.client(them.reference("x.y/a")).endpoint) == "http://x.y"
    them = connection(events, registry="https://127.0.0.1:5000")
    assert str(them.home().endpoint) == "https://127.0.0.1:5000"
