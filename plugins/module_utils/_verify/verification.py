# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Requirements on images, checked without stopping at the first that is not met."""

from __future__ import annotations

import time
import typing as t

from .._errors import Denied, DigestMismatch, NotFound, ProtocolError, Refused, Unauthorized, printable
from .._oci.content import Descriptor, Manifest
from .._oci.digest_tags import cosign_tag_names
from .._oci.quantities import known_age
from .._parallel import map_concurrent
from .._registry.connection import RegistryClients
from .._registry.context import ModuleContext
from .._registry.images import ImagePicker, created_time, image_config, total_size
from .._registry.referrers import find_referrers
from .._registry.repository import Repository
from .checks import Check, read_checks
from .contents import images_in

# What these say is about one image; anything else means that nothing can be verified at all.
_UNREADABLE = (NotFound, Unauthorized, Denied, ProtocolError, DigestMismatch)


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

    def run(check: Check) -> Finding:
        repository = Repository(clients.client(check.reference), check.reference.repository, concurrency)
        return _Verification(repository, check).run()

    return map_concurrent(run, checks, clients.concurrency)


class _Verification:
    """The verification of one image."""

    def __init__(self, repository: Repository, check: Check) -> None:
        self._repository = repository
        self._check = check
        self._reference = check.reference
        self._requirements = check.requirements
        self._violations: list[Violation] = []

    def run(self) -> Finding:
        digest = None
        self._check_name()
        try:
            digest = self._check_digest()
            if digest and self._requirements.need_content:
                self._check_content(self._repository.manifest(digest))
            if digest and self._requirements.cosign and not self._has_cosign_signature(digest):
                self._violate("referrers", "it has no signature of cosign.")
            if digest and self._requirements.referrers:
                self._check_referrers(digest)
        except _UNREADABLE as error:
            self._violate("readable", str(error))
        pinned = self._reference.pinned(digest) if digest else None
        return Finding(str(self._reference), digest, pinned, self._violations)

    def _violate(self, requirement: str, message: str) -> None:
        self._violations.append(Violation(str(self._reference), requirement, printable(message, 1000)))

    def _check_name(self) -> None:
        """Check what needs no registry."""
        tag, locked = self._check.tag, self._check.locked
        if tag and self._requirements.forbidden_tags.match(tag):
            self._violate("forbidden_tags", f"the tag {tag} must not be used.")
        if self._requirements.pinned and not self._reference.digest:
            self._violate("pinned", "it is not pinned: write its digest behind it.")
        if locked == "":
            self._violate("lock", "it is not in the lock file.")

    def _check_digest(self) -> str | None:
        """Check what the image is now, and return the digest that all other requirements are about."""
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
        return descriptor.digest

    def _check_tag(self, tag: str, digest: str) -> None:
        """Check that the tag before a digest still points to it."""
        if not self._requirements.allow_moved_tags:
            current = self._repository.resolve(tag)
            if current is None or current.digest != digest:
                self._violate("pinned", f"its tag is {current.digest if current else 'gone'} now.")

    def _check_content(self, root: Manifest) -> None:
        images = images_in(self._repository, root) if root.is_index else [root.descriptor]
        if self._requirements.platforms:
            images = self._of_platforms(root)
        if self._requirements.need_each_image:
            for violations in self._repository.map(
                lambda image: list(self._check_image(root, image)), images
            ):
                for requirement, message in violations:
                    self._violate(requirement, message)

    def _of_platforms(self, root: Manifest) -> list[Descriptor]:
        """Check that the platforms are there, and return their images."""
        picker = ImagePicker(self._repository, root, self._reference, self._repository.concurrency)
        images: list[Descriptor] = []
        missing: list[str] = []
        for platform in self._requirements.platforms:
            try:
                picked = picker.pick(platform)
            except NotFound:
                missing.append(str(platform))
                continue
            if not picked.names_platform:
                self._violate("platforms", f"it lacks {platform}: it names no platform.")
            images.append(picked.image)
        if missing:
            self._violate("platforms", f"it lacks {', '.join(missing)}: {picker.offer}.")
        return images

    def _check_image(self, root: Manifest, image: Descriptor) -> t.Iterator[tuple[str, str]]:
        """Yield the requirements that a single image does not meet, each with its message."""
        requirements = self._requirements
        manifest = root if image.digest == root.digest else self._repository.manifest(image.digest)
        name = "it" if manifest is root else f"its image for {image.platform or image.digest}"
        if requirements.max_size:
            size = total_size(manifest, {})
            if size is None:
                yield "max_size", f"{name} does not tell its size."
            elif size > requirements.max_bytes:
                yield "max_size", f"{name} has {size} bytes, more than {requirements.max_size}."
        config = None
        if requirements.labels or (requirements.max_age and created_time(manifest, None) is None):
            config = image_config(self._repository, manifest)
        if requirements.max_age:
            yield from self._check_age(name, created_time(manifest, config))
        labels = config["labels"] if config else {}
        for label, pattern in requirements.labels.items():
            value = labels.get(label)
            if value is None:
                yield "labels", f"{name} has no label {label}."
            elif pattern and not pattern.compiled.match(str(value)):
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
        listed = find_referrers(self._repository, digest).descriptors
        types = sorted({referrer.artifact_type for referrer in listed if referrer.artifact_type})
        for pattern in self._requirements.referrers:
            if not any(pattern.compiled.match(artifact_type) for artifact_type in types):
                has = f"it has {', '.join(types)}" if types else "it has none"
                self._violate("referrers", f"it has no referrer of the type {pattern.text}: {has}.")

    def _has_cosign_signature(self, digest: str) -> bool:
        signatures = [name for name in cosign_tag_names(digest) if name.endswith(".sig")]
        return any(self._repository.resolve(name) for name in signatures)
