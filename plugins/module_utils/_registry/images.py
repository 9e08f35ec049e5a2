# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Which image is meant, and what can be said of it: the one image picker, sizes, configuration and date of an image."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._errors import NotFound, ProtocolError, Refused, printable
from .._oci.content import CONFIG_LIMIT, CONFIG_TYPES, Descriptor, Manifest, Platform
from .._oci.documents import IMAGE_CONFIG, parse_json_object
from .._oci.graph import walk
from .._oci.quantities import parse_time
from .._oci.reference import Reference, check_digest
from .._oci.stores import Contents
from .._oci.verified_reader import read_blob
from .._parallel import map_concurrent
from .repository import Repository

# Each of them has to be read to find out its platform.
_MAX_UNNAMED = 1000
_CREATED = "org.opencontainers.image.created"
Typed = t.TypeVar("Typed", str, t.List[t.Any], t.Dict[str, t.Any])


@dataclass(frozen=True)
class Picked:
    """The image that a reference stands for, or that it has for a platform.

    ``root`` is what the reference points to, ``image`` what was picked: ``root`` itself, or an entry of the index ``holder``.
    ``names_platform`` is False for an image that was taken for the platform because nothing names its own.
    """

    root: Descriptor
    image: Descriptor
    holder: Manifest | None = None
    names_platform: bool = True


def pick(
    repository: Repository,
    reference: Reference,
    platform: Platform | None = None,
    expected_digest: str | None = None,
) -> Picked:
    """Return the image that ``reference`` stands for in ``repository``, or the one that it has for ``platform``.

    ``expected_digest`` is that of what the reference points to. Takes a HEAD; with ``platform`` a GET, and more for what
    does not stand in the first manifest. Raises NotFound and Refused; see also ImagePicker.pick().
    """
    if platform is None:
        root = require(reference, repository.resolve(reference.target), expected_digest)
        return Picked(root, root)
    fetched = repository.find_manifest(reference.target)
    require(reference, fetched.descriptor if fetched else None, expected_digest)
    manifest = t.cast("Manifest", fetched and fetched.manifest)
    return ImagePicker(repository, manifest, reference, repository.concurrency).pick(platform)


def require(
    image: object, descriptor: Descriptor | None, expected_digest: str | None = None, assurance: str = ""
) -> Descriptor:
    """Return ``descriptor``, which is what ``image`` stands for now.

    ``assurance`` ends the messages of tasks that write, such as "nothing was changed". Raises NotFound where the image
    does not exist, and Refused like check_expected().
    """
    if descriptor is None:
        raise NotFound(f"{image} does not exist{assurance and ': '}{assurance}.", status=404)
    check_expected(image, descriptor.digest, expected_digest, assurance)
    return descriptor


def check_expected_option(expected_digest: str | None) -> None:
    """Raise InvalidInput for an option expected_digest that is given and is no digest; an empty one would expect nothing."""
    if expected_digest is not None:
        check_digest(expected_digest, "expected_digest")


def check_expected(
    image: object, digest: str | None, expected_digest: str | None, assurance: str = ""
) -> None:
    """Raise Refused unless ``image`` has ``expected_digest``, if one is given. Its ``digest`` is None if it does not exist."""
    if not expected_digest or digest == expected_digest:
        return
    if digest is None:
        raise Refused(
            f"{image} does not exist, but the digest {expected_digest} is expected of it.", status=404
        )
    raise Refused(
        f"{image} has the digest {digest}, not the expected {expected_digest}{assurance and ': '}{assurance}."
    )


