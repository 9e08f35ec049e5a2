# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Tags that are made of a digest: the list of referrers of an image, and cosign's signatures, attestations and SBOMs."""

from __future__ import annotations

import re

from .reference import is_digest, is_tag

_COSIGN_SUFFIXES = ("sig", "att", "sbom")
_DIGEST_TAG = re.compile(r"(sha256|sha512)-([0-9a-f]{64,128})(?:\.(?:sig|att|sbom))?\Z")


def fallback_tag(digest: str) -> str:
    """Return the tag that lists the referrers of ``digest`` (distribution-spec, "Referrers Tag Schema")."""
    algorithm, _colon, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"


def cosign_tag_names(digest: str) -> list[str]:
    """Return the tags under which cosign keeps signatures, attestations and SBOMs of ``digest``."""
    names = (f"{digest.replace(':', '-')}.{suffix}" for suffix in _COSIGN_SUFFIXES)
    return [name for name in names if is_tag(name)]


def subject_of_tag(tag: str) -> str | None:
    """Return the digest that a tag belongs to: that of a referrers index, or of cosign's signatures."""
    match = _DIGEST_TAG.match(tag)
    digest = f"{match.group(1)}:{match.group(2)}" if match else None
    return digest if is_digest(digest) else None
