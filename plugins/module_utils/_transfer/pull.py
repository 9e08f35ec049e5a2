# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Images pulled from registries to stores on disk."""

from __future__ import annotations

import os
import typing as t

from .._errors import InvalidInput
from .._oci.content import Manifest, Platform, digest_diff
from .._oci.reference import Reference, check_digest
from .._registry.context import ModuleContext
from .._registry.images import require
from .._registry.repository import Repository
from .._storage.files import tidy
from .._storage.local import LocalStore, holds, open_store
from .copy import FallbackSource, execute, plan, select


class Image(t.NamedTuple):
    """One image to be pulled: where it is, which digest it has there, what of it is taken, and its name on disk."""

    reference: Reference
    source: Repository
    source_digest: str
    manifest: Manifest
    name: str


def pull(context: ModuleContext) -> dict[str, t.Any]:
    params, concurrency = context.params, context.clients.concurrency
    references = [_reference(context, image) for image in params["image"]]
    names = _names(references, params["name"])
    _check(params, references, names)
    platforms = [Platform.parse(platform) for platform in params["platforms"]]
    full_names = {
        name: str(reference) for name, reference in zip(names, references) if name and reference.tag
    }
    store = open_store(params["dest"], params["format"], full_names)
    before = {name: store.resolve(name) for name in names}
    images = [
        _look_up(context, store, reference, name, platforms) for reference, name in zip(references, names)
    ]
    work = plan(
        [(image.source, image.manifest) for image in images],
        store,
        concurrency,
        params["foreign_layers"],
        holds(params["without"]),
    )
    if params["format"] == "docker-archive" and work.foreign:
        raise InvalidInput(
            "An image has layers that stay at their URLs, and docker-archive needs all: set foreign_layers."
        )
    by_digest: dict[str, list[str]] = {}
    for image in images:
        by_digest.setdefault(image.manifest.digest, []).append(image.name)
    changed = not store.lists(work.named(by_digest)) or not work.complete
    if changed and not context.check_mode:
        execute(work, store, by_digest, concurrency)
    elif not context.check_mode:
        tidy(params["dest"])
    return {
        "changed": changed,
        "dest": params["dest"],
        "images": [_shown(image) for image in images],
        "blobs": {
            "missing": len(work.blobs),
            "missing_bytes": work.bytes,
            "present": len(work.present),
            "elsewhere": len(work.elsewhere),
            "foreign": len(work.foreign),
        },
        "diff": digest_diff(
            {
                f"{params['dest']} {name}".rstrip(): found.digest if found else None
                for name, found in before.items()
            },
            {f"{params['dest']} {image.name}".rstrip(): image.manifest.digest for image in images},
        ),
    }


def _reference(context: ModuleContext, image: str) -> Reference:
    reference = context.clients.reference(image)
    return reference if reference.tag or reference.digest else reference.with_tag("latest")


def _names(references: t.Sequence[Reference], name: str | None) -> list[str]:
    if len(references) > 1:
        return [str(reference) for reference in references]
    return [references[0].tag or "" if name is None else name]


def _check(params: t.Mapping[str, t.Any], references: t.Sequence[Reference], names: t.Sequence[str]) -> None:
    if not references:
        raise InvalidInput("No image is named: set image.")
    if len(references) > 1:
        for option in ("name", "expected_digest"):
            if params[option]:
                raise InvalidInput(f"{option} is for one image only, and {len(references)} are named.")
        if params["format"] == "dir":
            raise InvalidInput("The format dir holds one image: choose oci or oci-archive for several.")
    if len(set(names)) < len(names):
        raise InvalidInput("An image is named twice.")
    if params["without"] and params["format"] == "docker-archive":
        raise InvalidInput(
            "docker-archive needs all layers, so that it does not go with without: choose oci-archive."
        )
    if os.path.realpath(params["dest"]) in map(os.path.realpath, params["without"]):
        raise InvalidInput(
            "dest is among what the receiver has already: write the new images to another place."
        )
    if params["expected_digest"]:
        check_digest(params["expected_digest"], "expected_digest")


def _look_up(
    context: ModuleContext,
    store: LocalStore,
    reference: Reference,
    name: str,
    platforms: t.Sequence[Platform],
) -> Image:
    source = context.clients.repository_of(reference)
    expected = context.params["expected_digest"]
    found = require(reference, source.resolve(reference.target), expected, "nothing was written")
    contents = FallbackSource(store, source)
    root = contents.fetch_manifest(found)
    chosen = select(contents, root, platforms, str(reference), context.clients.concurrency)
    return Image(reference, source, found.digest, chosen, name)


def _shown(image: Image) -> dict[str, t.Any]:
    return {
        "image": str(image.reference),
        "name": image.name,
        "digest": image.manifest.digest,
        "source_digest": image.source_digest,
        "media_type": image.manifest.media_type,
    }