class ImagePicker:
    """Picks images for platforms from one manifest, as container engines do.

    The manifest is ``root`` of ``store``, and ``name`` stands for it in messages. Indexes within an index are followed, also
    those whose entries name no platform; what is read of them is kept for the next platform.
    """

    def __init__(self, store: Contents, root: Manifest, name: object, concurrency: int = 1) -> None:
        self._store = store
        self._root = root
        self._name = name
        self._concurrency = concurrency
        self._manifests = {root.digest: root}
        self._own_platforms: dict[str, Platform | None] = {}

    @property
    def indexes(self) -> list[Manifest]:
        """The indexes that were read, from the root on, in the order of their entries."""
        indexes: dict[str, Manifest] = {}
        waiting = [self._root.digest]
        while waiting:
            manifest = self._manifests.get(waiting.pop())
            if manifest and manifest.is_index and manifest.digest not in indexes:
                indexes[manifest.digest] = manifest
                waiting += [child.digest for child in reversed(manifest.children)]
        return list(indexes.values())

    def pick(self, platform: Platform) -> Picked:
        """Return the image for ``platform``.

        Of the entries of an index the first with the variant that is nearest below is taken (see Platform.distance()), after
        these the ones without a platform, whose configuration has to name it. Attestations are never taken. An image whose
        configuration names no platform either is taken where there is no other one. Raises NotFound that names the platforms
        that there are, and ProtocolError for indexes nested too deeply.
        """
        self._read_indexes(platform)
        unnamed: list[tuple[Descriptor, Manifest | None]] = []
        for entry, holder in self._entries(platform):
            if entry.names_platform:
                return Picked(self._root.descriptor, entry, holder)
            unnamed.append((entry, holder))
        if len(unnamed) > _MAX_UNNAMED:
            raise ProtocolError(
                f"{self._name} has more than {_MAX_UNNAMED} entries that name no platform: this is no image."
            )
        own = map_concurrent(lambda pair: self._own_platform(pair[0]), unnamed, self._concurrency)
        distances = [None if other is None else platform.distance(other) for other in own]
        nearest = min((distance for distance in distances if distance is not None), default=None)
        if nearest is not None:
            entry, holder = unnamed[distances.index(nearest)]
            return Picked(self._root.descriptor, entry, holder)
        for (entry, holder), other in zip(unnamed, own):
            if other is not None and not other.known:
                return Picked(self._root.descriptor, entry, holder, names_platform=False)
        raise NotFound(f"{self._name} has no image for {platform}: {self.offer}.")

    def _read_indexes(self, platform: Platform) -> None:
        """Read the manifests that an image for ``platform`` may stand in."""
        descriptors = {self._root.digest: self._root.descriptor}

        def visit(digest: str) -> list[str]:
            entries = [
                entry
                for entry, _distance in _candidates(self._manifest(descriptors[digest]), platform)
                if entry.may_be_index
            ]
            descriptors.update((entry.digest, entry) for entry in entries)
            return [entry.digest for entry in entries]

        walk([self._root.digest], visit, self._concurrency)

    def _entries(self, platform: Platform) -> t.Iterator[tuple[Descriptor, Manifest | None]]:
        """Yield what is no index and may be for ``platform``, each with the index that it stands in, the nearest first."""
        waiting: list[tuple[Descriptor, Manifest | None]] = [(self._root.descriptor, None)]
        seen = set()
        while waiting:
            entry, holder = waiting.pop()
            if entry.digest in seen:
                continue
            seen.add(entry.digest)
            manifest = self._manifests.get(entry.digest)
            if manifest is None or not manifest.is_index:
                yield entry, holder
                continue
            candidates = sorted(_candidates(manifest, platform), key=lambda candidate: candidate[1])
            waiting += [(child, manifest) for child, _distance in reversed(candidates)]

    def _manifest(self, descriptor: Descriptor) -> Manifest:
        if descriptor.digest not in self._manifests:
            self._manifests[descriptor.digest] = self._store.fetch_manifest(descriptor)
        return self._manifests[descriptor.digest]

    def _own_platform(self, entry: Descriptor) -> Platform | None:
        """Return the platform in the configuration of ``entry``: one that is not known if it names none.

        None for what is no image, unless the reference itself is: an artifact can be for any platform.
        """
        if entry.digest not in self._own_platforms:
            manifest = self._manifest(entry)
            config = image_config(self._store, manifest)
            anything = manifest is self._root
            platform = Platform.from_dict(config["full"] if config else {})
            self._own_platforms[entry.digest] = platform if config or anything else None
        return self._own_platforms[entry.digest]

    @property
    def offer(self) -> str:
        """Which platforms there are, as far as they have been read: the end of a sentence."""
        own = [platform for platform in self._own_platforms.values() if platform and platform.known]
        if not self._root.is_index:
            return f"it is a single image for {own[0]}"
        entries = (entry.platform for index in self.indexes for entry in index.children)
        named = [platform for platform in entries if platform and platform.known]
        return f"it has {printable(', '.join(sorted(set(map(str, named + own))))) or 'none with a platform'}"


def _candidates(manifest: Manifest, platform: Platform) -> t.Iterator[tuple[Descriptor, float]]:
    """Yield the entries that may be for ``platform`` or lead to an image for it, each with the distance to it.

    What names its platform is an image whatever its media type, as for crane and skopeo. Of the rest only manifests can be:
    build caches have indexes of layers.
    """
    for entry in manifest.children:
        if entry.attests:
            continue
        if entry.platform and (entry.platform.known or entry.platform.is_unknown):
            distance = platform.distance(entry.platform)
            if distance is not None:
                yield entry, distance
        elif entry.manifest_type or not entry.media_type:
            yield entry, float("inf")


def manifest_facts(manifest: Manifest, below: t.Mapping[str, Needs]) -> dict[str, t.Any]:
    """Return what ``manifest`` says. ``below`` is what the manifests under an index need, as far as it is known."""
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


