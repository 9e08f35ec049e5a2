#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_append
short_description: Add layers and settings to an image in a registry
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Adds layers to an image, sets labels, environment, commands and more, and points tags at the result. Without O(image), a new
    image is created. The host that runs the task needs neither a container engine nor the layers of the image.
  - The same input gives the same digest. Layers that are already the last ones of the image are not added again, so O(tags) can
    contain the tag of O(image).
  - Settings that are not given are preserved, including those that this module does not know. The media types stay those of
    Docker or of OCI. A new image has the media types of OCI.
  - Layers are streamed. Nothing is written to disk.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._progress
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
attributes:
  idempotent:
    details:
      - The digest of a layer that this module compresses depends on the zlib version of Python.
options:
  image:
    description:
      - Image to add layers and settings to, by tag or digest. By default a new image is created.
    type: str
    aliases: [source]
  tags:
    description:
      - Tags to point at the result, in the repository of O(image).
    type: list
    elements: str
    default: []
  to:
    description:
      - Full references to point at the result, in any repository. Within the registry of O(image), its layers are mounted.
      - Each entry is a reference, or a dictionary of C(image), the reference, and C(if_digest), the value of O(if_digest) for
        this target.
    type: list
    elements: raw
    default: []
  layers:
    description:
      - Layers to add, in their order from bottom to top.
    type: list
    elements: dict
    default: []
    suboptions:
      src:
        description:
          - Tar archive on the host that runs the task. An archive that is compressed with gzip or zstd is used byte for byte. An
            uncompressed archive is compressed with gzip.
          - Its entries are not checked. Entries whose names start with C(.wh.) delete files of the image. For a Windows image, all
            entries must be below C(Files/) or C(Hives/), else the task fails.
          - O(max_unpacked_size) limits the unpacked size.
          - A zstd archive requires Python 3.14 or the Python library zstandard, and an image with the media types of OCI.
        type: path
      files:
        description:
          - Files and directories to create a layer from. Entries are sorted, their modification time is the epoch, and owners are
            stored as numbers.
          - Symbolic links are kept. Hard links are stored as files, and extended attributes are omitted.
          - Directories above O(layers[].files[].dest) are those of the image.
          - For a Windows image, all entries and their parent directories are stored below C(Files/).
        type: list
        elements: dict
        suboptions:
          src:
            description:
              - File or directory on the host that runs the task.
              - With a trailing slash, only the contents of the directory are added.
            type: path
          content:
            description:
              - Content of a file, in place of O(layers[].files[].src).
            type: str
          dest:
            description:
              - Path in the image. If it ends with a slash, or O(layers[].files[].src) is a directory, the source is added to this
                directory under its own name.
            type: str
            required: true
          mode:
            description:
              - Permissions of files, as octal digits in quotes such as V('0644'). By default those of the source, and V('0644') for
                O(layers[].files[].content).
            type: raw
          directory_mode:
            description:
              - Permissions of directories, as octal digits in quotes. By default those of the source.
            type: raw
          owner:
            description:
              - User ID of the owner.
            type: int
            default: 0
          group:
            description:
              - Group ID.
            type: int
            default: 0
  platforms:
    description:
      - Platforms of the images to change in an index, such as V(linux/arm64/v8). Other images of the index are kept. By default all
        images are changed.
      - Nested indexes are searched as well. If there is no image for the variant, an image for the newest older variant is used,
        else an image without a platform. A Windows version can follow, as in V(windows/amd64:10.0.20348).
      - Attestations of images that change are removed from the index, because they describe the former image.
      - Without O(image), this is the platform of the new image, V(linux/amd64) by default.
    type: list
    elements: str
    default: []
    aliases: [platform]
  labels:
    description: Labels to set. Values are texts or whole numbers; write others in quotes.
    type: dict
  env:
    description: Environment variables to set. Values are texts or whole numbers; write others in quotes.
    type: dict
  entrypoint:
    description:
      - Entry point of the image. As in a Dockerfile, setting it removes the command of the image unless O(cmd) is set. An empty
        list removes the entry point.
    type: list
    elements: str
  cmd:
    description:
      - Command of the image, or arguments of the entry point. An empty list removes the command.
    type: list
    elements: str
    aliases: [command]
  user:
    description: User, and after a colon the group, that containers run as.
    type: str
  workdir:
    description: Working directory of containers.
    type: str
    aliases: [working_dir]
  exposed_ports:
    description: Ports to declare, such as V(8080) or V(53/udp).
    type: list
    elements: str
    default: []
  volumes:
    description: Directories to declare as volumes.
    type: list
    elements: str
    default: []
  annotations:
    description:
      - Annotations to set in the manifest of the image, or in the manifests of the images of an index. Images with the media types
        of Docker have no annotations.
    type: dict
  created:
    description:
      - Creation time, such as V('2026-01-31T12:00:00Z'). By default that of O(image), and the epoch for a new image.
      - A time that differs in each run results in a different image in each run.
    type: str
  author:
    description: Author of the image and of the layers.
    type: str
  comment:
    description: Comment for the history of the layers.
    type: str
  max_unpacked_size:
    description:
      - Maximum unpacked size of a compressed archive in O(layers[].src), such as V(20GiB).
      - The default is 100 times its compressed size, and at least V(1GiB).
    type: str
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
      - A target that already has the digest of the result does not fail the task.
    type: str
