# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching tags on a real registry, and on one that fails: what cannot be read has not vanished."""

from __future__ import annotations

import base64
import json
import logging
import pathlib
import typing as t

import pytest
import requests

from ansible_collections.ocikit.registry.plugins.module_utils import _parallel
from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._http import transport
from ansible_collections.ocikit.registry.plugins.module_utils._watch import watcher as watcher_module
from ansible_collections.ocikit.registry.plugins.module_utils._watch.watcher import Watcher
from tests.hostile import HostileRegistry
from tests.hostile.server import Request
from tests.registries import Registry, images
from tests.unit.stub import Stub

FIRST = images.image({"a": "first"})
SECOND = images.image({"a": "second"})
HUB_LIMIT = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "10;w=21600"}


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_FIRST_PAUSE", 0.001)


class Watch:
    """A watcher whose clock stands still between looks."""

    def __init__(self, **arguments: t.Any) -> None:
        self.clock = Clock()
        defaults = {"repositories": ["a/b"], "tags": ["1"], "interval": 60}
        self.watcher = Watcher({**defaults, **arguments}, self.clock)

    def look(self) -> list[tuple[str | None, ...]]:
        """Wait, look, commit, and return the changes: kind, tag, digest, previous digest."""
        self.clock.now += self.watcher.pause()
        events = self.watcher.look()
        self.watcher.commit()
        return [
            (event["change"], event["tag"], event["digest"], event["previous_digest"]) for event in events
        ]


@pytest.fixture
def watch() -> t.Iterator[t.Callable[..., Watch]]:
    """``watch(**arguments)``: a watch of a/b:1 every 60 seconds."""
    made: list[Watch] = []

    def make(**arguments: t.Any) -> Watch:
        made.append(Watch(**arguments))
        return made[-1]

    yield make
    for one in made:
        one.watcher.close()


@pytest.fixture
def server() -> t.Iterator[HostileRegistry]:
    with HostileRegistry() as registry:
        registry.add("a/b", FIRST, "1")
        yield registry


def delete(registry: Registry, name: str, image: images.Image) -> None:
    answer = requests.delete(f"{registry.url}/v2/{name}/manifests/{image.digest}", timeout=10)
    assert answer.status_code == 202


@pytest.mark.registry_does("digest_tags")
def test_a_real_registry(watch: t.Callable[..., Watch], registry: Registry) -> None:
    name = "watched/app"
    images.push(registry.url, name, FIRST, "stable")
    watching = watch(registry=registry.url, repositories=[name], tags=["stable", "v*"])
    assert watching.look() == []
    images.push(registry.url, name, SECOND, "stable")
    images.push(registry.url, name, SECOND, "v2")
    assert watching.look() == [
        ("moved", "stable", SECOND.digest, FIRST.digest),
        ("appeared", "v2", SECOND.digest, None),
    ]
    assert watching.look() == []
    delete(registry, name, SECOND)
    assert watching.look() == [
        ("vanished", "stable", None, SECOND.digest),
        ("vanished", "v2", None, SECOND.digest),
    ]
    assert watching.look() == []
    images.push(registry.url, name, FIRST, "stable")
    assert watching.look() == [("appeared", "stable", FIRST.digest, None)]


def test_only_heads_are_sent_for_tags_that_stay(
    watch: t.Callable[..., Watch], server: HostileRegistry
) -> None:
    watching = watch(registry=server.url)
    for _number in range(3):
        watching.look()
    assert server.count("HEAD /v2/a/b/manifests/1$") == 3
    assert server.count("^(?!HEAD)") == 0


def test_a_repository_that_does_not_exist_yet(watch: t.Callable[..., Watch], server: HostileRegistry) -> None:
    watching = watch(registry=server.url, repositories=["new/app"], tags=["1", "v*"])
    assert watching.look() == []
    server.add("new/app", FIRST, "1")
    server.add("new/app", FIRST, "v1")
    assert watching.look() == [
        ("appeared", "1", FIRST.digest, None),
        ("appeared", "v1", FIRST.digest, None),
    ]


