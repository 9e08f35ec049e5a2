# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Images pulled from registries to stores on disk."""

from __future__ import annotations

import os
import typing as t

from .._errors import InvalidInput, NotFound, ProtocolError, Unsupported
from .._oci.content import DOCKER_LAYER_GZIP, Descriptor, Manifest, Platform, digest_diff
from .._oci.reference import Reference, is_digest, is_tag, parse
from .._oci.stores import CopyPlan
from .._parallel import map_concurrent
from .._registry.context import ModuleContext
from .._registry.images import check_expected_option, require
from .._registry.repository import Repository
from .._storage.attributes import check_attributes, set_attributes
from .._storage.compression import read_unpacked_size
from .._storage.listing import ImageName
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
    """Pull images to a layout, an archive or a directory, and return the result of registry_pull.

    Raises RegistryError: InvalidInput and Unsupported before anything is fetched, NotFound, Refused where
    ``expected_digest`` does not hold, LocalStorageError, and what the registry's answers lead to.
    """
    params = context.params
    references = [_reference(context, image) for image in params["image"]]
    names = _names(params, references)
    _check(params, references, names)
    platforms = [Platform.parse(platform) for platform in params["platforms"]]
    store = open_store(
        params["dest"],
        params["format"],
        {name.name: name for name in names},
        patience=params["read_timeout"],
        private=params["mode"] is not None,
        read_all_files=params["verify"] == "full",
    )
    shown = [store.listed_name(name.name) for name in names]
    before = {name: store.resolve(name) for name in shown}
    # What is there already, or not what is expected, is found out by a HEAD, which no registry counts as a pull.
    is_new = not os.path.exists(params["dest"]) and not params["expected_digest"]
    # One image's requests are sent at once, or those of several images.
    at_once = context.clients.concurrency if len(references) == 1 else 1
    images = map_concurrent(
        lambda pair: _look_up(context, store, pair[0], pair[1].name, platforms, is_new, at_once),
        zip(references, names),
        context.clients.concurrency,
    )
    work = _plan(context, store, images)
    by_digest: dict[str, list[str]] = {}
    for image in images:
        by_digest.setdefault(image.manifest.digest, []).append(image.name)
    changed = not store.lists(work.named(by_digest)) or not work.complete
    if not context.check_mode:
        if changed:
            _execute(context, work, store, images, by_digest)
            # Another process may have taken a name meanwhile.
            shown = [store.listed_name(name.name) for name in names]
        else:
            store.tidy()
    if not (changed and context.check_mode):
        changed = set_attributes(context, store.paths()) or changed
    dest = params["dest"]
    return {
        "changed": changed,
        "dest": dest,
        "images": [_shown(image, name) for image, name in zip(images, shown)],
        "blobs": {
            "missing": len(work.blobs),
            "missing_bytes": work.bytes,
            "present": len(work.present),
            "elsewhere": len(work.elsewhere),
            "foreign": len(work.foreign),
        },
        "diff": digest_diff(
            {f"{dest} {name}".rstrip(): image.digest if image else None for name, image in before.items()},
            {f"{dest} {name}".rstrip(): image.manifest.digest for image, name in zip(images, shown)},
        ),
    }


def _reference(context: ModuleContext, image: str) -> Reference:
    reference = context.clients.reference(image)
    return reference if reference.tag or reference.digest else reference.with_tag("latest")


def _names(params: t.Mapping[str, t.Any], references: t.Sequence[Reference]) -> list[ImageName]:
    """Return what each image is to be called: by default its tag, and for several images the whole reference."""
    if len(references) == 1 and params["name"] is not None:
        return [_given_name(params["name"], references[0], params["format"])]
    names = []
    for reference in references:
        whole = f"{reference.name}:{reference.tag}" if reference.tag else None
        name = str(reference) if len(references) > 1 else reference.tag or ""
        names.append(ImageName(name, whole, whole))
    return names


def _given_name(name: str, reference: Reference, kind: str) -> ImageName:
    """Return the name that the user gives: a reference, or a tag in the repository of ``reference``.

    For docker-archive it is always a reference, as ``docker load`` knows nothing else.
    """
    if kind != "docker-archive" and not ("/" in name or ":" in name):
        return ImageName(name, str(reference.with_tag(name)) if is_tag(name) else None, given=True)
    try:
        whole = parse(name)
    except InvalidInput as error:
        if kind != "docker-archive":
            return ImageName(name, given=True)
        raise error.add_sentence("It is the name that docker load shows.") from None
    if whole.digest:
        raise InvalidInput(f"{name} is not a valid name: write a tag instead of the digest.")
    if whole.tag:
        return ImageName(name, str(whole), name, given=True)
    return ImageName(name, str(whole.with_tag("latest")), f"{name}:latest", given=True)


