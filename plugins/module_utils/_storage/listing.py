# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""``index.json`` (image-spec, "Image Layout"): the images of a layout or archive, and the names that choose them."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from .._errors import InvalidInput, ProtocolError
from .._oci.content import OCI_INDEX, Descriptor, Manifest
from .._oci.documents import MANIFEST, parse_json_object
from .._oci.reference import Reference, is_digest, parse

REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
MARKER = b'{"imageLayoutVersion":"1.0.0"}'

Entry = t.Dict[str, t.Any]


@dataclass(frozen=True)
class ImageName:
    """What an image is to be called where it is stored.

    ``name`` is that of ``index.json``, empty for none. ``reference`` is the full one for container engines
    (``io.containerd.image.name``), None where there is no tag. ``shown`` is what ``docker load`` shows, and is ``reference``
    unless the user has chosen it. A name that was not ``given`` by the user never takes that of another repository's image.
    """

    name: str
    reference: str | None = None
    shown: str | None = None
    given: bool = False


def entry_of(manifest: Manifest, name: ImageName) -> Entry:
    """Return the entry that lists a manifest under ``name``."""
    entry: Entry = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.raw),
    }
    annotations = {REF_NAME: name.name} if name.name else {}
    if name.reference:
        annotations[IMAGE_NAME] = name.reference
    return {**entry, "annotations": annotations} if annotations else entry


def free_name(entries: t.Iterable[Entry], name: ImageName) -> ImageName:
    """Return ``name``, or the full reference as the name where another repository's image has it in ``entries``."""
    if name.given or not name.reference:
        return name
    own = parse(name.reference).name
    for entry in entries:
        other = reference_of(entry)
        if ref_name(entry) == name.name and other and other.name != own:
            return ImageName(name.reference, name.reference, name.shown)
    return name


def listed(before: t.Sequence[Entry], entry: Entry) -> list[Entry]:
    """Return the entries of an index with ``entry`` in the place of what had its name, else at the end."""
    name = ref_name(entry)

    def superseded(old: Entry) -> bool:
        if name and ref_name(old) == name:
            return True
        return old.get("digest") == entry["digest"] and ref_name(old) in (None, name)

    places = [place for place, old in enumerate(before) if superseded(old)]
    if not places:
        return [*before, entry]
    return [
        entry if place == places[0] else old
        for place, old in enumerate(before)
        if place == places[0] or place not in places
    ]


def ref_name(entry: t.Mapping[str, t.Any]) -> str | None:
    """Return the name that an entry has in its layout, or None where it has none."""
    return _annotation(entry, REF_NAME)


def reference_of(entry: t.Mapping[str, t.Any]) -> Reference | None:
    """Return the reference that container engines know an entry by, or None where it has none that is valid."""
    name = _annotation(entry, IMAGE_NAME)
    return _reference(name) if name else None


def names_of(entry: t.Mapping[str, t.Any]) -> list[str]:
    """Return the names of an entry as they are written, each once: the one in its layout, and that of engines."""
    names = (_annotation(entry, key) for key in (REF_NAME, IMAGE_NAME))
    return list(dict.fromkeys(name for name in names if name))


def is_called(entry: Entry, name: str) -> bool:
    """Tell whether an entry has the name ``name``, in whatever form the reference is written."""
    reference = _reference(name)
    others = [_reference(own) for own in names_of(entry) if ":" in own or "/" in own]
    return name in names_of(entry) or bool(
        reference and any(other and _latest(other) == _latest(reference) for other in others)
    )


def chosen(entries: t.Sequence[Entry], name: str) -> list[Entry]:
    """Return the entries that ``name`` chooses, by the first way that chooses any.

    It is a digest or a name as it is written, else a tag, else a reference in any of its forms, else its end (repository
    and tag), else a position counted from 0.
    """
    tests: list[t.Callable[[Entry], bool]] = [
        lambda entry: name in (entry["digest"], *names_of(entry)),
        lambda entry: any(own.rpartition(":")[2] == name for own in [entry["digest"], *names_of(entry)]),
        lambda entry: is_called(entry, name),
        lambda entry: bool(name) and any(own.endswith(f"/{name}") for own in names_of(entry)),
    ]
    for test in tests:
        matches = [entry for entry in entries if test(entry)]
        if matches:
            return matches
    return [entry for position, entry in enumerate(entries) if name == str(position)]


def labels(entries: t.Sequence[Entry]) -> list[str]:
    """Return what to call each of ``entries``, each image once, in a message that offers them: all differ."""
    images = list({(entry["digest"], *names_of(entry)): entry for entry in entries}.values())
    digests = [entry["digest"] for entry in images]
    names = [names_of(entry) or [entry["digest"]] for entry in images]
    for texts in ([own[0] for own in names], [own[-1] for own in names]):
        if len(set(zip(texts, digests))) == len(set(texts)):
            return list(dict.fromkeys(texts))
    return [f"{own[-1]} ({digest})" for own, digest in zip(names, digests)]


def entries_in(raw: bytes, name: str) -> list[Entry]:
    """Return the entries of the ``index.json`` called ``name``. Raises ProtocolError unless each is a descriptor."""
    entries = parse_json_object(raw, name, MANIFEST).get("manifests") or []
    if not isinstance(entries, list):
        raise ProtocolError(f"The {name} has no list of images.")
    for entry in entries:
        Descriptor.from_dict(entry)
    return entries


def blob_name(digest: str) -> str:
    """Return the file of a digest, which must be a valid one: it is the only part of a path that others choose."""
    if not is_digest(digest):
        raise AssertionError("unchecked digest")
    return "blobs/" + digest.replace(":", "/", 1)


def index_json(entries: t.Sequence[Entry]) -> bytes:
    """Return the content of ``index.json``."""
    return json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}, indent=2
    ).encode()


def _annotation(entry: t.Mapping[str, t.Any], key: str) -> str | None:
    annotations = entry.get("annotations")
    value = annotations.get(key) if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else None


def _reference(text: str) -> Reference | None:
    try:
        return parse(text)
    except InvalidInput:
        return None


def _latest(reference: Reference) -> tuple[str, str]:
    return reference.name, reference.target
