# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Tags pointed to an existing image: compared first, written together, verified."""

from __future__ import annotations

import functools
import typing as t

from .._errors import InvalidInput, RegistryError, Unsupported
from .._oci.content import SCHEMA1_TYPES, Descriptor, Manifest
from .._oci.reference import Reference
from .._parallel import map_concurrent
from .._registry.connection import RegistryClients
from .._registry.context import ModuleContext
from .._registry.images import check_expected_option, require
from .._registry.placeholder import refuse_placeholder
from .._registry.repository import Repository
from .deliver import Image, send
from .former_images import former_images_kept
from .targets import (
    Sought,
    Target,
    check_targets,
    look_after_failure,
    look_up,
    note_before,
    read_targets,
    targets_diff,
    targets_result,
    warn_of_masked_names,
)


def tag(context: ModuleContext) -> dict[str, t.Any]:
    """Do what registry_tag is asked for, and return its result.

    Every condition is checked before the first write. Requests: a HEAD for the source and each target, all at once; a GET
    for the source if a tag changes; then for each tag that changes a PUT, right after another HEAD if there is a condition.
    Targets in other repositories get what they lack of the image.

    Raises InvalidInput, NotFound, Refused and Unsupported (schema 1); an error of a write has the state of each target in
    ``result``.
    """
    params, clients = context.params, context.clients
    source = clients.reference(params["image"])
    targets = _read_targets(clients, params, source)
    image = _check(clients, source, targets, params["expected_digest"])
    repository = clients.repository_of(source)
    moving = [target for target in targets if target.before != image.digest]
    manifest = repository.manifest(image.digest) if moving and not context.check_mode else None
    own = [target for target in moving if manifest and target.reference.name == source.name]
    try:
        # Other repositories come first: their blobs may fail to arrive, and then no tag of this one should have moved.
        _send(repository, source, manifest or image, targets, context.check_mode)
        with former_images_kept(own):
            # All of them, also if one fails.
            put = functools.partial(Target.put, manifest=t.cast(Manifest, manifest))
            results = map_concurrent(put, own, clients.concurrency, returned=RegistryError)
        errors = [result for result in results if isinstance(result, RegistryError)]
        if errors:
            look_after_failure(own, errors[0], clients.concurrency)
            raise errors[0]
    except RegistryError as error:
        error.add_result(targets_result(targets))
        raise
    for target in targets:
        target.after = image.digest
    return {
        "image": str(source),
        "digest": image.digest,
        **targets_result(targets),
        "diff": targets_diff(targets),
    }


def _read_targets(clients: RegistryClients, params: t.Mapping[str, t.Any], source: Reference) -> list[Target]:
    """Return the tags of the source's registry that are to point to it. Raises InvalidInput."""
    check_expected_option(params["expected_digest"])
    targets = read_targets(clients, params, source)
    if not targets:
        raise InvalidInput(f"No target for {source} is named: set tags or to.")
    for reference in (target.reference for target in targets):
        if reference.registry != source.registry:
            raise InvalidInput(
                f"{reference} is in another registry than {source}: ocikit.registry.registry_copy copies between them."
            )
    return targets


def _check(
    clients: RegistryClients, source: Reference, targets: t.Sequence[Target], expected_digest: str | None
) -> Descriptor:
    """Look up the source, which is returned, and the targets, and check every condition."""
    repository = clients.repository_of(source)
    looked_up = look_up(
        [
            Sought(repository, source),
            *(Sought(target.repository, target.reference, target.is_conditional) for target in targets),
        ],
        clients.concurrency,
    )
    image = require(source, looked_up[0])
    for target, descriptor in zip(targets, looked_up[1:]):
        note_before(target, descriptor)
    check_targets(str(source), image.digest, targets, expected_digest)
    refuse_placeholder(repository, str(source), image)
    warn_of_masked_names(targets, image.digest)
    if image.media_type in SCHEMA1_TYPES and any(target.before != image.digest for target in targets):
        raise Unsupported(
            f"{source} is a schema 1 manifest, which today's registries do not store: push the image anew."
        )
    return image


def _send(
    repository: Repository,
    source: Reference,
    image: Descriptor | Manifest,
    targets: t.Sequence[Target],
    check_mode: bool,
) -> None:
    """Let targets in other repositories point to the image, and give these repositories what they lack of it."""
    by_name: dict[str, list[Target]] = {}
    for target in targets:
        # What is sent to a tag that moves changes no result of check mode.
        if target.reference.name != source.name and not (check_mode and target.before != image.digest):
            by_name.setdefault(target.reference.name, []).append(target)
    images = [Image(str(source), image, image.digest, group, repository) for group in by_name.values()]
    send(images, check_mode=check_mode, include_foreign=False)