seealso:
  - module: ocikit.registry.registry_tag
  - module: ocikit.registry.registry_push
"""

EXAMPLES = r"""
---
- name: Add the content of a tarball to an image
  ocikit.registry.registry_append:
    image: registry.example.com/team/app:1.4.2
    layers:
      - src: mydata.tgz
    tags:
      - 1.4.2-mydata

- name: Add configuration to all platforms of the image that was tested, for another repository
  ocikit.registry.registry_append:
    image: registry.example.com/team/app:1.4.2
    expected_digest: "{{ tested_digest }}"
    layers:
      - files:
          - src: conf/
            dest: /etc/app
            owner: 1000
          - content: "{{ site | to_nice_yaml }}"
            dest: /etc/app/site.yml
            mode: "0640"
            owner: 1000
    env:
      APP_CONFIG: /etc/app/site.yml
    labels:
      org.opencontainers.image.vendor: Example
    to:
      - registry.example.com/site/app:1.4.2

- name: Create an image that contains a static program only
  ocikit.registry.registry_append:
    platforms:
      - linux/arm64
    layers:
      - files:
          - src: build/server
            dest: /bin/server
            mode: "0755"
    entrypoint:
      - /bin/server
    user: "65534:65534"
    to:
      - registry.example.com/team/server:1.0.0

- name: Set labels without a new layer
  ocikit.registry.registry_append:
    image: registry.example.com/team/app:1.4.2
    labels:
      org.opencontainers.image.revision: "{{ commit }}"
    tags:
      - 1.4.2

- name: Add a certificate authority to one platform of an index, unless the target exists
  ocikit.registry.registry_append:
    image: registry.example.com/team/app:1.4.2
    platforms:
      - linux/amd64
    layers:
      - files:
          - src: files/company-ca.crt
            dest: /usr/local/share/ca-certificates/
            mode: "0644"
    to:
      - image: registry.example.com/site/app:1.4.2
        if_digest: absent
"""

RETURN = r"""
image:
  description: Image that was extended, as a full reference. V(null) for a new image.
  returned: success
  type: str
  sample: registry.example.com/team/app:1.4.2
base_digest:
  description: Digest of O(image). V(null) for a new image.
  returned: success
  type: str
  sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
digest:
  description: Digest of the result and of all targets (in check mode, the digest they would have).
  returned: success
  type: str
  sample: sha256:d3b2fbd5e7e2e5c2c6a3ca3cb21f23cbf7ee1ff5c24a6f0e5b2f1a5a1e0b9e6a
