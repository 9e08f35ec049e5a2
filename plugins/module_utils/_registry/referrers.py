# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What refers to an image: referrers by API or fallback tag, cosign's tags, and the attestations of an index."""

from __future__ import annotations

import json
import random
import threading
import typing as t
from dataclasses import replace

from .._errors import ProtocolError, RegistryError
from .._oci.content import OCI_INDEX, Descriptor, Manifest
from .._oci.digest_tags import cosign_tag_names, fallback_tag
from .._parallel import map_concurrent, sleep
from .client import RegistryClient

API = "api"
FALLBACK_TAG = "fallback_tag"
COSIGN_TAG = "cosign_tag"
ATTESTATION = "attestation"

_CHILD_UNKNOWN = frozenset(("MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN"))
_TRIES = 5
_PAUSE = 0.1
# No registry offers a write on condition: at least the threads of one task must not undo each other's changes. So who
# edits a tag holds its lock, the only one that is held while waiting for a registry.
_EDITING: dict[tuple[str, str, str], threading.Lock] = {}


class Referrers(t.NamedTuple):
    """The manifests whose subject is one digest, and how they were found: API or FALLBACK_TAG."""

    descriptors: list[Descriptor]
    source: str


def referrer_descriptor(manifest: Manifest) -> Descriptor:
    """Return the descriptor with which ``manifest`` is listed as a referrer (distribution-spec, "Listing Referrers")."""
    return replace(manifest.descriptor, artifact_type=manifest.artifact_type)


def find_referrers(
    client: RegistryClient, repository: str, digest: str, artifact_type: str | None = None
) -> Referrers:
    """Return what has ``digest`` as its subject: by the API, or by the fallback tag where there is no API.

    A fallback tag that holds no index lists nothing.
    """
    found = client.referrers(repository, digest, artifact_type)
    if found is not None:
        return Referrers(found, API)
    fetched = client.find_manifest(repository, fallback_tag(digest))
    entries = fetched.manifest.children if fetched and fetched.manifest.media_type == OCI_INDEX else []
    unique = {entry.digest: entry for entry in entries if artifact_type in (None, entry.artifact_type)}
    return Referrers(list(unique.values()), FALLBACK_TAG)


def cosign_tags(
    client: RegistryClient, repository: str, digest: str, concurrency: int = 1
) -> dict[str, Descriptor]:
    """Return cosign's tags of ``digest`` that exist, each with what it points to."""
    names = cosign_tag_names(digest)
    found = map_concurrent(lambda name: client.find_manifest(repository, name), names, concurrency)
    return {name: referrer_descriptor(fetched.manifest) for name, fetched in zip(names, found) if fetched}


def attestations(index: Manifest) -> list[Descriptor]:
    """Return the build attestations in ``index``; ``attests`` of each names the image that it is about."""
    candidates = (child for child in index.children if child.attests)
    return [child for child in candidates if not (child.platform and child.platform.known)]


def add_to_fallback_tag(
    client: RegistryClient, repository: str, subject: str, *referrers: Descriptor
) -> bool:
    """List ``referrers`` of ``subject`` under its fallback tag, each once, and return whether that wrote anything.

    To be done after a manifest with a subject was pushed and the registry did not say that it maintains referrers
    (distribution-spec, "Pushing Manifests with Subject"). ``referrers`` are as referrer_descriptor() makes them.
    Raises ProtocolError where the tag holds something else than an index, or does not keep what is written: another
    process may write it at the same time, and the protocol has no means against that but to read again.
    """
    return _edit(client, repository, subject, referrers, frozenset())


def remove_from_fallback_tag(client: RegistryClient, repository: str, subject: str, *digests: str) -> bool:
    """Take the referrers ``digests`` of ``subject`` off its fallback tag, and return whether that wrote anything.

    To be done when a manifest with a subject is deleted on a registry without the API (distribution-spec, "Deleting
    Manifests"). The tag stays, also with an empty index. Raises like add_to_fallback_tag().
    """
    return _edit(client, repository, subject, (), frozenset(digests))


def _edit(
    client: RegistryClient,
    repository: str,
    subject: str,
    add: t.Sequence[Descriptor],
    remove: frozenset[str],
) -> bool:
    """Read, change, write and read again, until the tag says what it should."""
    tag, written = fallback_tag(subject), False
    with _EDITING.setdefault((client.endpoint.base, repository, tag), threading.Lock()):
        for attempt in range(_TRIES + 1):
            if attempt > 1:
                sleep(_PAUSE * 2**attempt * random.random())
            index = _read_index(client, repository, tag)
            before = index.data.get("manifests") or []
            after = _edited(index, add, remove)
            if after == before:
                return written
            if attempt == _TRIES:
                break
            try:
                client.put_manifest(repository, tag, _index({**index.data, "manifests": after}))
                written = True
            except RegistryError as error:
                # Registries refuse an index over one entry whose manifest was deleted behind its back.
                gone = _gone(client, repository, after) if error.code in _CHILD_UNKNOWN else frozenset()
                if not gone or any(one.digest in gone for one in add):
                    raise
                remove |= gone
    raise ProtocolError(
        f"{client.endpoint.name}/{repository}:{tag} does not keep the referrers that are written to it: if another"
        " process writes it at the same time, run this again afterwards."
    )


def _read_index(client: RegistryClient, repository: str, tag: str) -> Manifest:
    fetched = client.find_manifest(repository, tag)
    if fetched is None:
        return _index({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
    if fetched.manifest.media_type != OCI_INDEX:
        raise ProtocolError(
            f"{client.endpoint.name}/{repository}:{tag} has to list referrers, but holds {fetched.manifest.media_type}:"
            " it is left alone. Give that image another tag and remove this one."
        )
    return fetched.manifest


def _index(data: t.Mapping[str, t.Any]) -> Manifest:
    return Manifest.parse(json.dumps(data, separators=(",", ":")).encode(), OCI_INDEX)


def _edited(index: Manifest, add: t.Sequence[Descriptor], remove: frozenset[str]) -> list[dict[str, t.Any]]:
    """Return the entries of ``index``, as they are written there, with and without those that change."""
    children = index.children
    known = {child.digest for child in children} - remove
    entries = index.data.get("manifests") or []
    kept = [entry for entry, child in zip(entries, children) if child.digest in known]
    new = {one.digest: _entry(one) for one in add if one.digest not in known}
    return kept + list(new.values())


def _entry(descriptor: Descriptor) -> dict[str, t.Any]:
    entry = {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
    if descriptor.artifact_type:
        entry["artifactType"] = descriptor.artifact_type
    if descriptor.annotations:
        entry["annotations"] = dict(descriptor.annotations)
    return entry


def _gone(client: RegistryClient, repository: str, entries: t.Sequence[dict[str, t.Any]]) -> frozenset[str]:
    return frozenset(
        entry["digest"] for entry in entries if client.resolve(repository, entry["digest"]) is None
    )
