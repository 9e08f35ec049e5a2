#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_pull
short_description: Pull images from a registry to disk
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Writes images to an OCI image layout, an archive or a plain directory, on the host that runs the task and without a
    container engine there.
  - Every byte is verified against the digest that leads to it. What is there and right already is not fetched again, what
    is there and wrong is replaced.
  - Files get their final names when they are complete, the index that lists them comes last. A pull that was interrupted
    leaves nothing that looks like an image. The next one keeps the blobs that a layout or a directory has got, and
    writes an archive anew.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
options:
  image:
    description:
      - The image, by tag or digest. With several images, blobs that they share are stored once.
    type: list
    elements: str
    required: true
    aliases: [images]
  dest:
    description:
      - The directory, or for the archive formats the file, to write to. A layout keeps the images that it has; an archive
        and a directory hold what the task names.
    type: path
    required: true
    aliases: [path]
  format:
    description:
      - V(oci) is an OCI image layout directory.
      - V(oci-archive) is such a layout in a tar file.
      - V(docker-archive) is the same file with what C(docker load) and C(podman load) need as well. It takes single
        images only, see O(platforms).
      - V(dir) is a plain directory for one image, with a file for each digest and C(manifest.json).
    type: str
    choices: [oci, oci-archive, docker-archive, dir]
    default: oci
  platforms:
    description:
      - Take only these platforms of an index, such as V(linux/arm64/v8). One platform gives that image without the index;
        several give a new index with its own digest.
      - Without it the whole index is pulled.
    type: list
    elements: str
    default: []
    aliases: [platform]
  name:
    description:
      - The name of the image in the layout or archive. By default it is the tag, and for several images the full reference.
    type: str
  expected_digest:
    description:
      - The digest that the image must have in the registry, whatever O(platforms) takes of it; nothing is written if it has
        another one. For one image only.
    type: str
  without:
    description:
      - Layouts or archives that the receiver has already. Blobs that they hold are left out, manifests are not, so that
        ocikit.registry.registry_push can complete the images in a registry that has the rest.
    type: list
    elements: path
    default: []
  foreign_layers:
    description:
      - Whether layers that are usually not distributed by registries are fetched from the registry as well.
    type: bool
    default: false
seealso:
  - module: ocikit.registry.registry_push
  - module: ocikit.registry.registry_copy
"""

EXAMPLES = r"""
---
- name: Pull an image with all its platforms into a layout
  ocikit.registry.registry_pull:
    image: registry.example.com/team/app:1.4.2
    dest: /srv/images/app

- name: Write a file for docker load
  ocikit.registry.registry_pull:
    image: registry.example.com/team/app:1.4.2
    dest: /srv/images/app.tar
    format: docker-archive
    platforms:
      - linux/amd64

- name: Bundle what a site without network needs, less what it got last month
  ocikit.registry.registry_pull:
    image:
      - registry.example.com/team/app:1.5.0
      - registry.example.com/team/worker:1.5.0
    dest: /srv/bundles/2026-11.tar
    format: oci-archive
    without:
      - /srv/bundles/2026-10.tar
"""

RETURN = r"""
dest:
  description: Where the images are.
  returned: success
  type: str
  sample: /srv/images/app
images:
  description: The images, in the order of O(image).
  returned: success
  type: list
  elements: dict
  contains:
    image:
      description: The image as a full reference.
      type: str
    name:
      description: Its name at O(dest).
      type: str
    digest:
      description: The digest of what was pulled.
      type: str
    source_digest:
      description: The digest in the registry. It differs if some platforms of an index were chosen.
      type: str
    media_type:
      description: Its media type.
      type: str
  sample:
    - image: registry.example.com/team/app:1.4.2
      name: 1.4.2
      digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      source_digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      media_type: application/vnd.oci.image.index.v1+json
blobs:
  description: What had to be fetched (in check mode, would have to be) and what was there.
  returned: success
  type: dict
  contains:
    missing:
      description: How many blobs were fetched.
      type: int
    missing_bytes:
      description: Their size in bytes.
      type: int
    present:
      description: How many were at O(dest) already, and right.
      type: int
    elsewhere:
      description: How many were left out because of O(without).
      type: int
    foreign:
      description: How many layers were left at their URLs.
      type: int
  sample:
    missing: 3
    missing_bytes: 31457280
    present: 2
    elsewhere: 0
    foreign: 0
error:
  description:
    - The failure in parts. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(not_found) or V(storage).
      C(status), C(code), C(message) and C(detail) are the registry's answer to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: storage
    status:
    code:
    message:
    detail:
    method:
    url:
"""

import os
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, NotFound, Refused
from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import (
    Manifest,
    Platform,
    digest_diff,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import Reference, check_digest
from ansible_collections.ocikit.registry.plugins.module_utils._registry.context import ModuleContext
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import Repository
from ansible_collections.ocikit.registry.plugins.module_utils._storage.files import tidy
from ansible_collections.ocikit.registry.plugins.module_utils._storage.local import (
    FORMATS,
    LocalStore,
    holds,
    open_store,
)
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.copy import (
    FallbackSource,
    execute,
    plan,
    select,
)

ARGUMENT_SPEC: dict[str, t.Any] = {
    "image": {"type": "list", "elements": "str", "required": True, "aliases": ["images"]},
    "dest": {"type": "path", "required": True, "aliases": ["path"]},
    "format": {"type": "str", "choices": list(FORMATS), "default": "oci"},
    "platforms": {"type": "list", "elements": "str", "default": [], "aliases": ["platform"]},
    "name": {"type": "str"},
    "expected_digest": {"type": "str"},
    "without": {"type": "list", "elements": "path", "default": []},
    "foreign_layers": {"type": "bool", "default": False},
}


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
    source = Repository(context.clients.client(reference), reference.repository)
    found = source.resolve(reference.target)
    if found is None:
        raise NotFound(f"{reference} does not exist.", status=404)
    expected = context.params["expected_digest"]
    if expected and found.digest != expected:
        raise Refused(
            f"{reference} has the digest {found.digest}, not the expected {expected}: nothing was written."
        )
    contents = FallbackSource(store, source)
    chosen = select(contents, contents.fetch_manifest(found), platforms, str(reference))
    return Image(reference, source, found.digest, chosen, name)


def _shown(image: Image) -> dict[str, t.Any]:
    return {
        "image": str(image.reference),
        "name": image.name,
        "digest": image.manifest.digest,
        "source_digest": image.source_digest,
        "media_type": image.manifest.media_type,
    }


def main() -> None:
    run(pull, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
