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
  - Writes images to an OCI image layout, an archive or a directory on the host that runs the task. No container engine is needed.
  - All content is verified against its digest. Blobs that already exist with the right content are not downloaded again. Blobs with
    wrong content are replaced.
  - Files get their final names when they are complete, and the index that lists them is written last. An interrupted pull leaves no
    incomplete image. In a layout or directory, the next pull downloads only what is missing, and resumes partial blobs. An archive
    is written from the beginning.
  - Symbolic links in a layout or directory are not followed.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._progress
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
options:
  image:
    description:
      - Images to pull, by tag or digest. Blobs that several images share are stored once.
    type: list
    elements: str
    required: true
    aliases: [images]
  dest:
    description:
      - Directory to write to, or file for the archive formats. Images that a layout already has are kept. An archive or directory is
        replaced by the images of the task.
      - If another task is writing to the same place, the task waits for it. It fails if the other task writes nothing for
        O(read_timeout).
    type: path
    required: true
    aliases: [path]
  format:
    description:
      - Format to write.
      - V(oci) is a directory with an OCI image layout.
      - V(oci-archive) is a tar file with an OCI image layout.
      - V(docker-archive) is a tar file that C(docker load) and C(podman load) read, and that is an OCI image layout as well. It can
        contain single images only, see O(platforms).
      - V(dir) is a directory for one image, with C(manifest.json) and a file for each digest. Only this format supports schema 1.
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
      - Name of the image in the layout or archive. The default is the tag, or for several images the full reference.
      - If a layout already has an image of another repository under the same tag, the default is the full reference.
      - For V(docker-archive), the reference that C(docker load) shows, such as V(app:1.4.2). The default is the full reference of
        O(image), with V(:latest) if there is no tag.
    type: str
  expected_digest:
    description:
      - Digest that the image must have in the registry, independent of O(platforms). The task fails before it writes anything if the
        image has another digest. It can be used with one image only.
    type: str
  without:
    description:
      - Layouts or archives that the receiver already has. Their blobs are omitted, but manifests are included. With
        M(ocikit.registry.registry_push), the images can then be pushed to a registry that has the other blobs.
    type: list
    elements: path
    default: []
  foreign_layers:
    description:
      - Whether to download non-distributable layers from the registry. By default they are omitted.
    type: bool
    default: false
  max_unpacked_size:
    description:
      - Maximum unpacked size of a compressed archive in O(without), such as V(20GiB).
      - The default is 100 times its compressed size, and at least V(1GiB).
    type: str
  verify:
    description:
      - Which existing blobs of a layout or directory are verified.
      - V(changed) verifies files that changed since they were last verified. Their sizes, times and inodes are stored in a hidden file
        next to O(dest), whose name ends with C(.ocikit-verified). The file can be deleted.
      - V(full) verifies all files. Archives are always verified completely.
    type: str
    choices: [changed, full]
    default: changed
  mode:
    description:
      - Permissions of the archive, or of the files of the layout or directory, as in M(ansible.builtin.file). Directories also get
        the execute permission wherever there is the read permission.
      - By default files that are replaced keep their permissions.
    type: raw
  owner:
    description:
      - Name or ID of the owner of the files. By default files that are replaced keep their owner.
    type: str
  group:
    description:
      - Name or ID of the group of the files. By default files that are replaced keep their group.
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

- name: Write an archive for docker load, which shows it as app:1.4.2
  ocikit.registry.registry_pull:
    image: registry.example.com/team/app:1.4.2
    dest: /srv/images/app.tar
    format: docker-archive
    name: app:1.4.2
    mode: "0640"
    platforms:
      - linux/amd64

- name: Write a bundle for an air-gapped site, without the blobs of the former bundle
  ocikit.registry.registry_pull:
    image:
      - registry.example.com/team/app:1.5.0
      - registry.example.com/team/worker:1.5.0
    dest: /srv/bundles/2026-11.tar
    format: oci-archive
    without:
      - /srv/bundles/2026-10.tar

- name: Pull the image that was tested, for two platforms
  ocikit.registry.registry_pull:
    image: registry.example.com/team/app:1.4.2
    expected_digest: "{{ tested_digest }}"
    platforms:
      - linux/amd64
      - linux/arm64
    dest: /srv/images/app

- name: Verify all blobs of a layout again, and replace damaged ones
  ocikit.registry.registry_pull:
    image: registry.example.com/team/app:1.4.2
    dest: /srv/images/app
    verify: full
"""

RETURN = r"""
dest:
  description: Path of the layout, archive or directory.
  returned: success
  type: str
  sample: /srv/images/app
images:
  description: Images, in the order of O(image).
  returned: success
  type: list
  elements: dict
  contains:
    image:
      description: Image, as a full reference.
      type: str
    name:
      description: Name of the image in O(dest).
      type: str
    digest:
      description: Digest of the image in O(dest).
      type: str
    source_digest:
      description: Digest of the image in the registry. It differs from RV(images[].digest) if O(platforms) selects from an index.
      type: str
    media_type:
      description: Media type of the image.
      type: str
  sample:
    - image: registry.example.com/team/app:1.4.2
      name: 1.4.2
      digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      source_digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      media_type: application/vnd.oci.image.index.v1+json
blobs:
  description: Counts of the blobs of the images (in check mode, what would be done).
  returned: success
  type: dict
  contains:
    missing:
      description: Number of blobs that were downloaded (in check mode, would be downloaded).
      type: int
    missing_bytes:
      description: Total size of these blobs in bytes.
      type: int
    present:
      description: Number of blobs that O(dest) already had.
      type: int
    elsewhere:
      description: Number of blobs that were omitted because of O(without).
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
from ansible_collections.ocikit.registry.plugins.module_utils._progress import ARGUMENTS
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
    **ARGUMENTS,
}


def main() -> None:
    run(pull, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
