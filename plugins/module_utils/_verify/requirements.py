# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Demands on images, checked without stopping at the first that is not met."""

from __future__ import annotations

import json
import time
import typing as t
from dataclasses import dataclass, replace

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._errors import Denied, DigestMismatch, InvalidInput, NotFound, ProtocolError, Unauthorized, printable
from .._oci.content import INDEX_TYPES, Descriptor, Manifest, Platform, choose
from .._oci.digest_tags import cosign_tag_names
from .._oci.quantities import known_age, parse_duration, parse_size
from .._oci.reference import Reference, check_digest
from .._oci.tag_patterns import Patterns
from .._parallel import map_concurrent
from .._registry.client import RegistryClient
from .._registry.connection import RegistryClients
from .._registry.images import created_time, image_config, total_size
from .._registry.referrers import find_referrers
from .._storage.files import read_file, storage_errors

try:
    import yaml
except ImportError:
    HAS_YAML = False
else:
    HAS_YAML = True

# Options of the module, and keys of an entry of its images.
REQUIREMENTS: dict[str, dict[str, t.Any]] = {
    "pinned": {"type": "bool"},
    "allow_moved_tags": {"type": "bool"},
    "forbidden_tags": {"type": "list", "elements": "str"},
    "platforms": {"type": "list", "elements": "str"},
    "max_size": {"type": "str"},
    "max_age": {"type": "str"},
    "allow_unknown_age": {"type": "bool"},
    "labels": {"type": "dict"},
    "referrers": {"type": "list", "elements": "str"},
}
COSIGN = "cosign"

_LOCK_LIMIT = 16 << 20
_MAX_NESTING = 5
# What these say is about one image; anything else means that nothing can be verified at all.
_UNREADABLE = (NotFound, Unauthorized, Denied, ProtocolError, DigestMismatch)


class Pattern(t.NamedTuple):
    """One pattern, as it is written and as it is used."""

    text: str
    compiled: Patterns


@dataclass(frozen=True)
class Requirements:
    """What is demanded of one image."""

    pinned: bool
    allow_moved_tags: bool
    forbidden_tags: Patterns
    platforms: tuple[Platform, ...]
    max_size: str
    max_bytes: int
    max_age: str
    max_seconds: float
    allow_unknown_age: bool
    labels: t.Mapping[str, Pattern | None]
    referrers: tuple[Pattern, ...]
    cosign: bool

    @classmethod
    def read(cls, options: t.Mapping[str, t.Any]) -> Requirements:
        """Read options or keys with the names of DEMANDS. Raises InvalidInput."""
        labels = {name: _text(value) for name, value in (options["labels"] or {}).items()}
        referrers = options["referrers"] or []
        return cls(
            pinned=bool(options["pinned"]),
            allow_moved_tags=bool(options["allow_moved_tags"]),
            forbidden_tags=Patterns(options["forbidden_tags"] or (), "forbidden_tags"),
            platforms=tuple(Platform.parse(platform) for platform in options["platforms"] or ()),
            max_size=options["max_size"] or "",
            max_bytes=parse_size(options["max_size"]) if options["max_size"] else 0,
            max_age=options["max_age"] or "",
            max_seconds=parse_duration(options["max_age"]) if options["max_age"] else 0,
            allow_unknown_age=bool(options["allow_unknown_age"]),
            labels={name: _pattern(text, "labels") if text else None for name, text in labels.items()},
            referrers=tuple(_pattern(text, "referrers") for text in referrers if text != COSIGN),
            cosign=COSIGN in referrers,
        )

    @property
    def of_content(self) -> bool:
        """Whether more has to be known of the image than its digest."""
        return bool(self.platforms or self.max_size or self.max_age or self.labels)


@dataclass
class Check:
    """One image to be verified. ``locked`` is its digest in the lock file, "" if it is not in there, None without one."""

    reference: Reference
    demands: Requirements
    locked: str | None = None

    @property
    def tag(self) -> str | None:
        """The tag that is meant, also where it is not written."""
        return self.reference.tag or (None if self.reference.digest else "latest")


class Violation(t.NamedTuple):
    """One demand that is not met; ``message`` is a sentence on one line, without the image."""

    image: str
    demand: str
    message: str


class Finding(t.NamedTuple):
    """What was found out of one image."""

    image: str
    digest: str | None
    pinned: str | None
    violations: list[Violation]


def read_checks(clients: RegistryClients, params: t.Mapping[str, t.Any]) -> list[Check]:
    """Return the images that the options ``images`` and ``lock`` name, with their demands. Raises InvalidInput."""
    lock = None if params["lock"] is None else _read_lock(clients, params["lock"])
    entries = params["images"] or [{"image": str(reference)} for reference in lock or ()]
    if not entries:
        raise InvalidInput("There is nothing to verify: name images, or a lock file with images.")
    subjects = []
    for entry in entries:
        own = {"image": entry} if isinstance(entry, str) else _read_entry(entry)
        reference = clients.reference(own["image"])
        subjects.append(Check(reference, Requirements.read({**params, **own}), _locked(reference, lock)))
    return subjects


