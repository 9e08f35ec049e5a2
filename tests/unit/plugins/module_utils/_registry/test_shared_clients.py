# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that one process keeps from a task to the next: what is asked once, and what is never shared."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import RegistryError, Unauthorized
from ansible_collections.ocikit.registry.plugins.module_utils._registry import shared_clients
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import (
    OPTIONS,
    Events,
    RegistryClients,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.shared_clients import SharedClients
from tests.registries import Registry, images
from tests.registries.tokens import TokenServer
from tests.unit import expressions, plays
from tests.unit.conftest import RecordedEvents
from tests.unit.stub import Stub

IMAGE = images.image({"a": "1"})
USERS = {"alice": "secret-of-alice", "bob": "secret-of-bob"}
ALICE = {"username": "alice", "password": USERS["alice"]}
BOB = {"username": "bob", "password": USERS["bob"]}


@pytest.fixture(autouse=True)
def no_auth_files(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def shared() -> SharedClients:
    return SharedClients()


class Place(t.NamedTuple):
    """A registry with an image ``a/b:1``, and its token service."""

    registry: Registry
    tokens: TokenServer

    def asked(self) -> tuple[int, int]:
        """Return how many tokens were asked for, and requests made to the base of the API, since the last call."""
        bases = [path for _method, path, _status in self.registry.requests() if path == "/v2/"]
        counts = len(self.tokens.requests), len(bases)
        self.tokens.clear()
        self.registry.clear_requests()
        return counts


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Place]:
    storage = tmp_path_factory.mktemp("storage")
    with Registry(storage=storage) as writable:
        images.push(writable.url, "a/b", IMAGE, "1")
    with TokenServer(USERS) as tokens, Registry(token=tokens.settings, storage=storage) as server:
        yield Place(server, tokens)


def options(url: str, given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {**{name: spec.get("default") for name, spec in OPTIONS.items()}, "registry": url, **given}


def task(url: str, shared: SharedClients, events: Events | None = None, /, **given: t.Any) -> None:
    """Do what a short task does: look at a tag."""
    with RegistryClients(options(url, given), events or Events(), shared=shared) as clients:
        clients.repository_of(clients.reference("a/b:1")).resolve("1")


def test_tasks_with_the_same_options_ask_for_one_token(place: Place, shared: SharedClients) -> None:
    place.asked()
    for _number in range(3):
        task(place.registry.url, shared, **ALICE)
    assert place.asked() == (1, 1)


def test_a_user_never_gets_the_client_of_another(place: Place, shared: SharedClients) -> None:
    place.asked()
    task(place.registry.url, shared, **ALICE)
    task(place.registry.url, shared, **BOB)
    users = [request.user for request in place.tokens.requests]
    assert users == ["alice", "bob"]
    with pytest.raises(Unauthorized, match="no credentials were found"):
        task(place.registry.url, shared)
    with pytest.raises(Unauthorized, match="refuses the credentials"):
        task(place.registry.url, shared, username="alice", password="wrong")


def test_auth_files_are_read_by_each_task(
    place: Place, shared: SharedClients, tmp_path: pathlib.Path
) -> None:
    def write(user: str) -> None:
        auth = base64.b64encode(f"{user}:{USERS[user]}".encode()).decode()
        file.write_text(json.dumps({"auths": {place.registry.host: {"auth": auth}}}), encoding="utf-8")

    file = tmp_path / "auth.json"
    place.asked()
    for user in ("alice", "bob", "bob"):
        write(user)
        task(place.registry.url, shared, auth_file=str(file))
    assert [request.user for request in place.tokens.requests] == ["alice", "bob"]


def test_a_task_hides_the_token_that_an_earlier_one_got(place: Place, shared: SharedClients) -> None:
    place.asked()
    task(place.registry.url, shared, **ALICE)
    events = RecordedEvents()
    task(place.registry.url, shared, events, **ALICE)
    assert place.tokens.given[0] in events.hidden


@pytest.mark.parametrize(
    "change",
    [{"retries": 1}, {"read_timeout": 5.0}, {"concurrency": 3}, {"trusted_realms": ["x.test"]}],
    ids=str,
)
def test_another_option_means_another_client(
    place: Place, shared: SharedClients, change: dict[str, t.Any]
) -> None:
    place.asked()
    task(place.registry.url, shared, **ALICE)
    task(place.registry.url, shared, **ALICE, **change)
    assert place.asked() == (2, 2)


def test_another_environment_means_another_client(
    place: Place, shared: SharedClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.asked()
    task(place.registry.url, shared, **ALICE)
    monkeypatch.setenv("NO_PROXY", "elsewhere.test")
    task(place.registry.url, shared, **ALICE)
    assert place.asked() == (2, 2)


@pytest.mark.parametrize("name", ["_IDLE", "_LIFETIME"])
def test_a_client_is_not_kept_for_long(
    place: Place, shared: SharedClients, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place.asked()
    task(place.registry.url, shared, **ALICE)
    monkeypatch.setattr(shared_clients, name, -1.0)
    task(place.registry.url, shared, **ALICE)
    assert place.asked() == (2, 2)


def test_the_number_of_clients_that_are_kept_is_bounded(place: Place, shared: SharedClients) -> None:
    for retries in range(6):
        task(place.registry.url, shared, **ALICE, retries=retries)
    place.asked()
    for retries in range(6):
        task(place.registry.url, shared, **ALICE, retries=retries)
    assert place.asked() == (6, 6), "the oldest go first, each right before it is needed again"
    task(place.registry.url, shared, **ALICE, retries=5)
    assert place.asked() == (0, 0)


def test_another_process_has_clients_of_its_own(
    place: Place, shared: SharedClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    task(place.registry.url, shared, **ALICE)
    place.asked()
    process = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: process + 1)
    task(place.registry.url, shared, **ALICE)
    assert place.asked() == (1, 1)


def test_what_is_interrupted_keeps_its_client(place: Place, shared: SharedClients) -> None:
    """Threads may be left that use it."""
    for error in (KeyboardInterrupt, RegistryError):
        place.asked()
        with pytest.raises(error):
            with RegistryClients(options(place.registry.url, ALICE), Events(), shared=shared) as clients:
                clients.repository_of(clients.reference("a/b:1")).resolve("1")
                raise error("stopped")
    task(place.registry.url, shared, **ALICE)
    assert place.asked() == (1, 1)


def test_each_task_shows_the_warnings_of_the_registry(shared: SharedClients) -> None:
    digest = images.digest(b"x")
    with Stub(
        lambda handler: handler.reply(
            200,
            Docker_Content_Digest=digest,
            Content_Type="application/vnd.oci.image.manifest.v1+json",
            Warning='299 - "moving soon"',
        )
    ) as stub:
        for _number in range(2):
            events = RecordedEvents()
            task(stub.url, shared, events)
            assert len(events.warnings) == 1
        assert len({port for *_request, port in stub.seen}) == 1, "one connection serves both"


def test_lookups_of_one_process_ask_for_one_token(place: Place) -> None:
    place.asked()
    term = f"'{place.registry.host}/a/b:none', default='x'"
    keywords = ", ".join(f"{name}='{value}'" for name, value in ALICE.items())
    text = f"lookup('ocikit.registry.registry_digest', {term}, {keywords})"
    answers = expressions.evaluate(*[f"{text} ~ '{number}'" for number in range(5)])
    assert answers.values == [f"x{number}" for number in range(5)], answers
    assert place.asked() == (1, 1)


def test_items_of_a_loop_ask_for_one_token(place: Place, tmp_path: pathlib.Path) -> None:
    place.asked()
    info = {
        "ocikit.registry.registry_tag_info": {
            "repository": "{{ item }}",
            "registry": place.registry.url,
            **ALICE,
        }
    }
    played = plays.play(
        tmp_path,
        [{"name": "loop", "loop": ["a/b"] * 5, **info}],
        OCIKIT_REGISTRY_IN_PROCESS="true",
    )
    assert played.code == 0, played.output
    assert place.asked() == (1, 1)
