# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed at any moment: nothing wrong or partial has a name, and the next run completes.

The moments are random, from a fixed seed: a request of the run, and a pause after it in which the run goes on.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import pathlib
import random
import threading
import time
import typing as t

import pytest

from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit import interruption
from tests.unit.copying import Mover, assert_layout, assert_whole, index_of, tree

DICE = random.Random(20261123)
LAYERS = [
    images.layer({f"file-{n}": bytes(DICE.getrandbits(8) for _byte in range(2000)) * 150}, compression="")
    for n in range(12)
]
OLD = images.image([LAYERS[0], LAYERS[1]])
NEW = images.index([images.image(LAYERS), images.image(LAYERS[6:], architecture="arm64")])
# Connections break as well.
SHAKY: dict[str, t.Any] = {"cut_first": 4, "cut_after": 100_000, "drop_first": 3, "drop_on": "^GET .*/blobs/"}
PATIENT = {"retries": 4}
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.unit.interruption"])


def moments(count: int, requests: int) -> list[tuple[int, float]]:
    """Some at the very end, where the names are written."""
    early = [(DICE.randint(1, requests), DICE.random() * 0.01) for _moment in range(count - count // 3)]
    return early + [(requests, DICE.random() * 0.05) for _moment in range(count // 3)]


@contextlib.contextmanager
def killed(
    servers: t.Sequence[HostileRegistry], number: int, pause: float
) -> t.Iterator[t.Callable[..., bool]]:
    """Give a function that moves images in a process, which is killed ``pause`` after its request ``number``.

    It returns whether the process was killed before its end.
    """
    lock, served = threading.Lock(), []
    process: t.Any = None

    def count(_request: t.Any) -> None:
        with lock:
            served.append(1)
            if len(served) == number:
                threading.Timer(pause, process.kill).start()

    def move(what: str, **arguments: t.Any) -> bool:
        nonlocal process
        process = FORKS.Process(target=interruption.move, args=(what,), kwargs=arguments)
        process.start()
        process.join(60)
        assert process.exitcode is not None
        return bool(process.exitcode)

    for server in servers:
        server.before = count
    try:
        yield move
    finally:
        for server in servers:
            server.before = None


def requests_of(servers: t.Sequence[HostileRegistry], what: str, **arguments: t.Any) -> int:
    """How many requests a run makes that nobody disturbs."""
    before = sum(len(server.requests) for server in servers)
    interruption.move(what, **arguments)
    return sum(len(server.requests) for server in servers) - before


def shake(server: HostileRegistry) -> None:
    server.counters.clear()


@pytest.mark.parametrize("form", ["oci", "oci-archive", "dir"])
def test_pull(mover: Mover, tmp_path: pathlib.Path, form: str) -> None:
    interrupted = 0
    with HostileRegistry(**SHAKY) as hostile, HostileRegistry() as site:
        hostile.add("app", OLD, "old")
        hostile.add("app", NEW, "new")
        arguments: dict[str, t.Any] = {
            "url": hostile.url,
            "image": "app:new",
            "format": form,
            "options": PATIENT,
        }
        mover.pull(hostile.url, "app:old", tmp_path / "old", format=form, options=PATIENT)
        shake(hostile)
        total = requests_of([hostile], "pull", **arguments, dest=str(tmp_path / "undisturbed"))
        for turn, moment in enumerate(moments(8, total)):
            dest = tmp_path / str(turn) / "dest"
            dest.parent.mkdir()
            if turn % 2:
                mover.pull(hostile.url, "app:old", dest, format=form, options=PATIENT)
            shake(hostile)
            with killed([hostile], *moment) as run:
                interrupted += run("pull", **arguments, dest=str(dest))
            assert_nothing_partial(dest, form, turn % 2 == 1)
            shake(hostile)
            mover.pull(**arguments, dest=dest)
            assert not mover.pull(**arguments, dest=dest)["changed"]
            left = [name for name in tree(tmp_path / str(turn)) if "ocikit" in name]
            assert left == ([] if form == "oci-archive" else [".dest.ocikit-verified"])
            mover.push(site.url, dest, f"back-{turn}:1", name=None if form == "dir" else "new")
            assert_whole(site.url, f"back-{turn}", "1", NEW)
    assert interrupted >= 4


def assert_nothing_partial(dest: pathlib.Path, form: str, had_old: bool) -> None:
    old = {"old": OLD.digest} if had_old else {}
    if form == "oci":
        if (dest / "index.json").exists():
            assert_layout(dest)
            assert index_of(dest) in (old, {**old, "new": NEW.digest})
        else:
            assert not had_old
    elif form == "oci-archive":
        if dest.exists():
            assert index_of(dest) in (old, {"new": NEW.digest})
        else:
            assert not had_old
    elif (dest / "manifest.json").exists():
        raw = (dest / "manifest.json").read_bytes()
        assert raw in ([OLD.raw, NEW.raw] if had_old else [NEW.raw])
        held = tree(dest)
        if raw == NEW.raw:
            wanted = [entry["digest"] for entry in json.loads(raw)["manifests"]]
            wanted += [name for child in NEW.children for name in child.blobs]
            assert set(wanted) <= set(held)
    else:
        assert not had_old


@pytest.mark.parametrize("what", ["push", "copy"])
def test_push_and_copy(mover: Mover, tmp_path: pathlib.Path, what: str) -> None:
    interrupted = 0
    shaky: dict[str, t.Any] = {"drop_first": 3, "drop_on": "^(PUT|PATCH) .*/uploads/|^GET .*/blobs/"}
    with HostileRegistry(**SHAKY) as left, HostileRegistry(**shaky) as right:
        left.add("app", NEW, "new")
        arguments: dict[str, t.Any] = {"what": "push", "url": right.url, "src": str(tmp_path / "a.tar")}
        mover.pull(left.url, "app:new", tmp_path / "a.tar", format="oci-archive", options=PATIENT)
        if what == "copy":
            arguments = {"what": "copy", "url": left.url, "image": "app:new"}
        arguments["options"] = PATIENT
        target = "image" if what == "push" else "to"
        total = requests_of([left, right], **arguments, **{target: f"{right.host}/undisturbed:1"})
        for turn, moment in enumerate(moments(8, total)):
            repository = f"app-{turn}"
            if turn % 2:
                right.add(repository, OLD, "1")
            shake(left)
            shake(right)
            arguments[target] = f"{right.host}/{repository}:1"
            with killed([left, right], *moment) as run:
                interrupted += run(**arguments)
            # What the killed process sent last may still be under way.
            time.sleep(0.05)
            found = images.head(right.url, repository, "1")
            assert found in ([OLD.digest, NEW.digest] if turn % 2 else [None, NEW.digest])
            for name, (_media_type, raw) in list(right.repository(repository).manifests.items()):
                assert_complete(right, repository, name, json.loads(raw))
            interruption.move(**arguments)
            assert_whole(right.url, repository, "1", NEW)
    assert interrupted >= 4


def assert_complete(server: HostileRegistry, repository: str, name: str, manifest: dict[str, t.Any]) -> None:
    """Every manifest came after what it needs, also those without a tag."""
    content = server.repository(repository)
    assert all(child["digest"] in content.manifests for child in manifest.get("manifests", [])), name
    blobs = [manifest["config"], *manifest["layers"]] if "config" in manifest else []
    assert all(blob["digest"] in content.blobs for blob in blobs), name
