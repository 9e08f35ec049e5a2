#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_manifest_info
short_description: Read the manifest of an image and what it tells
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Reads a manifest or index and returns its digest, its content, platforms, layers and sizes; on request also the
    image's configuration, with labels, environment and command.
  - Digests are computed from the bytes that the registry sent, not taken from its headers.
  - An image or a repository that does not exist is no failure.
  - Images, indexes and artifacts, of Docker and of OCI, are read. So is Docker's old schema 1, which tells no sizes.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  image:
    description:
      - The image, by tag or digest, such as V(registry.example.com/team/app:1.4.2). Without either it is V(latest).
    type: str
    required: true
  platform:
    description:
      - Operating system, architecture and, where there is one, variant, such as V(linux/arm64/v8).
      - If O(image) is an index, all results are those of the image in it that is for this platform. This takes a second
        request. A single image has to be for this platform itself, which its configuration tells.
      - Nested indexes are searched as well. If there is no image for the variant, an image for the newest older variant is used,
        else an image without a platform. A Windows version can follow, as in V(windows/amd64:10.0.20348).
      - The task fails if there is no image for the platform, and names those that there are.
    type: str
  config:
    description:
      - Whether to read the image's configuration, see RV(config). This takes one more request.
    type: bool
    default: false
  sizes:
    description:
      - Whether to compute the sizes of an index. This takes a request for each manifest in it.
      - The size of an image takes no request and is always computed.
    type: bool
    default: false
  expected_digest:
    description:
      - The digest that O(image) must have. The task fails if it has another one, or does not exist.
      - With O(platform) it is the digest of the index.
    type: str
seealso:
  - module: ocikit.registry.registry_pull
  - module: ocikit.registry.registry_tag
  - module: ocikit.registry.registry_tag_info
"""

EXAMPLES = r"""
---
- name: Read a manifest
  ocikit.registry.registry_manifest_info:
    image: registry.example.com/team/app:1.4.2
  register: app

- name: Show how large the image is
  ansible.builtin.debug:
    msg: "{{ app.image }} has {{ app.layers | length }} layers and {{ app.total_size | human_readable }}."
  when: app.exists

- name: Deploy only what was tested
  ocikit.registry.registry_manifest_info:
    image: registry.example.com/team/app:1.4.2
    expected_digest: "{{ tested_digest }}"

- name: Read labels and environment of the image for one platform
  ocikit.registry.registry_manifest_info:
    image: registry.example.com/team/app:1.4.2
    platform: linux/arm64/v8
    config: true
  register: arm

- name: Show who built it
  ansible.builtin.debug:
    msg: "{{ arm.config.labels['org.opencontainers.image.revision'] }}, {{ arm.config.created }}"

- name: Measure an index
  ocikit.registry.registry_manifest_info:
    image: registry.example.com/team/app:1.4.2
    sizes: true
  register: index

- name: Show the size of each platform
  ansible.builtin.debug:
    msg: "{{ item.platform }}: {{ item.total_size }} bytes"
  loop: "{{ index.platforms | rejectattr('attestation_of') }}"
  loop_control:
    label: "{{ item.digest }}"
"""

RETURN = r"""
exists:
  description: Whether the image exists.
  returned: success
  type: bool
  sample: true
image:
  description: Image, as a full reference.
  returned: success
  type: str
  sample: registry.example.com/team/app:1.4.2
digest:
  description: The digest of the manifest. V(null) if the image does not exist.
  returned: success
  type: str
  sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
pinned:
  description: The image by its digest, a reference that cannot move.
  returned: if the image exists
  type: str
  sample: registry.example.com/team/app@sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
index_digest:
  description: The digest of the index that O(platform) chose the manifest from. V(null) if nothing was chosen.
  returned: if the image exists
  type: str
  sample: sha256:8a3f1d7e0a9b5c64f1f0f7b6d1a7f5f2b1f24cf5dfb0ab8f2a4d6f8d0c1b2a39
media_type:
  description: The media type of the manifest.
  returned: if the image exists
  type: str
  sample: application/vnd.oci.image.manifest.v1+json
size:
  description: The size of the manifest itself, in bytes.
  returned: if the image exists
  type: int
  sample: 1158
manifest:
  description: The manifest, parsed.
  returned: if the image exists
  type: dict
  sample:
    schemaVersion: 2
    mediaType: application/vnd.oci.image.manifest.v1+json
raw:
  description: The manifest as the registry sent it, the text that RV(digest) belongs to.
  returned: if the image exists
  type: str
  sample: '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}'
headers:
  description:
    - The headers of the registry's answer by lower-case name.
    - Cookies, the headers of authentication, C(location), C(content-location) and C(refresh) are left out, and so are the
      queries of URLs in others, as they may hold signatures that give access.
  returned: if the image exists
  type: dict
  sample:
    content-type: application/vnd.oci.image.manifest.v1+json
    docker-content-digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
is_index:
  description: Whether the manifest is an index (for Docker, a manifest list), which has no layers but RV(platforms).
  returned: if the image exists
  type: bool
  sample: false
