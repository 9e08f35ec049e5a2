#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_blob
short_description: Get one blob from a registry
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Writes a blob (a layer, a config, a file of an artifact) to a file, or returns it if it is small text.
  - The content is verified against its digest on the way. A file gets its name only when all of it is there and right;
    an interrupted download is taken up where it ended.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
options:
  image:
    description:
      - The repository that holds the blob, such as V(registry.example.com/team/app).
      - A reference with tag or digest will do as well; they are not looked at.
    type: str
    required: true
    aliases: [repository]
  digest:
    description:
      - The digest of the blob.
    type: str
    required: true
  dest:
    description:
      - The file to write. If this is an existing directory, the file in it is named by the digest, like V(sha256:4b26…).
      - If the file has the digest already, nothing is requested from the registry.
      - Without it, the content is returned.
    type: path
  max_size:
    description:
      - The largest blob, in bytes, that is returned as RV(content). Does not apply to O(dest).
    type: int
    default: 1048576
  mode:
    description:
      - Permissions of the file, as in M(ansible.builtin.file). Without it, a file that is replaced keeps its permissions.
    type: raw
  owner:
    description:
      - Name or number of the user that the file is to belong to. Without it, a file that is replaced keeps its owner.
    type: str
  group:
    description:
      - Name or number of the group that the file is to belong to. Without it, a file that is replaced keeps its group.
    type: str
seealso:
  - module: ocikit.registry.registry_blob_info
"""

EXAMPLES = r"""
---
- name: Get a layer
  ocikit.registry.registry_blob:
    image: registry.example.com/team/app
    digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
    dest: /srv/layers/base.tar.gz
    mode: "0644"

- name: Read the config of an image
  ocikit.registry.registry_blob:
    image: registry.example.com/team/app
    digest: "{{ config_digest }}"
  register: config

- name: Show the labels in it
  ansible.builtin.debug:
    var: config.json.config.Labels
"""

RETURN = r"""
repository:
  description: The repository, with its registry.
  returned: success
  type: str
  sample: registry.example.com/team/app
digest:
  description: The digest of the blob.
  returned: success
  type: str
  sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
size:
  description: The size of the blob in bytes.
  returned: success
  type: int
  sample: 1469
dest:
  description: The file that holds the blob (in check mode, would hold it).
  returned: success, if O(dest) is set
  type: str
  sample: /srv/layers/base.tar.gz
content:
  description: The blob as text.
  returned: success, if O(dest) is not set
  type: str
  sample: '{"architecture":"amd64","os":"linux"}'
json:
  description: The blob as data. V(null) if it is text that is not JSON.
  returned: success, if O(dest) is not set
  type: raw
  sample:
    architecture: amd64
    os: linux
error:
  description:
    - The failure in parts. RV(ignore:error.kind) is a stable name such as V(not_found), V(digest_mismatch) or V(storage).
      C(status), C(code), C(message) and C(detail) are the registry's answer to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: not_found
    status: 404
    code: BLOB_UNKNOWN
    message: blob unknown to registry
    detail:
    method: GET
    url: https://registry.example.com/v2/team/app/blobs/sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import TEXT
from ansible_collections.ocikit.registry.plugins.module_utils._storage.attributes import ATTRIBUTES
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.blob import get_blob

ARGUMENT_SPEC: dict[str, t.Any] = {
    "image": {"type": TEXT, "required": True, "aliases": ["repository"]},
    "digest": {"type": TEXT, "required": True},
    "dest": {"type": "path"},
    "max_size": {"type": "int", "default": 1 << 20},
    **ATTRIBUTES,
}


def main() -> None:
    run(get_blob, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
