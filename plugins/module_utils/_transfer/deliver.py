# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Images delivered to repositories: compared by digest first, all conditions checked, then copied and named."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._errors import NotFound, RegistryError
from .._oci.content import Descriptor, Manifest
from .._oci.stores import CopyPlan, Source
from .._parallel import map_concurrent
from .._registry.connection import RegistryClients
from .._registry.referrers import find_referrers
from .._registry.repository import Mounting, Repository
from .copy import execute, plan
from .tagging import GuardedStore, Target, check_targets, look_after_failure, look_at, targets_diff


@dataclass
class Image:
    """One image to be delivered to ``targets``, references in one repository.

    ``source_digest`` is the digest of what it was chosen from. ``fetch`` reads its manifest when a target lacks it.
    ``companions`` finds what goes along: further manifests, each with the names it gets. ``holds`` tells whether the
    source has a blob, for sources that may lack some.
    """

    what: str
    digest: str
    source_digest: str
    targets: list[Target]
    source: Source
    fetch: t.Callable[[], Manifest]
    companions: t.Callable[[], t.Sequence[tuple[Manifest, list[str]]]] | None = None
    holds: t.Callable[[Descriptor], bool] = lambda descriptor: True

    @property
    def repository(self) -> tuple[str, str]:
        reference = self.targets[0].reference
        return reference.registry, reference.repository


@dataclass
class Delivery:
    """What was sent, or would be: blobs by how they got there, manifests by their digests."""

    missing: list[Descriptor] = field(default_factory=list)
    present: list[Descriptor] = field(default_factory=list)
    foreign: list[Descriptor] = field(default_factory=list)
    mounted: list[Descriptor] = field(default_factory=list)
    companions: int = 0

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
    clients: RegistryClients,
    *,
    overwrite: bool,
    check_mode: bool,
    include_foreign: bool,
    mount_from: t.Sequence[str] = (),
) -> Delivery:
    """Deliver ``images`` through ``clients``; nothing is written unless the conditions of all targets hold.

    A digest is sent once, whatever needs it; repositories of one registry get it by mounts from each other and from
    those of ``mount_from``. Raises Refused; an error after the first write has the targets in ``result``.
    """
    targets = [target for image in images for target in image.targets]
    _look(clients, targets, overwrite)
    for target in targets:
        target.before = target.after
    for image in images:
        check_targets(image.what, image.digest, image.targets, None, overwrite)
    delivery = Delivery()
    held: dict[str, dict[str, Repository]] = {}
    try:
        for repository in dict.fromkeys(image.repository for image in images):
            group = [image for image in images if image.repository == repository and _has_work(image)]
            if group:
                _deliver_to(
                    repository,
                    group,
                    clients,
                    held,
                    delivery,
                    overwrite,
                    check_mode,
                    include_foreign,
                    mount_from,
                )
    except RegistryError as error:
        error.result = {
            "changed": any(target.changed for target in targets),
            "targets": [target.to_dict() for target in targets],
        }
        raise
    for image in images:
        for target in image.targets:
            target.after = image.digest
    return delivery


def _look(clients: RegistryClients, targets: t.Sequence[Target], overwrite: bool) -> None:
    """Find out what ``targets`` point to now."""

    def digest(target: Target) -> str | None:
        descriptor = look_at(clients.client(target.reference), target, overwrite)
        return descriptor.digest if descriptor else None

    for target, found in zip(targets, map_concurrent(digest, targets, clients.concurrency)):
        target.after = found


def _has_work(image: Image) -> bool:
    return image.companions is not None or any(target.before != image.digest for target in image.targets)


