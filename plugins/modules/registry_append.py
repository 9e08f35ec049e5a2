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
  - Adds layers on top of an image, or of nothing, sets labels, environment, commands and more along with
    them, and puts the result under tags. Neither a container engine nor the layers of the image are needed
    where the task runs.
  - The same input gives the same digest. Layers that are the last ones of the image already are not added
    again, so that a tag may also be appended to itself.
  - Everything that is not named stays as it is, also what this module does not know. Media types stay those
    of Docker or of OCI. A new image is of OCI.
  - Layers are streamed; nothing is written to the disk.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
attributes:
  idempotent:
    details:
      - The digest of a layer that is compressed here depends on the zlib of the Python that does it.
options:
  image:
    description:
      - The image to be appended to, by tag or digest. Without it a new image is made.
    type: str
    aliases: [source]
  tags:
    description:
      - Tags to be set in the repository of O(image).
    type: list
    elements: str
    default: []
  to:
    description:
      - Full references to be set, in any repository. Inside the registry of O(image) its layers are mounted.
      - Each entry is a reference, or a dictionary of C(image), the reference, and C(if_digest), which has the
        meaning of O(if_digest) for this target.
    type: list
    elements: raw
    default: []
  layers:
    description:
      - The layers to be added, from the bottom up.
    type: list
    elements: dict
    default: []
    suboptions:
      src:
        description:
          - A tar archive on the host that runs the task. One compressed with gzip or zstd is taken byte for
            byte, a plain one is compressed with gzip.
          - Its entries are not looked at. Those whose names start with C(.wh.) delete files of the image. Only for
            an image of Windows the task fails unless they are below C(Files/) and C(Hives/).
          - O(max_unpacked_size) limits what it unpacks to.
          - A zstd archive needs the Python library zstandard, or Python 3.14, and an image with media types
            of OCI.
        type: path
      files:
        description:
          - Files and folders to make a layer of. Entries are sorted, their time is the epoch, their owners
            are numbers.
          - Symbolic links are kept. Hard links become files, and extended attributes are left out.
          - Folders above O(layers[].files[].dest) are left as the image has them.
          - For an image of Windows, all are put below C(Files/) in the layer, with the folders above them.
        type: list
        elements: dict
        suboptions:
          src:
            description:
              - A file or folder on the host that runs the task.
              - With a slash at its end, only what is in a folder is taken.
            type: path
          content:
            description:
              - The content of a file, instead of O(layers[].files[].src).
            type: str
          dest:
            description:
              - Where the file is to be in the image. If it ends with a slash, or O(layers[].files[].src) is a
                folder, that is put into it under its own name.
            type: str
            required: true
          mode:
            description:
              - Permissions of files, as octal digits in quotes such as V('0644'). Without it they are kept,
                and are V('0644') for O(layers[].files[].content).
            type: raw
          directory_mode:
            description:
              - Permissions of folders. Without it they are kept.
            type: raw
          owner:
            description:
              - Number of the owner.
            type: int
            default: 0
          group:
            description:
              - Number of the group.
            type: int
            default: 0
  platforms:
    description:
      - Change only the images of these platforms in an index, such as V(linux/arm64/v8), and keep the others.
        Without it all are changed.
      - Indexes within the index are searched as well. Where there is no image for the variant, one for the newest older variant is
        taken, and else one that names no platform. A version of Windows may follow, as in V(windows/amd64:10.0.20348).
      - Attestations of images that change are left out of the index, as they describe something else.
      - Without O(image), the platform of the new image, V(linux/amd64) by default.
    type: list
    elements: str
    default: []
    aliases: [platform]
  labels:
    description: Labels to be set.
    type: dict
  env:
    description: Environment variables to be set.
    type: dict
  entrypoint:
    description:
      - The entry point. As in a Dockerfile, this removes the command of the image, unless O(cmd) is set. An
        empty list removes the entry point.
    type: list
    elements: str
  cmd:
    description:
      - The command, or the arguments of the entry point. An empty list removes it.
    type: list
    elements: str
    aliases: [command]
  user:
    description: The user, and after a colon the group, that containers run as.
    type: str
  workdir:
    description: The folder that containers start in.
    type: str
    aliases: [working_dir]
  exposed_ports:
    description: Ports to be declared, such as V(8080) or V(53/udp).
    type: list
    elements: str
    default: []
  volumes:
    description: Folders to be declared as volumes.
    type: list
    elements: str
    default: []
  annotations:
    description:
      - Annotations to be set in the manifest, of an index in those of its images. Images with Docker's media
        types have none.
    type: dict
  created:
    description:
      - The time of creation, such as V('2026-01-31T12:00:00Z'). Without it that of O(image) stays; for a new
        image it is the epoch.
      - A time that differs on each run gives a new image on each run.
    type: str
  author:
    description: The author of image and layers.
    type: str
  comment:
    description: A comment for the history of the layers.
    type: str
  max_unpacked_size:
    description:
      - The most bytes that a compressed tarball of O(layers[].src) may unpack to, such as V(20GiB).
      - Without it, the limit is 100 times its own size, and at least 1 GiB.
    type: str
  overwrite:
    description:
      - Whether a tag that points to another image may be moved. If V(false), the task fails before it writes
        anything.
    type: bool
    default: true
  expected_digest:
    description:
      - The digest that O(image) must have; the task fails if it has another one.
    type: str
  if_digest:
    description:
      - The digest that every target must have at present, or V(absent) if it must not exist. The task fails
        otherwise.
      - A target that has the digest of the result already needs nothing, and is no reason to fail.
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

