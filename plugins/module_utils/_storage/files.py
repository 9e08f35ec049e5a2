# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Local files: read without waiting for a writer, replaced as a whole, and the operating system's errors as sentences."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import re
import secrets
import shutil
import stat
import time
import typing as t

from .._errors import InvalidInput, LocalStorageError, printable
from .._oci.content import Descriptor
from .._oci.verified_reader import VerifiedReader, blocks_of
from .._parallel import sleep

# How long to wait for another process that writes nothing, in seconds.
PATIENCE = 60.0
_LOOK_AGAIN = 0.1
_PART = ".ocikit-part"
_NAME_LIMIT = 255
_SMALL_BLOCK = 1 << 16
_RANDOM_BYTES = 4
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextlib.contextmanager
def storage_errors(path: str) -> t.Iterator[None]:
    """Raise the operating system's errors about ``path`` as LocalStorageError."""
    try:
        yield
    except OSError as error:
        raise LocalStorageError(
            f"{error.filename or path} cannot be used: {error.strerror or error}."
        ) from error


def open_file(path: str, directory: int | None = None, follow: bool = True) -> io.FileIO:
    """Open a regular file for reading. Nothing waits here for the other end of a pipe.

    ``path`` is relative to the open ``directory``, if that is given. With ``follow`` false, a symbolic link is refused.
    Raises OSError, and InvalidInput for what is no regular file.
    """
    if "\0" in path:
        raise InvalidInput(f"{printable(path)!r} is not a valid path: it has a NUL character in it.")
    flags = os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    file = io.FileIO(path, opener=lambda name, mode: os.open(name, mode | flags, dir_fd=directory))
    try:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise InvalidInput(f"{path} is not a regular file: this is refused.")
    except BaseException:
        file.close()
        raise
    return file


def read_file(path: str, limit: int) -> bytes:
    """Return the content of a file. Raises InvalidInput where it is larger than ``limit`` bytes."""
    with open_file(path) as file:
        return read_all(file, path, limit)


def read_all(source: io.RawIOBase, name: str, limit: int) -> bytes:
    """Return all bytes of ``source``, called ``name``. Raises InvalidInput for more than ``limit`` bytes."""
    parts: list[bytes] = []
    left = limit + 1
    while left:
        part = source.read(min(left, _SMALL_BLOCK))
        if not part:
            return b"".join(parts)
        parts.append(part)
        left -= len(part)
    raise InvalidInput(f"{name} is larger than the {limit} bytes that it may have.")


def file_digest(path: str, like: str) -> str:
    """Return the digest of a file, with the algorithm of the digest ``like``."""
    with open_file(path) as file:
        return digest_of_file(file, like)


def digest_of_file(source: io.RawIOBase, like: str) -> str:
    """Return the digest of the bytes of ``source``, with the algorithm of the digest ``like``."""
    algorithm = like.partition(":")[0]
    digest = hashlib.new(algorithm)
    for block in blocks_of(source):
        digest.update(block)
    return f"{algorithm}:{digest.hexdigest()}"


def receive(source: io.RawIOBase, descriptor: Descriptor, write: t.Callable[[memoryview], t.Any]) -> None:
    """Hand all bytes of ``source`` to ``write``, verified against ``descriptor``, and close it."""
    with contextlib.closing(VerifiedReader(source, descriptor)) as verified:
        for block in blocks_of(verified, descriptor.size):
            write(block)


def write_all(file: io.FileIO, content: bytes | memoryview) -> None:
    """Write all of ``content`` to an unbuffered file, which may take less than it is given."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


class Name(t.NamedTuple):
    """A name in an open directory."""

    directory: int
    name: str

    def status(self) -> os.stat_result | None:
        """Return what the name stands for, a symbolic link itself; None for nothing."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def remove(self) -> None:
        """Remove the file, if there is one."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.name, dir_fd=self.directory)


@contextlib.contextmanager
def replacing(path: str, private: bool = False, patience: float = PATIENCE) -> t.Iterator[io.FileIO]:
    """Open a file that takes the place of ``path`` once it was written in full; a failure leaves nothing behind.

    Until then it is a hidden file in the same directory that only this call has made. What killed runs left
    of such files is removed, and a run of this user that writes one is waited for, unless it writes nothing
    for ``patience`` seconds. The mode, owner and group of a file that is replaced stay, as far as this user
    may set them. A new one gets the usual mode, or 0600 if it is ``private``. Raises InvalidInput for a device,
    a pipe or a socket: root could replace it, for all programs.
    """
    check_replaceable(path)
    with _at(path) as target:
        wait_while(lambda: _remove_left(target) > 0, lambda: _parts(target), patience)
        part, file = _make_part(target)
        with file:
            try:
                mode = 0o600 if private else usual_mode()
                with taking_place(file, part, target, mode):
                    yield file
            except BaseException:
                with contextlib.suppress(OSError):
                    part.remove()
                raise


def check_place(path: str) -> None:
    """Raise InvalidInput where no file can be written at ``path``: to be called before anything is changed elsewhere."""
    directory = path if path.endswith("/") else os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory):
        raise InvalidInput(f"The directory {directory} does not exist: create it first.")
    if os.path.isdir(path):
        raise InvalidInput(f"{path} is a directory: name a file.")
    check_replaceable(path)
    if not os.access(directory, os.W_OK):
        raise InvalidInput(
            f"No file can be written in {directory}: choose another place, or become another user."
        )


def check_replaceable(path: str) -> None:
    """Raise InvalidInput where a device, a pipe or a socket has the name ``path``, or is what it links to."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise InvalidInput(f"{path} is not a regular file: name another file.")


