#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_promote
short_description: Promote a set of images to new tags or repositories, all or none
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Promotes several images as one transaction, within a repository, between repositories, or between two registries.
  - All sources and targets are looked up, and all conditions are checked. Then content that the repository of a target lacks is
    mounted or copied, and stored by digest without a tag. The tags are moved last, together, and are verified.
  - If a tag cannot be moved, the tags that were moved are restored to their former digests, and tags that did not exist are
    removed. The result contains the digest of each target after that.
  - RV(previous) can be passed to O(undo) to undo the promotion.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._destination
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
attributes:
  check_mode:
    details:
      - No write request is sent. Blobs that could be mounted are counted in RV(blobs.mounted), although the registry may refuse
        to mount them.
options:
  images:
    description:
      - Images to promote. All of them are looked up before a tag is moved, so a tag can be both a source and a target.
    type: list
    elements: dict
    suboptions:
      image:
        description: Image to promote, by tag or digest.
        type: str
        required: true
        aliases: [source]
      to:
        description:
          - References to promote the image to. A reference without a tag gets the tag of the image.
        type: list
        elements: str
        required: true
      expected_digest:
        description: Digest that the image must have, such as that of the image that was tested. By default any digest is accepted.
        type: str
      if_digest:
        description: Digest that each target must have before the task, or V(absent) if it must not exist.
        type: str
  undo:
    description:
      - Targets of a promotion to restore, which is its RV(previous). Tags are restored to their former digests, and tags that did not
        exist are removed, also as one transaction.
      - Nothing is changed unless all tags have the digest that the promotion gave them, or already their former digest.
      - Tags are looked up with O(destination) if that is given, as in the promotion.
    type: list
    elements: dict
    suboptions:
      image:
        description: Target of the promotion.
        type: str
        required: true
      digest_before:
        description: Digest of the target before the promotion. V(null) if it did not exist.
        type: raw
        required: true
      digest:
        description: Digest of the target after the promotion.
        type: str
        required: true
  referrers:
    description:
      - Whether to copy referrers of the images and of their children, such as signatures and SBOMs, and the referrers of those, to
        targets in other repositories. They are copied before a tag is moved.
      - Referrers are found with the referrers API or the fallback tag. O(undo) does not remove them.
    type: bool
    default: false
  signatures:
    description:
      - Whether to copy signatures and attestations of the images and of their children to targets in other repositories.
        These are the tags in which cosign stores them and SBOMs, and the referrers with Sigstore bundles or signatures of
        cosign and notation.
      - O(undo) does not remove them.
    type: bool
    default: false
notes:
  - Registries do not support conditional writes. Tags are looked up again immediately before they are moved. A rollback does not
    change a tag that another client moved meanwhile.
  - A rollback can remove a new tag only if the registry allows deletion.
seealso:
  - module: ocikit.registry.registry_tag
  - module: ocikit.registry.registry_copy
  - module: ocikit.registry.registry_verify
"""

EXAMPLES = r"""
---
- name: Promote the images that were tested
  ocikit.registry.registry_promote:
    images:
      - image: registry.example.com/team/app:1.4.2
        to: registry.example.com/team/app:stable
        expected_digest: "{{ tested.app }}"
      - image: registry.example.com/team/worker:1.4.2
        to: registry.example.com/team/worker:stable
        expected_digest: "{{ tested.worker }}"
  register: promotion

- name: Promote to the production registry, under two tags, the first of them new
  ocikit.registry.registry_promote:
    registry: staging.example.com
    username: reader
    password: "{{ staging_password }}"
    destination:
      registry: registry.example.com
      username: writer
      password: "{{ production_password }}"
    images:
      - image: team/app:1.4.2
        to: team/app:1.4.2
        if_digest: absent
      - image: team/app:1.4.2
        to: team/app:stable

- name: Promote an image with its signatures to another repository
  ocikit.registry.registry_promote:
    images:
      - image: registry.example.com/staging/app:1.4.2
        to: registry.example.com/production/app:1.4.2
    referrers: true
    signatures: true

- name: Swap two tags
  ocikit.registry.registry_promote:
    images:
      - image: registry.example.com/team/app:blue
        to: registry.example.com/team/app:green
      - image: registry.example.com/team/app:green
        to: registry.example.com/team/app:blue

- name: Undo a promotion
  ocikit.registry.registry_promote:
    undo: "{{ promotion.previous }}"
"""

RETURN = r"""
targets:
  description: Targets, in the order of the options.
  returned: success, and on failure once all conditions hold
  type: list
  elements: dict
  contains:
    image:
      description: Target, as a full reference.
      type: str
    source:
      description: Image that was promoted to the target. V(null) with O(undo).
      type: str
    digest_before:
      description: Digest of the target before the task. V(null) if it did not exist.
      type: str
    digest:
      description: Digest of the target after the task (in check mode, the digest it would have). V(null) if it does not exist.
      type: str
    changed:
      description: Whether the digest of the target changed (in check mode, would change).
      type: bool
    repaired:
      description:
        - Whether the target already had the digest, but its repository lacked content of the image, which was then sent (in
          check mode, would be sent). The task is changed in that case.
      type: bool
    rolled_back:
      description: Whether the target was moved before the failure, and was restored to its former digest.
      type: bool
    message:
      description:
        - After a failure, why the target could not be restored. If the registry is not reachable any more, RV(targets[].digest) is
          the digest that the target was about to get.
      type: str
  sample:
    - image: registry.example.com/team/app:stable
      source: registry.example.com/team/app:1.4.2
      digest_before: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      digest: sha256:9c2f5bd1a4b0e6d3f78c21a5e9d0b4f6a7c8e1d2b3f4a5968778695a4b3c2d1e
      changed: true
      repaired: false
      rolled_back: false
      message:
previous:
  description:
    - Targets that changed, for O(undo). After a failure, the targets that could not be restored.
  returned: success, and on failure once all conditions hold
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
      description: Digest of the target after the promotion.
      type: str
  sample:
    - image: registry.example.com/team/app:stable
      digest_before: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      digest: sha256:9c2f5bd1a4b0e6d3f78c21a5e9d0b4f6a7c8e1d2b3f4a5968778695a4b3c2d1e
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
    missing: 0
    missing_bytes: 0
    mounted: 3
    present: 0
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
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import (
    destination_arguments,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST, TEXT
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.promotion import promote

ARGUMENT_SPEC: dict[str, t.Any] = {
    "images": {
        "type": "list",
        "elements": "dict",
        "options": {
            "image": {"type": TEXT, "required": True, "aliases": ["source"]},
            "to": {"type": LIST, "elements": TEXT, "required": True},
            "expected_digest": {"type": TEXT},
            "if_digest": {"type": TEXT},
        },
    },
    "undo": {
        "type": "list",
        "elements": "dict",
        "options": {
            "image": {"type": TEXT, "required": True},
            "digest_before": {"type": "raw", "required": True},
            "digest": {"type": TEXT, "required": True},
        },
    },
    **destination_arguments(),
    "referrers": {"type": "bool", "default": False},
    "signatures": {"type": "bool", "default": False},
}


def main() -> None:
    run(promote, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
