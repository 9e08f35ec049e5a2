# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Incomplete files of a layout or directory: of this user only, resumed by the next run, and renamed when they are complete."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import secrets
import stat
import typing as t

from .._errors import DigestMismatch, LocalStorageError, RateLimited, ServerFault, Unreachable
from .._oci.content import Descriptor
from .._oci.reference import is_digest
from .._oci.stores import Contents
from .._oci.verified_reader import VerifiedReader, blocks_of
from .files import (
    PATIENCE,
    Name,
    check_space,
    is_own_file,
    receive,
    taking_place,
    usual_mode,
    wait_while,
    write_all,
)
from .folder import Folder

INGEST = ".ocikit-ingest"
_PASSING_ERRORS = (RateLimited, ServerFault, Unreachable)


class Ingest:
    """The files of a folder that are being written, in a hidden folder within it that only this user can enter."""

    def __init__(self, folder: Folder, private: bool) -> None:
        self._folder = folder
        self._mode = 0o600 if private else usual_mode()
        self._directory_mode = 0o700 if private else 0o777

    def receive(self, descriptor: Descriptor, source: Contents, name: str) -> os.stat_result:
        """Store a blob of ``source`` as the file ``name``, verified, and return the state of that file.

        What an earlier run left of it is not fetched again, if the digest proves it right. An interruption or a broken
        connection leaves what arrived for the next run.
        """
        with self._folder.place(f"{INGEST}/{_part_name(descriptor.digest)}") as part:
            file = _open_part(part)
            with file:
                try:
                    with self._folder.place(name, make=self._directory_mode) as target:
                        with taking_place(file, part, target, self._mode):
                            _fill(file, descriptor, source)
                    return os.fstat(file.fileno())
                except (OSError, DigestMismatch, LocalStorageError):
                    # Wrong bytes are of no use.
                    part.remove()
                    raise

    def write(self, name: str, content: bytes) -> os.stat_result:
        """Store ``content`` as the file ``name``, and return the state of that file."""
        with self._folder.place(f"{INGEST}/{secrets.token_hex(16)}") as part:
            with _open_part(part) as file, self._folder.place(name, make=self._directory_mode) as target:
                with taking_place(file, part, target, self._mode):
                    write_all(file, content)
                return os.fstat(file.fileno())


@contextlib.contextmanager
def ingest(
    folder: Folder, blobs: t.Sequence[Descriptor], patience: float = PATIENCE, private: bool = False
) -> t.Iterator[Ingest]:
    """Hold ``folder``, which is made if it is missing, alone for writing, with room for ``blobs``.

    What killed runs left of these is kept, all else that they left is removed. Another process that holds the folder is
    waited for as long as it writes something within ``patience`` seconds. Raises LocalStorageError.
    """
    folder.make(0o700 if private else 0o777)
    with folder.place(".") as root:
        _lock(root, folder, patience)
        _enter(root, folder)
        held = _keep(folder, {_part_name(blob.digest) for blob in blobs})
        check_space(folder.path, sum(blob.size for blob in blobs) - held)
        try:
            yield Ingest(folder, private)
        except BaseException as error:
            # A full disk needs the room, and a registry that sends wrong bytes may have sent more of them.
            is_passing = isinstance(error, _PASSING_ERRORS) or not isinstance(error, Exception)
            resumable = blobs if is_passing else ()
            with contextlib.suppress(LocalStorageError, OSError):
                _keep(folder, {_part_name(blob.digest) for blob in resumable})
                # Fails where something is left to go on with.
                os.rmdir(INGEST, dir_fd=root.directory)
            raise
        _keep(folder, set())
        os.rmdir(INGEST, dir_fd=root.directory)


def tidy(folder: Folder, patience: float = PATIENCE) -> None:
    """Remove what a run left that was killed after its last write: no later run has work in the folder."""
    if folder.status(INGEST):
        with ingest(folder, (), patience):
            pass


def _lock(root: Name, folder: Folder, patience: float) -> None:
    """Lock the folder, or wait for the process that has it locked as long as that makes progress."""

    def is_locked() -> bool:
        try:
            fcntl.flock(root.directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False

    if not wait_while(is_locked, lambda: _progress(folder), patience):
        raise LocalStorageError(
            f"{folder.path} is locked by another process, which has written nothing there for {patience:g} seconds: wait"
            " until it has ended, or stop it."
        )


def _progress(folder: Folder) -> t.Any:
    """Return what differs when the process that holds the folder has written something."""
    try:
        names = folder.names(INGEST)
        return [(name, folder.file_size(f"{INGEST}/{name}")) for name in names]
    except LocalStorageError:
        # It belongs to another user.
        status = folder.status(INGEST)
        return status and (status.st_ino, status.st_mtime_ns)


def _enter(root: Name, folder: Folder) -> None:
    """Make the folder of incomplete files, or go on with that of an earlier run; a link in its place is removed."""
    place = Name(root.directory, INGEST)
    status = place.status()
    if status and not stat.S_ISDIR(status.st_mode):
        place.remove()
    elif status and status.st_uid != os.geteuid():
        with contextlib.suppress(OSError):
            os.rmdir(INGEST, dir_fd=root.directory)
    try:
        os.mkdir(INGEST, 0o700, dir_fd=root.directory)
    except FileExistsError:
        with folder.place(f"{INGEST}/.") as inner:
            if os.fstat(inner.directory).st_uid != os.geteuid():
                raise LocalStorageError(
                    f"{folder.path_of(INGEST)} was left by a run of another user: remove it first."
                ) from None
            os.fchmod(inner.directory, 0o700)


def _keep(folder: Folder, names: t.Container[str]) -> int:
    """Remove all incomplete files but those of ``names``, and return the bytes of these."""
    total = 0
    for name in folder.names(INGEST):
        with folder.place(f"{INGEST}/{name}") as part:
            status = part.status()
            if status and name in names and is_own_file(status) and status.st_size:
                total += status.st_size
            else:
                part.remove()
    return total


def _part_name(digest: str) -> str:
    if not is_digest(digest):
        raise AssertionError("unchecked digest")
    return digest.replace(":", "-", 1)


def _open_part(part: Name) -> io.FileIO:
    flags = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    return io.FileIO(
        part.name, "r+", opener=lambda name, mode: os.open(name, mode | flags, 0o600, dir_fd=part.directory)
    )


def _fill(file: io.FileIO, descriptor: Descriptor, contents: Contents) -> None:
    """Let ``file``, which may hold the first bytes of a blob, hold all of them."""
    if 0 < os.fstat(file.fileno()).st_size <= descriptor.size:
        with contextlib.suppress(DigestMismatch), contextlib.closing(
            contents.open_blob(descriptor)
        ) as source:
            if source.seekable():
                _go_on(file, descriptor, source)
                return
    file.seek(0)
    file.truncate()
    receive(contents.open_blob(descriptor), descriptor, lambda block: write_all(file, block))


def _go_on(file: io.FileIO, descriptor: Descriptor, source: io.RawIOBase) -> None:
    """Add what comes after the bytes in ``file``. Raises DigestMismatch where these are not the first of the blob."""
    verified = VerifiedReader(source, descriptor)
    for block in blocks_of(file, descriptor.size):
        verified.pass_over(block)
    source.seek(file.tell())
    for block in blocks_of(verified, descriptor.size):
        write_all(file, block)
