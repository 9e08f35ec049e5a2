#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_copy
short_description: Copy images between registries and repositories
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Copies images with all their content. Content that the destination already has is not sent, and each digest is sent once.
    Within one registry, layers are mounted. Blobs are streamed through the host that runs the task, without writing to its disk.
  - Manifests are written byte for byte and with the same media type, so digests stay the same. A manifest is written after all of
    its content, so a tag never points to an incomplete image.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._progress
  - ocikit.registry._destination
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
attributes:
  check_mode:
    details:
      - No write request is sent. Blobs that could be mounted are counted in RV(blobs.mounted), although the registry may refuse
        to mount them.
options:
  image:
    description:
      - Image to copy, by tag or digest.
    type: str
    aliases: [source]
  to:
    description:
      - References to copy O(image) to. A reference without a tag gets the tag of the image. If a reference has a digest, it must be
        that of the image.
    type: list
    elements: str
  images:
    description:
      - Images to copy, in place of O(image) and O(to).
    type: list
    elements: dict
    default: []
    suboptions:
      image:
        description: Image to copy, by tag or digest.
        type: str
        required: true
      to:
        description: References to copy the image to.
        type: list
        elements: str
        required: true
  platforms:
    description:
      - Platforms to take from an index, such as V(linux/arm64/v8). With one platform, the result is the image for it. With
        several platforms, the result is a new index with a digest of its own.
      - Nested indexes are searched as well. If there is no image for the variant, an image for the newest older variant is used,
        else an image without a platform. A Windows version can follow, as in V(windows/amd64:10.0.20348).
      - By default the whole index is used.
    type: list
    elements: str
    default: []
    aliases: [platform]
  overwrite:
    description:
      - Whether to move tags that point to another image. If V(false), such a tag fails the task before anything is written.
    type: bool
    default: true
  foreign_layers:
    description:
      - Whether to send non-distributable layers to the registry. By default they stay at their URLs.
    type: bool
    default: false
  expected_digest:
    description:
      - Digest that O(image) must have in its registry, independent of O(platforms). The task fails before it writes anything if the
        image has another digest. By default any digest is accepted.
    type: str
  referrers:
    description:
      - Whether to copy referrers of the image and of its children, such as signatures and SBOMs, and the referrers of those.
        They are found with the referrers API or the fallback tag.
    type: bool
    default: false
  signatures:
    description:
      - Whether to copy signatures and attestations of the image and its children. These are the tags in which cosign stores
        signatures, attestations and SBOMs, and referrers that are Sigstore bundles or signatures of cosign or notation.
    type: bool
    default: false
seealso:
  - module: ocikit.registry.registry_tag
  - module: ocikit.registry.registry_pull
  - module: ocikit.registry.registry_push
"""

EXAMPLES = r"""
---
- name: Mirror an image of Docker Hub
  ocikit.registry.registry_copy:
    image: docker.io/library/busybox:1.36
    to: registry.example.com/mirror/busybox:1.36

- name: Copy with signatures and SBOMs, with an account for each side
  ocikit.registry.registry_copy:
    image: staging.example.com/team/app:1.4.2
    to: registry.example.com/team/app
    registry: staging.example.com
    username: reader
    password: "{{ staging_password }}"
    destination:
      username: writer
      password: "{{ production_password }}"
    referrers: true
    signatures: true

- name: Copy one image to two places
  ocikit.registry.registry_copy:
    image: staging.example.com/team/app:1.4.2
    to:
      - registry.example.com/team/app:1.4.2
      - registry.example.com/archive/app:1.4.2

- name: Copy several images, two platforms of each
  ocikit.registry.registry_copy:
    images:
      - image: docker.io/library/alpine:3.20
        to: registry.example.com/mirror/alpine
      - image: docker.io/library/debian:12
        to: registry.example.com/mirror/debian
    platforms:
      - linux/amd64
      - linux/arm64

- name: Copy the tested digest, unless the destination tag is another image
  ocikit.registry.registry_copy:
    image: staging.example.com/team/app:1.4.2
    expected_digest: "{{ tested_digest }}"
    to: registry.example.com/team/app:1.4.2
    overwrite: false
"""

RETURN = r"""
images:
  description: Images that were processed, in the order of the options.
  returned: success
  type: list
  elements: dict
  contains:
    image:
      description: Source image.
      type: str
    digest:
      description: Digest of the targets after the task (in check mode, the digest they would have).
      type: str
    source_digest:
      description: Digest of the source image. It differs from RV(images[].digest) if O(platforms) selects from an index.
      type: str
    targets:
      description: Targets, as full references.
      type: list
      elements: str
  sample:
    - image: staging.example.com/team/app:1.4.2
      digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      source_digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      targets:
        - registry.example.com/team/app:1.4.2
targets:
  description: Targets of all images.
  returned: success, and on failure once something was written
  type: list
  elements: dict
  contains:
    image:
      description: Target, as a full reference.
      type: str
    digest_before:
      description: Digest of the target before the task. V(null) if it did not exist.
      type: str
    digest:
      description: Digest of the target after the task.
      type: str
    changed:
      description: Whether the digest of the target changed (in check mode, would change).
      type: bool
    repaired:
      description:
        - Whether the target already had the digest, but its repository lacked content of the image, which was then sent (in
          check mode, would be sent). The task is changed in that case.
      type: bool
  sample:
    - image: registry.example.com/team/app:1.4.2
      digest_before: sha256:1d34ffeaf190be23d3de5a8de0a436676b758f48f835c3a2d4768b798c15a7f1
      digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      changed: true
      repaired: false
blobs:
  description: Counts of the blobs of the images (in check mode, what would be done).
  returned: success
  type: dict
  contains:
    missing:
      description: Number of blobs that were sent (in check mode, would be sent).
      type: int
    missing_bytes:
      description: Total size of these blobs in bytes.
      type: int
    mounted:
      description: Number of blobs that were mounted from another repository of the registry, without an upload.
      type: int
    present:
      description: Number of blobs that the destination already had.
      type: int
    foreign:
      description: Number of non-distributable layers that stayed at their URLs.
      type: int
  sample:
    missing: 3
    missing_bytes: 31457280
    mounted: 0
    present: 2
    foreign: 0
companions:
  description: Number of referrers and signatures that were copied (in check mode, would be copied).
  returned: success
  type: int
  sample: 2
error:
  description:
    - Details of the failure. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(not_found) or V(refused).
      C(status), C(code), C(message) and C(detail) are those of the registry's response to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: not_found
    status: 404
    code: MANIFEST_UNKNOWN
    message: manifest unknown
    detail:
    method: GET
    url: https://registry.example.com/v2/team/app/manifests/1.4.2
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._progress import ARGUMENTS
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import (
    destination_arguments,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST, TEXT
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.copy_images import copy_images

ARGUMENT_SPEC: dict[str, t.Any] = {
    "image": {"type": TEXT, "aliases": ["source"]},
    "to": {"type": LIST, "elements": TEXT},
    "images": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "image": {"type": TEXT, "required": True},
            "to": {"type": LIST, "elements": TEXT, "required": True},
        },
    },
    **destination_arguments(),
    "platforms": {"type": LIST, "elements": TEXT, "default": [], "aliases": ["platform"]},
    "overwrite": {"type": "bool", "default": True},
    "foreign_layers": {"type": "bool", "default": False},
    "expected_digest": {"type": TEXT},
    "referrers": {"type": "bool", "default": False},
    "signatures": {"type": "bool", "default": False},
    **ARGUMENTS,
}


def main() -> None:
    run(copy_images, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
