#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_blob_info
short_description: Look up blobs in a registry
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Tells which blobs a repository holds, and their sizes. One request is sent for each, several at the same time, and no
    content is moved.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  image:
    description:
      - The repository that is asked, such as V(registry.example.com/team/app).
      - A reference with tag or digest will do as well; they are not looked at.
    type: str
    required: true
    aliases: [repository]
  digests:
    description:
      - The digests of the blobs. One that is named twice is looked up once.
    type: list
    elements: str
    required: true
seealso:
  - module: ocikit.registry.registry_blob
"""

EXAMPLES = r"""
---
- name: See whether the layers of an image have arrived
  ocikit.registry.registry_blob_info:
    image: registry.example.com/team/app
    digests: "{{ layers | map(attribute='digest') }}"
  register: blobs

- name: Fail if one of them is missing
  ansible.builtin.assert:
    that: blobs.missing == []
"""

RETURN = r"""
repository:
  description: The repository, with its registry.
  returned: success
  type: str
  sample: registry.example.com/team/app
blobs:
  description: The blobs, each digest once, in the order of O(digests).
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: The digest of the blob.
      type: str
    exists:
      description: Whether the repository holds it.
      type: bool
    size:
      description: Its size in bytes, V(null) if it does not exist.
      type: int
  sample:
    - digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      exists: true
      size: 1469
missing:
  description: The digests of those that do not exist.
  returned: success
  type: list
  elements: str
  sample: []
total_size:
  description: The size in bytes of those that exist, together.
  returned: success
  type: int
  sample: 1469
error:
  description:
    - The failure in parts. RV(ignore:error.kind) is a stable name such as V(unauthorized) or V(unreachable).
      C(status), C(code), C(message) and C(detail) are the registry's answer to the request C(method) C(url).
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
