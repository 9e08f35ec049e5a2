# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What refers to an image: referrers by API or fallback tag, cosign's tags, and the attestations of an index."""

from __future__ import annotations

import typing as t

from .._oci.content import OCI_EMPTY, OCI_INDEX, Descriptor, Manifest
from .._oci.digest_tags import cosign_tag_names, fallback_tag
from .._oci.graph import walk
from .._oci.signature_types import holds_signatures
from .fallback_tag import referrer_descriptor
from .repository import Repository

API = "api"
FALLBACK_TAG = "fallback_tag"
COSIGN_TAG = "cosign_tag"
ATTESTATION = "attestation"


class Referrers(t.NamedTuple):
    """What is listed as having one digest as its subject, and where: API or FALLBACK_TAG."""

    descriptors: list[Descriptor]
    source: str


class Referring(t.NamedTuple):
    """A manifest that refers to another one, and the tags of cosign that it has for that."""

    manifest: Manifest
    tags: list[str]


def find_referrers(repository: Repository, digest: str, artifact_type: str | None = None) -> Referrers:
    """Return what is listed with ``digest`` as its subject: by the API, or by the fallback tag where there is no API.

    A fallback tag that holds no index lists nothing. Nothing that is listed was read: see read_referrers(). But for entries
    of a fallback tag whose type says nothing, as cosign writes them: these are described as their own manifests say.
    """
    listed = list_referrers(repository, digest, artifact_type)
    if listed.source == API:
        return listed
    described = repository.map(lambda entry: _described(repository, entry), listed.descriptors)
    return Referrers(
        [entry for entry in described if artifact_type in (None, entry.artifact_type)], FALLBACK_TAG
    )


def list_referrers(repository: Repository, digest: str, artifact_type: str | None = None) -> Referrers:
    """Return what is listed with ``digest`` as its subject, as it is listed. Entries of a fallback tag are of any type.

    Requests: the pages of the API, or a GET for the fallback tag.
    """
    listed = repository.referrers(digest, artifact_type)
    if listed is not None:
        return Referrers(listed, API)
    fetched = repository.find_manifest(fallback_tag(digest))
    entries = fetched.manifest.children if fetched and fetched.manifest.media_type == OCI_INDEX else []
    return Referrers(list({entry.digest: entry for entry in entries}.values()), FALLBACK_TAG)


def _described(repository: Repository, entry: Descriptor) -> Descriptor:
    if entry.artifact_type not in (None, OCI_EMPTY):
        return entry
    fetched = repository.find_manifest(entry.digest)
    return referrer_descriptor(fetched.manifest) if fetched else entry


def read_referrers(repository: Repository, digest: str) -> list[Manifest]:
    """Return the manifests whose subject is ``digest``.

    What is listed is but a hint: manifests that do not exist any more, or have another subject, are left out.
    """
    listed = find_referrers(repository, digest).descriptors
    fetched = repository.map(lambda descriptor: repository.find_manifest(descriptor.digest), listed)
    manifests = [answer.manifest for answer in fetched if answer]
    return [manifest for manifest in manifests if manifest.subject and manifest.subject.digest == digest]


def read_cosign_tags(repository: Repository, digest: str) -> dict[str, Manifest]:
    """Return cosign's tags of ``digest`` that exist, each with the manifest that it points to."""
    fetched = {name: repository.find_manifest(name) for name in cosign_tag_names(digest)}
    return {name: answer.manifest for name, answer in fetched.items() if answer}


def find_referring(
    repository: Repository, root: Manifest, referrers: bool = True, signatures: bool = True
) -> list[Referring]:
    """Return what refers to ``root``, to what an index leads to, and to what refers to these.

    ``referrers`` stands for all manifests with a subject; ``signatures`` for cosign's tags, and for those manifests with a
    subject that hold signatures or attestations. Raises ProtocolError where references go on without end.
    """
    manifests = {root.digest: root}
    indexes: set[str] = set()
    direct: dict[str, list[tuple[Manifest, str | None]]] = {}

    def visit(digest: str) -> list[str]:
        pairs: list[tuple[Manifest, str | None]] = []
        if referrers or signatures:
            read = read_referrers(repository, digest)
            pairs += [(manifest, None) for manifest in read if referrers or holds_signatures(manifest)]
        if signatures:
            pairs += [(manifest, tag) for tag, manifest in read_cosign_tags(repository, digest).items()]
        direct[digest] = pairs
        manifests.update((manifest.digest, manifest) for manifest, _tag in pairs)
        if digest in indexes and digest not in manifests:
            fetched = repository.find_manifest(digest)
            manifests.update({digest: fetched.manifest} if fetched else {})
        children = manifests[digest].children if digest in manifests else []
        indexes.update(child.digest for child in children if child.may_be_index)
        return [child.digest for child in children] + [manifest.digest for manifest, _tag in pairs]

    referring: dict[str, Referring] = {}
    levels = walk([root.digest], visit, repository.concurrency)
    for manifest, tag in (pair for level in levels for digest in level for pair in direct[digest]):
        tags = referring.setdefault(manifest.digest, Referring(manifest, [])).tags
        tags += [tag] if tag and tag not in tags else []
    return list(referring.values())
