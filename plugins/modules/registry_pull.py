#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_pull
short_description: Pull images from a registry to disk
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Writes images to an OCI image layout, an archive or a plain directory, on the host that runs the task and without a
    container engine there.
  - Every byte is verified against the digest that leads to it. What is there and right already is not fetched again, what
    is there and wrong is replaced.
  - Files get their final names when they are complete, the index that lists them comes last. A pull that was interrupted
    leaves nothing that looks like an image. In a layout or a directory the next one fetches only what is missing, also of
    a blob that had arrived in part. An archive is written anew.
  - Symbolic links in a layout or directory are not followed.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
options:
  image:
    description:
      - The image, by tag or digest. With several images, blobs that they share are stored once.
    type: list
    elements: str
    required: true
    aliases: [images]
  dest:
    description:
      - The directory, or for the archive formats the file, to write to. A layout keeps the images that it has; an archive
        and a directory hold what the task names.
      - Another task that writes there is waited for. The task fails when that has written nothing for O(read_timeout).
    type: path
    required: true
    aliases: [path]
  format:
    description:
      - V(oci) is an OCI image layout directory.
      - V(oci-archive) is such a layout in a tar file.
      - V(docker-archive) is the same file with what C(docker load) and C(podman load) need as well. It takes single
        images only, see O(platforms).
      - V(dir) is a plain directory for one image, with a file for each digest and C(manifest.json). It is the only format
        that takes images of schema 1.
    type: str
    choices: [oci, oci-archive, docker-archive, dir]
    default: oci
  platforms:
    description:
      - Platforms to take from an index, such as V(linux/arm64/v8). With one platform, the result is the image for it. With
        several platforms, the result is a new index with a digest of its own.
      - Nested indexes are searched as well. If there is no image for the variant, an image for the newest older variant is used,
        else an image without a platform. A Windows version can follow, as in V(windows/amd64:10.0.20348).
      - By default the whole index is pulled.
    type: list
    elements: str
    default: []
    aliases: [platform]
  name:
    description:
      - The name of the image in the layout or archive. By default it is the tag, and for several images the full reference.
      - In a layout that lists an image of another repository under the same tag, the default is the full reference as well,
        so that both stay listed.
      - For V(docker-archive), the reference that C(docker load) shows, such as V(app:1.4.2). By default it is the full
        reference of O(image), and without a tag V(:latest) is added.
    type: str
  expected_digest:
    description:
      - The digest that the image must have in the registry, whatever O(platforms) takes of it; nothing is written if it has
        another one. For one image only.
    type: str
  without:
    description:
      - Layouts or archives that the receiver has already. Blobs that they hold are left out, manifests are not, so that
        ocikit.registry.registry_push can complete the images in a registry that has the rest.
    type: list
    elements: path
    default: []
  foreign_layers:
    description:
      - Whether layers that are usually not distributed by registries are fetched from the registry as well.
    type: bool
    default: false
  max_unpacked_size:
    description:
      - The most bytes that a compressed archive in O(without) may unpack to, such as V(20GiB).
      - The default is 100 times its compressed size, and at least V(1GiB).
    type: str
  verify:
    description:
      - How blobs that a layout or a directory has already are verified.
      - V(changed) reads the files that have changed since they were last verified. Their size, times and inodes of then are
        kept in a hidden file beside O(dest), whose name ends with C(.ocikit-verified) and which may be deleted.
      - V(full) reads all of them. Archives are always read.
    type: str
    choices: [changed, full]
    default: changed
  mode:
    description:
      - Permissions of the archive, or of the files of the layout or directory, as in M(ansible.builtin.file). Directories
        can also be entered by those who may read them.
      - Without it, files that are replaced keep their permissions.
    type: raw
  owner:
    description:
      - Name or number of the user that the files are to belong to. Without it, files that are replaced keep their owner.
    type: str
  group:
    description:
      - Name or number of the group that the files are to belong to. Without it, files that are replaced keep their group.
    type: str
seealso:
  - module: ocikit.registry.registry_push
  - module: ocikit.registry.registry_copy
"""

EXAMPLES = r"""
---
- name: Pull an image with all its platforms into a layout
  ocikit.registry.registry_pull:
    image: registry.example.com/team/app:1.4.2
    dest: /srv/images/app

- name: Write a file for docker load, which shows it as app:1.4.2
  ocikit.registry.registry_pull:
    image: registry.example.com/team/app:1.4.2
    dest: /srv/images/app.tar
    format: docker-archive
    name: app:1.4.2
    mode: "0640"
    platforms:
      - linux/amd64

- name: Bundle what a site without network needs, less what it got last month
  ocikit.registry.registry_pull:
    image:
      - registry.example.com/team/app:1.5.0
      - registry.example.com/team/worker:1.5.0
    dest: /srv/bundles/2026-11.tar
    format: oci-archive
    without:
      - /srv/bundles/2026-10.tar
"""

RETURN = r"""
dest:
  description: Where the images are.
  returned: success
  type: str
  sample: /srv/images/app
images:
  description: The images, in the order of O(image).
  returned: success
  type: list
  elements: dict
  contains:
    image:
      description: The image as a full reference.
      type: str
    name:
      description: Its name at O(dest).
      type: str
    digest:
      description: The digest of what was pulled.
      type: str
    source_digest:
      description: The digest in the registry. It differs if some platforms of an index were chosen.
      type: str
    media_type:
      description: Its media type.
      type: str
  sample:
    - image: registry.example.com/team/app:1.4.2
      name: 1.4.2
      digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      source_digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      media_type: application/vnd.oci.image.index.v1+json
blobs:
  description: What had to be fetched (in check mode, would have to be) and what was there.
  returned: success
  type: dict
  contains:
    missing:
      description: How many blobs were fetched.
      type: int
    missing_bytes:
      description: Total size of these blobs in bytes.
      type: int
    present:
      description: How many were at O(dest) already, and right.
      type: int
    elsewhere:
      description: How many were left out because of O(without).
      type: int
    foreign:
      description: Number of non-distributable layers that stayed at their URLs.
      type: int
  sample:
    missing: 3
    missing_bytes: 31457280
    present: 2
    elsewhere: 0
    foreign: 0
error:
  description:
    - Details of the failure. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(not_found) or V(storage).
      C(status), C(code), C(message) and C(detail) are those of the registry's response to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: storage
    status:
    code:
    message:
    detail:
    method:
    url:
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST, TEXT
from ansible_collections.ocikit.registry.plugins.module_utils._storage.attributes import ATTRIBUTES
from ansible_collections.ocikit.registry.plugins.module_utils._storage.local import FORMATS
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.pull import pull

ARGUMENT_SPEC: dict[str, t.Any] = {
    "image": {"type": LIST, "elements": TEXT, "required": True, "aliases": ["images"]},
    "dest": {"type": "path", "required": True, "aliases": ["path"]},
    "format": {"type": "str", "choices": list(FORMATS), "default": "oci"},
    "platforms": {"type": LIST, "elements": TEXT, "default": [], "aliases": ["platform"]},
    "name": {"type": TEXT},
    "expected_digest": {"type": TEXT},
    "without": {"type": "list", "elements": "path", "default": []},
    "foreign_layers": {"type": "bool", "default": False},
    "max_unpacked_size": {"type": "str"},
    "verify": {"type": "str", "choices": ["changed", "full"], "default": "changed"},
    **ATTRIBUTES,
}


def main() -> None:
    run(pull, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
