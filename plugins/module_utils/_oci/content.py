# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What registries store: media types, descriptors, platforms, manifests and their digests (image-spec 1.1)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import typing as t
from dataclasses import dataclass, field

from .._errors import DigestMismatch, InvalidInput, ProtocolError, printable
from .documents import one_large_document
from .manifest_memory import ManifestBytes
from .reference import is_digest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
ORAS_ARTIFACT = "application/vnd.cncf.oras.artifact.manifest.v1+json"
SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
# The configuration of artifacts that have none.
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"

INDEX_TYPES = frozenset((OCI_INDEX, DOCKER_LIST))
IMAGE_TYPES = frozenset((OCI_MANIFEST, DOCKER_MANIFEST))
ARTIFACT_TYPES = frozenset((OCI_ARTIFACT, ORAS_ARTIFACT))
SCHEMA1_TYPES = frozenset((SCHEMA1_SIGNED, SCHEMA1))
MANIFEST_TYPES = INDEX_TYPES | IMAGE_TYPES | ARTIFACT_TYPES | SCHEMA1_TYPES
CONFIG_TYPES = frozenset((OCI_CONFIG, DOCKER_CONFIG))

# One comma-separated value: some proxies read only the first of repeated headers. The exact types have to come
# first, as distribution serves a wrong object, or none, to clients that do not name the stored type.
ACCEPT_MANIFESTS = ", ".join(
    (
        OCI_INDEX,
        OCI_MANIFEST,
        DOCKER_LIST,
        DOCKER_MANIFEST,
        OCI_ARTIFACT,
        ORAS_ARTIFACT,
        SCHEMA1_SIGNED,
        SCHEMA1,
        "*/*",
    )
)

MANIFEST_READ_LIMIT = 8 << 20
MANIFEST_WRITE_LIMIT = 4 << 20
CONFIG_LIMIT = 8 << 20
# Sizes are 64-bit integers for container engines, which refuse larger ones.
_SIZE_LIMIT = 1 << 63
# os/architecture[/variant][:os.version], as crane writes it.
_PLATFORM = re.compile(r"([a-z0-9_.-]+)/([a-z0-9_.-]+)(?:/([a-z0-9_.-]+))?(?::([a-z0-9_.-]+))?\Z")
# The variant that is meant where none is written, of the architectures whose newer variants run images of older ones.
_BASE_VARIANTS = {"amd64": "v1", "arm": "v7", "arm64": "v8"}

Read = t.TypeVar("Read")


def digest_of(raw: bytes, like: str | None = None) -> str:
    """Return the digest of ``raw``, with the algorithm of the digest ``like`` (sha256 without it)."""
    algorithm = like.partition(":")[0] if like else "sha256"
    return f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}"


def same_algorithm(digest: str, other: str) -> bool:
    """Tell whether two digests can be compared: a registry may answer sha256 where sha512 was sent."""
    return digest.partition(":")[0] == other.partition(":")[0]


def digest_diff(before: t.Mapping[str, str | None], after: t.Mapping[str, str | None]) -> dict[str, str]:
    """Return the diff of images and the digests they have, a line for each that changes."""
    changed = sorted(image for image in {**before, **after} if before.get(image) != after.get(image))

    def lines(side: t.Mapping[str, str | None]) -> str:
        return "".join(f"{image} {side.get(image) or 'absent'}\n" for image in changed)

    return {"before": lines(before), "after": lines(after)}


