#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_tag
short_description: Point tags at an image that is in the registry already
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Lets tags point to an existing image, in its own repository or in others of the same registry, without moving its
    layers through the host that runs the task.
  - The manifest is written with the very bytes and the media type it has, so that its digest stays what it is. That
    holds for images and indexes, of Docker and of OCI.
  - All conditions are checked before anything is written.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
options:
  image:
    description:
      - The image to be tagged, by tag or digest, such as V(registry.example.com/team/app:1.4.2).
    type: str
    required: true
    aliases: [source]
  tags:
    description:
      - Tags to be set in the repository of O(image).
    type: list
    elements: str
    default: []
  to:
    description:
      - Full references to be set, in any repository of the same registry, such as V(registry.example.com/prod/app:1.4.2).
        Layers are mounted where the registry knows how to, children of an index are taken along.
      - Each entry is a reference, or a dictionary of C(image), the reference, and C(if_digest), which has the meaning of
        O(if_digest) for this target.
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
      - The digest that O(image) must have; the task fails if it has another one.
    type: str
  if_digest:
    description:
      - The digest that every target must have at present, or V(absent) if it must not exist. The task fails otherwise.
      - A target that has the digest of O(image) already needs nothing, and is no reason to fail.
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

- name: Publish the digest that was tested, and only that one, in another repository
  ocikit.registry.registry_tag:
    image: registry.example.com/staging/app:1.4.2
    expected_digest: "{{ tested_digest }}"
    to:
      - registry.example.com/production/app:1.4.2
    overwrite: false

- name: Move a tag only from the digest that it is known to have
  ocikit.registry.registry_tag:
    image: registry.example.com/team/app:1.4.2
    to:
      - image: registry.example.com/team/app:stable
        if_digest: "{{ current_digest }}"
      - image: registry.example.com/team/app:previous
        if_digest: absent
"""

RETURN = r"""
image:
  description: Image, as a full reference.
  returned: success
  type: str
  sample: registry.example.com/team/app:1.4.2
digest:
  description: The digest of the image, which all targets have now (in check mode, would have).
  returned: success
  type: str
  sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
targets:
  description: The targets, in the order of O(tags) and O(to).
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
