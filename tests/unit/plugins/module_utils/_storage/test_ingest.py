# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incomplete blobs: one process at a time, what arrived is kept for the next run, and nobody else's files are touched."""

from __future__ import annotations

import fcntl
import io
import os
import pathlib
import random
import stat
import threading
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    DigestMismatch,
    LocalStorageError,
    Unreachable,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor
from ansible_collections.ocikit.registry.plugins.module_utils._storage.folder import Folder
from ansible_collections.ocikit.registry.plugins.module_utils._storage.ingest import INGEST, ingest, tidy
from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit.copying import Mover, digest, tree

CONTENT = random.Random(7).randbytes(3_000_000)
BLOB = Descriptor("application/octet-stream", digest(CONTENT), len(CONTENT))
PART = BLOB.digest.replace(":", "-")


class Sent(io.BytesIO):
    """What a registry sends, and what is read of it; it ends with an error after some bytes."""

    def __init__(self, content: bytes, error: Exception | None = None, limit: int = 1 << 40) -> None:
        super().__init__(content)
        self.error, self.limit, self.begin = error, limit, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.begin = offset
        return super().seek(offset, whence)

    def readinto(self, buffer: t.Any) -> int:
        if self.error and self.tell() >= self.limit:
            raise self.error
        return super().readinto(buffer)


class Source:
    """Gives one stream after the other."""

    def __init__(self, *streams: Sent) -> None:
        self.streams = list(streams)

    def open_blob(self, descriptor: Descriptor) -> t.Any:
        assert descriptor == BLOB
        return self.streams.pop(0)

    def fetch_manifest(self, descriptor: Descriptor) -> t.Any:
        raise AssertionError


def receive(folder: pathlib.Path, *streams: Sent) -> None:
    with ingest(Folder(str(folder)), [BLOB], patience=0.1) as place:
        place.receive(BLOB, Source(*streams), "blobs/blob")


@pytest.mark.parametrize("error", [Unreachable("gone"), KeyboardInterrupt()])
def test_what_arrived_is_not_fetched_again(tmp_path: pathlib.Path, error: t.Any) -> None:
    with pytest.raises(type(error)):
        receive(tmp_path, Sent(CONTENT, error, 1 << 20))
    part = tmp_path / INGEST / PART
    size = part.stat().st_size
    assert 0 < size < len(CONTENT)
    assert stat.S_IMODE(part.parent.stat().st_mode) == 0o700
    second = Sent(CONTENT)
    receive(tmp_path, second)
    assert second.begin == size
    assert tree(tmp_path) == {"blobs": None, "blobs/blob": CONTENT}


@pytest.mark.parametrize("left", [b"x" * 1000, CONTENT + b"x", b"", CONTENT[:-1] + b"?"], ids=range(4))
def test_what_is_no_beginning_of_the_blob_is_fetched_anew(tmp_path: pathlib.Path, left: bytes) -> None:
    (tmp_path / INGEST).mkdir()
    (tmp_path / INGEST / PART).write_bytes(left)
    receive(tmp_path, Sent(CONTENT), Sent(CONTENT))
    assert tree(tmp_path) == {"blobs": None, "blobs/blob": CONTENT}


def test_what_is_complete_is_not_fetched(tmp_path: pathlib.Path) -> None:
    """The process was killed between the last byte and the name."""
    (tmp_path / INGEST).mkdir()
    (tmp_path / INGEST / PART).write_bytes(CONTENT)
    source = Sent(CONTENT)
    receive(tmp_path, source)
    assert source.begin == len(CONTENT)
    assert tree(tmp_path) == {"blobs": None, "blobs/blob": CONTENT}


def test_wrong_bytes_are_not_kept(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DigestMismatch):
        receive(tmp_path, Sent(b"x" * len(CONTENT)))
    assert tree(tmp_path) == {"blobs": None}


