# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Requirements on images, checked without stopping at the first that is not met.

The gate fails closed: what cannot be read, or is not understood, is a violation.
"""

from __future__ import annotations

import time
import typing as t

from .._errors import NotFound, Refused, printable
from .._oci.content import IMAGE_TYPES, Descriptor, Manifest, Platform
from .._oci.quantities import known_age
from .._oci.reference import Reference
from .._parallel import map_concurrent
from .._registry.connection import RegistryClients
from .._registry.context import ModuleContext
from .._registry.images import ImagePicker, created_time, image_config, total_size
from .._registry.placeholder import is_like_placeholder, placeholder_sentence, read_removed_tags
from .._registry.repository import Repository
from .checks import Check, read_checks
from .contents import UNREADABLE, read_contents
from .referrers import missing_referrers
from .signatures import SignatureRequirement, missing_signatures

Result = t.TypeVar("Result")


class Violation(t.NamedTuple):
    """A requirement that is not met: ``demand`` names it, and ``message`` is one line, without the image."""

    image: str
    demand: str
    message: str


class Finding(t.NamedTuple):
    """The outcome for one image: its digest, the image by that digest, and the requirements that it does not meet."""

    image: str
    digest: str | None
    pinned: str | None
    violations: list[Violation]

    def to_dict(self) -> dict[str, t.Any]:
        """Return what the module's result says of the image."""
        return {
            "image": self.image,
            "digest": self.digest,
            "pinned": self.pinned,
            "passed": not self.violations,
        }


def verify_images(context: ModuleContext) -> dict[str, t.Any]:
    """Verify the images that a task of registry_verify names, and return its result.

    Raises Refused where requirements are not met, unless the task only reports; InvalidInput; and what keeps images from
    being verified at all, such as Unreachable.
    """
    findings = verify(context.clients, read_checks(context.clients, context.params))
    violations = [violation for finding in findings for violation in finding.violations]
    result = {
        "changed": False,
        "passed": not violations,
        "images": [finding.to_dict() for finding in findings],
        "violations": [violation._asdict() for violation in violations],
    }
    if violations and not context.params["report_only"]:
        lines = "".join(f"\n{violation.image}: {violation.message}" for violation in violations)
        failed = sum(bool(finding.violations) for finding in findings)
        error = Refused(f"{failed} of {len(findings)} images must not be deployed:{lines}")
        raise error.add_result(result)
    return result