media_type:
  description: Media type of the result.
  returned: success
  type: str
  sample: application/vnd.oci.image.manifest.v1+json
layers:
  description:
    - Layers of O(layers), in their order. A layer of files is listed twice if it was added to Windows images and to other images.
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: Digest of the compressed layer.
      type: str
    diff_id:
      description: Digest of the uncompressed tar archive.
      type: str
    size:
      description: Size of the compressed layer in bytes.
      type: int
    compression:
      description: Compression of the layer, V(gzip) or V(zstd).
      type: str
platforms:
  description: Images that were changed, with one entry for each platform.
  returned: success
  type: list
  elements: dict
  contains:
    platform:
      description: Platform of the image.
      type: str
    base_digest:
      description: Digest of the image before the change. V(null) for a new image.
      type: str
    digest:
      description: Digest of the image in the result.
      type: str
  sample:
    - platform: linux/amd64
      base_digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      digest: sha256:d3b2fbd5e7e2e5c2c6a3ca3cb21f23cbf7ee1ff5c24a6f0e5b2f1a5a1e0b9e6a
dropped_attestations:
  description: Digests of the attestations that were removed from the index.
  returned: success
  type: list
  elements: str
  sample: []
targets:
  description: Targets, in the order of O(tags) and O(to).
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
blobs:
  description: Counts of the blobs of the images (in check mode, what would be done).
  returned: success
  type: dict
  contains:
    missing:
      description: Number of blobs that were sent. In check mode, number of blobs that the target repositories lack.
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
error:
  description:
    - Details of the failure. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(not_found) or
      V(refused). C(status), C(code), C(message) and C(detail) are those of the registry's response to the request
      C(method) C(url).
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
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.append import append_layers

_FILE_SPEC: dict[str, t.Any] = {
    "src": {"type": "path"},
    "content": {"type": "str"},
    "dest": {"type": "str", "required": True},
    "mode": {"type": "raw"},
    "directory_mode": {"type": "raw"},
    "owner": {"type": "int", "default": 0},
    "group": {"type": "int", "default": 0},
}
_LAYER_SPEC: dict[str, t.Any] = {
    "src": {"type": "path"},
    "files": {
        "type": "list",
        "elements": "dict",
        "options": _FILE_SPEC,
        "required_one_of": [("src", "content")],
        "mutually_exclusive": [("src", "content")],
    },
}
ARGUMENT_SPEC: dict[str, t.Any] = {
    "image": {"type": TEXT, "aliases": ["source"]},
    "tags": {"type": LIST, "elements": TEXT, "default": []},
    "to": {"type": LIST, "elements": "raw", "default": []},
    "layers": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": _LAYER_SPEC,
        "required_one_of": [("src", "files")],
        "mutually_exclusive": [("src", "files")],
    },
    "platforms": {"type": LIST, "elements": TEXT, "default": [], "aliases": ["platform"]},
    "labels": {"type": "dict"},
    "env": {"type": "dict"},
    "entrypoint": {"type": "list", "elements": "str"},
    "cmd": {"type": "list", "elements": "str", "aliases": ["command"]},
    "user": {"type": "str"},
    "workdir": {"type": "str", "aliases": ["working_dir"]},
    "exposed_ports": {"type": "list", "elements": "str", "default": []},
    "volumes": {"type": "list", "elements": "str", "default": []},
    "annotations": {"type": "dict"},
    "created": {"type": "str"},
    "author": {"type": "str"},
    "comment": {"type": "str"},
    "max_unpacked_size": {"type": "str"},
    "overwrite": {"type": "bool", "default": True},
    "expected_digest": {"type": TEXT, "no_log": False},
    "if_digest": {"type": TEXT},
    **ARGUMENTS,
}


def main() -> None:
    run(append_layers, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