def entries_in(repository: Repository, root: Manifest) -> list[Descriptor]:
    """Return the entries of the index ``root`` and of the indexes within it, each digest once, in their order.

    Nothing for what is no index. Raises NotFound, and ProtocolError for an index nested too deeply.
    """
    children = {root.digest: root.children}

    def visit(digest: str) -> list[str]:
        if digest not in children:
            children[digest] = repository.manifest(digest).children
        return [child.digest for child in children[digest] if child.may_be_index]

    levels = walk([root.digest], visit, repository.concurrency)
    entries = (child for level in levels for digest in level for child in children[digest])
    unique: dict[str, Descriptor] = {}
    for entry in entries:
        unique.setdefault(entry.digest, entry)
    return list(unique.values())


class Needs(t.NamedTuple):
    """What a manifest needs: manifests by their digests, and blobs with their sizes, None where these are not told."""

    manifests: list[str]
    blobs: dict[str, int] | None


def needs_below(repository: Repository, root: Manifest) -> dict[str, Needs]:
    """Return what the manifests under the index ``root`` need, by their digests. Absent ones are left out.

    Raises ProtocolError for an index nested too deeply.
    """
    needs: dict[str, Needs] = {}

    def visit(digest: str) -> list[str]:
        if digest == root.digest:
            return _needs(root).manifests
        fetched = repository.find_manifest(digest)
        if fetched is None:
            return []
        needs[digest] = _needs(fetched.manifest)
        return needs[digest].manifests

    walk([root.digest], visit, repository.concurrency)
    return needs


def total_size(manifest: Manifest, below: t.Mapping[str, Needs]) -> int | None:
    """Return the bytes of all configurations and layers that ``manifest`` needs, each blob counted once.

    None where it cannot be told: schema 1 gives no sizes, and an index needs all manifests ``below`` it.
    """
    return _total_size(manifest.digest, {**below, manifest.digest: _needs(manifest)})


def _needs(manifest: Manifest) -> Needs:
    if manifest.is_schema1:
        return Needs([], None)
    manifests = {child.digest for child in manifest.children if child.is_manifest}
    successors = manifest.successors()
    return Needs(
        sorted(manifests),
        {successor.digest: successor.size for successor in successors if successor.digest not in manifests},
    )


def _total_size(digest: str, needs: t.Mapping[str, Needs]) -> int | None:
    levels = walk(
        [digest], lambda name: needs[name].manifests if name in needs else [], max_levels=len(needs) + 2
    )
    blobs: dict[str, int] = {}
    for name in (name for level in levels for name in level):
        own = needs[name].blobs if name in needs else None
        if own is None:
            return None
        blobs.update(own)
    return sum(blobs.values())


def image_config(store: Contents, manifest: Manifest) -> dict[str, t.Any] | None:
    """Return the configuration of an image of ``store``, or None for what has none: an index, an artifact.

    Of a registry it takes one request; none for schema 1, whose manifest holds it. The content is verified.
    """
    if manifest.is_schema1:
        return _schema1_config(manifest)
    descriptor = manifest.config
    if descriptor is None or not manifest.is_image:
        return None
    raw = read_blob(store.open_blob(descriptor), descriptor, CONFIG_LIMIT)
    return _config_facts(parse_json_object(raw, "image configuration", IMAGE_CONFIG))


def _schema1_config(manifest: Manifest) -> dict[str, t.Any] | None:
    for entry in _typed(manifest.data.get("history"), list):
        # The newest comes first; it describes the whole image.
        text = _typed(_typed(entry, dict).get("v1Compatibility"), str)
        raw = text.encode("utf-8", "surrogatepass")
        return _config_facts(parse_json_object(raw, "schema 1 image configuration", IMAGE_CONFIG))
    return None


def _config_facts(data: dict[str, t.Any]) -> dict[str, t.Any]:
    settings = _typed(data.get("config"), dict)
    variables = [entry for entry in _typed(settings.get("Env"), list) if isinstance(entry, str)]
    return {
        "platform": Platform.from_dict(data).name or None,
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


def _platforms(manifest: Manifest, below: t.Mapping[str, Needs]) -> list[dict[str, t.Any]]:
    platforms = []
    for child in manifest.children:
        platforms.append(
            {
                "platform": child.platform.name if child.platform else None,
                "os_version": child.platform.os_version or None if child.platform else None,
                "digest": child.digest,
                "size": child.size,
                "media_type": child.media_type,
                "annotations": dict(child.annotations),
                "attestation_of": child.attests,
                "total_size": _total_size(child.digest, below),
            }
        )
    return platforms


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