def test_what_no_run_needs_is_removed(tmp_path: pathlib.Path) -> None:
    (tmp_path / INGEST).mkdir()
    for name in ("small", digest(b"other").replace(":", "-")):
        (tmp_path / INGEST / name).write_text("left")
    (tmp_path / INGEST / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / INGEST / "pipe")
    receive(tmp_path, Sent(CONTENT))
    assert tree(tmp_path) == {"blobs": None, "blobs/blob": CONTENT}
    (tmp_path / INGEST).mkdir()
    (tmp_path / INGEST / PART).write_bytes(CONTENT[:100])
    tidy(Folder(str(tmp_path)))
    assert tree(tmp_path) == {"blobs": None, "blobs/blob": CONTENT}


@pytest.mark.parametrize("name", [INGEST, f"{INGEST}/{PART}"])
def test_links_in_the_place_of_incomplete_files_are_not_followed(tmp_path: pathlib.Path, name: str) -> None:
    dest, elsewhere = tmp_path / "dest", tmp_path / "elsewhere"
    (dest / name).parent.mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / PART).write_bytes(b"mine")
    (dest / name).symlink_to(elsewhere if name == INGEST else elsewhere / PART)
    receive(dest, Sent(CONTENT))
    assert tree(elsewhere) == {PART: b"mine"}
    assert tree(dest) == {"blobs": None, "blobs/blob": CONTENT}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users")
@pytest.mark.parametrize("content", [None, b"theirs"])
def test_what_another_user_left_is_not_gone_on_with(tmp_path: pathlib.Path, content: bytes | None) -> None:
    (tmp_path / INGEST).mkdir()
    os.chown(tmp_path / INGEST, 65534, 65534)
    if content is None:
        receive(tmp_path, Sent(CONTENT))
        assert tree(tmp_path) == {"blobs": None, "blobs/blob": CONTENT}
        return
    (tmp_path / INGEST / PART).write_bytes(content)
    with pytest.raises(LocalStorageError, match="was left by a run of another user: remove it first"):
        receive(tmp_path, Sent(CONTENT))
    assert (tmp_path / INGEST / PART).read_bytes() == content


@pytest.mark.parametrize("form", ["oci", "dir"])
def test_a_foreign_lock_ends_in_an_error(mover: Mover, tmp_path: pathlib.Path, form: str) -> None:
    with HostileRegistry() as server:
        server.add("app", images.image({"file": "x"}), "1")
        (tmp_path / "dest").mkdir()
        lock = os.open(tmp_path / "dest", os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(
                LocalStorageError, match="dest is locked by another process, which has written"
            ):
                mover.pull(server.url, "app:1", tmp_path / "dest", format=form, options={"read_timeout": 0.1})
        finally:
            os.close(lock)
        assert mover.pull(server.url, "app:1", tmp_path / "dest", format=form)["changed"]


def test_a_process_that_makes_progress_is_waited_for(tmp_path: pathlib.Path) -> None:
    """However long it takes: longer than the patience with one that does nothing."""
    folder, begun = Folder(str(tmp_path)), threading.Event()
    turns = 100

    def hold() -> None:
        with ingest(folder, [BLOB]):
            for turn in range(turns):
                (tmp_path / INGEST / PART).write_bytes(b"x" * turn)
                begun.set()
                threading.Event().wait(0.02)

    first = threading.Thread(target=hold)
    first.start()
    assert begun.wait(30)
    with ingest(folder, [BLOB], patience=1.5):
        assert not first.is_alive() or not (tmp_path / INGEST / PART).exists()
    first.join(30)


@pytest.mark.parametrize("private", [False, True])
def test_modes(tmp_path: pathlib.Path, private: bool) -> None:
    with ingest(Folder(str(tmp_path / "dest")), [BLOB], private=private) as place:
        place.receive(BLOB, Source(Sent(CONTENT)), "blobs/blob")
        place.write("small", b"x")
    mask = os.umask(0)
    os.umask(mask)
    files, folders = (0o600, 0o700) if private else (0o666 & ~mask, 0o777 & ~mask)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "dest").rglob("*")}
    assert modes == {"blobs": folders, "blob": files, "small": files}
    assert stat.S_IMODE((tmp_path / "dest").stat().st_mode) == folders
