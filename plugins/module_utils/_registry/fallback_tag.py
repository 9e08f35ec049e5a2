# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The tag that lists the referrers of an image on registries without the API (distribution-spec, "Referrers Tag Schema")."""

from __future__ import annotations

import json
import random
import threading
import typing as t
from dataclasses import replace

from .._errors import ProtocolError, RegistryError
from .._oci.content import OCI_INDEX, Descriptor, Manifest
from .._oci.digest_tags import fallback_tag
from .._parallel import sleep
from .client import Fetched, Pushed

_CHILD_UNKNOWN = frozenset(("MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN"))
_TRIES = 5
_PAUSE = 0.1
# No registry offers a write on condition: at least the threads of one task must not undo each other's changes. So who
# edits a tag holds its lock, the only one that is held while waiting for a registry.
_EDITING: dict[str, threading.Lock] = {}


class Manifests(t.Protocol):
    """The manifests of a repository, as Repository has them."""

    def image(self, reference: str) -> str: ...

    def resolve(self, name: str, trust_absence: bool = False) -> Descriptor | None: ...

    def find_manifest(self, reference: str) -> Fetched | None: ...

    def put(self, reference: str, manifest: Manifest) -> Pushed: ...


def referrer_descriptor(manifest: Manifest) -> Descriptor:
    """Return the descriptor with which ``manifest`` is listed as a referrer (distribution-spec, "Listing Referrers")."""
    return replace(manifest.descriptor, artifact_type=manifest.artifact_type)


def add_to_fallback_tag(repository: Manifests, subject: str, *referrers: Descriptor) -> bool:
    """List ``referrers`` of ``subject`` under its fallback tag, each once, and return whether that wrote anything.

    To be done after a manifest with a subject was pushed and the registry did not say that it maintains referrers
    (distribution-spec, "Pushing Manifests with Subject"). ``referrers`` are as referrer_descriptor() makes them.
    Raises ProtocolError where the tag holds something else than an index, or does not keep what is written: another
    process may write it at the same time, and the protocol has no means against that but to read again.
    """
    return _edit(repository, subject, referrers, frozenset())


def remove_from_fallback_tag(repository: Manifests, subject: str, *digests: str) -> bool:
    """Take the referrers ``digests`` of ``subject`` off its fallback tag, and return whether that wrote anything.

    To be done when a manifest with a subject is deleted on a registry without the API (distribution-spec, "Deleting
    Manifests"). The tag stays, also with an empty index. Raises like add_to_fallback_tag().
    """
    return _edit(repository, subject, (), frozenset(digests))


def _edit(repository: Manifests, subject: str, add: t.Sequence[Descriptor], remove: frozenset[str]) -> bool:
    """Read, change, write and read again, until the tag says what it should."""
    tag, written = fallback_tag(subject), False
    with _EDITING.setdefault(repository.image(tag), threading.Lock()):
        for attempt in range(_TRIES + 1):
            if attempt > 1:
                sleep(_PAUSE * 2**attempt * random.random())
            index = _read_index(repository, tag)
            before = index.data.get("manifests") or []
            after = _edited(index, add, remove)
            if after == before:
                return written
            if attempt == _TRIES:
                break
            try:
                repository.put(tag, _index({**index.data, "manifests": after}))
                written = True
            except RegistryError as error:
                # Registries refuse an index over one entry whose manifest was deleted behind its back.
                gone = _gone(repository, after) if error.code in _CHILD_UNKNOWN else frozenset()
                if not gone or any(descriptor.digest in gone for descriptor in add):
                    raise
                remove |= gone
    raise ProtocolError(
        f"{repository.image(tag)} does not keep the referrers that are written to it: if another process writes it at the"
        " same time, run this again afterwards."
    )


def _read_index(repository: Manifests, tag: str) -> Manifest:
    fetched = repository.find_manifest(tag)
    if fetched is None:
        return _index({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
    if fetched.manifest.media_type != OCI_INDEX:
        raise ProtocolError(
            f"{repository.image(tag)} has to list referrers, but holds {fetched.manifest.media_type}: it is left alone."
            " Give that image another tag and remove this one."
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
    new = {descriptor.digest: _entry(descriptor) for descriptor in add if descriptor.digest not in known}
    return kept + list(new.values())


def _entry(descriptor: Descriptor) -> dict[str, t.Any]:
    entry = {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
    if descriptor.artifact_type:
        entry["artifactType"] = descriptor.artifact_type
    if descriptor.annotations:
        entry["annotations"] = dict(descriptor.annotations)
    return entry


def _gone(repository: Manifests, entries: t.Sequence[dict[str, t.Any]]) -> frozenset[str]:
    return frozenset(entry["digest"] for entry in entries if repository.resolve(entry["digest"]) is None)
