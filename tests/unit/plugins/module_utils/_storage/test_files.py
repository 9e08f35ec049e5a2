# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are replaced as a whole, by something that nobody else has made, and nothing waits for a pipe."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import pathlib
import signal
import stat
import threading
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, LocalStorageError
from ansible_collections.ocikit.registry.plugins.module_utils._storage.files import (
    file_digest,
    hidden_name,
    open_file,
    read_file,
    remove_left,
    replacing,
    storage_errors,
    write_all,
)
from tests.unit.copying import digest, tree


def replace(path: pathlib.Path, content: bytes, **options: t.Any) -> None:
    with replacing(str(path), **options) as file:
        write_all(file, content)


def mode_of(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def usual_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def test_a_file_appears_when_it_is_complete(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    with replacing(str(path)) as file:
        write_all(file, b"half")
        (part,) = tmp_path.iterdir()
        assert part != path and mode_of(part) == 0o600
        write_all(file, b" and half")
    assert tree(tmp_path) == {"file": b"half and half"}
    assert mode_of(path) == usual_mode()
    with pytest.raises(ZeroDivisionError), replacing(str(path)) as file:
        write_all(file, b"x" * (1 // 0))
    assert tree(tmp_path) == {"file": b"half and half"}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o604, 0o4755])
def test_the_mode_of_a_replaced_file_stays(tmp_path: pathlib.Path, mode: int) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(mode)
    replace(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert mode_of(tmp_path / "file") == mode


def test_a_private_file_is_private_from_the_start(tmp_path: pathlib.Path) -> None:
    replace(tmp_path / "file", b"new", private=True)
    assert mode_of(tmp_path / "file") == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_of_a_replaced_file_stays(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    os.chown(tmp_path / "file", 65534, 12345)
    (tmp_path / "file").chmod(0o6750)
    replace(tmp_path / "file", b"new")
    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_gid) == (65534, 12345)
    assert stat.S_IMODE(status.st_mode) == 0o6750


def test_a_link_is_replaced_and_not_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / "file").symlink_to("precious")
    replace(tmp_path / "file", b"new")
    assert not (tmp_path / "file").is_symlink()
    assert tree(tmp_path) == {"file": b"new", "precious": b"mine"}


@pytest.mark.parametrize("kind", ["link", "file", "pipe"])
def test_what_others_put_in_the_place_of_the_incomplete_file_is_not_used(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The name cannot be foreseen; should it be hit all the same, the task fails."""
    monkeypatch.setattr("secrets.token_hex", lambda count: "0a" * count)
    (tmp_path / "precious").write_bytes(b"mine")
    part = tmp_path / ".file-0a0a0a0a.ocikit-part"
    if kind == "link":
        part.symlink_to("precious")
    elif kind == "pipe":
        os.mkfifo(part)
    else:
        # One with a second name is not what a killed run left.
        os.link(tmp_path / "precious", part)
    with pytest.raises(LocalStorageError, match="File exists"), storage_errors(str(tmp_path)):
        replace(tmp_path / "file", b"new")
    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("length", [100, 230, 250, 255])
@pytest.mark.parametrize("letter", ["n", "ü"])
def test_long_names(tmp_path: pathlib.Path, letter: str, length: int) -> None:
    name = letter * (length // len(letter.encode()))
    for content in (b"one", b"two"):
        replace(tmp_path / name, content)
        assert tree(tmp_path) == {name: content}
    assert len(os.fsencode(hidden_name(name, ".suffix", 20))) + 20 <= 255
    assert hidden_name(name, "") != hidden_name(f"{name[:-1]}x", "")


def killed_while_writing(path: str, reached: t.Any) -> None:
    with replacing(path) as file:
        write_all(file, b"x" * 100_000)
        reached.set()
        signal.pause()


def test_what_killed_runs_left_is_removed(tmp_path: pathlib.Path) -> None:
    context = multiprocessing.get_context("fork")
    reached = context.Event()
    process = context.Process(target=killed_while_writing, args=(str(tmp_path / "file"), reached))
    process.start()
    assert reached.wait(30)
    process.kill()
    process.join(30)
    (left,) = tmp_path.iterdir()
    assert left.stat().st_size == 100_000
    # Files that only look like it belong to others.
    others = {f".{name}": b"" for name in ("file-short.ocikit-part", "other-0a0a0a0a.ocikit-part")}
    for name in others:
        (tmp_path / name).touch()
    replace(tmp_path / "file", b"new")
    assert tree(tmp_path) == {"file": b"new", **others}


def test_what_killed_runs_left_is_removed_without_writing(tmp_path: pathlib.Path) -> None:
    (tmp_path / ".file-0a0a0a0a.ocikit-part").write_bytes(b"left")
    remove_left(str(tmp_path / "file"))
    assert tree(tmp_path) == {}
    remove_left(str(tmp_path / "absent" / "file"))


def test_a_run_in_parallel_is_waited_for(tmp_path: pathlib.Path) -> None:
    path, begun, go_on = tmp_path / "file", threading.Event(), threading.Event()

    def write() -> None:
        with replacing(str(path)) as file:
            begun.set()
            assert go_on.wait(30)
            write_all(file, b"first")

    first = threading.Thread(target=write)
    first.start()
    assert begun.wait(30)
    second = threading.Thread(target=replace, args=(path, b"second"))
    second.start()
    go_on.set()
    first.join(30)
    second.join(30)
    assert tree(tmp_path) == {"file": b"second"}


def test_a_run_that_hangs_is_not_waited_for_without_end(tmp_path: pathlib.Path) -> None:
    with replacing(str(tmp_path / "file")) as file:
        replace(tmp_path / "file", b"second", patience=0.05)
        assert (tmp_path / "file").read_bytes() == b"second"
        write_all(file, b"first")
    assert tree(tmp_path) == {"file": b"first"}


@pytest.mark.parametrize(
    "read", [lambda path: read_file(path, 10), lambda path: file_digest(path, "sha256:")]
)
def test_nothing_waits_for_the_other_end_of_a_pipe(tmp_path: pathlib.Path, read: t.Any) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(InvalidInput, match=f"{name} is not a regular file"):
            read(str(tmp_path / name))


def test_a_path_with_nul_is_none(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidInput, match="is not a valid path"):
        read_file(f"{tmp_path}/a\0b", 10)


def test_files_are_read_up_to_a_limit(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    assert read_file(str(tmp_path / "file"), 10) == b"0123456789"
    assert file_digest(str(tmp_path / "file"), "sha256:") == digest(b"0123456789")
    with pytest.raises(InvalidInput, match="file is larger than the 9 bytes"):
        read_file(str(tmp_path / "file"), 9)


def test_a_link_is_followed_only_where_the_user_named_it(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_file(str(tmp_path / "link"), 10) == b"content"
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        open_file(str(tmp_path / "link"), follow=False)


def test_the_lock_of_another_user_on_a_readable_file_is_no_obstacle(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with open(tmp_path / "file", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        replace(tmp_path / "file", b"new")
    assert tree(tmp_path) == {"file": b"new"}


@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_regular_file_is_not_replaced(tmp_path: pathlib.Path, linked: bool) -> None:
    """A file in the place of /dev/null would meet every program of the host."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = tmp_path / "link" if linked else pipe
    if linked:
        path.symlink_to(pipe)
    with pytest.raises(InvalidInput, match=f"{path} is not a regular file: name another file"):
        with replacing(str(path)):
            raise AssertionError("nothing is written")
    assert stat.S_ISFIFO(pipe.stat().st_mode) and path.is_symlink() is linked
    assert len(list(tmp_path.iterdir())) == 1 + linked
