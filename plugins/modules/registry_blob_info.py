#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_blob_info
short_description: Check which blobs a repository has
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Returns which blobs exist in a repository, and their sizes. One HEAD request is sent for each blob, several in parallel. No
    content is downloaded.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  image:
    description:
      - Repository of the blobs, such as V(registry.example.com/team/app).
      - The tag and digest of a reference are ignored.
    type: str
    required: true
    aliases: [repository]
  digests:
    description:
      - Digests of the blobs. A digest that is given twice is looked up once.
    type: list
    elements: str
    required: true
seealso:
  - module: ocikit.registry.registry_blob
"""

EXAMPLES = r"""
---
- name: Read the manifest of an image
  ocikit.registry.registry_manifest_info:
    image: staging.example.com/team/app:1.4.2
  register: app

- name: Check which layers of the image another registry already has
  ocikit.registry.registry_blob_info:
    image: registry.example.com/team/app
    digests: "{{ app.layers | map(attribute='digest') }}"
  register: blobs

- name: Show how many bytes a copy would send
  ansible.builtin.debug:
    msg: "{{ app.total_size - blobs.total_size }} bytes are missing"

- name: Fail if a layer is missing
  ansible.builtin.assert:
    that: blobs.missing == []

- name: Check a single blob
  ocikit.registry.registry_blob_info:
    image: registry.example.com/team/app
    digests:
      - sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
"""

RETURN = r"""
repository:
  description: Repository, with its registry.
  returned: success
  type: str
  sample: registry.example.com/team/app
blobs:
  description: Blobs, in the order of O(digests), with one entry for each digest.
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: Digest of the blob.
      type: str
    exists:
      description: Whether the blob exists in the repository.
      type: bool
    size:
      description: Size of the blob in bytes. V(null) if it does not exist.
      type: int
  sample:
    - digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      exists: true
      size: 1469
missing:
  description: Digests of the blobs that do not exist.
  returned: success
  type: list
  elements: str
  sample: []
total_size:
  description: Total size in bytes of the blobs that exist.
  returned: success
  type: int
  sample: 1469
error:
  description:
    - Details of the failure. RV(ignore:error.kind) is a stable name such as V(unauthorized) or V(unreachable).
      C(status), C(code), C(message) and C(detail) are those of the registry's response to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: unauthorized
    status: 401
    code: UNAUTHORIZED
    message: authentication required
    detail:
    method: GET
    url: https://registry.example.com/v2/team/app/blobs/sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.inspection import inspect_blobs
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST, TEXT

ARGUMENT_SPEC: dict[str, t.Any] = {
    "image": {"type": TEXT, "required": True, "aliases": ["repository"]},
    "digests": {"type": LIST, "elements": TEXT, "required": True},
}


def main() -> None:
    run(inspect_blobs, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
