# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Which tags and digests of a repository the option ``protect`` names."""

from __future__ import annotations

import fnmatch
import re
import typing as t

from .._oci.reference import DOCKER_HUB


class Protection:
    """What must not go, whatever the rules say: digests, references, and patterns over either."""

    def __init__(self, entries: t.Iterable[str], registry: str, repository: str) -> None:
        # Whichever of these ports the registry has anyway: protecting too much is no harm.
        host = re.sub(r":(443|80)\Z", "", registry)
        self._names = [f"{name}/{repository}" for name in (host, f"{host}:443", f"{host}:80")] + [repository]
        if registry == DOCKER_HUB:
            self._names += [f"index.docker.io/{repository}", repository.rpartition("library/")[2]]
        self._exact: dict[str, str] = {}
        self._patterns: list[tuple[t.Pattern[str], str]] = []
        for entry in entries:
            name, at, digest = (entry.partition("://")[2] or entry).rpartition("@")
            text = f"{_without_tag(name)}@{digest}" if at else digest
            self._exact[text] = entry
            if any(character in text for character in "*?["):
                self._patterns.append((re.compile(fnmatch.translate(text)), entry))

    def why(self, tag: str, digests: t.Iterable[str]) -> str | None:
        """Return the reason why a tag that leads to ``digests`` is protected, or None."""
        reason = self._find([tag, *self._names, *(f"{name}:{tag}" for name in self._names)])
        return reason or next((why for why in map(self.why_digest, digests) if why), None)

    def why_digest(self, digest: str) -> str | None:
        """Return the reason why a digest is protected, or None."""
        return self._find([digest, *(f"{name}@{digest}" for name in self._names)])

    def _find(self, candidates: t.Sequence[str]) -> str | None:
        for candidate in candidates:
            if candidate in self._exact:
                return f"protected: {self._exact[candidate]}"
        for pattern, entry in self._patterns:
            if any(map(pattern.match, candidates)):
                return f"protected: {entry}"
        return None


def _without_tag(name: str) -> str:
    base, colon, tail = name.rpartition(":")
    return base if colon and "/" not in tail else name
