# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Images pushed from stores on disk to a registry."""

from __future__ import annotations

import typing as t

from .._errors import InvalidInput
from .._oci.content import Platform
from .._oci.reference import Reference
from .._registry.connection import RegistryClients
from .._registry.context import ModuleContext
from .._registry.placeholder import refuse_placeholder
from .._storage.compression import read_unpacked_size
from .._storage.local import open_source
from .copy import select
from .deliver import Image, deliver, delivered
from .targets import Target, condition


def push(context: ModuleContext) -> dict[str, t.Any]:
    """Do what registry_push is asked for, and return its result. Raises InvalidInput and Refused."""
    params, clients = context.params, context.clients
    reference = clients.reference(params["image"])
    targets = [
        Target(clients, target, condition(params["if_digest"]), params["overwrite"])
        for target in _targets(reference, params["tags"])
    ]
    mount_from = [_mountable(clients, reference, name) for name in params["mount_from"]]
    platforms = [Platform.parse(platform) for platform in params["platforms"]]
    source = open_source(params["src"], read_unpacked_size(params), params["verify"] == "full")
    descriptor = source.image(params["name"])
    manifest = select(source, source.fetch_manifest(descriptor), platforms, params["src"])
    if reference.digest and reference.digest != manifest.digest:
        raise InvalidInput(
            f"{reference} cannot be written: the image in {params['src']} has the digest {manifest.digest}."
        )
    name = params["src"] if params["name"] is None else f"{params['name']} in {params['src']}"
    refuse_placeholder(source, name, manifest)
    image = Image(name, manifest, descriptor.digest, targets, source, holds=source.holds)
    delivery = deliver(
        [image],
        check_mode=context.check_mode,
        include_foreign=params["foreign_layers"],
        mount_from=mount_from,
        progress=context.progress,
    )
    return delivered([[image]], delivery)


def _targets(reference: Reference, tags: t.Sequence[str]) -> list[Reference]:
    named = [reference] if reference.tag or reference.digest else []
    references = list(dict.fromkeys(named + [reference.with_tag(tag) for tag in tags]))
    if not references:
        raise InvalidInput(f"No tag is named for {reference}: write one behind it, or set tags.")
    return references


def _mountable(clients: RegistryClients, target: Reference, name: str) -> str:
    """Return the repository that blobs can be mounted from. A bare path means the target's own registry."""
    repository = clients.repository(
        name if name.startswith(f"{target.registry}/") else f"{target.registry}/{name}"
    )
    return repository.repository
