# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Images delivered to repositories: compared by digest first, all conditions checked, then copied and named."""

from __future__ import annotations

import functools
import types
import typing as t
from dataclasses import dataclass, field

from .._errors import NotFound, RegistryError
from .._oci.content import Descriptor, Manifest
from .._oci.graph import closure
from .._oci.reference import Reference
from .._oci.stores import CopyPlan, Source
from .._progress import Progress
from .._registry.referrers import Referring, find_referrers, find_referring
from .._registry.repository import MountableSource, Repository
from .copy import execute, plan
from .former_images import former_images_kept
from .targets import (
    GuardedRepository,
    Target,
    check_targets,
    look_after_failure,
    look_up,
    note_before,
    targets_diff,
    targets_result,
    warn_of_masked_names,
)


class Along(t.NamedTuple):
    """What goes along with the images: manifests with a subject, and cosign's digest tags."""

    referrers: bool
    signatures: bool

    def __bool__(self) -> bool:
        return self.referrers or self.signatures

    def find(self, repository: Repository, image: Descriptor | Manifest) -> list[Referring]:
        """Return what refers to ``image`` in its repository."""
        manifest = image if isinstance(image, Manifest) else repository.fetch_manifest(image)
        return find_referring(repository, manifest, self.referrers, self.signatures)


@dataclass
class Image:
    """One image to be delivered to ``targets``, references in one repository.

    ``name`` stands for it in messages. ``source_digest`` is the digest of what ``root`` was chosen from.
    ``find_referring`` finds what goes along with it. ``holds`` tells whether the
    source has a blob, for sources that may lack some.
    """

    name: str
    root: Descriptor | Manifest
    source_digest: str
    targets: list[Target]
    source: Source
    find_referring: t.Callable[[], t.Sequence[Referring]] | None = None
    holds: t.Callable[[Descriptor], bool] = lambda descriptor: True

    @property
    def digest(self) -> str:
        """The digest of what is delivered."""
        return self.root.digest

    @property
    def moving(self) -> list[Target]:
        """The targets that do not have the image yet."""
        return [target for target in self.targets if target.before != self.digest]

    @property
    def repository(self) -> Repository:
        """The repository of the targets."""
        return self.targets[0].repository

    def is_in(self, repository: Repository) -> bool:
        """Tell whether ``repository`` is where the image is read from."""
        return repository.mountable(self.source) == repository.name


@dataclass
class Delivery:
    """What was sent, or would be: blobs by how they got there, the number of referrers, and whether anything was."""

    missing: list[Descriptor] = field(default_factory=list)
    present: list[Descriptor] = field(default_factory=list)
    foreign: list[Descriptor] = field(default_factory=list)
    mounted: list[Descriptor] = field(default_factory=list)
    referrers: int = 0
    wrote: bool = False

    def to_dict(self) -> dict[str, int]:
        """Return the ``blobs`` of a result."""
        return {
            "missing": len(self.missing),
            "missing_bytes": sum(blob.size for blob in self.missing),
            "mounted": len(self.mounted),
            "present": len(self.present),
            "foreign": len(self.foreign),
        }


def deliver(
    images: t.Sequence[Image],
    *,
    check_mode: bool,
    include_foreign: bool,
    mount_from: t.Sequence[str] = (),
    progress: Progress | None = None,
    looked_up: t.Mapping[Reference, Descriptor | None] = types.MappingProxyType({}),
) -> Delivery:
    """Deliver ``images``; nothing is written unless the conditions of all targets hold.

    ``looked_up`` tells what targets are that were looked up already. The other arguments are those of send(). Raises
    Refused, and what send() raises.
    """
    targets = [target for image in images for target in image.targets]
    sought = [target.sought for target in targets if target.reference not in looked_up]
    present: dict[str, bool] = {}
    questions = _questions(images, include_foreign, present, progress or Progress())
    descriptors = look_up(sought, _concurrency(images), questions)
    before = {**looked_up, **dict(zip((image.reference for image in sought), descriptors))}
    for target in targets:
        note_before(target, before[target.reference])
    for image in images:
        check_targets(image.name, image.digest, image.targets)
    warn_of_masked_names(targets, *(image.digest for image in images))
    return send(
        images,
        check_mode=check_mode,
        include_foreign=include_foreign,
        mount_from=mount_from,
        progress=progress,
        present={str(images[0].repository): present} if images else {},
    )


