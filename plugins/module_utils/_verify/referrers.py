# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Referrers that an image must have. Only those count that exist, refer to this image and have the type themselves."""

from __future__ import annotations

import typing as t

from .._errors import NotFound, printable
from .._oci.content import Descriptor, Manifest
from .._oci.digest_tags import cosign_tag_names
from .._oci.signature_types import is_cosign_signature
from .._registry.referrers import find_referrers
from .._registry.repository import Repository
from .contents import UNREADABLE
from .requirements import Pattern, Requirements

# How many referrers of one image are read at most.
MAX_REFERRERS = 100
_SHOWN = 3


class Referrer(t.NamedTuple):
    """A listed referrer: its manifest, or the reason why it is none, such as "it does not exist"."""

    listed: Descriptor
    manifest: Manifest | None
    reason: str = ""


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


def missing_referrers(repository: Repository, digest: str, requirements: Requirements) -> t.Iterator[str]:
    """Yield a sentence for each referrer that is required and that the image ``digest`` does not have.

    Requests: the listing and a GET for each entry, at most MAX_REFERRERS; a HEAD for the tag of cosign's signatures.
    """
    needs_signature = requirements.cosign and not _has_signature_tag(repository, digest)
    if not needs_signature and not requirements.referrers:
        return
    listed = find_referrers(repository, digest).descriptors
    referrers = read_listed(repository, digest, _likely_first(listed, requirements.referrers)[:MAX_REFERRERS])
    manifests = [referrer.manifest for referrer in referrers if referrer.manifest]
    remark = _remark(listed, referrers)
    if needs_signature and not any(map(is_cosign_signature, manifests)):
        yield f"it has no signature of cosign{remark}."
    types = sorted({manifest.artifact_type for manifest in manifests if manifest.artifact_type})
    for pattern in requirements.referrers:
        if not any(pattern.compiled.match(artifact_type) for artifact_type in types):
            has = f"it has {printable(', '.join(types), 300)}" if types else "it has none"
            yield f"it has no referrer of the type {pattern.text}: {has}{remark}."


def _has_signature_tag(repository: Repository, digest: str) -> bool:
    names = [name for name in cosign_tag_names(digest) if name.endswith(".sig")]
    return any(repository.resolve(name) for name in names)


def _likely_first(listed: t.Iterable[Descriptor], patterns: t.Sequence[Pattern]) -> list[Descriptor]:
    """Return ``listed`` with those first that are listed with a type that is required."""

    def matches(descriptor: Descriptor) -> bool:
        artifact_type = descriptor.artifact_type or ""
        return any(pattern.compiled.match(artifact_type) for pattern in patterns)

    return sorted(listed, key=matches, reverse=True)


def _remark(listed: t.Sequence[Descriptor], referrers: t.Sequence[Referrer]) -> str:
    """Return what has to be known of those that do not count, as the end of a sentence."""
    rejected = [
        f"{referrer.listed.digest}: {referrer.reason}" for referrer in referrers if not referrer.manifest
    ]
    shown = "; ".join(rejected[:_SHOWN]) + ("; …" if len(rejected) > _SHOWN else "")
    remarks = [f"listed, but not counted: {shown}"] if rejected else []
    if len(listed) > len(referrers):
        remarks.append(f"only {len(referrers)} of {len(listed)} were read")
    return f" ({', and '.join(remarks)})" if remarks else ""