def _check(
    params: t.Mapping[str, t.Any], references: t.Sequence[Reference], names: t.Sequence[ImageName]
) -> None:
    if not references:
        raise InvalidInput("No image is named: set image.")
    if len(references) > 1:
        for option in ("name", "expected_digest"):
            if params[option]:
                raise InvalidInput(f"{option} is for one image only, and {len(references)} are named.")
        if params["format"] == "dir":
            raise InvalidInput("The format dir holds one image: choose oci or oci-archive for several.")
    if len({name.name for name in names}) < len(names):
        raise InvalidInput("An image is named twice.")
    if params["without"] and params["format"] == "docker-archive":
        raise InvalidInput(
            "docker-archive needs all layers, so that it does not go with without: choose oci-archive."
        )
    if os.path.realpath(params["dest"]) in map(os.path.realpath, params["without"]):
        raise InvalidInput(
            "dest is among what the receiver has already: write the new images to another place."
        )
    check_expected_option(params["expected_digest"])
    check_attributes(params)


def _look_up(
    context: ModuleContext,
    store: LocalStore,
    reference: Reference,
    name: str,
    platforms: t.Sequence[Platform],
    is_new: bool,
    concurrency: int,
) -> Image:
    """Look up one image. Where ``is_new``, its manifest is read at once: there is nothing to compare with."""
    source = context.clients.repository_of(reference)
    expected = context.params["expected_digest"]
    contents = FallbackSource(store, source)
    fetched = None
    if is_new:
        fetched = source.find_manifest(reference.target)
        descriptor = fetched.descriptor if fetched else None
    else:
        descriptor = source.resolve(reference.target)
    descriptor = require(reference, descriptor, expected, "nothing was written")
    if fetched and fetched.manifest.digest == descriptor.digest:
        root = fetched.manifest
    else:
        root = contents.fetch_manifest(descriptor)
    manifest = select(contents, root, platforms, str(reference), concurrency)
    if manifest.is_schema1 and context.params["format"] != "dir":
        raise Unsupported(
            f"{reference} is a schema 1 image, which {context.params['format']} cannot hold: set format to dir, or push the"
            " image anew with a current client."
        )
    return Image(reference, source, descriptor.digest, manifest, name)


def _plan(context: ModuleContext, store: LocalStore, images: t.Sequence[Image]) -> CopyPlan:
    is_elsewhere = holds(context.params["without"], read_unpacked_size(context.params))
    if images[0].manifest.is_schema1:
        return _schema1_plan(store, images[0], is_elsewhere)
    work = plan(
        [(image.source, image.manifest) for image in images],
        store,
        context.clients.concurrency,
        context.params["foreign_layers"],
        is_elsewhere,
        progress=context.progress,
    )
    if context.params["format"] == "docker-archive" and work.foreign:
        raise InvalidInput(
            "An image has layers that stay at their URLs, and docker-archive needs all: set foreign_layers."
        )
    return work


def _execute(
    context: ModuleContext,
    work: CopyPlan,
    store: LocalStore,
    images: t.Sequence[Image],
    names: t.Mapping[str, t.Sequence[str]],
) -> None:
    progress = context.progress
    progress.expect_images(len(images))
    execute(
        work, store, names, context.clients.concurrency, progress.transfer(blob.size for blob in work.blobs)
    )
    for image in images:
        progress.finish_image(str(image.reference))


def _schema1_plan(store: LocalStore, image: Image, is_elsewhere: t.Callable[[Descriptor], bool]) -> CopyPlan:
    """Plan the copy of a schema 1 image: its manifest as it is, and each layer once, whose size only the registry knows."""
    layers = image.manifest.data.get("fsLayers")
    digests: list[t.Any] = [
        layer.get("blobSum") if isinstance(layer, dict) else None for layer in layers or ()
    ]
    if not all(map(is_digest, digests)):
        raise ProtocolError(
            f"The schema 1 manifest of {image.reference} names a layer without a valid digest."
        )

    def describe(digest: str) -> Descriptor:
        size = image.source.client.blob_size(image.source.name, digest)
        if size is None:
            raise NotFound(
                f"{image.reference} is incomplete: the registry lacks its layer {digest}.", status=404
            )
        return Descriptor(DOCKER_LAYER_GZIP, digest, size)

    work = CopyPlan(levels=[[image.manifest]], sources={image.manifest.digest: image.source})
    if store.exists(image.manifest.descriptor):
        work.existing.add(image.manifest.digest)
    for blob in image.source.map(describe, dict.fromkeys(digests)):
        work.sources[blob.digest] = image.source
        held = work.elsewhere if is_elsewhere(blob) else work.present if store.exists(blob) else work.blobs
        held.append(blob)
    return work


def _shown(image: Image, name: str) -> dict[str, t.Any]:
    return {
        "image": str(image.reference),
        "name": name,
        "digest": image.manifest.digest,
        "source_digest": image.source_digest,
        "media_type": image.manifest.media_type,
    }
