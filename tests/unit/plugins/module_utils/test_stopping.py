# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interrupted while something hangs: a module ends, and neither side keeps anything partial.

What hangs here does so for longer than communicate() waits: a module that waited for it would fail the test.
"""

from __future__ import annotations

import json
import pathlib
import random
import re
import signal
import subprocess
import threading
import typing as t

import pytest

from tests.hostile import HostileRegistry, Request
from tests.registries import images
from tests.unit.copying import Mover, digest, tree
from tests.unit.running import start

DICE = random.Random(5)
LAYERS = [
    images.layer({f"file-{n}": DICE.getrandbits(8 * 300_000).to_bytes(300_000, "big")}, compression="")
    for n in range(4)
]
IMAGE = images.image(LAYERS)
OTHER = images.image({"file": "other"})
HANG = 600.0
PATIENCE = 60
BLOB = "^GET .*/blobs/"
UPLOAD = "^PUT .*/uploads/"


class Interrupted(t.NamedTuple):
    """What a module said when it was interrupted, and its exit code."""

    result: dict[str, t.Any]
    code: int


def interrupt(
    server: HostileRegistry, number: signal.Signals, at: str, module: str, count: int = 1, **params: t.Any
) -> Interrupted:
    """Run a module, and send it a signal when ``server`` got ``count`` requests that ``at`` matches."""
    started: list[subprocess.Popen[str]] = []
    lock, seen = threading.Lock(), [0]

    def watch(request: Request) -> None:
        with lock:
            seen[0] += bool(re.search(at, f"{request.method} {request.path}"))
            if seen[0] == count and started:
                started.pop().send_signal(number)

    server.before = watch
    process = start(module, server.url, **params)
    started.append(process)
    try:
        output, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        server.before = None
    assert errors == ""
    return Interrupted(json.loads(output), process.returncode)


def assert_interrupted(interrupted: Interrupted) -> None:
    assert interrupted.code == 1
    assert interrupted.result["failed"] is True
    assert interrupted.result["msg"].startswith("The task was interrupted.")
    assert "exception" not in interrupted.result


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive", "dir"])
@pytest.mark.parametrize(
    ("number", "slow"),
    [(signal.SIGINT, {"delay": HANG, "delay_on": BLOB}), (signal.SIGTERM, {"trickle": HANG / 300})],
    ids=["hanging", "trickling"],
)
def test_pull(tmp_path: pathlib.Path, number: signal.Signals, form: str, slow: dict[str, t.Any]) -> None:
    with HostileRegistry(**slow) as server:
        server.add("app", IMAGE, "1")
        dest = tmp_path / "dest"
        assert_interrupted(
            interrupt(server, number, BLOB, "registry_pull", 2, image="app:1", dest=dest, format=form)
        )
        names = {name for name in tree(tmp_path) if ".ocikit-ingest" not in name}
        assert not [name for name in names if "ocikit" in name]
        if form == "oci":
            assert not dest.joinpath("index.json").exists()
        elif form == "dir":
            assert not dest.joinpath("manifest.json").exists()
        else:
            assert not dest.exists()
        for digest in IMAGE.blobs:
            assert not [name for name in names if digest.partition(":")[2] in name]


@pytest.mark.parametrize("form", ["oci", "dir"])
@pytest.mark.parametrize("wrong", [False, True])
def test_a_pull_goes_on_where_it_was_interrupted(
    mover: Mover, tmp_path: pathlib.Path, form: str, wrong: bool
) -> None:
    """What arrived by then is not fetched again, and what is wrong of it is found out."""
    large = images.layer(
        {"large": DICE.getrandbits(8 * 3_000_000).to_bytes(3_000_000, "big")}, compression=""
    )
    image, layer = images.image([large]), digest(large.data)
    dest = tmp_path / "dest"
    part = dest / ".ocikit-ingest" / layer.replace(":", "-")
    with HostileRegistry(trickle=0.001) as server:
        server.add("app", image, "1")
        process = start("registry_pull", server.url, image="app:1", dest=dest, format=form)
        while not (part.exists() and part.stat().st_size):
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        output, _errors = process.communicate(timeout=PATIENCE)
        assert json.loads(output)["msg"].startswith("The task was interrupted.")
        size = part.stat().st_size
        assert 0 < size < len(large.data)
        if wrong:
            part.write_bytes(b"x" * size)
        server.requests.clear()
        server.behaviour.trickle = 0
        assert mover.pull(server.url, "app:1", dest, format=form)["changed"]
        ranges = [request.headers.get("Range") for request in server.requests if layer in request.path]
        assert ranges == ([f"bytes={size}-", None] if wrong else [f"bytes={size}-"])
        assert not part.parent.exists()
        assert not mover.pull(server.url, "app:1", dest, format=form, verify="full")["changed"]


@pytest.mark.parametrize(("number", "concurrency"), [(signal.SIGINT, 1), (signal.SIGTERM, 8)])
def test_push(mover: Mover, tmp_path: pathlib.Path, number: signal.Signals, concurrency: int) -> None:
    with HostileRegistry() as server:
        server.add("app", IMAGE, "1")
        mover.pull(server.url, "app:1", tmp_path / "app.tar", format="oci-archive")
    with HostileRegistry(delay=HANG, delay_on=UPLOAD) as server:
        server.add("app", OTHER, "1")
        begun = min(concurrency, len(LAYERS))
        params = {"src": tmp_path / "app.tar", "image": "app:1", "name": "1", "concurrency": concurrency}
        assert_interrupted(interrupt(server, number, UPLOAD, "registry_push", begun, **params))
        assert server.count("^PUT .*/manifests/") == 0
        assert server.repository("app").tags == {"1": OTHER.digest}
        # Threads that hang cannot do that any more; registries clear such uploads away.
        assert concurrency > 1 or server.count("^DELETE .*/uploads/") == 1


@pytest.mark.parametrize(("number", "side"), [(signal.SIGINT, "from"), (signal.SIGTERM, "to")])
def test_copy(number: signal.Signals, side: str) -> None:
    slow: dict[str, t.Any] = {"delay": HANG, "delay_on": f"{BLOB}|{UPLOAD}"}
    with HostileRegistry(**slow if side == "from" else {}) as left:
        with HostileRegistry(**slow if side == "to" else {}) as right:
            left.add("app", IMAGE, "1")
            server, at = (left, BLOB) if side == "from" else (right, UPLOAD)
            to = f"{right.host}/app:1"
            params = {"image": f"{left.host}/app:1", "to": to, "plain_http": True}
            assert_interrupted(interrupt(server, number, at, "registry_copy", 2, **params))
            assert right.count("^PUT .*/manifests/") == 0
            assert right.repository("app").tags == {}


@pytest.mark.parametrize(
    ("number", "slow"),
    [
        (signal.SIGINT, {"fail_first": -1, "fail_status": 429, "retry_after": "55"}),
        (signal.SIGTERM, {"delay": HANG, "delay_on": "^HEAD "}),
    ],
    ids=["asked-to-wait", "hanging"],
)
@pytest.mark.parametrize("tags", [["2"], ["2", "3", "4"]])
def test_retag(number: signal.Signals, slow: dict[str, t.Any], tags: list[str]) -> None:
    with HostileRegistry(**slow) as server:
        server.add("app", OTHER, "1")
        assert_interrupted(interrupt(server, number, "^HEAD ", "registry_tag", image="app:1", tags=tags))
        assert server.repository("app").tags == {"1": OTHER.digest}
