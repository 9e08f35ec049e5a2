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
  - Promotes several images as one transaction, in one repository, between repositories, or between two registries.
  - First all sources and targets are looked up and all conditions are checked. Then what a target's repository lacks is
    mounted or copied and stored by digest, where no tag shows it. Tags move last, together, and it is verified.
  - If one tag cannot be moved, those that were are put back to the digest they had, and tags that did not exist are removed
    again. The result says for each target what it is then.
  - The result can be given to O(undo), which takes the promotion back.
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
      - The images to be promoted. All are looked up before any tag moves, so that a tag may be source and target.
    type: list
    elements: dict
    suboptions:
      image:
        description: The image to be promoted, by tag or digest.
        type: str
        required: true
        aliases: [source]
      to:
        description:
          - Where to promote it to, one reference or several. A reference without a tag gets the tag of the image.
        type: list
        elements: str
        required: true
      expected_digest:
        description: The digest that the image must have, such as the one that was tested.
        type: str
      if_digest:
        description: The digest that the targets must have, or V(absent) if they must not exist.
        type: str
  undo:
    description:
      - Takes a promotion back, which is described by its RV(previous), as one transaction too. Tags get the digests back
        that they had, and those that did not exist are removed.
      - Nothing is changed unless all tags have the digests that the promotion gave them; those that are back already are
        left as they are.
      - Tags are looked up through O(destination) if that is given, as in the promotion.
    type: list
    elements: dict
    suboptions:
      image:
        description: A target of the promotion.
        type: str
        required: true
      digest_before:
        description: The digest it had before, V(null) if it did not exist.
        type: raw
        required: true
      digest:
        description: The digest that the promotion gave it.
        type: str
        required: true
  referrers:
    description:
      - Whether to copy what refers to the images and to what is in their indexes as well, such as signatures and SBOMs, to
        the repositories of targets that are others than those of the images. It is there before a tag moves.
      - Found by the referrers API or the fallback tag, and whatever refers to those in turn.
      - O(undo) does not remove it.
    type: bool
    default: false
  signatures:
    description:
      - Whether to copy the tags in which cosign keeps signatures, attestations and SBOMs of the images and of what is in
        their indexes, to the repositories of targets that are others than those of the images.
      - O(undo) does not remove them.
    type: bool
    default: false
notes:
  - A registry offers no write on condition. Tags are looked up once more right before they move, and a tag that something
    else moves at that very moment is left alone by a roll-back.
  - A tag can be removed again only where the registry allows deletion.
seealso:
  - module: ocikit.registry.registry_tag
  - module: ocikit.registry.registry_copy
  - module: ocikit.registry.registry_verify
"""

EXAMPLES = r"""
---
- name: Promote what was tested
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

- name: Take a promotion back
  ocikit.registry.registry_promote:
    undo: "{{ promotion.previous }}"
"""

RETURN = r"""
targets:
  description: All targets, in the order they were named.
  returned: success, and on failure once all conditions hold
  type: list
  elements: dict
  contains:
    image:
      description: Target, as a full reference.
      type: str
    source:
      description: The image that was promoted to it, V(null) with O(undo).
      type: str
    digest_before:
      description: Digest of the target before the task. V(null) if it did not exist.
      type: str
    digest:
      description: The digest it has (in check mode, would have), V(null) if it does not exist.
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
      description: Whether it had moved before something failed, and is verified to be what it was.
      type: bool
    message:
      description:
        - After a failure, why it is not what it was before. Where the registry does not answer any more, RV(targets[].digest)
          is what it would have become.
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
    - The targets that changed, for O(undo). After a failure these are the ones that could not be put back.
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
      description: The digest that it was given.
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
