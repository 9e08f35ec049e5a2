# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Local files that appear complete or not at all, and the operating system's complaints as sentences."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import shutil
import typing as t

from .._errors import InvalidInput, LocalStorageError
from .._http.transport import BLOCK
from .._oci.content import Descriptor
from .._oci.verified_reader import VerifiedReader
from .._parallel import check_stopped

INGEST = ".ocikit-ingest"


@contextlib.contextmanager
def storage_errors(path: str) -> t.Iterator[None]:
    """Turn the operating system's complaints about ``path`` into a LocalStorageError."""
    try:
        yield
    except OSError as error:
        raise LocalStorageError(
            f"{error.filename or path} cannot be used: {error.strerror or error}."
        ) from error


def read_file(path: str, limit: int) -> bytes:
    """Return a file's content. Raises InvalidInput where it is larger than ``limit`` bytes."""
    with open(path, "rb") as file:
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise InvalidInput(f"{path} is larger than the {limit} bytes that it may have.")
    return raw


def file_digest(path: str, like: str) -> str:
    """Return the digest of a file, with the algorithm of the digest ``like``."""
    algorithm = like.partition(":")[0]
    digest = hashlib.new(algorithm)
    buffer = memoryview(bytearray(BLOCK))
    with open(path, "rb", buffering=0) as file:
        while True:
            check_stopped()
            count = file.readinto(buffer)
            if not count:
                return f"{algorithm}:{digest.hexdigest()}"
            digest.update(buffer[:count])


def receive(source: io.RawIOBase, descriptor: Descriptor, write: t.Callable[[memoryview], t.Any]) -> None:
    """Hand all bytes of ``source`` to ``write``, verified against ``descriptor``, and close it."""
    verified = VerifiedReader(source, descriptor)
    buffer = memoryview(bytearray(min(BLOCK, descriptor.size + 1)))
    try:
        while True:
            count = verified.readinto(buffer)
            if not count:
                return
            write(buffer[:count])
    finally:
        verified.close()


@contextlib.contextmanager
def replacing(path: str, directory: str | None = None) -> t.Iterator[t.Any]:
    """Open a file that takes the place of ``path`` once it was written in full; a failure leaves nothing behind.

    It is written in ``directory``, else beside ``path``, and reaches the disk before it gets its name. Until then it
    has the same one each time: what a killed run left is used up by the next, and a run in parallel waits.
    """
    place = os.path.dirname(os.path.abspath(path))
    part = os.path.join(directory or place, f".{os.path.basename(path)}.ocikit-part")
    with _held(part) as file:
        try:
            yield file
            os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise
    _sync(place)


def write_all(file: t.Any, content: bytes | memoryview) -> None:
    """Write all of ``content`` to an unbuffered file, which may take less than it is given."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


@contextlib.contextmanager
def ingest(directory: str, needed: int) -> t.Iterator[str]:
    """Return a place for incomplete files in ``directory``, which is made if missing and has ``needed`` bytes left.

    The directory is held alone: other processes that ask for it wait here.
    """
    os.makedirs(directory, exist_ok=True)
    place = os.path.join(directory, INGEST)
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        # What an interrupted run left behind; whoever wrote it no longer holds the lock.
        shutil.rmtree(place, ignore_errors=True)
        check_space(directory, needed)
        os.mkdir(place)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
    finally:
        os.close(handle)


def tidy(directory: str) -> None:
    """Remove what a run left in ``directory`` that was killed after its last write: no later run has work there."""
    if os.path.isdir(os.path.join(directory, INGEST)):
        with storage_errors(directory), ingest(directory, 0):
            pass


def check_space(path: str, needed: int) -> None:
    """Raise LocalStorageError where the file system of ``path`` has not ``needed`` bytes left."""
    existing = os.path.abspath(path)
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    with storage_errors(existing):
        free = shutil.disk_usage(existing).free
    if free < needed:
        raise LocalStorageError(f"{needed} bytes are needed in {path}, and {free} are free: make room first.")


def _held(path: str) -> t.Any:
    """Open ``path`` empty, for writing and reading, once nobody else has it open this way."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        file = open(handle, "r+b", buffering=0)
        fcntl.flock(handle, fcntl.LOCK_EX)
        # Who had it before has moved or removed it, or was killed.
        if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(handle)):
            file.truncate()
            return file
        file.close()


def _sync(directory: str) -> None:
    """Let the names in ``directory`` reach the disk."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        # Not every file system can.
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