@dataclass(frozen=True)
class Platform:
    """Operating system, architecture and variant, normalised as containerd does."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``os/architecture[/variant][:os.version]``. Raises InvalidInput."""
        parts = _PLATFORM.match(text.strip().lower())
        if not parts:
            raise InvalidInput(
                f"{printable(text)!r} is not a platform: write os/architecture, such as linux/arm64/v8."
            )
        return cls._normalised(*(part or "" for part in parts.groups()))

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> Platform:
        """Read the ``platform`` of a descriptor, or the fields of the same names of an image config."""
        fields = (data.get(key) for key in ("os", "architecture", "variant", "os.version"))
        return cls._normalised(*(value.lower() if isinstance(value, str) else "" for value in fields))

    @classmethod
    def _normalised(cls, os: str, architecture: str, variant: str = "", os_version: str = "") -> Platform:
        architecture, variant = {
            "x86_64": ("amd64", variant),
            "x86-64": ("amd64", variant),
            "i386": ("386", ""),
            "aarch64": ("arm64", variant),
            "armhf": ("arm", "v7"),
            "armel": ("arm", "v6"),
        }.get(architecture, (architecture, variant))
        if (architecture, variant) in (("arm64", "v8"), ("arm64", "8"), ("arm64", "v8.0"), ("amd64", "v1")):
            variant = ""
        if architecture == "arm":
            variant = variant or "v7"
            variant = variant if variant.startswith("v") else f"v{variant}"
        return cls("darwin" if os == "macos" else os, architecture, variant, os_version)

    @property
    def known(self) -> bool:
        """False for the ``unknown/unknown`` of attestations and for entries without a platform."""
        return self.os not in ("", "unknown") and self.architecture not in ("", "unknown")

    @property
    def is_unknown(self) -> bool:
        """Whether this is ``unknown/unknown``, which marks what no container engine runs."""
        return (self.os, self.architecture) == ("unknown", "unknown")

    def distance(self, image: Platform) -> int | None:
        """Return how far the variant of ``image`` is below that of this platform: 0 if it is the same.

        None where this platform does not run ``image``. Container engines run images of older variants of their
        architecture, such as those for arm/v6 on arm/v7, and prefer the newest of them. Without a version of the operating
        system, images for any version do; that of a Windows image may be given without its last part.
        """
        if (self.os, self.architecture) != (image.os, image.architecture):
            return None
        if self.os_version and not f"{image.os_version}.".startswith(f"{self.os_version}."):
            return None
        if self.variant == image.variant:
            return 0
        own, other = self._variant_number(), image._variant_number()
        return own - other if own is not None and other is not None and own > other else None

    def _variant_number(self) -> int | None:
        """Return a number by which the variants of one architecture can be compared."""
        base = _BASE_VARIANTS.get(self.architecture)
        number = re.match(r"v([0-9]{1,3})(?:\.([0-9]{1,3}))?\Z", self.variant or base or "") if base else None
        return int(number.group(1)) * 1000 + int(number.group(2) or 0) if number else None

    @property
    def name(self) -> str:
        """Operating system, architecture and variant in one, as results show it."""
        return printable("/".join(part for part in (self.os, self.architecture, self.variant) if part), 100)

    def __str__(self) -> str:
        return self.name + (f":{printable(self.os_version, 100)}" if self.os_version else "")


@dataclass(frozen=True)
class Descriptor:
    """A pointer to content: media type, digest and size in bytes (image-spec, "OCI Content Descriptors")."""

    media_type: str
    digest: str
    size: int
    annotations: t.Mapping[str, str] = field(default_factory=dict, compare=False)
    platform: Platform | None = field(default=None, compare=False)
    artifact_type: str | None = field(default=None, compare=False)
    urls: tuple[str, ...] = field(default=(), compare=False)
    data: str | None = field(default=None, compare=False)

    @classmethod
    def from_dict(cls, data: t.Any) -> Descriptor:
        """Read one descriptor of a manifest. Raises ProtocolError: nothing of it reaches a URL or file unchecked."""
        if not isinstance(data, dict):
            raise ProtocolError("The manifest holds a descriptor that is not an object.")
        media_type, digest, size = data.get("mediaType"), data.get("digest"), data.get("size")
        if not is_digest(digest):
            raise ProtocolError(
                f"The manifest holds a descriptor without a valid digest: {printable(digest, 100)!r}."
            )
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < _SIZE_LIMIT:
            raise ProtocolError(f"The manifest gives no valid size for {digest}: {printable(size, 40)!r}.")
        if not isinstance(media_type, str):
            raise ProtocolError(f"The manifest gives no media type for {digest}.")
        platform, urls = data.get("platform"), data.get("urls")
        return cls(
            media_type=media_type,
            digest=t.cast(str, digest),
            size=size,
            annotations=_annotations(data),
            platform=Platform.from_dict(platform) if isinstance(platform, dict) else None,
            artifact_type=data.get("artifactType") if isinstance(data.get("artifactType"), str) else None,
            urls=tuple(url for url in urls if isinstance(url, str)) if isinstance(urls, list) else (),
            data=data.get("data") if isinstance(data.get("data"), str) else None,
        )

    @property
    def manifest_type(self) -> str | None:
        """The known media type of manifests that engines may read this one as, without case and parameters; else None.

        None or another text than ``media_type`` means that engines differ: some refuse or skip such an entry of an index,
        others run what the registry has under its digest.
        """
        named = base_type(self.media_type)
        return named if named in MANIFEST_TYPES else None

    @property
    def is_manifest(self) -> bool:
        """Whether the content is fetched from the manifests endpoint.

        Besides manifests of known types that is whatever an index names a platform for.
        """
        return self.manifest_type is not None or self.names_platform

    @property
    def names_platform(self) -> bool:
        """Whether an index says for which platform this is."""
        return self.platform is not None and self.platform.known

    @property
    def may_be_index(self) -> bool:
        """Whether this entry of an index is an index itself, or does not tell what it is."""
        unclear = self.manifest_type is None and (self.names_platform or not self.media_type)
        return unclear or self.manifest_type in INDEX_TYPES

    @property
    def is_foreign(self) -> bool:
        """Whether this is a layer that registries usually do not store ("non-distributable")."""
        return ".foreign." in self.media_type or ".nondistributable." in self.media_type

    @property
    def embedded(self) -> bytes | None:
        """The content itself, if it is embedded as ``data`` in base64 and has the digest and size; else None."""
        try:
            content = base64.b64decode(self.data or "", validate=True)
        except ValueError:
            return None
        is_right = self.data is not None and len(content) == self.size
        return content if is_right and digest_of(content, self.digest) == self.digest else None

    @property
    def attests(self) -> str | None:
        """The digest of the image in the same index that this is a build attestation of; None where it is none.

        BuildKit marks attestations by their platform ``unknown/unknown`` and an annotation. An entry with the annotation
        alone is an image that engines run.
        """
        if self.platform is None or not self.platform.is_unknown:
            return None
        return self.annotations.get("vnd.docker.reference.digest")

    def to_dict(self) -> dict[str, t.Any]:
        """Return the descriptor as results show it."""
        result: dict[str, t.Any] = {"media_type": self.media_type, "digest": self.digest, "size": self.size}
        if self.platform:
            result["platform"] = self.platform.name
        if self.artifact_type:
            result["artifact_type"] = self.artifact_type
        if self.annotations:
            result["annotations"] = dict(self.annotations)
        return result