def _questions(
    images: t.Sequence[Image], include_foreign: bool, present: dict[str, bool], progress: Progress
) -> list[t.Callable[[], None]]:
    """Return the functions that look for blobs of ``images`` whose manifests are at hand, and note in ``present`` what exists.

    They ask the first repository only. The others are asked when it is their turn, as answers get old while blobs move.
    After a failure none goes on: what has no answer is asked again where the error tells the state of the targets.
    """
    blobs: dict[str, tuple[Repository, Descriptor]] = {}
    for image in images:
        store = image.repository
        if (
            isinstance(image.root, Manifest)
            and str(store) == str(images[0].repository)
            and not image.is_in(store)
        ):
            for blob in image.root.successors():
                if not blob.is_manifest and (include_foreign or not blob.is_foreign):
                    blobs.setdefault(blob.digest, (store, blob))
    if not blobs:
        return []
    stage = progress.stage("checked", "blobs", len(blobs))
    failures: list[RegistryError] = []

    def ask(store: Repository, blob: Descriptor) -> None:
        try:
            if not failures:
                present[blob.digest] = store.exists(blob)
        except RegistryError as error:
            failures.append(error)
        stage.advance()

    return [functools.partial(ask, *pair) for pair in blobs.values()]


def send(
    images: t.Sequence[Image],
    *,
    check_mode: bool,
    include_foreign: bool,
    mount_from: t.Sequence[str] = (),
    progress: Progress | None = None,
    present: t.Mapping[str, t.Mapping[str, bool]] = types.MappingProxyType({}),
) -> Delivery:
    """Give the repositories of ``images`` what they lack of these, then let the targets, which were looked up, be them.

    A digest is sent once, whatever needs it; repositories of one registry get it by mounts from each other and from
    those of ``mount_from``. Non-distributable layers stay at their URLs unless ``include_foreign``. ``present`` tells for
    repositories which blobs they have, as far as they were just asked. In ``check_mode`` nothing is sent. Raises NotFound for
    a blob that no source has; an error has the state of the targets in ``result``.
    """
    sending = _Sending(check_mode, include_foreign, mount_from, progress or Progress(), present)
    groups: dict[tuple[str, str], list[Image]] = {}
    for image in images:
        repository = image.repository
        if not image.is_in(repository) or image.moving:
            groups.setdefault((repository.registry, repository.name), []).append(image)
    moving = [target for image in images for target in image.moving if target.reference.tag]
    try:
        with former_images_kept([] if check_mode else moving):
            sending.send(list(groups.values()))
    except RegistryError as error:
        targets = [target for image in images for target in image.targets]
        look_after_failure(targets, error, _concurrency(images))
        error.add_result(targets_result(targets))
        raise
    for image in images:
        for target in image.targets:
            target.after = image.digest
    return sending.delivery


def _concurrency(images: t.Sequence[Image]) -> int:
    return max((image.repository.concurrency for image in images), default=1)


class _Sending:
    """Sends to one repository after the other; what a registry got for one can be mounted by the next."""

    def __init__(
        self,
        check_mode: bool,
        include_foreign: bool,
        mount_from: t.Sequence[str],
        progress: Progress,
        present: t.Mapping[str, t.Mapping[str, bool]],
    ) -> None:
        self.delivery = Delivery()
        self._progress = progress
        self._check_mode = check_mode
        self._include_foreign = include_foreign
        self._mount_from = mount_from
        self._present = present
        self._mountable: dict[str, dict[str, Repository]] = {}

    def send(self, groups: t.Sequence[t.Sequence[Image]]) -> None:
        """Send the images of each group to their repository."""
        self._progress.expect_images(sum(map(len, groups)))
        for number, images in enumerate(groups, 1):
            self._send(images, is_last=number == len(groups))
            for image in images if not self._check_mode else ():
                names = ", ".join(str(target.reference) for target in image.targets)
                self._progress.finish_image(f"{image.name} to {names}")

    def _send(self, images: t.Sequence[Image], is_last: bool) -> None:
        targets = [target for image in images for target in image.targets]
        repository = images[0].repository
        store = GuardedRepository(repository, targets, self._present.get(str(repository), {}))
        mountable = self._mountable.setdefault(store.registry, {})
        candidates = [Repository(store.client, name) for name in self._mount_from if name != store.name]
        contents: list[tuple[Source, Descriptor | Manifest]] = []
        names: dict[str, list[str]] = {}
        referrers: set[str] = set()
        for image in images:
            source = MountableSource(image.source, mountable, candidates)
            contents.append((source, image.root))
            names.setdefault(image.digest, []).extend(
                target.reference.tag
                for target in image.moving
                if target.reference.tag and not target.reference.digest
            )
            if image.find_referring and not image.is_in(store):
                for manifest, tags in image.find_referring():
                    contents.append((source, manifest))
                    names.setdefault(manifest.digest, []).extend(tags)
                    referrers.add(manifest.digest)
        work = plan(
            contents,
            store,
            store.concurrency,
            self._include_foreign,
            existing=[
                target.before for image in images for target in image.targets if target.before == image.digest
            ],
            complete={image.digest for image in images if image.is_in(store)},
            # One that is not at hand is rather read from the destination: not each source lets one read without limit.
            written={
                image.digest for image in images if names[image.digest] and isinstance(image.root, Manifest)
            },
            # What was asked already was shown as well.
            progress=None if self._present.get(str(repository)) else self._progress,
        )
        _drop_right_names(store, names, referrers)
        work.existing -= _unlisted(store, work, referrers)
        to_send, to_mount = _ways(store, work)
        _check_held(images, to_send, store.name)
        new = [digest for digest in referrers if digest not in work.existing or names[digest]]
        self.delivery.referrers += len(new)
        self.delivery.present += work.present
        self.delivery.foreign += work.foreign
        mountable.update((blob.digest, store) for blob in work.blobs + work.present)
        self.delivery.wrote = self.delivery.wrote or not work.complete
        if not self._check_mode:
            transfer = self._progress.transfer((blob.size for blob in work.blobs), is_last)
            result = execute(work, store, names, store.concurrency, transfer)
            to_send, to_mount = result.copied, result.mounted
        self.delivery.missing += to_send
        self.delivery.mounted += to_mount
        _note_repaired(images, work)