def remove_left(path: str) -> None:
    """Remove what killed runs left that were replacing ``path``. Raises OSError."""
    if os.path.isdir(os.path.dirname(os.path.abspath(path))):
        with _at(path) as target:
            _remove_left(target)


@contextlib.contextmanager
def taking_place(file: io.FileIO, part: Name, target: Name, mode: int) -> t.Iterator[None]:
    """Let ``file``, whose name is ``part``, become ``target`` after the context, if that ends without an exception.

    Its content reaches the disk before. It gets the mode, owner and group of a file that is replaced, else ``mode``.
    """
    old = target.status()
    if old and stat.S_ISREG(old.st_mode):
        mode = stat.S_IMODE(old.st_mode)
        _give_to(file, old.st_uid, old.st_gid)
    yield
    os.fsync(file.fileno())
    os.fchmod(file.fileno(), mode)
    os.replace(part.name, target.name, src_dir_fd=part.directory, dst_dir_fd=target.directory)
    # Not every file system can sync a directory.
    with contextlib.suppress(OSError):
        os.fsync(target.directory)


def wait_while(is_busy: t.Callable[[], bool], progress: t.Callable[[], t.Any], patience: float) -> bool:
    """Wait until ``is_busy`` is false, and return whether it was before ``progress`` stood still for ``patience`` seconds."""
    deadline, seen = time.monotonic() + patience, progress()
    while is_busy():
        now = progress()
        if now != seen:
            deadline, seen = time.monotonic() + patience, now
        elif time.monotonic() > deadline:
            return False
        sleep(min(_LOOK_AGAIN, patience))
    return True


def usual_mode() -> int:
    """Return the permissions that the umask leaves of a new file."""
    # There is no other way to read it everywhere. What another thread makes meanwhile is only more private.
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def is_own_file(status: os.stat_result) -> bool:
    """Tell whether a regular file belongs to this user, and has no other name."""
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1


def hidden_name(base: str, suffix: str, room: int = 0) -> str:
    """Return ``base`` as a hidden name with ``suffix``, cut if it, and ``room`` more bytes, were too long for a name."""
    raw = os.fsencode(base)
    limit = _NAME_LIMIT - 1 - len(suffix) - room
    if len(raw) > limit:
        mark = hashlib.sha256(raw).hexdigest()[:16]
        base = f"{os.fsdecode(raw[: limit - len(mark) - 1])}-{mark}"
    return f".{base}{suffix}"


def check_space(path: str, needed: int) -> None:
    """Raise LocalStorageError where the file system of ``path`` has not ``needed`` bytes left."""
    existing = os.path.abspath(path)
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    with storage_errors(existing):
        free = shutil.disk_usage(existing).free
    if free < needed:
        raise LocalStorageError(f"{needed} bytes are needed in {path}, and {free} are free: make room first.")


@contextlib.contextmanager
def _at(path: str) -> t.Iterator[Name]:
    """Return a path as a name in its open directory."""
    place, base = os.path.split(os.path.abspath(path))
    directory = os.open(place, _DIRECTORY)
    try:
        yield Name(directory, base)
    finally:
        os.close(directory)


def _make_part(target: Name) -> tuple[Name, io.FileIO]:
    """Make a file of a new name, which is locked as long as it is open, so that no other run takes it for one that was left behind."""
    flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        part = Name(target.directory, f"{_stem(target)}{secrets.token_hex(_RANDOM_BYTES)}{_PART}")
        file = io.FileIO(
            part.name,
            "r+",
            opener=lambda name, mode: os.open(name, mode | flags, 0o600, dir_fd=target.directory),
        )
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        status = part.status()
        if status and os.path.samestat(status, os.fstat(file.fileno())):
            return part, file
        # Another run saw it before it was locked, and has removed it.
        file.close()


def _remove_left(target: Name) -> int:
    """Remove the files of this user that killed runs left which were replacing ``target``, and return how many are in use."""
    used = 0
    for part, _size in _parts(target):
        try:
            with open_file(part.name, part.directory, follow=False) as file:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.remove()
        except BlockingIOError:
            used += 1
        except (OSError, InvalidInput):
            # It has just gone, or is nothing that this user has written.
            continue
    return used


def _parts(target: Name) -> list[tuple[Name, int]]:
    """Return the files of this user that are to take the place of ``target``, and their sizes."""
    random = f"[0-9a-f]{{{2 * _RANDOM_BYTES}}}"
    pattern = re.compile(f"{re.escape(_stem(target))}{random}{re.escape(_PART)}\\Z")
    names = [Name(target.directory, name) for name in os.listdir(target.directory) if pattern.match(name)]
    statuses = ((name, name.status()) for name in sorted(names))
    return [(name, status.st_size) for name, status in statuses if status and is_own_file(status)]


def _stem(target: Name) -> str:
    """Return how the names of the files begin that take the place of ``target``."""
    return hidden_name(target.name, "-", 2 * _RANDOM_BYTES + len(_PART))


def _give_to(file: io.FileIO, owner: int, group: int) -> None:
    """Set owner and group as far as this user may."""
    own = os.fstat(file.fileno())
    if own.st_gid != group:
        with contextlib.suppress(PermissionError):
            os.fchown(file.fileno(), -1, group)
    if own.st_uid != owner:
        with contextlib.suppress(PermissionError):
            os.fchown(file.fileno(), owner, -1)