class Manifest:
    """A manifest or index: the bytes as they were received, and a view of them.

    The bytes are never written anew: what was read is what is sent, with the media type it was stored under. The bytes of
    all manifests that a task holds at a time are limited; parsed ones are kept as far as there is room.
    """

    def __init__(self, content: ManifestBytes, media_type: str, digest: str) -> None:
        self.raw = content.raw
        self.media_type = media_type
        self.digest = digest
        self._content = content

    @property
    def data(self) -> dict[str, t.Any]:
        """All that is in the manifest. Not to be changed."""
        return self._content.all_fields()

    @classmethod
    def parse(cls, raw: bytes, content_type: str | None = None, expected: str | None = None) -> Manifest:
        """Read ``raw``, served as ``content_type``, which was asked for by the digest ``expected`` if that is given.

        The digest is verified before anything is parsed. Raises DigestMismatch and ProtocolError, the latter also where the
        task holds too many bytes of manifests.
        """
        digest = digest_of(raw, expected)
        if expected and digest != expected and base_type(content_type) not in SCHEMA1_TYPES:
            raise DigestMismatch(f"Other content was sent for {expected}: its digest is {digest_of(raw)}.")
        content = ManifestBytes(raw)
        with one_large_document(raw):
            media_type, payload = _recognise(content, content_type)
        if media_type in SCHEMA1_TYPES:
            digest = digest_of(payload)
        if expected and digest != expected:
            raise DigestMismatch(f"Other content was sent for {expected}: its digest is {digest}.")
        return cls(content, media_type, digest)

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of this manifest itself."""
        return Descriptor(self.media_type, self.digest, len(self.raw), self.annotations)

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests (image-spec, "Image Index")."""
        return self.media_type in INDEX_TYPES

    @property
    def is_schema1(self) -> bool:
        """Whether it is of Docker's first format, which today's registries do not store."""
        return self.media_type in SCHEMA1_TYPES

    @property
    def annotations(self) -> dict[str, str]:
        """The annotations whose values are texts (image-spec, "Annotations")."""
        return self._read(_annotations)

    @property
    def artifact_type(self) -> str | None:
        """``artifactType``, else the config's media type (distribution-spec, "Listing Referrers")."""
        declared = self._read(lambda data: data.get("artifactType"))
        if isinstance(declared, str) and declared:
            return declared
        config = self.config
        return config.media_type if config else None

    @property
    def children(self) -> list[Descriptor]:
        """The manifests of an index, in its order; of anything else, nothing."""
        return self._descriptors("manifests") if self.is_index else []

    @property
    def config(self) -> Descriptor | None:
        """The configuration of an image, None for what has none."""
        return None if self.is_index or self.is_schema1 else self._descriptor("config")

    @property
    def layers(self) -> list[Descriptor]:
        """The layers from the bottom up; for artifact manifests their blobs."""
        if self.is_index or self.is_schema1:
            return []
        return self._descriptors("blobs" if self.media_type in ARTIFACT_TYPES else "layers")

    @property
    def subject(self) -> Descriptor | None:
        """The manifest that this one refers to (image-spec, "subject"), None for none."""
        return self._descriptor("subject")

    @property
    def is_image(self) -> bool:
        """Whether the config is that of a runnable image, not of an artifact."""
        config = self.config
        return config is not None and config.media_type in CONFIG_TYPES

    def successors(self) -> list[Descriptor]:
        """Everything this manifest needs to be complete: children, or config and layers, each digest once."""
        config = self.config
        needed = self.children + ([config] if config else []) + self.layers
        return list({descriptor.digest: descriptor for descriptor in needed}.values())

    def _read(self, reader: t.Callable[[dict[str, t.Any]], Read]) -> Read:
        """Return what ``reader`` finds in the fields that readers know."""
        with one_large_document(self.raw):
            return reader(self._content.known_fields())

    def _descriptor(self, key: str) -> Descriptor | None:
        return self._read(lambda data: Descriptor.from_dict(data[key]) if data.get(key) else None)

    def _descriptors(self, key: str) -> list[Descriptor]:
        def read(data: dict[str, t.Any]) -> list[Descriptor]:
            entries = data.get(key)
            if entries is None:
                return []
            if not isinstance(entries, list):
                raise ProtocolError(f"The manifest's {key} is not a list.")
            return [Descriptor.from_dict(entry) for entry in entries]

        return self._read(read)


