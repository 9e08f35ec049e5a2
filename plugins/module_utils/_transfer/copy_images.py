# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Images copied between registries and repositories."""

from __future__ import annotations

import functools
import typing as t

from .._errors import InvalidInput
from .._oci.content import Descriptor, Manifest, Platform
from .._oci.reference import Reference
from .._registry.connection import RegistryClients
from .._registry.context import ModuleContext
from .._registry.images import check_expected_option, require
from .._registry.placeholder import refuse_placeholder
from .copy import select
from .deliver import Along, Image, deliver, delivered
from .targets import Target, check_unique, look_up


class Copy(t.NamedTuple):
    """One image to be copied and where to, with what the options say of it."""

    clients: RegistryClients
    destination: RegistryClients
    source: Reference
    targets: list[Reference]
    params: t.Mapping[str, t.Any]


def copy_images(context: ModuleContext) -> dict[str, t.Any]:
    """Do what registry_copy is asked for, and return its result."""
    params, clients = context.params, context.clients
    destination = clients if params["destination"] is None else clients.for_destination(params["destination"])
    copies = [
        _read_copy(clients, destination, entry["image"], entry["to"], params) for entry in _entries(params)
    ]
    check_unique(target for copy in copies for target in copy.targets)
    check_expected_option(params["expected_digest"])
    platforms = [Platform.parse(platform) for platform in params["platforms"]]
    sources: dict[int, list[Image]] = {}

    def look_up_source(number: int) -> None:
        sources[number] = _look_up(copies[number], platforms)

    targets = [target.sought for copy in copies for target in _named_targets(copy)]
    before = look_up(
        targets,
        clients.concurrency,
        [functools.partial(look_up_source, number) for number in range(len(copies))],
        light=False,
    )
    by_copy = [sources[number] for number in range(len(copies))]
    delivery = deliver(
        [image for images in by_copy for image in images],
        check_mode=context.check_mode,
        include_foreign=params["foreign_layers"],
        progress=context.progress,
        looked_up=dict(zip((target.reference for target in targets), before)),
    )
    return {**delivered(by_copy, delivery), "companions": delivery.referrers}


def _entries(params: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    single = bool(params["image"]) and bool(params["to"])
    if single == bool(params["images"]) or bool(params["image"]) != bool(params["to"]):
        raise InvalidInput("Set either image and to, or images.")
    if params["images"] and params["expected_digest"] is not None:
        raise InvalidInput("expected_digest is for one image only: name it with image and to.")
    return t.cast(
        "list[dict[str, t.Any]]", params["images"] or [{"image": params["image"], "to": params["to"]}]
    )


def _read_copy(
    clients: RegistryClients,
    destination: RegistryClients,
    image: str,
    to: t.Sequence[str],
    params: t.Mapping[str, t.Any],
) -> Copy:
    source = clients.reference(image)
    if not to:
        raise InvalidInput(f"No target is named for {source}: set to.")
    targets = []
    for target in map(destination.reference, to):
        if not target.tag and not target.digest and (source.tag or not source.digest):
            target = target.with_tag(source.tag or "latest")
        targets.append(target)
    return Copy(clients, destination, source, targets, params)


def _target(copy: Copy, reference: Reference) -> Target:
    return Target(copy.destination, reference, overwrite=copy.params["overwrite"])


def _named_targets(copy: Copy) -> list[Target]:
    """Return the targets whose names are known before the image is."""
    return [_target(copy, target) for target in copy.targets if target.tag or target.digest]


def _look_up(copy: Copy, platforms: t.Sequence[Platform]) -> list[Image]:
    """Look an image up, and return what is to be delivered of it to each repository."""
    source, params, repository = copy.source, copy.params, copy.clients.repository_of(copy.source)
    descriptor = require(
        source, repository.resolve(source.target), params["expected_digest"], "nothing was changed"
    )
    root: Descriptor | Manifest = descriptor
    if platforms:
        root = select(repository, repository.fetch_manifest(descriptor), platforms, str(source))
    refuse_placeholder(repository, str(source), root)
    by_repository: dict[str, list[Target]] = {}
    for target in copy.targets:
        if not target.tag and not target.digest:
            target = Reference(target.registry, target.repository, digest=root.digest)
        if target.digest and target.digest != root.digest:
            raise InvalidInput(f"{target} cannot be written: {source} has the digest {root.digest}.")
        by_repository.setdefault(target.name, []).append(_target(copy, target))
    along = Along(params["referrers"], params["signatures"])
    # What was found for one repository is what the others get.
    find = functools.lru_cache(maxsize=None)(functools.partial(along.find, repository, root))
    return [
        Image(str(source), root, descriptor.digest, targets, repository, find if along else None)
        for targets in by_repository.values()
    ]
