# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What a task holds of manifests: their bytes, within a budget, and the parsed form of those that were used last.

Parsed JSON takes up to thirty times the memory of its bytes. So a manifest keeps its bytes and is parsed again on demand.
"""

from __future__ import annotations

import collections
import threading
import typing as t

from .._errors import ProtocolError
from .documents import MANIFEST, count_entries, parse_json_object

Data = t.Dict[str, t.Any]

# The bytes of all manifests together that a task holds at a time.
HELD_LIMIT = 256 << 20
# The entries of objects and lists that are kept of all parsed manifests and of one; an entry takes about 100 bytes.
_KEPT_ENTRIES = 300_000
_KEPT_OF_ONE = 30_000


class _Parsed(t.NamedTuple):
    """A parsed manifest: all of it, or only the keys that readers know. ``entries`` is its size."""

    data: Data
    whole: bool
    entries: int


class _Memory:
    """Counts the bytes of manifests, and keeps parsed ones, by a number, as far as there is room. Safe for threads."""

    def __init__(self) -> None:
        self._held = 0
        self._kept: collections.OrderedDict[int, _Parsed] = collections.OrderedDict()
        self._entries = 0
        # A garbage collection may forget one manifest while another one is added.
        self._lock = threading.RLock()

    def add(self, size: int) -> bool:
        """Count bytes, and tell whether there is room for them."""
        with self._lock:
            self._held += size
            return self._held <= HELD_LIMIT

    def find(self, number: int, whole: bool) -> Data | None:
        with self._lock:
            parsed = self._kept.get(number)
            if parsed is None or (whole and not parsed.whole):
                return None
            self._kept.move_to_end(number)
            return parsed.data

    def keep(self, number: int, data: Data) -> None:
        """Keep a parsed manifest, or what readers know of it, unless that is too much as well."""
        parsed = _Parsed(data, True, count_entries(data, _KEPT_OF_ONE))
        if parsed.entries > _KEPT_OF_ONE:
            known = MANIFEST.select(data)
            parsed = _Parsed(known, False, count_entries(known, _KEPT_OF_ONE))
        if parsed.entries > _KEPT_OF_ONE:
            return
        with self._lock:
            self._forget(number)
            self._kept[number] = parsed
            self._entries += parsed.entries
            while self._entries > _KEPT_ENTRIES:
                self._forget(next(iter(self._kept)))

    def release(self, number: int, size: int) -> None:
        """Forget a manifest."""
        with self._lock:
            self._held -= size
            self._forget(number)

    def _forget(self, number: int) -> None:
        parsed = self._kept.pop(number, None)
        self._entries -= parsed.entries if parsed else 0


_MEMORY = _Memory()


class ManifestBytes:
    """The bytes of one manifest, counted for as long as this object exists."""

    def __init__(self, raw: bytes) -> None:
        """Raises ProtocolError where the task would hold more than HELD_LIMIT bytes of manifests."""
        self.raw = raw
        if not _MEMORY.add(len(raw)):
            raise ProtocolError(
                f"The manifests that this task needs at a time are larger than {HELD_LIMIT >> 20} MiB together: name fewer"
                " images."
            )

    def __del__(self) -> None:
        _MEMORY.release(id(self), len(self.raw))

    def known_fields(self) -> Data:
        """Return the manifest parsed, at least with all keys that readers know. Not to be changed. Raises ProtocolError."""
        fields = _MEMORY.find(id(self), whole=False)
        return self._parse() if fields is None else fields

    def all_fields(self) -> Data:
        """Return the manifest parsed, with everything that is in it. Not to be changed. Raises ProtocolError."""
        fields = _MEMORY.find(id(self), whole=True)
        return self._parse() if fields is None else fields

    def _parse(self) -> Data:
        data = parse_json_object(self.raw, "manifest", MANIFEST)
        _MEMORY.keep(id(self), data)
        return data