def _read_entry(entry: t.Any) -> dict[str, t.Any]:
    """Return the keys that an entry of images has, with the types of DEMANDS."""
    if not isinstance(entry, dict):
        raise InvalidInput("Each entry of images must be a reference, or a dictionary of image and demands.")
    result = ArgumentSpecValidator({"image": {"type": "str", "required": True}, **REQUIREMENTS}).validate(
        entry
    )
    if result.error_messages:
        raise InvalidInput(
            f"An entry of images cannot be used: {printable('; '.join(result.error_messages))}"
        )
    return {name: result.validated_parameters[name] for name in entry}


def _read_lock(clients: RegistryClients, lock: t.Any) -> dict[Reference, str]:
    """Return the digests of a lock file by their images; ``lock`` is its path, its text, or what it holds."""
    where = "lock"
    if isinstance(lock, str):
        if "\n" not in lock and not lock.startswith("["):
            where = lock
            with storage_errors(lock):
                lock = read_file(lock, _LOCK_LIMIT).decode("utf-8", "replace")
        lock = _load(lock, where)
    if not isinstance(lock, list) or not all(isinstance(entry, dict) for entry in lock):
        raise InvalidInput(f"{where} is no lock file: that is a list of dictionaries of image and digest.")
    found: dict[Reference, str] = {}
    for entry in lock:
        image, digest = entry.get("image"), entry.get("digest")
        if not isinstance(image, str) or not isinstance(digest, str):
            raise InvalidInput(f"{where} is no lock file: each of its entries needs image and digest.")
        reference = clients.reference(image)
        name = replace(reference, tag=reference.tag or "latest", digest=None)
        check_digest(digest, f"digest in {where}")
        if found.setdefault(name, digest) != digest or reference.digest not in (None, digest):
            raise InvalidInput(f"{where} gives two digests for {name}.")
    return found


def _load(text: str, where: str) -> t.Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if not HAS_YAML:
        raise InvalidInput(
            f"{where} is not JSON, and this host has no PyYAML: install it, or give what the file holds as a list."
        )
    try:
        return yaml.safe_load(text)
    # PyYAML lets out whatever its constructors stumble over.
    except (
        yaml.YAMLError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        ArithmeticError,
        RecursionError,
    ):
        raise InvalidInput(f"{where} is neither YAML nor JSON.") from None


def _locked(reference: Reference, lock: t.Mapping[Reference, str] | None) -> str | None:
    if lock is None:
        return None
    if reference.tag or not reference.digest:
        return lock.get(replace(reference, tag=reference.tag or "latest", digest=None), "")
    known = {digest for name, digest in lock.items() if name.name == reference.name}
    return reference.digest if reference.digest in known else ""