def _note_repaired(images: t.Sequence[Image], work: CopyPlan) -> None:
    """Note which targets had their image, but not all that it needs."""
    successors = {
        manifest.digest: [successor.digest for successor in manifest.successors()]
        for manifest in work.manifests
    }
    missing = {blob.digest for blob in work.blobs} | (set(successors) - work.existing)
    for image in images if missing else ():
        repaired = not missing.isdisjoint(closure([image.digest], successors))
        for target in image.targets:
            target.repaired = repaired and target.before == image.digest


def _ways(store: Repository, work: CopyPlan) -> tuple[list[Descriptor], list[Descriptor]]:
    """Return which of the missing blobs have to be sent, and which can be mounted if the registry does that."""
    origins = store.map(lambda blob: work.sources[blob.digest].origin(blob), work.blobs)
    ways: tuple[list[Descriptor], list[Descriptor]] = ([], [])
    for blob, origin in zip(work.blobs, origins):
        ways[store.mountable(origin) is not None].append(blob)
    return ways


def _check_held(images: t.Iterable[Image], blobs: t.Iterable[Descriptor], repository: str) -> None:
    """Raise NotFound where no image has one of ``blobs``: those of a bundle that was made without it."""
    lost = [blob.digest for blob in blobs if not any(image.holds(blob) for image in images)]
    if lost:
        others = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise NotFound(
            f"Neither {next(iter(images)).name} nor the repository {repository} has the blob {lost[0]}{others}: name"
            " repositories that have it in mount_from, set platforms to those that are there if it is of another one, or pull"
            " the image again without leaving anything out."
        )


def _unlisted(store: Repository, work: CopyPlan, referrers: t.Iterable[str]) -> set[str]:
    """Return the referrers that exist, but are not listed as such: a run may have been killed in between."""
    existing = [
        (manifest.digest, manifest.subject.digest)
        for manifest in work.manifests
        if manifest.digest in work.existing and manifest.digest in referrers and manifest.subject
    ]
    listed = {
        subject: {descriptor.digest for descriptor in find_referrers(store, subject).descriptors}
        for subject in {subject for _digest, subject in existing}
    }
    return {digest for digest, subject in existing if digest not in listed[subject]}


def _drop_right_names(store: Repository, names: dict[str, list[str]], referrers: t.Iterable[str]) -> None:
    """Leave out the names of referrers that point to them already."""
    for digest in referrers:
        tags = [(name, store.resolve(name)) for name in names[digest]]
        names[digest] = [name for name, descriptor in tags if not descriptor or descriptor.digest != digest]


def delivered(named: t.Sequence[t.Sequence[Image]], delivery: Delivery) -> dict[str, t.Any]:
    """Return the part of a module's result that is about a delivery.

    ``named`` are the images that the task names, each as it was delivered to one repository after the other.
    """
    targets = [target for images in named for image in images for target in image.targets]
    result = targets_result(targets)
    return {
        **result,
        "changed": result["changed"] or delivery.referrers > 0,
        "images": [
            {
                "image": images[0].name,
                "digest": images[0].digest,
                "source_digest": images[0].source_digest,
                "targets": [str(target.reference) for image in images for target in image.targets],
            }
            for images in named
        ],
        "blobs": delivery.to_dict(),
        "diff": targets_diff(targets),
    }
