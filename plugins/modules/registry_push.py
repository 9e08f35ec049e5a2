#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_push
short_description: Push an image from disk to a registry
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Pushes an image from an OCI image layout, an archive or a directory on the host that runs the task. No container engine is
    needed.
  - The supported formats are those of M(ocikit.registry.registry_pull), C(docker save), C(podman save) and C(skopeo copy) (C(oci:),
    C(oci-archive:), C(docker-archive:), C(dir:)). An archive is read in place. An archive that is compressed with gzip, bzip2, xz or
    zstd is unpacked to a temporary file in C(TMPDIR) or C(/var/tmp). Support for zstd requires Python 3.14 or the Python library
    zstandard.
  - Layers are pushed unchanged. Uncompressed layers of C(docker save) stay uncompressed. Layers that are compressed with xz or bzip2
    are refused, because registries do not support them.
  - An archive whose layers do not match the configuration of the image is refused. Symbolic links in a layout or directory are not
    followed.
  - Each blob is sent once if the repository does not have it. It is verified while it is sent, unless it is a file that was
    verified by M(ocikit.registry.registry_pull) and has not changed since, see O(verify). The manifest is sent last.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._progress
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
attributes:
  check_mode:
    details:
      - No write request is sent. Blobs that could be mounted are counted in RV(blobs.mounted), although the registry may refuse
        to mount them.
options:
  src:
    description:
      - Layout, archive or directory to push from.
    type: path
    required: true
    aliases: [path]
  name:
    description:
      - Image of O(src) to push, by its name, its digest, or its position, starting with V(0). A name is the name in the index, its
        tag, or the name that C(docker load) and containerd show, in short (V(app:1.4.2)) or full form.
      - Required if O(src) has several images. Images without a name that belong to another image, such as the platforms of an index
        and signatures, do not count.
    type: str
  image:
    description:
      - Reference to push to, such as V(registry.example.com/team/app:1.4.2). With a digest in place of the tag, the image must have
        this digest, and is stored without a tag.
    type: str
    required: true
    aliases: [to]
  tags:
    description:
      - Additional tags in the repository of O(image).
    type: list
    elements: str
    default: []
  platforms:
    description:
      - Platforms to take from an index, such as V(linux/arm64/v8). With one platform, the result is the image for it. With
        several platforms, the result is a new index with a digest of its own.
      - Nested indexes are searched as well. If there is no image for the variant, an image for the newest older variant is used,
        else an image without a platform. A Windows version can follow, as in V(windows/amd64:10.0.20348).
      - By default the whole index is used.
    type: list
    elements: str
    default: []
    aliases: [platform]
  overwrite:
    description:
      - Whether to move tags that point to another image. If V(false), such a tag fails the task before anything is written.
    type: bool
    default: true
  foreign_layers:
    description:
      - Whether to send non-distributable layers to the registry. By default they stay at their URLs.
    type: bool
    default: false
  if_digest:
    description:
      - Digest that every target must have before the task, or V(absent) if it must not exist. Otherwise the task fails.
    type: str
  mount_from:
    description:
      - Repositories of the same registry to mount missing blobs from. Blobs that are mounted are not sent.
    type: list
    elements: str
    default: []
  max_unpacked_size:
    description:
      - Maximum unpacked size of a compressed archive in O(src), or of a compressed layer in it, such as V(20GiB).
      - The default is 100 times its compressed size, and at least V(1GiB).
    type: str
  verify:
    description:
      - Which blobs of a layout or directory are verified while they are sent.
      - V(changed) verifies files that changed since M(ocikit.registry.registry_pull) last verified them. Their sizes, times and
        inodes are stored in a hidden file next to O(src), whose name ends with C(.ocikit-verified). The file can be deleted.
      - V(full) verifies all files. Archives are always verified completely.
    type: str
    choices: [changed, full]
    default: changed
seealso:
  - module: ocikit.registry.registry_pull
  - module: ocikit.registry.registry_append
"""

EXAMPLES = r"""
---
- name: Push an archive of docker save or podman save, with two tags
  ocikit.registry.registry_push:
    src: /srv/images/app.tar
    image: registry.example.com/team/app:1.4.2
    tags:
      - stable

- name: Push one image of a bundle, with base layers from another repository of the registry
  ocikit.registry.registry_push:
    src: /srv/bundles/2026-11.tar
    name: registry.example.com/team/app:1.5.0
    image: registry.site.example.com/team/app:1.5.0
    mount_from:
      - base/python

- name: Push one platform of an OCI image layout
  ocikit.registry.registry_push:
    src: /srv/images/app
    image: registry.example.com/team/app:1.4.2-arm64
    platforms:
      - linux/arm64

- name: Push a release only if its tag does not exist
  ocikit.registry.registry_push:
    src: /srv/images/app.tar
    image: registry.example.com/team/app:1.4.2
    if_digest: absent

- name: Push a layout, and verify all blobs while they are sent
  ocikit.registry.registry_push:
    src: /srv/images/app
    image: registry.example.com/team/app:1.4.2
    verify: full

- name: Show what a push would send
  ocikit.registry.registry_push:
    src: /srv/images/app.tar
    image: registry.example.com/team/app:1.4.2
  check_mode: true
  register: would_send
"""

RETURN = r"""
images:
  description: Images that were processed, in the order of the options.
  returned: success
  type: list
  elements: dict
  contains:
    image:
      description: Source image.
      type: str
    digest:
      description: Digest of the targets after the task (in check mode, the digest they would have).
      type: str
    source_digest:
      description: Digest of the source image. It differs from RV(images[].digest) if O(platforms) selects from an index.
      type: str
    targets:
      description: Targets, as full references.
      type: list
      elements: str
  sample:
    - image: /srv/images/app.tar
      digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      source_digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      targets:
        - registry.example.com/team/app:1.4.2
targets:
  description: Targets of the image.
  returned: success, and on failure once something was written
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
  sample:
    - image: registry.example.com/team/app:1.4.2
      digest_before: sha256:1d34ffeaf190be23d3de5a8de0a436676b758f48f835c3a2d4768b798c15a7f1
      digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      changed: true
      repaired: false
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
    missing: 3
    missing_bytes: 31457280
    mounted: 0
    present: 2
    foreign: 0
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
from ansible_collections.ocikit.registry.plugins.module_utils._progress import ARGUMENTS
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST, TEXT
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.push import push

ARGUMENT_SPEC: dict[str, t.Any] = {
    "src": {"type": "path", "required": True, "aliases": ["path"]},
    "name": {"type": TEXT},
    "image": {"type": TEXT, "required": True, "aliases": ["to"]},
    "tags": {"type": LIST, "elements": TEXT, "default": []},
    "platforms": {"type": LIST, "elements": TEXT, "default": [], "aliases": ["platform"]},
    "overwrite": {"type": "bool", "default": True},
    "foreign_layers": {"type": "bool", "default": False},
    "if_digest": {"type": TEXT},
    "max_unpacked_size": {"type": "str"},
    "mount_from": {"type": LIST, "elements": TEXT, "default": []},
    "verify": {"type": "str", "choices": ["changed", "full"], "default": "changed"},
    **ARGUMENTS,
}


def main() -> None:
    run(push, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