def verify(clients: RegistryClients, subjects: t.Sequence[Check]) -> list[Finding]:
    """Verify all images, and return what was found, in their order.

    Requests: a HEAD for each, and more only where a demand needs more. Raises what is not about one image, such as
    Unreachable.
    """
    within = max(1, clients.concurrency // len(subjects))
    return map_concurrent(
        lambda subject: _Verification(clients.client(subject.reference), subject, within).run(),
        subjects,
        clients.concurrency,
    )


class _Verification:
    """The verification of one image."""

    def __init__(self, client: RegistryClient, subject: Check, concurrency: int) -> None:
        self._client = client
        self._demands = subject.demands
        self._subject = subject
        self._reference = subject.reference
        self._repository = subject.reference.repository
        self._concurrency = concurrency
        self._violations: list[Violation] = []

    def run(self) -> Finding:
        digest = None
        self._check_name()
        try:
            digest = self._check_digest()
            if digest and self._demands.of_content:
                self._check_content(self._client.manifest(self._repository, digest))
            if digest and self._demands.cosign and not self._has_cosign_signature(digest):
                self._violate("referrers", "it has no signature of cosign.")
            if digest and self._demands.referrers:
                self._check_referrers(digest)
        except _UNREADABLE as error:
            self._violate("readable", str(error))
        pinned = self._reference.pinned(digest) if digest else None
        return Finding(str(self._reference), digest, pinned, self._violations)

    def _violate(self, demand: str, message: str) -> None:
        self._violations.append(Violation(str(self._reference), demand, printable(message, 1000)))

    def _check_name(self) -> None:
        """Check what needs no registry."""
        tag, locked = self._subject.tag, self._subject.locked
        if tag and self._demands.forbidden_tags.match(tag):
            self._violate("forbidden_tags", f"the tag {tag} must not be used.")
        if self._demands.pinned and not self._reference.digest:
            self._violate("pinned", "it is not pinned: write its digest behind it.")
        if locked == "":
            self._violate("lock", "it is not in the lock file.")

    def _check_digest(self) -> str | None:
        """Check what the image is now, and return the digest that all other demands are about."""
        digest, locked = self._reference.digest, self._subject.locked
        if locked and not digest and self._demands.allow_moved_tags:
            digest = locked
        found = self._client.resolve(self._repository, digest or self._reference.target)
        if found is None:
            self._violate("exists", f"it does not exist{f' any more as {digest}' if digest else ''}.")
            return None
        if locked and found.digest != locked:
            self._violate("lock", f"it is {found.digest}, not {locked} as in the lock file.")
        tag = self._reference.tag
        if self._demands.pinned and tag and self._reference.digest and not self._demands.allow_moved_tags:
            now = self._client.resolve(self._repository, tag)
            if now is None or now.digest != found.digest:
                self._violate("pinned", f"its tag is {now.digest if now else 'gone'} now.")
        return found.digest

    def _check_content(self, root: Manifest) -> None:
        images = self._images(root, 0) if root.is_index else self._single(root)
        if self._demands.platforms:
            images = self._of_platforms(images)
        if self._demands.max_size or self._demands.max_age or self._demands.labels:
            for violations in map_concurrent(
                lambda image: list(self._image(root, image)), images, self._concurrency
            ):
                for demand, message in violations:
                    self._violate(demand, message)

    def _images(self, index: Manifest, nesting: int) -> list[Descriptor]:
        """Return the images in an index and in indexes within it, without attestations."""
        if nesting > _MAX_NESTING:
            raise ProtocolError("the index is nested too deeply to be an image.")
        found: list[Descriptor] = []
        for child in index.children:
            if child.media_type in INDEX_TYPES:
                found += self._images(self._client.manifest(self._repository, child.digest), nesting + 1)
            elif child.is_manifest and not child.attests:
                found.append(child)
        return list({child.digest: child for child in found}.values())

    def _single(self, manifest: Manifest) -> list[Descriptor]:
        """Return the descriptor of a single image, with the platform of its configuration if that is asked for."""
        config = image_config(self._client, self._repository, manifest) if self._demands.platforms else None
        platform = Platform.from_dict(config["full"]) if config else None
        return [replace(manifest.descriptor, platform=platform)]

    def _of_platforms(self, images: t.Sequence[Descriptor]) -> list[Descriptor]:
        """Check that the platforms are there, and return their images."""
        chosen = [(platform, choose(images, platform)) for platform in self._demands.platforms]
        missing = [str(platform) for platform, image in chosen if image is None]
        if missing:
            offered = sorted({str(one.platform) for one in images if one.platform and one.platform.known})
            has = f"it has {printable(', '.join(offered))}" if offered else "it names no platform"
            self._violate("platforms", f"it lacks {', '.join(missing)}: {has}.")
        return [image for _platform, image in chosen if image]

    def _image(self, root: Manifest, image: Descriptor) -> t.Iterator[tuple[str, str]]:
        """Yield the violations of the demands on a single image."""
        demands = self._demands
        manifest = (
            root if image.digest == root.digest else self._client.manifest(self._repository, image.digest)
        )
        what = "it" if manifest is root else f"its image for {image.platform or image.digest}"
        if demands.max_size:
            size = total_size(manifest, {})
            if size is None:
                yield "max_size", f"{what} does not tell its size."
            elif size > demands.max_bytes:
                yield "max_size", f"{what} has {size} bytes, more than {demands.max_size}."
        config = None
        if demands.labels or (demands.max_age and created_time(manifest, None) is None):
            config = image_config(self._client, self._repository, manifest)
        if demands.max_age:
            yield from self._age(what, created_time(manifest, config))
        labels = config["labels"] if config else {}
        for name, pattern in demands.labels.items():
            value = labels.get(name)
            if value is None:
                yield "labels", f"{what} has no label {name}."
            elif pattern and not pattern.compiled.match(str(value)):
                yield (
                    "labels",
                    f"{what} has the label {name} {printable(value, 200)!r}, not {pattern.text!r}.",
                )

    def _age(self, what: str, created: float | None) -> t.Iterator[tuple[str, str]]:
        age = known_age(created, time.time())
        if age is None or created is None:
            if not self._demands.allow_unknown_age:
                yield "max_age", f"{what} does not tell when it was made, or cannot have been made then."
        elif age > self._demands.max_seconds:
            made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created))
            yield "max_age", f"{what} was made at {made}, more than {self._demands.max_age} ago."

    def _check_referrers(self, digest: str) -> None:
        listed = find_referrers(self._client, self._repository, digest).descriptors
        types = sorted({one.artifact_type for one in listed if one.artifact_type})
        for pattern in self._demands.referrers:
            if not any(pattern.compiled.match(one) for one in types):
                has = f"it has {', '.join(types)}" if types else "it has none"
                self._violate("referrers", f"it has no referrer of the type {pattern.text}: {has}.")

    def _has_cosign_signature(self, digest: str) -> bool:
        signatures = [name for name in cosign_tag_names(digest) if name.endswith(".sig")]
        return any(self._client.resolve(self._repository, name) for name in signatures)


def _pattern(text: str, option: str) -> Pattern:
    return Pattern(text, Patterns([text], option))


def _text(value: t.Any) -> str | None:
    """Return the pattern that a label has to match; booleans are what YAML makes of the labels true and false."""
    if isinstance(value, bool):
        return str(value).lower()
    return None if value in (None, "") else str(value)