def _recognise(content: ManifestBytes, content_type: str | None) -> tuple[str, bytes]:
    """Parse a manifest, and return its media type and the bytes that its digest is of."""
    data = content.known_fields()
    media_type = _media_type(data, content_type)
    return media_type, _schema1_payload(content.raw, data) if media_type in SCHEMA1_TYPES else content.raw


def base_type(content_type: str | None) -> str:
    """Return a Content-Type without its parameters."""
    return (content_type or "").partition(";")[0].strip().lower()


def _annotations(data: t.Mapping[str, t.Any]) -> dict[str, str]:
    annotations = data.get("annotations")
    if not isinstance(annotations, dict):
        return {}
    return {key: text for key, text in annotations.items() if isinstance(text, str)}


def _media_type(data: dict[str, t.Any], content_type: str | None) -> str:
    """Decide what a manifest is. Contradictions are refused: one content must not be read in two ways (CVE-2021-41190)."""
    if "manifests" in data and any(key in data for key in ("layers", "config", "fsLayers")):
        raise ProtocolError("The manifest is ambiguous: it has the fields of an index and of an image.")
    served, declared = base_type(content_type), data.get("mediaType")
    if declared and served in MANIFEST_TYPES and served != declared:
        raise ProtocolError(f"The manifest was served as {served} but declares {printable(declared, 100)}.")
    if isinstance(declared, str) and declared in MANIFEST_TYPES:
        media_type = declared
    elif served in MANIFEST_TYPES:
        media_type = served
    elif isinstance(data.get("manifests"), list):
        media_type = OCI_INDEX
    elif "fsLayers" in data:
        media_type = SCHEMA1_SIGNED if "signatures" in data else SCHEMA1
    elif "config" in data and "layers" in data:
        media_type = OCI_MANIFEST
    else:
        raise ProtocolError(
            f"This is no manifest of a known type (served as {printable(served, 100) or 'nothing'})."
        )
    if (media_type in INDEX_TYPES) != ("manifests" in data):
        raise ProtocolError(f"The manifest's fields are not those of {media_type}.")
    return media_type


def _schema1_payload(raw: bytes, data: dict[str, t.Any]) -> bytes:
    """Return what the digest of a schema 1 manifest is of: where it is signed, not the signatures."""
    try:
        protected = data["signatures"][0]["protected"]
        header = json.loads(base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4)))
        tail = header["formatTail"]
        payload = raw[: int(header["formatLength"])] + base64.urlsafe_b64decode(tail + "=" * (-len(tail) % 4))
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, RecursionError):
        return raw
    return payload