def verify(clients: RegistryClients, checks: t.Sequence[Check]) -> list[Finding]:
    """Verify all images, and return the findings in their order.

    Requests: a HEAD for each image, and further ones only where a requirement needs them. Raises what is not about one
    image, such as Unreachable.
    """
    concurrency = max(1, clients.concurrency // len(checks))

    def repository_of(reference: Reference) -> Repository:
        return Repository(clients.client(reference), reference.repository, concurrency)

    def run(check: Check) -> Finding:
        return _Verification(
            check,
            repository_of(check.reference),
            repository_of(check.signature_repository or check.reference),
        ).run()

    return map_concurrent(run, checks, clients.concurrency)


class _Verification:
    """The verification of one image."""

    def __init__(self, check: Check, repository: Repository, signatures: Repository) -> None:
        """``signatures`` is the repository that holds the signatures of the image in ``repository``."""
        self._repository = repository
        self._signatures = signatures
        self._check = check
        self._reference = check.reference
        self._requirements = check.requirements
        self._violations: list[Violation] = []

    def run(self) -> Finding:
        self._check_name()
        descriptor = self._attempt(self._check_digest)
        if descriptor:
            root = descriptor
            images = self._attempt(lambda: self._check_content(root)) or []
            if self._requirements.cosign or self._requirements.referrers:
                self._attempt(lambda: self._check_referrers(root.digest))
            if self._requirements.signatures:
                self._check_signatures(root, images)
        digest = descriptor.digest if descriptor else None
        pinned = self._reference.pinned(digest) if digest else None
        return Finding(str(self._reference), digest, pinned, self._violations)

    def _attempt(self, check: t.Callable[[], Result]) -> Result | None:
        """Return what ``check`` returns. That it cannot be done is a violation, which hides no other one."""
        try:
            return check()
        except UNREADABLE as error:
            self._violate("readable", str(error))
            return None

    def _violate(self, requirement: str, message: str) -> None:
        """Note a violation. The lines of its message are bounded in length and number by who writes them."""
        lines = [printable(line, 1000) for line in message.split("\n")]
        self._violations.append(Violation(str(self._reference), requirement, "\n  ".join(lines)))

    def _check_name(self) -> None:
        """Check what needs no registry."""
        tag, locked = self._check.tag, self._check.locked
        if tag and self._requirements.forbidden_tags.match(tag):
            self._violate("forbidden_tags", f"the tag {tag} must not be used.")
        if self._requirements.pinned and not self._reference.digest:
            self._violate("pinned", "it is not pinned: write its digest behind it.")
        if locked == "":
            self._violate("lock", "it is not in the lock file.")

    def _check_digest(self) -> Descriptor | None:
        """Check what the image is now, and return what all other requirements are about."""
        digest, locked = self._reference.digest, self._check.locked
        if locked and not digest and self._requirements.allow_moved_tags:
            digest = locked
        descriptor = self._repository.resolve(digest or self._reference.target)
        if descriptor is None:
            self._violate("exists", f"it does not exist{f' any more as {digest}' if digest else ''}.")
            return None
        if locked and descriptor.digest != locked:
            self._violate("lock", f"it is {descriptor.digest}, not {locked} as in the lock file.")
        tag = self._reference.tag
        if self._requirements.pinned and tag and self._reference.digest:
            self._check_tag(tag, descriptor.digest)
        return descriptor

    def _check_tag(self, tag: str, digest: str) -> None:
        """Check that the tag before a digest still points to it."""
        if not self._requirements.allow_moved_tags:
            current = self._repository.resolve(tag)
            if current is None or current.digest != digest:
                self._violate("pinned", f"its tag is {current.digest if current else 'gone'} now.")

    def _check_content(self, descriptor: Descriptor) -> list[Descriptor]:
        """Check what the image consists of, and return the images in it that an engine may run, as far as required.

        A single image is only read where a requirement is about that.
        """
        requirements = self._requirements
        is_image = descriptor.media_type in IMAGE_TYPES and not is_like_placeholder(descriptor)
        if is_image and not requirements.need_content:
            return [descriptor]
        root = self._repository.manifest(descriptor.digest)
        tags = read_removed_tags(self._repository, root)
        if tags:
            self._violate("exists", placeholder_sentence("it", tags))
        contents = read_contents(self._repository, root)
        for entry, error in contents.unreadable:
            self._violate("readable", f"{_name(entry, root)} cannot be read: {error}")
        if not contents.images and not contents.unreadable:
            self._violate("exists", "it is an index without images.")
        images = contents.images
        if requirements.platforms:
            images = self._check_platforms(root, images)
        self._check_images(root, images)
        return images

    def _check_images(self, root: Manifest, images: t.Sequence[Descriptor]) -> None:
        """Check each of the images in ``root``, as far as a requirement is about that."""
        requirements = self._requirements
        if not requirements.need_each_image:
            unnamed = bool(requirements.platforms) and root.is_index
            images = [image for image in images if unnamed and not _names_platform(image)]
        unique = {image.digest: image for image in reversed(images)}
        for violations in self._repository.map(
            lambda image: self._check_image(root, image), reversed(unique.values())
        ):
            for requirement, message in violations:
                self._violate(requirement, message)

    def _check_platforms(self, root: Manifest, images: t.Sequence[Descriptor]) -> list[Descriptor]:
        """Check that the platforms are there, and return the images that an engine may run for one of them.

        These are all for the same platform as the one that is picked, and all whose entry names none.
        """
        picker = ImagePicker(self._repository, root, self._reference, self._repository.concurrency)
        chosen: set[str] = set()
        missing = []
        for platform in self._requirements.platforms:
            try:
                picked = picker.pick(platform)
            except NotFound:
                missing.append(str(platform))
                continue
            if picked.image.digest == root.digest and not picked.names_platform:
                self._violate("platforms", f"it lacks {platform}: it names no platform.")
            nearest = _distance(platform, picked.image)
            if nearest is not None:
                chosen.update(image.digest for image in images if _distance(platform, image) == nearest)
        if missing:
            self._violate("platforms", f"it lacks {', '.join(missing)}: {picker.offer}.")
        return [image for image in images if image.digest in chosen or not _names_platform(image)]

    def _check_image(self, root: Manifest, image: Descriptor) -> list[tuple[str, str]]:
        """Return the requirements that a single image does not meet, each with its message."""
        name = _name(image, root)
        try:
            manifest = root if image.digest == root.digest else self._repository.manifest(image.digest)
            if manifest.is_index:
                return [("readable", f"{name} is an index, though its media type is {image.media_type}.")]
            return list(self._violations_of(name, manifest, manifest is root or _names_platform(image)))
        except UNREADABLE as error:
            return [("readable", f"{name} cannot be read: {error}")]

    def _violations_of(
        self, name: str, manifest: Manifest, names_platform: bool
    ) -> t.Iterator[tuple[str, str]]:
        """Yield the requirements that the image called ``name`` does not meet, each with its message."""
        requirements = self._requirements
        silent = bool(requirements.platforms) and not names_platform
        if requirements.max_size:
            size = total_size(manifest, {})
            if size is None:
                yield "max_size", f"{name} does not tell its size."
            elif size > requirements.max_bytes:
                yield "max_size", f"{name} has {size} bytes, more than {requirements.max_size}."
        config = None
        undated = requirements.max_age and created_time(manifest, None) is None
        if silent or requirements.labels or undated:
            config = image_config(self._repository, manifest)
        if silent and not (config and Platform.from_dict(config["full"]).known):
            yield "platforms", f"{name} names no platform."
        if requirements.max_age:
            yield from self._check_age(name, created_time(manifest, config))
        labels = config["labels"] if config else {}
        for label, pattern in requirements.labels.items():
            value = labels.get(label)
            if value is None:
                yield "labels", f"{name} has no label {label}."
            elif not isinstance(value, str):
                yield "labels", f"{name} has the label {label}, but it is no text."
            elif pattern and not pattern.compiled.match(value):
                shown = printable(value, 200)
                yield "labels", f"{name} has the label {label} {shown!r}, not {pattern.text!r}."

    def _check_age(self, name: str, created: float | None) -> t.Iterator[tuple[str, str]]:
        age = known_age(created, time.time())
        if age is None or created is None:
            if not self._requirements.allow_unknown_age:
                yield "max_age", f"{name} does not tell when it was made, or cannot have been made then."
        elif age > self._requirements.max_seconds:
            made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created))
            yield "max_age", f"{name} was made at {made}, more than {self._requirements.max_age} ago."

    def _check_referrers(self, digest: str) -> None:
        for message in missing_referrers(self._repository, digest, self._requirements):
            self._violate("referrers", message)

    def _check_signatures(self, root: Descriptor, images: t.Sequence[Descriptor]) -> None:
        """Check the signatures of what is named, and those of each image in it where that is required as well."""
        requirements = self._requirements.signatures
        recursive = [requirement for requirement in requirements if requirement.recursive]
        inner = {
            image.digest: image for image in reversed(images) if recursive and image.digest != root.digest
        }
        work = [(root, requirements), *((image, tuple(recursive)) for image in reversed(inner.values()))]

        def check(pair: tuple[Descriptor, tuple[SignatureRequirement, ...]]) -> list[tuple[str, str]]:
            image, required = pair
            name = _name(image, root)
            try:
                return list(missing_signatures(self._signatures, image.digest, name, required))
            except UNREADABLE as error:
                return [("readable", f"the signatures of {name} cannot be read: {error}")]

        for violations in self._repository.map(check, work):
            for requirement, message in violations:
                self._violate(requirement, message)


def _names_platform(image: Descriptor) -> bool:
    return image.platform is not None and image.platform.known


def _distance(platform: Platform, image: Descriptor) -> int | None:
    """Return how far the image is from being one for ``platform``, as far as its entry tells."""
    return platform.distance(image.platform) if image.platform else None


def _name(image: Descriptor, root: Manifest | Descriptor) -> str:
    """Return what messages call an image: of an index by its platform, else by its digest."""
    if image.digest == root.digest:
        return "it"
    return f"its image {f'for {image.platform}' if _names_platform(image) else image.digest}"
