# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Which files of a layout or directory were verified, so that those that have not changed since need not be read again."""

from __future__ import annotations

import io
import json
import os
import stat
import threading
import typing as t

from .._errors import DigestMismatch, InvalidInput, LocalStorageError, ProtocolError
from .._oci.content import Descriptor
from .._oci.documents import Keys, parse_json_object
from .._oci.reference import is_digest
from .files import hidden_name, open_file, read_all, replacing, storage_errors, write_all

_FORMAT = "ocikit.registry/verified/1"
_LIMIT = 64 << 20


class VerifiedFiles:
    """The files that were verified, by their digests: size, times and inode that each had then.

    A file that was written, replaced or restored since then has another time of its last change (``st_ctime``), which no
    program sets. The record is a hidden file beside the layout. One that another user could have written is not believed,
    and one that cannot be written is done without.
    """

    def __init__(self, path: str) -> None:
        """``path`` is the layout or directory. The record of earlier runs is read when it is first needed."""
        directory, base = os.path.split(os.path.abspath(path))
        self._path = os.path.join(directory, hidden_name(base, ".ocikit-verified"))
        self._files: dict[str, t.Any] | None = None
        self._changed = False
        self._lock = threading.Lock()

    def proves(self, digest: str, status: os.stat_result) -> bool:
        """Tell whether a file that is as ``status`` says now had the content of ``digest`` when it was read."""
        return self._known().get(digest) == _state(status)

    def add(self, digest: str, status: os.stat_result) -> None:
        """Remember that a file had the content of ``digest``; ``status`` was taken before it was read."""
        if not self.proves(digest, status):
            self._known()[digest] = _state(status)
            self._changed = True

    def save(self, look: t.Callable[[str], os.stat_result | None]) -> None:
        """Write what was added, without files that are no longer as they were; ``look`` returns their present state."""
        if not self._changed:
            return
        states = {digest: (state, look(digest)) for digest, state in sorted(self._known().items())}
        files = {digest: state for digest, (state, now) in states.items() if now and state == _state(now)}
        try:
            with storage_errors(self._path), replacing(self._path, private=True) as file:
                write_all(file, json.dumps({"format": _FORMAT, "files": files}).encode())
        except (InvalidInput, LocalStorageError):
            # Where the directory above is not this user's, the next run reads all files again.
            return
        self._changed = False

    def _known(self) -> dict[str, t.Any]:
        with self._lock:
            if self._files is None:
                self._files = self._read()
            return self._files

    def _read(self) -> dict[str, t.Any]:
        try:
            with open_file(self._path, follow=False) as file:
                status = os.fstat(file.fileno())
                if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
                    return {}
                record = parse_json_object(
                    read_all(file, self._path, _LIMIT), "record", Keys("format", "files")
                )
        except (OSError, InvalidInput, ProtocolError):
            return {}
        files = record.get("files")
        if record.get("format") != _FORMAT or not isinstance(files, dict):
            return {}
        return {digest: state for digest, state in files.items() if is_digest(digest)}


class ProvenFile(io.RawIOBase):
    """An open file that a record proves to have the content ``proven``, for verified() of the room _oci.

    No more than its bytes are read, and the end is reported only if the file is still in ``status``, which the record
    proves. Raises DigestMismatch otherwise.
    """

    def __init__(self, file: io.FileIO, proven: Descriptor, status: os.stat_result) -> None:
        self.proven = proven
        self.name = str(file.name)
        self._file = file
        self._state = _state(status)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: t.Any) -> int:
        left = max(self.proven.size - self._file.tell(), 0)
        count = self._file.readinto(memoryview(buffer)[:left]) or 0
        if not count and _state(os.fstat(self._file.fileno())) != self._state:
            raise DigestMismatch(f"{self.name} changed while it was read: nothing of it is kept.")
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _state(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]
