# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state file of the event source: written as a whole, refused where it is damaged, and used by one source at a time."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, LocalStorageError
from ansible_collections.ocikit.registry.plugins.module_utils._watch.changes import Snapshot
from ansible_collections.ocikit.registry.plugins.module_utils._watch.state_file import StateFile

DIGEST = "sha256:" + "0" * 64
NAME = "registry.example.com/team/app"
SNAPSHOT = Snapshot({"stable": DIGEST, "latest": None}, frozenset(["1.0"]), frozenset(["1.*"]))


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "state.json"


@pytest.fixture
def state(path: pathlib.Path) -> t.Iterator[StateFile]:
    file = StateFile(str(path))
    yield file
    file.close()


def test_a_state_is_read_as_it_was_written(state: StateFile, path: pathlib.Path) -> None:
    assert state.read() == {}
    state.write({NAME: SNAPSHOT})
    assert state.read() == {NAME: SNAPSHOT}
    before = path.stat()
    state.write({NAME: SNAPSHOT})
    assert path.stat().st_ino == before.st_ino
    state.write({})
    assert state.read() == {}


def test_a_write_that_fails_leaves_the_former_state(
    state: StateFile, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.write({NAME: SNAPSHOT})

    def fail(*_arguments: object, **_keywords: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(LocalStorageError, match="No space left"):
        state.write({})
    monkeypatch.undo()
    assert state.read() == {NAME: SNAPSHOT}
    assert sorted(os.listdir(path.parent)) == [".state.json.ocikit-lock", "state.json"]


def damaged(**changes: t.Any) -> bytes:
    entry = {"tags": {"stable": DIGEST}, "unread": [], "listed": [], **changes}
    return json.dumps({"format": "ocikit.registry/watch/1", "repositories": {NAME: entry}}).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{",
        b'{"format": "ocikit.registry/watch/2", "repositories": {}}',
        b'{"format": "ocikit.registry/watch/1"}',
        b'{"format": "ocikit.registry/watch/1", "repositories": []}',
        damaged()[:-3],
        damaged(tags={"stable": "sha256:0"}),
        damaged(tags={"../x": DIGEST}),
        damaged(tags=[]),
        damaged(unread="1.0"),
        damaged(unread=[1]),
        damaged(listed=[None]),
        b"\xff\xfe",
    ],
)
def test_a_damaged_state_is_refused_and_left_as_it_is(
    state: StateFile, path: pathlib.Path, raw: bytes
) -> None:
    path.write_bytes(raw)
    with pytest.raises(InvalidInput) as error:
        state.read()
    assert str(error.value) == (
        f"{path} is not a file that registry_watch wrote for this (ocikit.registry/watch/1). Restore it from a backup. Or"
        " remove it: no event then tells what changed since it was written."
    )
    assert path.read_bytes() == raw


def test_an_undamaged_state_of_the_same_form_is_read(state: StateFile, path: pathlib.Path) -> None:
    path.write_bytes(damaged())
    assert state.read() == {NAME: Snapshot({"stable": DIGEST})}


def test_a_dangling_link_is_no_absent_file(state: StateFile, path: pathlib.Path) -> None:
    path.symlink_to(path.parent / "nowhere")
    with pytest.raises(LocalStorageError, match="No such file"):
        state.read()


def test_a_second_source_is_refused_until_the_first_ends(path: pathlib.Path) -> None:
    first = StateFile(str(path))
    with pytest.raises(InvalidInput, match="is used by another event source"):
        StateFile(str(path))
    StateFile(str(path.parent / "other.json")).close()
    first.close()
    StateFile(str(path)).close()


def test_a_place_where_no_file_can_be_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist: create it first"):
        StateFile(str(tmp_path / "no" / "state.json"))
    with pytest.raises(InvalidInput, match="is a directory"):
        StateFile(str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="not a regular file"):
        StateFile(str(tmp_path / "pipe"))
