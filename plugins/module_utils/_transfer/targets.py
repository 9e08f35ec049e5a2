# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Where images are written: what targets are now, and the conditions on that, looked at again right before each write."""

from __future__ import annotations

import enum
import functools
import typing as t
from dataclasses import dataclass

from .._errors import DigestMismatch, InvalidInput, Refused, RegistryError, ServerFault, Unreachable
from .._oci.content import Descriptor, Manifest, digest_diff
from .._oci.reference import Reference, check_digest
from .._parallel import map_concurrent, poll
from .._registry.client import Pushed
from .._registry.connection import RegistryClients
from .._registry.images import check_expected
from .._registry.repository import AlreadyStored, Guard, Repository

ABSENT = "absent"


class Write(enum.Enum):
    """How far the write of a target got, as far as the registry answered."""

    NONE = "none"
    BEGUN = "begun"
    STORED = "stored"
    REFUSED = "refused"


@dataclass
class Target:
    """A tag to be written, or a digest; the conditions on what it is now; and what became of it.

    ``before`` and ``after`` are the digests that it had and has. ``repaired`` tells that it had the right one, but lacked
    something that the image needs, which was sent. Unless its ``write`` was answered it is not known what that did.
    """

    clients: RegistryClients
    reference: Reference
    if_digest: str | None = None
    overwrite: bool = True
    before: str | None = None
    after: str | None = None
    repaired: bool = False
    write: Write = Write.NONE

    @property
    def repository(self) -> Repository:
        """The repository of the target."""
        return self.clients.repository_of(self.reference, "push")

    @property
    def is_conditional(self) -> bool:
        """Whether the user allows the write on a condition only. Without one whoever writes last is right."""
        return bool(self.if_digest) or not self.overwrite

    @property
    def changed(self) -> bool:
        """Whether the digest differs from what it was."""
        return self.before != self.after

    @property
    def sought(self) -> Sought:
        """The target as look_up() takes it."""
        return Sought(self.repository, self.reference, self.is_conditional)

    def look(self) -> str | None:
        """Return the digest that the target has now, None where it certainly does not exist."""
        descriptor = self.repository.resolve(self.reference.target)
        return descriptor.digest if descriptor else None

    def put(self, manifest: Manifest, guard: Guard | None = None) -> Pushed:
        """Let the target be ``manifest``; its condition, or ``guard``, is checked right before each time that it is sent."""

        def begin() -> None:
            if guard:
                guard()
            elif self.is_conditional:
                self.check_unmoved(manifest.digest)
            self.write = Write.BEGUN

        try:
            pushed = self.repository.put(self.reference.target, manifest, begin)
        except RegistryError as error:
            if self.write is Write.BEGUN and not isinstance(
                error, (DigestMismatch, ServerFault, Unreachable)
            ):
                self.write = Write.REFUSED
            raise
        self.write = Write.STORED
        self.after = manifest.digest
        return pushed

    def check_unmoved(self, digest: str) -> None:
        """Raise Refused where the target is not what it was looked up to be; AlreadyStored where it has ``digest``."""
        now = self.look()
        if now == digest:
            raise AlreadyStored
        if now != self.before:
            raise Refused(
                f"{self.reference} moved from {self.before or ABSENT} to {now or ABSENT} meanwhile: it is left alone."
            )

    def to_dict(self) -> dict[str, t.Any]:
        """Return the target as results show it."""
        return {
            "image": str(self.reference),
            "digest_before": self.before,
            "digest": self.after,
            "changed": self.changed,
            "repaired": self.repaired,
        }


class GuardedRepository(Repository):
    """A repository in which each of ``targets`` is written by Target.put()."""

    def __init__(
        self, repository: Repository, targets: t.Iterable[Target], present: t.Mapping[str, bool]
    ) -> None:
        """``present`` tells for blobs that were just asked for whether they exist."""
        super().__init__(repository.client, repository.name, repository.concurrency)
        self._targets = {target.reference.target: target for target in targets}
        self._present = present

    def exists(self, descriptor: Descriptor) -> bool:
        present = None if descriptor.is_manifest else self._present.get(descriptor.digest)
        return super().exists(descriptor) if present is None else present

    def put(self, reference: str, manifest: Manifest, guard: Guard | None = None) -> Pushed:
        target = self._targets.get(reference)
        return target.put(manifest, guard) if target else super().put(reference, manifest, guard)


def targets_diff(targets: t.Sequence[Target]) -> dict[str, str]:
    """Return the diff of what ``targets`` pointed to and what they point to."""
    return digest_diff(
        {str(target.reference): target.before for target in targets},
        {str(target.reference): target.after for target in targets},
    )


def targets_result(targets: t.Sequence[Target]) -> dict[str, t.Any]:
    """Return the part of a result that tells what became of ``targets``."""
    return {
        "changed": any(target.changed or target.repaired for target in targets),
        "targets": [target.to_dict() for target in targets],
    }


def condition(if_digest: str | None) -> str | None:
    """Read the option if_digest: a digest, or ABSENT; None is no condition, and empty text is refused. Raises InvalidInput."""
    if if_digest == "":
        raise InvalidInput("if_digest is empty: write a digest, or absent, or leave it out.")
    return if_digest if if_digest in (None, ABSENT) else check_digest(str(if_digest), "if_digest")


