# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The placeholder: an image without a file that registry_rmtag points tags to and deletes, where no tag can be deleted.

A removal that was killed leaves it under a tag. It is recognised by its exact form, not by a label: labels are inherited
by every image that is built FROM another.
"""

from __future__ import annotations

import json
import secrets
import time
import typing as t
from dataclasses import dataclass

from .._errors import NotFound, ProtocolError, Refused
from .._oci.content import (
    CONFIG_LIMIT,
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    digest_of,
)
from .._oci.documents import IMAGE_CONFIG, parse_json_object
from .._oci.quantities import parse_time
from .._oci.reference import is_digest, is_tag
from .._oci.stores import Contents
from .._oci.verified_reader import read_blob

_NONCE_LABEL = "ocikit.registry.placeholder"
_REMOVED_LABEL = "ocikit.registry.removed"
_EMPTY_TAR = bytes(1024)
# Written out: gzip gives other bytes with other releases of Python and zlib.
_LAYER = bytes.fromhex("1f8b080000000000020363601805a360148c5400002eafb5ef00040000")


class _Family(t.NamedTuple):
    """The media types that belong together."""

    manifest: str
    config: str
    layer: str


_DOCKER = _Family(DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER_GZIP)
_OCI = _Family(OCI_MANIFEST, OCI_CONFIG, OCI_LAYER_GZIP)


@dataclass(frozen=True)
class Placeholder:
    """A placeholder that is like no other, and the blobs that it needs."""

    manifest: Manifest
    blobs: t.Mapping[Descriptor, bytes]


def make_placeholder(tags: t.Mapping[str, str], docker: bool) -> Placeholder:
    """Return a placeholder for ``tags``, each with the digest that it points to, empty where that does not exist.

    ``docker`` gives it the media types of Docker instead of those of OCI: some registries take only one of them.
    """
    family = _DOCKER if docker else _OCI
    config = json.dumps(_config(tags, secrets.token_hex(16), _now())).encode()
    blobs = {
        Descriptor(family.config, digest_of(config), len(config)): config,
        Descriptor(family.layer, digest_of(_LAYER), len(_LAYER)): _LAYER,
    }
    return Placeholder(Manifest.parse(json.dumps(_manifest(family, *blobs)).encode(), family.manifest), blobs)


def is_like_placeholder(descriptor: Descriptor) -> bool:
    """Tell whether a manifest has the media type and the size in bytes of one that may_be_placeholder().

    For whoever has only asked for its headers: placeholders differ in nothing but a digest and a size.
    """
    for family in (_DOCKER, _OCI):
        layer = Descriptor(family.layer, digest_of(_LAYER), len(_LAYER))
        config = Descriptor(family.config, layer.digest, 0)
        shortest = len(json.dumps(_manifest(family, config, layer)))
        longest = shortest + len(str(CONFIG_LIMIT)) - 1
        if descriptor.media_type == family.manifest and shortest <= descriptor.size <= longest:
            return True
    return False


def may_be_placeholder(manifest: Manifest) -> bool:
    """Tell whether ``manifest`` is that of a placeholder, as far as can be told without its configuration."""
    if not is_like_placeholder(manifest.descriptor):
        return False
    for family in (_DOCKER, _OCI):
        if manifest.media_type == family.manifest and manifest.config:
            layer = Descriptor(family.layer, digest_of(_LAYER), len(_LAYER))
            if manifest.config.media_type == family.config:
                return manifest.data == _manifest(family, manifest.config, layer)
    return False


def removed_tags(manifest: Manifest, config: t.Mapping[str, t.Any] | None) -> dict[str, str]:
    """Return the tags that an interrupted removal left at this placeholder, each with the digest that it had.

    ``config`` is the image configuration of ``manifest``, parsed and otherwise as it is. Of any other image the result is
    empty: one with another layer or command, or with more than the labels of a placeholder.
    """
    if config is None or not may_be_placeholder(manifest):
        return {}
    try:
        labels = config["config"]["Labels"]
        tags = json.loads(labels[_REMOVED_LABEL])
        nonce, created = labels[_NONCE_LABEL], config["created"]
    except (KeyError, ValueError, TypeError, RecursionError):
        return {}
    if not isinstance(tags, dict) or not all(is_tag(tag) and _is_former(tags[tag]) for tag in tags):
        return {}
    if not isinstance(nonce, str) or len(nonce) != 32 or parse_time(created) is None:
        return {}
    return tags if config == _config(tags, nonce, created) else {}


def read_removed_tags(store: Contents, manifest: Manifest) -> dict[str, str]:
    """Return removed_tags() of a manifest. Its configuration is read only where it may be a placeholder: one request.

    Raises RegistryError where that cannot be read; one that is absent or malformed belongs to no placeholder.
    """
    if not manifest.config or not may_be_placeholder(manifest):
        return {}
    try:
        raw = read_blob(store.open_blob(manifest.config), manifest.config, CONFIG_LIMIT)
        return removed_tags(manifest, parse_json_object(raw, "image configuration", IMAGE_CONFIG))
    except NotFound:
        return {}
    except ProtocolError as error:
        if error.status:
            raise
        return {}


def refuse_placeholder(store: Contents, name: str, image: Descriptor | Manifest) -> None:
    """Raise Refused where ``image``, which is called ``name``, is a placeholder: for whatever would carry an image on.

    It costs requests only where the image has the form of a placeholder.
    """
    if isinstance(image, Descriptor):
        if not is_like_placeholder(image):
            return
        image = store.fetch_manifest(image)
    tags = read_removed_tags(store, image)
    if tags:
        raise Refused(f"{placeholder_sentence(name, tags)} Nothing was changed.")


def placeholder_sentence(image: str, tags: t.Mapping[str, str]) -> str:
    """Return the sentence that says why ``image``, the placeholder of ``tags``, is no image to be used."""
    first = min(tags)
    others = f" and {len(tags) - 1} more" if len(tags) > 1 else ""
    return (
        f"{image} is no image but the placeholder of an interrupted removal of the tag {first}{others}: run"
        " registry_rmtag again to finish the removal, or push the image again."
    )


def _is_former(digest: object) -> bool:
    """Tell whether ``digest`` is what a tag may have pointed to: nothing, where its manifest was missing."""
    return digest == "" or is_digest(digest)


def _manifest(family: _Family, config: Descriptor, layer: Descriptor) -> dict[str, t.Any]:
    config_entry, layer_entry = (
        {"mediaType": part.media_type, "digest": part.digest, "size": part.size} for part in (config, layer)
    )
    return {
        "schemaVersion": 2,
        "mediaType": family.manifest,
        "config": config_entry,
        "layers": [layer_entry],
    }


def _config(tags: t.Mapping[str, str], nonce: str, created: str) -> dict[str, t.Any]:
    return {
        "created": created,
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {_NONCE_LABEL: nonce, _REMOVED_LABEL: json.dumps(dict(tags))}},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(_EMPTY_TAR)]},
    }


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
