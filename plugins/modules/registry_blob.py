#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_blob
short_description: Download a blob from a registry
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Writes a blob, such as a layer, a configuration or a file of an artifact, to a file, or returns it if it is a small text.
  - The content is verified against its digest. The file gets its name only when it is complete and verified. An interrupted
    download is resumed by the next run.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
options:
  image:
    description:
      - Repository of the blob, such as V(registry.example.com/team/app).
      - The tag and digest of a reference are ignored.
    type: str
    required: true
    aliases: [repository]
  digest:
    description:
      - Digest of the blob.
    type: str
    required: true
  dest:
    description:
      - File to write. In an existing directory, the file is named by the digest, such as V(sha256:4b26…).
      - If the file already has the digest, no request is sent.
      - By default the content is returned as RV(content).
    type: path
  max_size:
    description:
      - Maximum size in bytes of a blob that is returned as RV(content). It does not apply to O(dest).
    type: int
    default: 1048576
  mode:
    description:
      - Permissions of the file, as in M(ansible.builtin.file). By default a file that is replaced keeps its permissions.
    type: raw
  owner:
    description:
      - Name or ID of the owner of the file. By default a file that is replaced keeps its owner.
    type: str
  group:
    description:
      - Name or ID of the group of the file. By default a file that is replaced keeps its group.
    type: str
seealso:
  - module: ocikit.registry.registry_blob_info
"""

EXAMPLES = r"""
---
- name: Download a layer
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

- name: Show the labels of the image
  ansible.builtin.debug:
    var: config.json.config.Labels

- name: Read the manifest of an artifact
  ocikit.registry.registry_manifest_info:
    image: registry.example.com/team/chart:1.4.2
  register: chart

- name: Download the file of the artifact
  ocikit.registry.registry_blob:
    image: registry.example.com/team/chart
    digest: "{{ chart.layers[0].digest }}"
    dest: /srv/charts/app-1.4.2.tgz
    owner: deploy
    mode: "0640"
"""

RETURN = r"""
repository:
  description: Repository, with its registry.
  returned: success
  type: str
  sample: registry.example.com/team/app
digest:
  description: Digest of the blob.
  returned: success
  type: str
  sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
size:
  description: Size of the blob in bytes.
  returned: success
  type: int
  sample: 1469
dest:
  description: File with the blob (in check mode, the file that would be written).
  returned: success, if O(dest) is set
  type: str
  sample: /srv/layers/base.tar.gz
content:
  description: Content of the blob.
  returned: success, if O(dest) is not set
  type: str
  sample: '{"architecture":"amd64","os":"linux"}'
json:
  description: Content of the blob, parsed as JSON. V(null) if it is not JSON.
  returned: success, if O(dest) is not set
  type: raw
  sample:
    architecture: amd64
    os: linux
error:
  description:
    - Details of the failure. RV(ignore:error.kind) is a stable name such as V(not_found), V(digest_mismatch) or V(storage).
      C(status), C(code), C(message) and C(detail) are those of the registry's response to the request C(method) C(url).
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