def read_targets(
    clients: RegistryClients, params: t.Mapping[str, t.Any], image: Reference | None
) -> list[Target]:
    """Return the targets that the options ``tags``, ``to``, ``if_digest`` and ``overwrite`` name.

    Tags are those of the repository of ``image``. Raises InvalidInput.
    """
    if params["tags"] and image is None:
        raise InvalidInput(
            "tags are set in the repository of image: without image, write full references in to."
        )
    named = [(image.with_tag(name), params["if_digest"]) for name in params["tags"] if image]
    named += [_read_target(clients, entry, params["if_digest"]) for entry in params["to"]]
    check_unique(reference for reference, _if_digest in named)
    return [
        Target(clients, reference, condition(if_digest), params["overwrite"])
        for reference, if_digest in named
    ]


def check_unique(references: t.Iterable[Reference]) -> None:
    """Raise InvalidInput where one of ``references`` is named twice."""
    seen = set()
    for reference in references:
        if reference in seen:
            raise InvalidInput(f"{reference} is named twice as a target.")
        seen.add(reference)


def _read_target(
    clients: RegistryClients, entry: t.Any, if_digest: str | None
) -> tuple[Reference, str | None]:
    if isinstance(entry, str):
        entry = {"image": entry}
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("image"), str)
        or set(entry) - {"image", "if_digest"}
    ):
        raise InvalidInput("Each entry of to must be a reference, or a dictionary of image and if_digest.")
    own = entry.get("if_digest", if_digest)
    if own is None and "if_digest" in entry:
        # What a lookup of a tag that does not exist returns. Taken for no condition, it would allow every write.
        raise InvalidInput("if_digest of an entry of to is null: write absent, or a digest, or leave it out.")
    reference = clients.reference(entry["image"])
    if reference.digest or not reference.tag:
        raise InvalidInput(f"{reference} cannot be a target: write repository:tag, without a digest.")
    return reference, own


class Sought(t.NamedTuple):
    """A reference to be looked up. ``certain`` tells that it matters whether it really does not exist."""

    repository: Repository
    reference: Reference
    certain: bool = True


def look_up(
    sought: t.Sequence[Sought],
    concurrency: int,
    meanwhile: t.Iterable[t.Callable[[], None]] = (),
    light: bool = True,
) -> list[Descriptor | None]:
    """Return what references stand for, None for those that do not exist; all are asked at once.

    So are other questions: the functions ``meanwhile``, which keep the answers. ``light`` says that these need little memory.

    A HEAD for each. Some registries answer every HEAD with 404: where one has served no HEAD by then, a GET confirms what
    is ``certain`` to be absent.
    """
    descriptors: list[Descriptor | None] = [None] * len(sought)

    def resolve(number: int) -> None:
        image = sought[number]
        descriptors[number] = image.repository.resolve(image.reference.target, trust_absence=True)

    questions: list[t.Callable[[], None]] = [
        functools.partial(resolve, number) for number in range(len(sought))
    ]
    questions += meanwhile
    map_concurrent(lambda ask: ask(), questions, concurrency, light=light)

    def confirm(number: int) -> Descriptor | None:
        fetched = sought[number].repository.find_manifest(sought[number].reference.target)
        return fetched.descriptor if fetched else None

    doubtful = [
        number
        for number, image in enumerate(sought)
        if descriptors[number] is None and image.certain and not image.repository.client.serves_head
    ]
    for number, descriptor in zip(doubtful, map_concurrent(confirm, doubtful, concurrency)):
        descriptors[number] = descriptor
    return descriptors


def warn_of_masked_names(targets: t.Sequence[Target], *digests: str) -> None:
    """Warn where the result will not show ``targets``, what they were, and ``digests`` as they are."""
    names: list[object] = [target.reference for target in targets]
    if targets:
        targets[0].clients.warn_of_masks([*names, *(target.before for target in targets), *digests])


def note_before(target: Target, descriptor: Descriptor | None) -> None:
    """Note what ``target`` is before anything is written."""
    target.before = target.after = descriptor.digest if descriptor else None


def check_targets(
    image: str, digest: str, targets: t.Sequence[Target], expected_digest: str | None = None
) -> None:
    """Raise Refused unless ``image``, which has ``digest``, may be written to ``targets``, whose ``before`` is known.

    A target that has the digest already needs no write, so that no condition stands against running a task twice.
    """
    check_expected(image, digest, expected_digest, "nothing was changed")
    for target in targets:
        if target.before == digest:
            continue
        if target.if_digest and target.if_digest != (target.before or ABSENT):
            raise Refused(
                f"{target.reference} is {target.before or ABSENT}, not {target.if_digest} as if_digest demands:"
                " nothing was changed."
            )
        if not target.overwrite and target.before:
            raise Refused(
                f"{target.reference} exists with the digest {target.before} and would move to {digest}, but overwrite"
                " is false: nothing was changed."
            )


def look_after_failure(targets: t.Iterable[Target], error: RegistryError, concurrency: int) -> None:
    """Note what ``targets`` are after ``error``. A write that failed may have been carried out all the same.

    Reads may lag behind writes, so where one was not answered its target is looked at several times, and one that was
    acknowledged is believed. Targets that cannot be looked up keep what is known of them, and are named in the error.
    """

    def look(target: Target) -> str | None:
        try:
            for _look in poll():
                target.after = target.look()
                if target.write is not Write.BEGUN or target.after != target.before:
                    break
        except RegistryError:
            return str(target.reference)
        return None

    doubtful = [target for target in targets if target.write is not Write.STORED]
    unknown = [name for name in map_concurrent(look, doubtful, concurrency) if name]
    if unknown:
        error.add_sentence(f"What became of {', '.join(unknown)} could not be looked up.")