@pytest.mark.parametrize(
    "faults",
    [
        {"fail_first": -1, "fail_status": 500},
        {"fail_first": -1, "fail_status": 502, "fail_body": "text"},
        {"fail_first": -1, "fail_status": 404, "fail_body": "text"},
        {"fail_first": -1, "fail_status": 401},
        {"fail_first": -1, "fail_status": 403},
        {"fail_first": -1, "fail_status": 429},
        {"fail_first": -1, "fail_status": 429, "retry_after": "90"},
        {"drop_first": -1},
        {"auth": "basic", "user": ("someone", "else")},
        {"delay": 0.5},
    ],
    ids=lambda faults: "-".join(str(value) for value in faults.values()),
)
@pytest.mark.parametrize("tags", [["1"], ["*"]], ids=["name", "pattern"])
def test_a_tag_that_cannot_be_read_has_not_vanished(
    watch: t.Callable[..., Watch],
    server: HostileRegistry,
    faults: dict[str, t.Any],
    tags: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither does it appear, once it can be read again. A move meanwhile is told then."""
    watching = watch(registry=server.url, retries=0, read_timeout=0.2, tags=tags)
    assert watching.look() == []
    before = vars(server.behaviour).copy()
    vars(server.behaviour).update(faults)
    assert watching.look() == []
    assert "127.0.0.1" in caplog.text and f"{server.host}/a/b: " in caplog.text
    assert watching.look() == []
    vars(server.behaviour).update(before)
    assert watching.look() == []
    vars(server.behaviour).update(faults)
    assert watching.look() == []
    server.add("a/b", SECOND, "1")
    assert watching.look() == []
    vars(server.behaviour).update(before)
    assert watching.look() == [("moved", "1", SECOND.digest, FIRST.digest)]


def test_a_registry_that_cannot_be_reached_at_first(watch: t.Callable[..., Watch]) -> None:
    """What it has later is the baseline."""
    with HostileRegistry() as server:
        server.add("a/b", FIRST, "1")
        server.behaviour.drop_first = -1
        watching = watch(registry=server.url, retries=0, tags=["1", "v*"])
        assert watching.look() == []
        server.behaviour.drop_first = 0
        assert watching.look() == []
        server.add("a/b", SECOND, "1")
        assert watching.look() == [("moved", "1", SECOND.digest, FIRST.digest)]


def test_a_head_that_says_404_is_no_proof(watch: t.Callable[..., Watch]) -> None:
    """A HEAD has no body in which the registry could say that it is its own answer."""

    def answer(request: t.Any) -> None:
        if request.command == "HEAD" and hidden:
            request.reply(404, b"{}", Content_Type="application/json")
        else:
            request.reply(200, FIRST.raw, Content_Type=FIRST.media_type, Docker_Content_Digest=FIRST.digest)

    hidden: list[bool] = []
    with Stub(answer) as stub:
        watching = watch(registry=stub.url)
        assert watching.look() == []
        hidden.append(True)
        assert watching.look() == []
        assert [method for method, *_rest in stub.seen] == ["HEAD", "HEAD", "GET"]


def test_a_listing_that_leaves_a_tag_out_is_no_proof(
    watch: t.Callable[..., Watch], server: HostileRegistry
) -> None:
    watching = watch(registry=server.url, tags=["*"])
    assert watching.look() == []
    server.behaviour.tags = "null"
    assert watching.look() == []
    server.behaviour.tags = "list"
    assert watching.look() == []


def test_a_confirmed_absence_is_not_asked_for_twice_again(
    watch: t.Callable[..., Watch], server: HostileRegistry
) -> None:
    watching = watch(registry=server.url, tags=["1", "2"])
    watching.look()
    server.requests.clear()
    assert watching.look() == []
    assert server.count("^GET") == 0


def test_a_pause_that_the_registry_asks_for_is_kept(
    watch: t.Callable[..., Watch], server: HostileRegistry
) -> None:
    watching = watch(registry=server.url, tags=["1", "2", "3"], concurrency=1)
    watching.look()
    server.requests.clear()
    vars(server.behaviour).update(fail_first=-1, fail_status=429, retry_after="4000")
    watching.look()
    # The tags after the first are not asked for.
    assert len(server.requests) == 1
    assert watching.watcher.pause() == 4000


def test_retry_after_of_the_last_answer_counts_too(
    watch: t.Callable[..., Watch], server: HostileRegistry
) -> None:
    watching = watch(registry=server.url, retries=0, interval=10)
    watching.look()
    vars(server.behaviour).update(fail_first=-1, fail_status=503, retry_after="55")
    watching.look()
    # A GET follows the HEAD, and is refused in the same way.
    assert watching.watcher.pause() == 55


def test_what_a_rate_limit_leaves_is_spread_over_its_time(
    watch: t.Callable[..., Watch], server: HostileRegistry
) -> None:
    watching = watch(registry=server.url)
    server.behaviour.headers = HUB_LIMIT
    watching.look()
    assert watching.watcher.pause() == 2160
    server.behaviour.headers = {**HUB_LIMIT, "RateLimit-Remaining": "76;w=21600"}
    watching.look()
    assert watching.watcher.pause() == 60


def test_one_broken_tag_holds_up_no_other(
    watch: t.Callable[..., Watch], server: HostileRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    server.add("a/b", FIRST, "2")
    watching = watch(registry=server.url, tags=["1", "2"], retries=0)
    vars(server.behaviour).update(fail_first=-1, fail_status=500, fail_on="manifests/1")
    watching.look()
    assert watching.watcher.pause() == 60
    server.add("a/b", SECOND, "2")
    assert watching.look() == [("moved", "2", SECOND.digest, FIRST.digest)]
    # The same failure is logged once, and its end.
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
    caplog.set_level(logging.INFO)
    server.behaviour.fail_first = 0
    assert watching.look() == []
    assert caplog.records[-1].getMessage() == f"{server.host}/a/b can be used again."


def test_one_broken_repository_holds_up_no_other(
    watch: t.Callable[..., Watch], server: HostileRegistry
) -> None:
    server.add("c/d", FIRST, "1")
    watching = watch(registry=server.url, repositories=["a/b", "c/d"], retries=0)
    vars(server.behaviour).update(fail_first=-1, fail_status=500, fail_on="/a/b/")
    watching.look()
    server.add("c/d", SECOND, "1")
    watching.clock.now += 60
    assert watching.look() == [("moved", "1", SECOND.digest, FIRST.digest)]


def test_a_restart_goes_on_where_the_last_run_ended(
    watch: t.Callable[..., Watch], server: HostileRegistry, tmp_path: pathlib.Path
) -> None:
    arguments = {"registry": server.url, "tags": ["1", "v*"], "state_file": str(tmp_path / "state.json")}
    first = watch(**arguments)
    first.look()
    first.watcher.close()
    server.add("a/b", SECOND, "1")
    server.add("a/b", SECOND, "v1")
    second = watch(**arguments)
    changes = [("moved", "1", SECOND.digest, FIRST.digest), ("appeared", "v1", SECOND.digest, None)]
    assert second.look() == changes
    assert second.look() == []
    second.watcher.close()
    assert watch(**arguments).look() == []


def test_a_restart_while_the_registry_fails_loses_nothing(
    watch: t.Callable[..., Watch], server: HostileRegistry, tmp_path: pathlib.Path
) -> None:
    arguments = {"registry": server.url, "state_file": str(tmp_path / "state.json"), "retries": 0}
    for fails in (0, -1, -1):
        server.behaviour.fail_first = fails
        watching = watch(**arguments)
        assert watching.look() == []
        watching.watcher.close()
    server.behaviour.fail_first = 0
    server.repository("a/b").tags.clear()
    assert watch(**arguments).look() == [("vanished", "1", None, FIRST.digest)]


def test_events_that_were_not_committed_are_emitted_again(
    watch: t.Callable[..., Watch], server: HostileRegistry, tmp_path: pathlib.Path
) -> None:
    arguments = {"registry": server.url, "state_file": str(tmp_path / "state.json")}
    first = watch(**arguments)
    first.look()
    server.add("a/b", SECOND, "1")
    first.clock.now += 60
    assert [event["change"] for event in first.watcher.look()] == ["moved"]
    first.watcher.close()
    assert watch(**arguments).look() == [("moved", "1", SECOND.digest, FIRST.digest)]


def test_a_state_that_cannot_be_written_stops_nothing(
    watch: t.Callable[..., Watch],
    server: HostileRegistry,
    tmp_path: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    watching = watch(registry=server.url, state_file=str(folder / "state.json"))
    watching.look()
    (folder / "state.json").unlink()
    (folder / "state.json").mkdir()
    server.add("a/b", SECOND, "1")
    assert watching.look() == [("moved", "1", SECOND.digest, FIRST.digest)]
    assert "After a restart, events are emitted again." in caplog.text
    (folder / "state.json").rmdir()
    watching.look()
    assert SECOND.digest in (folder / "state.json").read_text(encoding="utf-8")


def test_credentials_are_read_anew_for_each_look(
    watch: t.Callable[..., Watch], tmp_path: pathlib.Path
) -> None:
    auth_file = tmp_path / "auth.json"

    def log_in(host: str, user: str, password: str) -> None:
        entry = base64.b64encode(f"{user}:{password}".encode()).decode()
        auth_file.write_text(json.dumps({"auths": {host: {"auth": entry}}}), encoding="utf-8")

    with HostileRegistry(auth="basic", user=("alice", "first-word")) as locked:
        locked.add("a/b", FIRST, "1")
        log_in(locked.host, "alice", "first-word")
        watching = watch(registry=locked.url, auth_file=str(auth_file), retries=0)
        watching.look()
        locked.behaviour.user = ("alice", "second-word")
        locked.add("a/b", SECOND, "1")
        assert watching.look() == []
        log_in(locked.host, "alice", "second-word")
        assert watching.look() == [("moved", "1", SECOND.digest, FIRST.digest)]


def test_no_secret_is_in_events_and_logs(
    watch: t.Callable[..., Watch], tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with HostileRegistry(auth="bearer", warning="s3cret-word is weak") as server:
        server.behaviour.user = ("alice", "s3cret-word")
        server.add("a/b", FIRST, "1")
        state = tmp_path / "state.json"
        watching = watch(
            registry=server.url,
            username="alice",
            password="s3cret-word",
            trusted_realms=["127.0.0.1"],
            state_file=str(state),
            retries=0,
        )
        watching.look()
        server.add("a/b", SECOND, "1")
        watching.clock.now += 60
        events = watching.watcher.look()
        assert len(events) == 1
        vars(server.behaviour).update(fail_first=-1, fail_status=401)
        watching.look()
        vars(server.behaviour).update(user=("alice", "another"), fail_first=0)
        watching.clock.now += 10000
        watching.look()
        shown = caplog.text + json.dumps(events) + state.read_text(encoding="utf-8")
        assert "HEAD http" in shown and "******** is weak" in shown
        for secret in ("s3cret-word", *server.tokens):
            assert secret not in shown


def test_a_warning_is_logged_once(
    watch: t.Callable[..., Watch], server: HostileRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    server.behaviour.warning = "moving soon"
    watching = watch(registry=server.url)
    for _number in range(3):
        watching.look()
    assert caplog.text.count("moving soon") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"repositories": ["a/b:1"]}, "must be a repository: leave out the tag"),
        ({"repositories": ["A/b"]}, "'A/b'"),
        ({"username": "alice"}, "username needs password."),
        ({"registry": "https://alice:s3cret-word@127.0.0.1"}, "registry"),
        ({"retries": -1}, "retries must be at least 0."),
        ({"proxy": "://"}, "proxy"),
        ({"state_file": "/nowhere/state.json"}, "The directory /nowhere does not exist: create it first."),
        (
            {"registry": None, "repositories": ["127.0.0.1:1/a", "127.0.0.1:2/a"], "token": "t0ken-word"},
            "The task names two registries",
        ),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_sent(
    watch: t.Callable[..., Watch], server: HostileRegistry, arguments: dict[str, t.Any], message: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        watch(**{"registry": server.url, **arguments})
    assert message in str(error.value) and "s3cret-word" not in str(error.value)
    assert server.requests == []


def test_a_damaged_state_file_is_refused_and_given_back(
    watch: t.Callable[..., Watch], server: HostileRegistry, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "state.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InvalidInput, match="Restore it from a backup"):
        watch(registry=server.url, state_file=str(path))
    path.unlink()
    assert watch(registry=server.url, state_file=str(path)).look() == []


def test_a_file_that_is_missing_at_first_ends_the_watch_and_later_does_not(
    watch: t.Callable[..., Watch], server: HostileRegistry, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "auth.json"
    arguments = {"registry": server.url, "auth_file": str(path)}
    with pytest.raises(InvalidInput, match="auth.json"):
        watch(**arguments).look()
    path.write_text("{}", encoding="utf-8")
    watching = watch(**arguments)
    assert watching.look() == []
    path.unlink()
    assert watching.look() == []
    path.write_text("{}", encoding="utf-8")
    server.add("a/b", SECOND, "1")
    assert watching.look() == [("moved", "1", SECOND.digest, FIRST.digest)]


def test_more_tags_than_can_be_watched_are_refused(
    watch: t.Callable[..., Watch], server: HostileRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "_MOST_TAGS", 2)
    for tag in ("2", "3"):
        server.add("a/b", FIRST, tag)
    with pytest.raises(InvalidInput, match="tags matches 3 tags"):
        watch(registry=server.url, tags=["*"]).look()
    assert watch(registry=server.url, tags=["[12]"]).look() == []


def test_a_look_that_is_given_up_ends_early(watch: t.Callable[..., Watch], server: HostileRegistry) -> None:
    def close(_request: Request) -> None:
        watching.watcher.close()

    watching = watch(registry=server.url, tags=[str(number) for number in range(50)], concurrency=1)
    server.before = close
    assert watching.look() == []
    assert len(server.requests) <= 2


def test_a_missing_library_is_named(watch: t.Callable[..., Watch], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher_module, "REQUESTS_IMPORT_ERROR", "ImportError")
    with pytest.raises(InvalidInput, match="The Python library requests is missing"):
        watch(registry="127.0.0.1:1")


def test_requests_to_a_busy_registry_stay_few(
    watch: t.Callable[..., Watch], server: HostileRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten looks at a registry that answers 503 wait longer and longer."""
    monkeypatch.setattr(_parallel, "_PAUSES", (0, 0.001, 0.001, 0.01))
    watching = watch(registry=server.url, retries=0)
    vars(server.behaviour).update(fail_first=-1, fail_status=503)
    for _number in range(10):
        watching.look()
    assert watching.clock.now > 4000
