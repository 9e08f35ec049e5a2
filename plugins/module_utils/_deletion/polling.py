# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Looking again until a write is seen: registries may take a moment to delete, and reads may lag behind writes."""

from __future__ import annotations

import typing as t

from .._errors import RegistryError, Unsupported
from .._oci.reference import is_tag
from .._parallel import poll
from .._registry.repository import Repository
from .removal import TagMoved, TagRemoval


def poll_for(repository: Repository, tag: str, digest: str, at_once: bool = True) -> bool:
    """Tell whether ``tag`` is seen to point to ``digest``. A look that fails sees nothing.

    ``at_once`` takes the first look that sees it. Otherwise it is the last look that counts: where a write was not
    acknowledged, an earlier one may still show what was there before.
    """
    seen = False
    for _look in poll():
        try:
            descriptor = repository.resolve(tag)
        except RegistryError:
            descriptor = None
        seen = descriptor is not None and descriptor.digest == digest
        if seen and at_once:
            break
    return seen


def wait_until_gone(
    repository: Repository, references: t.Iterable[str], may_dangle: bool = True
) -> list[str]:
    """Return which of ``references``, tags or digests that were deleted, are left after all looks of poll().

    A tag is left as long as the registry serves it or lists it: where its manifest alone is gone, it dangles. Without
    ``may_dangle``, for tags that were deleted by their names, no list is read.
    """
    left = list(references)
    for _look in poll():
        served = [
            reference
            for reference, descriptor in zip(left, repository.map(repository.resolve, left))
            if descriptor
        ]
        missing = [tag for tag in left if may_dangle and is_tag(tag) and tag not in served]
        listed = set(repository.tag_names()) if missing else set()
        left = [reference for reference in left if reference in served or reference in listed]
        if not left:
            break
    return left


def check_gone(
    repository: Repository, removals: t.Sequence[TagRemoval], *others: str, may_dangle: bool = True
) -> None:
    """Wait until the tags of ``removals`` are gone, and note those that are not as not removed.

    ``others`` are digests that they may point to besides their own; see wait_until_gone() for ``may_dangle``.
    Raises TagMoved for a tag that was pushed again, and Unsupported for one that the registry keeps.
    """
    left = wait_until_gone(repository, [removal.tag for removal in removals], may_dangle)
    kept = [removal for removal in removals if removal.tag in left]
    for removal in kept:
        removal.method = removal.attempt = None
    for removal in kept:
        descriptor = repository.resolve(removal.tag)
        if descriptor and descriptor.digest not in (removal.digest, *others):
            raise TagMoved(
                f"{repository.image(removal.tag)} was pushed again, as {descriptor.digest}, while it was removed: it stays."
            )
    if left:
        raise Unsupported(f"The registry accepted the deletion but still serves or lists {', '.join(left)}.")


def settle(repository: Repository, removals: t.Iterable[TagRemoval]) -> None:
    """Note which tags are gone by requests whose answer is not known: a failed request may have been carried out.

    Raises RegistryError where that cannot be looked up.
    """
    unknown = [removal for removal in removals if removal.attempt and not removal.method]
    left = wait_until_gone(repository, [removal.tag for removal in unknown])
    for removal in unknown:
        removal.method = None if removal.tag in left else removal.attempt
        removal.attempt = None