artifact_type:
  description: The type of an artifact, which is the media type of its configuration where it names none. V(null) for images.
  returned: if the image exists
  type: str
  sample: application/vnd.example.sbom
annotations:
  description: The annotations of the manifest.
  returned: if the image exists
  type: dict
  sample:
    org.opencontainers.image.version: 1.4.2
subject:
  description: The manifest that this one refers to, such as the image that a signature is about. V(null) if there is none.
  returned: if the image exists
  type: dict
  sample:
    media_type: application/vnd.oci.image.manifest.v1+json
    digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
    size: 1158
platforms:
  description: The entries of an index, in its order. Empty for anything else.
  returned: if the image exists
  type: list
  elements: dict
  contains:
    platform:
      description: The platform, V(null) if the entry names none. Common variants are left out, such as V(v8) of arm64.
      type: str
      sample: linux/arm64
    os_version:
      description: The version of the operating system if the entry names one, as for Windows.
      type: str
      sample: 10.0.20348.2527
    digest:
      description: The digest of the manifest.
      type: str
      sample: sha256:0f2b1c8f1a6b3e5d7c9a8b4f6e2d0c1b3a5f7e9d8c6b4a2f1e3d5c7b9a8f6e4d
    size:
      description: The size of the manifest itself, in bytes.
      type: int
      sample: 1158
    media_type:
      description: The media type of the manifest.
      type: str
      sample: application/vnd.oci.image.manifest.v1+json
    annotations:
      description: The annotations of the entry.
      type: dict
      sample: {}
    attestation_of:
      description: For a build attestation, the digest of the image that it is about. V(null) for images.
      type: str
      sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
    total_size:
      description: With O(sizes), like RV(total_size) for this entry, else V(null).
      type: int
      sample: 4194304
layers:
  description: The layers of an image from the bottom up, or the blobs of an artifact. Empty for an index.
  returned: if the image exists
  type: list
  elements: dict
  contains:
    digest:
      description: The digest of the layer.
      type: str
      sample: sha256:7c9e1f0a3b5d8e6f2a4c1d9b7e5f3a8c6b4d2e0f1a9c8b7d6e5f4a3b2c1d0e9f
    size:
      description: The size of the layer in bytes, compressed as it is. V(null) for schema 1.
      type: int
      sample: 2097152
    media_type:
      description: The media type of the layer. V(null) for schema 1.
      type: str
      sample: application/vnd.oci.image.layer.v1.tar+gzip
total_size:
  description:
    - How many bytes the image has, which are those of its configuration and layers. A blob that is used twice counts once.
    - For an index these are the bytes of all its images, without what they share. V(null) unless O(sizes) is set.
    - V(null) where it cannot be told, which is for schema 1 and for an index that lacks manifests.
  returned: if the image exists
  type: int
  sample: 4194304
config:
  description:
    - The configuration of the image. V(null) for an index, where O(platform) chooses an image, and for artifacts.
  returned: if the image exists and O(config) is set
  type: dict
  contains:
    platform:
      description: Operating system, architecture and variant in one. Common variants are left out, such as V(v8) of arm64.
      type: str
      sample: linux/arm64
    architecture:
      description: The architecture as it is written there.
      type: str
      sample: arm64
    os:
      description: The operating system.
      type: str
      sample: linux
    variant:
      description: The variant of the architecture, V(null) if there is none.
      type: str
      sample: v8
    created:
      description: When the image was built, as it is written there. V(null) if it is not.
      type: str
      sample: "2026-02-01T10:15:30Z"
    labels:
      description: The labels.
      type: dict
      sample:
        org.opencontainers.image.version: 1.4.2
    env:
      description: The environment variables, by name.
      type: dict
      sample:
        PATH: /usr/local/bin:/usr/bin:/bin
    entrypoint:
      description: The entry point.
      type: list
      elements: str
      sample: [/entrypoint.sh]
    cmd:
      description: The command.
      type: list
      elements: str
      sample: [serve, --all]
    user:
      description: The user, and perhaps the group, that it runs as. Empty if none is set.
      type: str
      sample: "1000:1000"
    working_dir:
      description: The working directory. Empty if none is set.
      type: str
      sample: /srv
    exposed_ports:
      description: The ports that the image says to listen on.
      type: list
      elements: str
      sample: [8080/tcp]
    full:
      description: The whole configuration, with history and digests of uncompressed layers.
      type: dict
      sample:
        architecture: arm64
        os: linux
error:
  description:
    - Details of the failure. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(not_found) or V(refused).
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
    url: https://registry.example.com/v2/team/app/manifests/1.4.2
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.inspection import inspect_manifest
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import TEXT

ARGUMENT_SPEC: dict[str, t.Any] = {
    "image": {"type": TEXT, "required": True},
    "platform": {"type": TEXT},
    "config": {"type": "bool", "default": False},
    "sizes": {"type": "bool", "default": False},
    "expected_digest": {"type": TEXT, "no_log": False},
}


def main() -> None:
    run(inspect_manifest, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
