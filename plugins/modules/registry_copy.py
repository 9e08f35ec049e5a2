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
  - Copies images with everything they consist of. What is there already is not sent, every digest moves once, and inside
    one registry layers are mounted. Blobs stream through the host that runs the task without touching its disk.
  - Manifests are written with the very bytes and the media type they have, after everything they need, so that digests
    stay what they are and no tag ever leads to something incomplete.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._destination
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
attributes:
  check_mode:
    details:
      - No write request is sent. What could be mounted is counted as RV(blobs.mounted), although the registry may refuse that.
options:
  image:
    description:
      - The image to be copied, by tag or digest.
    type: str
    aliases: [source]
  to:
    description:
      - References to copy O(image) to, one or several. A reference without a tag gets the tag of the image; one with a
        digest must name the digest that the image has.
    type: list
    elements: str
  images:
    description:
      - Several images to be copied, instead of O(image) and O(to).
    type: list
    elements: dict
    default: []
    suboptions:
      image:
        description: The image to be copied.
        type: str
        required: true
      to:
        description: References to copy it to, one or several.
        type: list
        elements: str
        required: true
  platforms:
    description:
      - Take only these platforms of an index, such as V(linux/arm64/v8). One platform gives that image without the index;
        several give a new index with its own digest.
      - Indexes within the index are searched as well. Where there is no image for the variant, one for the newest older variant is
        taken, and else one that names no platform. A version of Windows may follow, as in V(windows/amd64:10.0.20348).
      - Without it the whole index is taken.
    type: list
    elements: str
    default: []
    aliases: [platform]
  overwrite:
    description:
      - Whether a tag that points to another image may be moved. If V(false), the task fails before it writes anything.
    type: bool
    default: true
  foreign_layers:
    description:
      - Whether layers that are usually not distributed by registries are sent as well, instead of being left at their URLs.
    type: bool
    default: false
  expected_digest:
    description:
      - The digest that O(image) must have in its registry, whatever O(platforms) takes of it; nothing is written if it has
        another one.
    type: str
  referrers:
    description:
      - Whether to copy what refers to the image and its children as well, such as signatures and SBOMs, found by the
        referrers API or the fallback tag, and whatever refers to those in turn.
    type: bool
    default: false
  signatures:
    description:
      - Whether to copy signatures and attestations of the image and its children. These are the tags in which cosign keeps
        them and SBOMs, and the referrers with Sigstore bundles or signatures of cosign and notation.
    type: bool
    default: false
seealso:
  - module: ocikit.registry.registry_tag
  - module: ocikit.registry.registry_pull
  - module: ocikit.registry.registry_push
"""

EXAMPLES = r"""
---
- name: Mirror an image into the own registry
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
"""

RETURN = r"""
images:
  description: The images, in the order they were named.
  returned: success
  type: list
  elements: dict
  contains:
    image:
      description: The image that was read.
      type: str
    digest:
      description: The digest of what the targets have now (in check mode, would have).
      type: str
    source_digest:
      description: The digest of the image that was read. It differs if some platforms of an index were chosen.
      type: str
    targets:
      description: Full references of the targets.
      type: list
      elements: str
  sample:
    - image: staging.example.com/team/app:1.4.2
      digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      source_digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      targets:
        - registry.example.com/team/app:1.4.2
targets:
  description: All targets.
  returned: success, and on failure once something was written
  type: list
  elements: dict
  contains:
    image:
      description: The target as a full reference.
      type: str
    digest_before:
      description: The digest it had, V(null) if it did not exist.
      type: str
    digest:
      description: The digest it has.
      type: str
    changed:
      description: Whether these differ.
      type: bool
    repaired:
      description:
        - Whether it had the digest already, but its repository lacked something that the image needs, which was sent (in
          check mode, would be). Then the task is changed as well.
      type: bool
  sample:
    - image: registry.example.com/team/app:1.4.2
      digest_before: sha256:1d34ffeaf190be23d3de5a8de0a436676b758f48f835c3a2d4768b798c15a7f1
      digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      changed: true
      repaired: false
blobs:
  description: What had to move (in check mode, would have to).
  returned: success
  type: dict
  contains:
    missing:
      description: How many blobs were sent (in check mode, would have to be).
      type: int
    missing_bytes:
      description: Their size in bytes.
      type: int
    mounted:
      description: How many were mounted from another repository of the registry, without sending a byte.
      type: int
    present:
      description: How many were there.
      type: int
    foreign:
      description: How many layers were left at their URLs.
      type: int
  sample:
    missing: 3
    missing_bytes: 31457280
    mounted: 0
    present: 2
    foreign: 0
companions:
  description: How many referrers and signatures were written along (in check mode, would be).
  returned: success
  type: int
  sample: 2
error:
  description:
    - The failure in parts. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(not_found) or V(refused).
      C(status), C(code), C(message) and C(detail) are the registry's answer to the request C(method) C(url).
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
}


def main() -> None:
    run(copy_images, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
