# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Referrers that an image must have. Only those count that exist, refer to this image and have the type themselves."""

from __future__ import annotations

import typing as t

from .._errors import printable
from .._oci.content import Descriptor
from .._oci.digest_tags import cosign_tag_names
from .._oci.signature_types import is_cosign_signature
from .._registry.referrers import list_referrers
from .._registry.repository import Repository
from .listed_referrers import MAX_REFERRERS, Referrer, listed_type, read_listed
from .requirements import Pattern, Requirements

_SHOWN = 3


def missing_referrers(repository: Repository, digest: str, requirements: Requirements) -> t.Iterator[str]:
    """Yield a sentence for each referrer that is required and that the image ``digest`` does not have.

    Requests: the listing and a GET for each entry, at most MAX_REFERRERS; a HEAD for the tag of cosign's signatures.
    """
    needs_signature = requirements.cosign and not _has_signature_tag(repository, digest)
    if not needs_signature and not requirements.referrers:
        return
    listed = list_referrers(repository, digest).descriptors
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
    """Return ``listed`` with those first that are listed with a type that is required, then those without a type."""

    def rank(descriptor: Descriptor) -> int:
        artifact_type = listed_type(descriptor)
        if artifact_type is None:
            return 1
        return 0 if any(pattern.compiled.match(artifact_type) for pattern in patterns) else 2

    return sorted(listed, key=rank)


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
