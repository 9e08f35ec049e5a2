# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Referrers as their own manifests describe them. A list is but a hint: whoever may push can write a fallback tag."""

from __future__ import annotations

import typing as t

from .._errors import NotFound
from .._oci.content import OCI_EMPTY, Descriptor, Manifest
from .._registry.repository import Repository
from .contents import UNREADABLE

# How many referrers of one image are read at most.
MAX_REFERRERS = 100


class Referrer(t.NamedTuple):
    """A listed referrer: its manifest, or the reason why it is none, such as "it does not exist"."""

    listed: Descriptor
    manifest: Manifest | None
    reason: str = ""


def listed_type(descriptor: Descriptor) -> str | None:
    """Return the type that a referrer is listed with, None where there is none.

    Cosign lists its own with the type of an empty configuration where there is no referrers API.
    """
    return None if descriptor.artifact_type in (None, OCI_EMPTY) else descriptor.artifact_type


def read_listed(repository: Repository, digest: str, listed: t.Sequence[Descriptor]) -> list[Referrer]:
    """Read the manifests of ``listed``, and compare the subject of each with ``digest``.

    One GET for each. The caller bounds how many there are.
    """

    def read(descriptor: Descriptor) -> Referrer:
        try:
            manifest = repository.manifest(descriptor.digest)
            subject = manifest.subject
        except NotFound:
            return Referrer(descriptor, None, "it does not exist")
        except UNREADABLE as error:
            return Referrer(descriptor, None, str(error).rstrip("."))
        if subject is None:
            return Referrer(descriptor, None, "it has no subject")
        if subject.digest != digest:
            return Referrer(descriptor, None, f"it refers to {subject.digest}")
        return Referrer(descriptor, manifest)

    return repository.map(read, listed)
