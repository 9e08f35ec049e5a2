# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What can be said of an image: from its manifest alone, from its configuration, and from the children of an index."""

from __future__ import annotations

import typing as t

from .._errors import ProtocolError
from .._oci.content import CONFIG_LIMIT, CONFIG_TYPES, Manifest, Platform, parse_json_object
from .._oci.quantities import parse_time
from .._oci.verified_reader import read_blob
from .._parallel import map_concurrent
from .blobs import BlobDownload
from .client import RegistryClient

_CREATED = "org.opencontainers.image.created"
_MAX_DEPTH = 5
_MAX_MANIFESTS = 10000
_PRIVATE_HEADERS = frozenset(
    (
        "authentication-info",
        "authorization",
        "proxy-authenticate",
        "proxy-authentication-info",
        "set-cookie",
        "set-cookie2",
        "www-authenticate",
    )
)

Typed = t.TypeVar("Typed", str, list, dict)


def manifest_facts(manifest: Manifest, below: t.Mapping[str, Manifest]) -> dict[str, t.Any]:
    """Return what ``manifest`` says. ``below`` holds the manifests under an index, as far as they are known."""
    subject = manifest.subject
    return {
        "digest": manifest.digest,
        "media_type": manifest.media_type,
        "size": len(manifest.raw),
        "manifest": manifest.data,
        "raw": manifest.raw.decode("utf-8"),
        "is_index": manifest.is_index,
        "artifact_type": None if manifest.artifact_type in CONFIG_TYPES else manifest.artifact_type,
        "annotations": manifest.annotations,
        "subject": subject.to_dict() if subject else None,
        "platforms": _platforms(manifest, below),
        "layers": _layers(manifest),
        "total_size": total_size(manifest, below),
    }


def shown_headers(headers: t.Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an answer by lower-case name, without cookies and what belongs to authentication."""
    lower = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in lower.items() if name not in _PRIVATE_HEADERS}


def manifests_below(
    client: RegistryClient, repository: str, root: Manifest, concurrency: int
) -> dict[str, Manifest]:
    """Return the manifests under the index ``root`` by digest, also those of indexes in it. Absent ones are left out.

    Raises ProtocolError for an index nested too deeply.
    """
    found: dict[str, Manifest] = {}
    level = [root]
    for depth in range(_MAX_DEPTH + 1):
        children = (child.digest for manifest in level for child in manifest.children if child.is_manifest)
        wanted = [digest for digest in dict.fromkeys(children) if digest not in found]
        if not wanted:
            return found
        if depth == _MAX_DEPTH or len(found) + len(wanted) > _MAX_MANIFESTS:
            break
        answers = map_concurrent(lambda digest: client.find_manifest(repository, digest), wanted, concurrency)
        level = [fetched.manifest for fetched in answers if fetched]
        found.update((manifest.digest, manifest) for manifest in level)
    raise ProtocolError("The index is nested too deeply, or has too many manifests, to be an image.")


def total_size(root: Manifest, below: t.Mapping[str, Manifest]) -> int | None:
    """Return the bytes of all configurations and layers that ``root`` needs, each blob counted once.

    None where it cannot be told: schema 1 gives no sizes, and an index needs all manifests ``below`` it.
    """
    blobs: dict[str, int] = {}
    seen: set[str] = set()
    rest: list[Manifest | None] = [root]
    while rest:
        manifest = rest.pop()
        if manifest is None or manifest.is_schema1:
            return None
        if manifest.digest in seen:
            continue
        seen.add(manifest.digest)
        for one in manifest.successors():
            if manifest.is_index and one.is_manifest:
                rest.append(below.get(one.digest))
            else:
                blobs[one.digest] = one.size
    return sum(blobs.values())


def image_config(client: RegistryClient, repository: str, manifest: Manifest) -> dict[str, t.Any] | None:
    """Return the configuration of an image, or None for what has none: an index, an artifact.

    One request, whose content is verified; none for schema 1, whose manifest holds it.
    """
    if manifest.is_schema1:
        return _schema1_config(manifest)
    descriptor = manifest.config
    if descriptor is None or not manifest.is_image:
        return None
    raw = read_blob(BlobDownload(client, repository, descriptor), descriptor, CONFIG_LIMIT)
    return _config_facts(parse_json_object(raw, "image configuration"))


def _schema1_config(manifest: Manifest) -> dict[str, t.Any] | None:
    for entry in _typed(manifest.data.get("history"), list):
        # The newest comes first; it describes the whole image.
        text = _typed(_typed(entry, dict).get("v1Compatibility"), str)
        raw = text.encode("utf-8", "surrogatepass")
        return _config_facts(parse_json_object(raw, "schema 1 image configuration"))
    return None


def _config_facts(data: dict[str, t.Any]) -> dict[str, t.Any]:
    settings = _typed(data.get("config"), dict)
    variables = [entry for entry in _typed(settings.get("Env"), list) if isinstance(entry, str)]
    return {
        "platform": str(Platform.from_dict(data)) or None,
        "architecture": data.get("architecture"),
        "os": data.get("os"),
        "variant": data.get("variant"),
        "created": data.get("created"),
        "labels": _typed(settings.get("Labels"), dict),
        "env": {name: value for name, _equals, value in (entry.partition("=") for entry in variables)},
        "entrypoint": _typed(settings.get("Entrypoint"), list),
        "cmd": _typed(settings.get("Cmd"), list),
        "user": _typed(settings.get("User"), str),
        "working_dir": _typed(settings.get("WorkingDir"), str),
        "exposed_ports": sorted(_typed(settings.get("ExposedPorts"), dict)),
        "full": data,
    }


def _typed(value: t.Any, kind: type[Typed]) -> Typed:
    """Return ``value`` if it is what it should be, else an empty one: configurations leave out what they like."""
    return value if isinstance(value, kind) else kind()


def _platforms(manifest: Manifest, below: t.Mapping[str, Manifest]) -> list[dict[str, t.Any]]:
    found = []
    for child in manifest.children:
        known = below.get(child.digest)
        found.append(
            {
                "platform": str(child.platform) if child.platform else None,
                "os_version": child.platform.os_version or None if child.platform else None,
                "digest": child.digest,
                "size": child.size,
                "media_type": child.media_type,
                "annotations": dict(child.annotations),
                "attestation_of": child.attests,
                "total_size": total_size(known, below) if known else None,
            }
        )
    return found


def _layers(manifest: Manifest) -> list[dict[str, t.Any]]:
    if manifest.is_schema1:
        # The newest comes first there, and nothing but digests is told.
        entries = reversed(_typed(manifest.data.get("fsLayers"), list))
        digests = [_typed(entry, dict).get("blobSum") for entry in entries]
        return [{"digest": digest, "size": None, "media_type": None} for digest in digests]
    return [
        {"digest": layer.digest, "size": layer.size, "media_type": layer.media_type}
        for layer in manifest.layers
    ]


def created_time(manifest: Manifest, config: t.Mapping[str, t.Any] | None) -> float | None:
    """Return when an image was made, by the first source that says it: annotation, config, label, history.

    ``config`` is as image_config() returns it.
    """
    sources: list[t.Any] = [manifest.annotations.get(_CREATED)]
    dates: list[t.Any] = []
    if config:
        sources += [config["created"], config["labels"].get(_CREATED)]
        history = config["full"].get("history")
        entries = history if isinstance(history, list) else []
        dates = [entry.get("created") for entry in entries if isinstance(entry, dict)]
    for source in sources:
        created = parse_time(source)
        if created is not None:
            return created
    return max((time for time in map(parse_time, dates) if time is not None), default=None)
