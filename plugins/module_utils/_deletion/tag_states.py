# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What tags of a repository point to, as it was read."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field

from .._errors import DigestMismatch, ProtocolError, RegistryError, ServerFault
from .._oci.content import Descriptor, Manifest
from .._registry.repository import Repository

# Failures that say something about one tag alone.
_OF_ONE_TAG = (DigestMismatch, ProtocolError, ServerFault)


@dataclass(frozen=True)
class TagStates:
    """The tags that were looked at; those that do not exist are in none of the attributes.

    ``descriptors`` holds what each points to, and ``unreadable`` why one cannot be read: a failure of that tag alone.
    ``dangling`` are those that the registry lists although their manifest is missing. What they need is not known, so no
    digest is free because of them. ``manifests`` are those that were fetched, by digest.
    """

    descriptors: t.Mapping[str, Descriptor] = field(default_factory=dict)
    unreadable: t.Mapping[str, RegistryError] = field(default_factory=dict)
    dangling: frozenset[str] = frozenset()
    manifests: t.Mapping[str, Manifest] = field(default_factory=dict)


def read_tags(
    repository: Repository,
    names: t.Iterable[str],
    fetch: bool = False,
    note: t.Callable[[], object] = lambda: None,
) -> TagStates:
    """Look up what the tags ``names`` point to: one request for each, and a listing where one does not exist.

    With ``fetch`` the manifests are fetched, as far as they can be, which saves a request for each digest later. ``note`` is
    called for each tag that was looked up. Raises
    RegistryError for what says nothing about single tags, such as Denied or Unreachable.
    """
    manifests: dict[str, Manifest] = {}

    def read(tag: str) -> Descriptor | RegistryError | None:
        try:
            return look_up(tag)
        finally:
            note()

    def look_up(tag: str) -> Descriptor | RegistryError | None:
        if fetch:
            # What cannot be fetched may still be removed.
            with contextlib.suppress(*_OF_ONE_TAG):
                fetched = repository.find_manifest(tag)
                if fetched is None:
                    return None
                manifests[fetched.descriptor.digest] = fetched.manifest
                return fetched.descriptor
        try:
            return repository.resolve(tag)
        except _OF_ONE_TAG as error:
            return error

    tags = list(names)
    states = list(zip(tags, repository.map(read, tags)))
    missing = {tag for tag, state in states if state is None}
    return TagStates(
        {tag: state for tag, state in states if isinstance(state, Descriptor)},
        {tag: state for tag, state in states if isinstance(state, RegistryError)},
        frozenset(missing.intersection(repository.tag_names()) if missing else ()),
        manifests,
    )