def _deliver_to(
    repository: tuple[str, str],
    images: t.Sequence[Image],
    clients: RegistryClients,
    held: dict[str, dict[str, Repository]],
    delivery: Delivery,
    overwrite: bool,
    check_mode: bool,
    include_foreign: bool,
    mount_from: t.Sequence[str],
) -> None:
    """Deliver to one repository, with what its registry already got for another one at hand for mounts."""
    registry, path = repository
    client = clients.client(images[0].targets[0].reference)
    targets = [target for image in images for target in image.targets]
    store = GuardedStore(client, path, targets, overwrite)
    known = held.setdefault(registry, {})
    candidates = [Repository(client, other) for other in mount_from if other != path]
    contents: list[tuple[Source, Manifest]] = []
    names: dict[str, list[str]] = {}
    companions: set[str] = set()
    for image in images:
        source = Mounting(image.source, known, candidates)
        manifest = image.fetch()
        contents.append((source, manifest))
        moving = [target for target in image.targets if target.before != image.digest]
        names.setdefault(manifest.digest, []).extend(
            target.reference.tag for target in moving if target.reference.tag and not target.reference.digest
        )
        for companion, tags in image.companions() if image.companions else ():
            contents.append((source, companion))
            names.setdefault(companion.digest, []).extend(tags)
            companions.add(companion.digest)
    work = plan(contents, store, clients.concurrency, include_foreign)
    _drop_right_names(store, names, companions)
    work.here -= _unlisted(store, work, companions)
    to_send, to_mount = _ways(store, work, clients.concurrency)
    _check_held(images, to_send, path)
    new = [digest for digest in companions if digest not in work.here or names[digest]]
    delivery.companions += len(new)
    delivery.present += work.present
    delivery.foreign += work.foreign
    known.update((blob.digest, store) for blob in work.blobs + work.present)
    if check_mode:
        delivery.missing += to_send
        delivery.mounted += to_mount
        return
    try:
        transfer = execute(work, store, names, clients.concurrency)
    except RegistryError as error:
        # Some of the names may have been written.
        look_after_failure(client, targets, error, clients.concurrency)
        raise
    delivery.missing += transfer.copied
    delivery.mounted += transfer.mounted
    for image in images:
        for target in image.targets:
            target.after = image.digest


def _ways(store: Repository, work: CopyPlan, concurrency: int) -> tuple[list[Descriptor], list[Descriptor]]:
    """Return which of the missing blobs have to be sent, and which can be mounted if the registry does that."""
    origins = map_concurrent(lambda blob: work.sources[blob.digest].origin(blob), work.blobs, concurrency)
    ways: tuple[list[Descriptor], list[Descriptor]] = ([], [])
    for blob, origin in zip(work.blobs, origins):
        ways[store.mountable(origin) is not None].append(blob)
    return ways


def _check_held(images: t.Iterable[Image], blobs: t.Iterable[Descriptor], repository: str) -> None:
    """Raise NotFound where no image has one of ``blobs``: those of a bundle that was made without it."""
    lost = [blob.digest for blob in blobs if not any(image.holds(blob) for image in images)]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise NotFound(
            f"Neither {next(iter(images)).what} nor the repository {repository} has the blob {lost[0]}{more}: name"
            " repositories that have it in mount_from, or pull the image again without leaving anything out."
        )


def _unlisted(store: Repository, work: CopyPlan, companions: t.Iterable[str]) -> set[str]:
    """Return the companions that are here, but not listed as referrers: a run may have been killed in between."""
    here = [
        one for one in work.manifests if one.digest in work.here and one.digest in companions and one.subject
    ]
    listed: dict[str, set[str]] = {}
    for subject in {manifest.subject.digest for manifest in here if manifest.subject}:
        listed[subject] = {one.digest for one in find_referrers(store, subject).descriptors}
    return {one.digest for one in here if one.subject and one.digest not in listed[one.subject.digest]}


def _drop_right_names(store: Repository, names: dict[str, list[str]], companions: t.Iterable[str]) -> None:
    """Leave out the names of companions that point to them already."""
    for digest in companions:
        found = [(name, store.resolve(name)) for name in names[digest]]
        names[digest] = [name for name, descriptor in found if not descriptor or descriptor.digest != digest]


def delivered(images: t.Sequence[Image], delivery: Delivery) -> dict[str, t.Any]:
    """Return the part of a module's result that is about a delivery."""
    targets = [target for image in images for target in image.targets]
    return {
        "changed": any(target.changed for target in targets) or delivery.companions > 0,
        "images": [
            {
                "image": image.what,
                "digest": image.digest,
                "source_digest": image.source_digest,
                "targets": [str(target.reference) for target in image.targets],
            }
            for image in images
        ],
        "targets": [target.to_dict() for target in targets],
        "blobs": delivery.to_dict(),
        "diff": targets_diff(targets),
    }