- name: Make an image of nothing but a static program
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
"""

RETURN = r"""
image:
  description: The image that was appended to, as a full reference, V(null) for a new one.
  returned: success
  type: str
  sample: registry.example.com/team/app:1.4.2
base_digest:
  description: Its digest.
  returned: success
  type: str
  sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
digest:
  description: The digest of the result, which all targets have now (in check mode, would have).
  returned: success
  type: str
  sample: sha256:d3b2fbd5e7e2e5c2c6a3ca3cb21f23cbf7ee1ff5c24a6f0e5b2f1a5a1e0b9e6a
media_type:
  description: The media type of the result.
  returned: success
  type: str
  sample: application/vnd.oci.image.manifest.v1+json
layers:
  description:
    - The layers of O(layers), in their order. A layer of files of which images for Windows and for other systems have
      got one each is there twice.
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: The digest of the compressed layer.
      type: str
    diff_id:
      description: The digest of its tar.
      type: str
    size:
      description: The size of the compressed layer in bytes.
      type: int
    compression:
      description: V(gzip) or V(zstd).
      type: str
platforms:
  description: The images that were to be changed, one for each platform.
  returned: success
  type: list
  elements: dict
  contains:
    platform:
      description: The platform.
      type: str
    base_digest:
      description: The digest that the image had, V(null) for a new one.
      type: str
    digest:
      description: The digest that it has in the result.
      type: str
  sample:
    - platform: linux/amd64
      base_digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      digest: sha256:d3b2fbd5e7e2e5c2c6a3ca3cb21f23cbf7ee1ff5c24a6f0e5b2f1a5a1e0b9e6a
dropped_attestations:
  description: Digests of the attestations that the index no longer has.
  returned: success
  type: list
  elements: str
  sample: []
targets:
  description: The targets, in the order of O(tags) and O(to).
  returned: success, and on failure once something was written
  type: list
  elements: dict
  contains:
    image:
      description: The target as a full reference.
      type: str
    digest_before:
      description: The digest it had, V(null) if it did not exist.
      type: str
    digest:
      description: The digest it has.
      type: str
    changed:
      description: Whether these differ.
      type: bool
    repaired:
      description:
        - Whether it had the digest already, but its repository lacked something that the image needs, which was sent (in
          check mode, would be). Then the task is changed as well.
      type: bool
blobs:
  description: What had to move (in check mode, would have to).
  returned: success
  type: dict
  contains:
    missing:
      description: How many blobs were sent. In check mode these are all that the target repositories lack.
      type: int
    missing_bytes:
      description: Their size in bytes.
      type: int
    mounted:
      description: How many were mounted from another repository of the registry, without sending a byte.
      type: int
    present:
      description: How many were there.
      type: int
    foreign:
      description: How many layers were left at their URLs.
      type: int
error:
  description:
    - The failure in parts. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(not_found) or
      V(refused). C(status), C(code), C(message) and C(detail) are the registry's answer to the request
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
}


def main() -> None:
    run(append_layers, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
