# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""One tag that is to be removed, and what became of that."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._errors import Refused
from .._oci.content import Descriptor
from .._registry.repository import Guard, Repository


class TagMoved(Refused):
    """A tag does not point any more to what it was to lose."""


@dataclass
class TagRemoval:
    """One tag: what it points to, None if that is missing; its siblings, as far as they are known; and how it was removed.

    ``method`` is the strategy that removed it, seen afterwards. ``attempt`` is one by which a request was sent that may
    have removed it: after a failure only the registry can tell.
    """

    tag: str
    descriptor: Descriptor | None
    siblings: list[str] = field(default_factory=list)
    method: str | None = None
    attempt: str | None = None

    @property
    def digest(self) -> str | None:
        """The digest that the tag pointed to, None where it is dangling."""
        return self.descriptor.digest if self.descriptor else None

    @property
    def former(self) -> str:
        """The tag with what it pointed to, for a message."""
        return f"{self.tag} ({self.digest or 'dangling'})"

    def to_dict(self, check_mode: bool) -> dict[str, t.Any]:
        """Return the removal as results show it; in ``check_mode`` as if it had been done."""
        return {
            "tag": self.tag,
            "digest": self.digest,
            "dangling": self.descriptor is None,
            "siblings": self.siblings,
            "method": self.method,
            "changed": check_mode or self.method is not None,
        }

    def unmoved(self, repository: Repository, *others: str | None) -> Guard:
        """Return a guard that raises TagMoved unless the tag points to its digest, or one of ``others``.

        None among ``others`` stands for nothing.
        """
        digests = (self.digest, *others)

        def guard() -> None:
            descriptor = repository.resolve(self.tag)
            digest = descriptor.digest if descriptor else None
            if digest not in digests:
                raise TagMoved(
                    f"{repository.image(self.tag)} moved from {self.digest or 'nothing'} to {digest or 'nothing'} while it was"
                    " to be removed: it is left alone."
                )

        return guard

    def sending(self, method: str, guard: Guard) -> Guard:
        """Return a guard that also notes, after ``guard`` agreed, that a request is sent by this method."""

        def noting() -> None:
            guard()
            self.attempt = method

        return noting
