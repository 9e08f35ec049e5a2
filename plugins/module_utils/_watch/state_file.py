# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What was known of watched tags, kept in a file over restarts. A damaged file is refused: what changed meanwhile would be lost."""

from __future__ import annotations

import fcntl
import os
import typing as t

from .._errors import InvalidInput
from .._prune.documents import (
    checked,
    checked_digest,
    checked_tag,
    encode_document,
    optional,
    read_document,
    write_document,
)
from .._storage.files import check_place, hidden_name, storage_errors
from .changes import Snapshot

_FORMAT = "ocikit.registry/watch/1"


class StateFile:
    """The snapshots of watched repositories by their full names, in a file that one source has for itself at a time."""

    def __init__(self, path: str) -> None:
        """Raises InvalidInput where no file can be written at ``path``, or another source uses it; LocalStorageError."""
        check_place(path)
        self._path = path
        directory, base = os.path.split(os.path.abspath(path))
        # A file of its own is locked: the state file is replaced each time.
        self._lock = _locked(os.path.join(directory, hidden_name(base, ".ocikit-lock")), path)

    def read(self) -> dict[str, Snapshot]:
        """Return the snapshots, none where there is no file. Raises InvalidInput for a damaged file, and LocalStorageError."""
        if not os.path.lexists(self._path):
            return {}
        try:
            return read_document(self._path, {_FORMAT: _parsed}, "registry_watch")
        except InvalidInput as error:
            raise error.add_sentence(
                "Restore it from a backup. Or remove it: no event then tells what changed since it was written."
            ) from None

    def write(self, snapshots: t.Mapping[str, Snapshot]) -> None:
        """Replace the file as a whole, unless it holds the same. Raises LocalStorageError and InvalidInput."""
        repositories = {
            name: {
                "tags": dict(sorted(snapshot.digests.items())),
                "unread": sorted(snapshot.unread),
                "listed": sorted(snapshot.listed),
            }
            for name, snapshot in sorted(snapshots.items())
        }
        raw = encode_document(_FORMAT, {"repositories": repositories})
        write_document(self._path, raw, check_mode=False)

    def close(self) -> None:
        """Let other sources use the file."""
        os.close(self._lock)


def _locked(lock: str, path: str) -> int:
    """Return the open and locked file ``lock``, which belongs to the state file ``path``."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with storage_errors(lock):
        descriptor = os.open(lock, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InvalidInput(
            f"state_file: {path} is used by another event source that runs: name a file for each source."
        ) from None
    return descriptor


def _parsed(document: dict[str, t.Any]) -> dict[str, Snapshot]:
    repositories = checked(document["repositories"], dict)
    return {name: _snapshot(entry) for name, entry in repositories.items()}


def _snapshot(entry: t.Any) -> Snapshot:
    return Snapshot(
        {
            checked_tag(tag): optional(checked_digest, digest)
            for tag, digest in checked(entry["tags"], dict).items()
        },
        frozenset(checked_tag(tag) for tag in checked(entry["unread"], list)),
        frozenset(checked(pattern, str) for pattern in checked(entry["listed"], list)),
    )
