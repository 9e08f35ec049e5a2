#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_tag
short_description: Point tags at an existing image in a registry
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Points tags at an existing image, in its own repository or in other repositories of the same registry. Layers are not
    transferred through the host that runs the task.
  - The manifest is written byte for byte and with the same media type, so the digest stays the same. This applies to images and
    indexes, of Docker and of OCI.
  - All conditions are checked before anything is written, and again immediately before each write.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
options:
  image:
    description:
      - Image to tag, by tag or digest, such as V(registry.example.com/team/app:1.4.2).
    type: str
    required: true
    aliases: [source]
  tags:
    description:
      - Tags to point at the image, in the repository of O(image).
    type: list
    elements: str
    default: []
  to:
    description:
      - Full references to point at the image, in any repository of the same registry, such as
        V(registry.example.com/prod/app:1.4.2). Layers are mounted if the registry supports it. Children of an index are included.
      - Each entry is a reference, or a dictionary of C(image), the reference, and C(if_digest), the value of O(if_digest) for this
        target.
    type: list
    elements: raw
    default: []
  overwrite:
    description:
      - Whether to move tags that point to another image. If V(false), such a tag fails the task before anything is written.
    type: bool
    default: true
  expected_digest:
    description:
      - Digest that O(image) must have. The task fails if it has another digest. By default any digest is accepted.
    type: str
  if_digest:
    description:
      - Digest that every target must have before the task, or V(absent) if it must not exist. Otherwise the task fails.
      - A target that already has the digest of O(image) does not fail the task.
    type: str
seealso:
  - module: ocikit.registry.registry_rmtag
"""

EXAMPLES = r"""
---
- name: Promote a release
  ocikit.registry.registry_tag:
    image: registry.example.com/team/app:1.4.2
    tags:
      - stable
      - "1.4"

- name: Publish the image that was tested in another repository
  ocikit.registry.registry_tag:
    image: registry.example.com/staging/app:1.4.2
    expected_digest: "{{ tested_digest }}"
    to:
      - registry.example.com/production/app:1.4.2
    overwrite: false

- name: Move a tag only if it still has the known digest
  ocikit.registry.registry_tag:
    image: registry.example.com/team/app:1.4.2
    to:
      - image: registry.example.com/team/app:stable
        if_digest: "{{ current_digest }}"
      - image: registry.example.com/team/app:previous
        if_digest: absent

- name: Tag an image by its digest
  ocikit.registry.registry_tag:
    image: registry.example.com/team/app@sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
    tags:
      - rollback

- name: Show what a promotion would change
  ocikit.registry.registry_tag:
    image: registry.example.com/team/app:1.4.2
    tags:
      - stable
  check_mode: true
  diff: true
"""

RETURN = r"""
image:
  description: Image, as a full reference.
  returned: success
  type: str
  sample: registry.example.com/team/app:1.4.2
digest:
  description: Digest of the image and of all targets (in check mode, the digest they would have).
  returned: success
  type: str
  sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
targets:
  description: Targets, in the order of O(tags) and O(to).
  returned: success, and when a write failed
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
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST, TEXT
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.tagging import tag

ARGUMENT_SPEC: dict[str, t.Any] = {
    "image": {"type": TEXT, "required": True, "aliases": ["source"]},
    "tags": {"type": LIST, "elements": TEXT, "default": []},
    "to": {"type": LIST, "elements": "raw", "default": []},
    "overwrite": {"type": "bool", "default": True},
    "expected_digest": {"type": TEXT, "no_log": False},
    "if_digest": {"type": TEXT},
}


def main() -> None:
    run(tag, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
