#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_manifest_info
short_description: Read the manifest, platforms, configuration and sizes of an image
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Reads a manifest or an index and returns its digest, content, platforms, layers and sizes. With O(config), it also returns the
    configuration of the image, with labels, environment and command.
  - Digests are computed from the bytes that the registry sent. Its headers are not trusted, except with O(content=false).
  - If the image or the repository does not exist, the task succeeds with RV(exists=false).
  - Images, indexes and artifacts of Docker and of OCI are supported, and also Docker's schema 1, which has no sizes.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  image:
    description:
      - Image, by tag or digest, such as V(registry.example.com/team/app:1.4.2). The default tag is V(latest).
    type: str
    required: true
  content:
    description:
      - Whether to read the content of the manifest.
      - With V(false), one HEAD request is sent, which Docker Hub does not count as a pull, and RV(exists), RV(image), RV(digest),
        RV(pinned), RV(media_type) and RV(size) are returned. The digest is the one that the registry names.
      - V(false) cannot be combined with O(platform), O(config) and O(sizes).
    type: bool
    default: true
  platform:
    description:
      - Platform to select from an index, as operating system, architecture and variant, such as V(linux/arm64/v8).
      - If O(image) is an index, all results are those of its image for this platform. This takes a second request. If O(image) is a
        single image, its configuration must have this platform.
      - Nested indexes are searched as well. If there is no image for the variant, an image for the newest older variant is used,
        else an image without a platform. A Windows version can follow, as in V(windows/amd64:10.0.20348).
      - The task fails if there is no image for the platform, and the message lists the platforms of the index.
    type: str
  config:
    description:
      - Whether to return the configuration of the image as RV(config). This takes one more request.
    type: bool
    default: false
  sizes:
    description:
      - Whether to compute the sizes of an index. This takes one request for each manifest of the index.
      - The size of a single image needs no request and is always returned.
    type: bool
    default: false
  expected_digest:
    description:
      - Digest that O(image) must have. The task fails if it has another digest or does not exist.
      - With O(platform), this is the digest of the index.
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

- name: Show the size of the image
  ansible.builtin.debug:
    msg: "{{ app.image }} has {{ app.layers | length }} layers and {{ app.total_size | human_readable }}."
  when: app.exists

- name: Fail unless the tag is the image that was tested
  ocikit.registry.registry_manifest_info:
    image: registry.example.com/team/app:1.4.2
    expected_digest: "{{ tested_digest }}"

- name: Look up the digest only
  ocikit.registry.registry_manifest_info:
    image: registry.example.com/team/app:1.4.2
    content: false
  register: current

- name: Read labels and environment of the image for one platform
  ocikit.registry.registry_manifest_info:
    image: registry.example.com/team/app:1.4.2
    platform: linux/arm64/v8
    config: true
  register: arm

- name: Show the revision and the creation time
  ansible.builtin.debug:
    msg: "{{ arm.config.labels['org.opencontainers.image.revision'] }}, {{ arm.config.created }}"

- name: Read the sizes of all images of an index
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
  description: Digest of the manifest. V(null) if the image does not exist.
  returned: success
  type: str
  sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
pinned:
  description: Pinned reference of the image, with its digest in place of the tag.
  returned: if the image exists
  type: str
  sample: registry.example.com/team/app@sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
index_digest:
  description: Digest of the index that O(platform) selected the manifest from. V(null) if nothing was selected.
  returned: if the image exists and O(content=true)
  type: str
  sample: sha256:8a3f1d7e0a9b5c64f1f0f7b6d1a7f5f2b1f24cf5dfb0ab8f2a4d6f8d0c1b2a39
media_type:
  description: Media type of the manifest.
  returned: if the image exists
  type: str
  sample: application/vnd.oci.image.manifest.v1+json
size:
  description: Size of the manifest itself in bytes.
  returned: if the image exists
  type: int
  sample: 1158
manifest:
  description: Manifest, parsed.
  returned: if the image exists and O(content=true)
  type: dict
  sample:
    schemaVersion: 2
    mediaType: application/vnd.oci.image.manifest.v1+json
raw:
  description: Manifest as the registry sent it. RV(digest) is the digest of this text.
  returned: if the image exists and O(content=true)
  type: str
  sample: '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}'
headers:
  description:
    - Headers of the response, by their names in lower case.
    - Cookies, the headers of authentication, C(location), C(content-location) and C(refresh) are omitted. So are the queries of URLs
      in other headers, because they may contain signatures that give access.
  returned: if the image exists and O(content=true)
  type: dict
  sample:
    content-type: application/vnd.oci.image.manifest.v1+json
    docker-content-digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
is_index:
  description: Whether the manifest is an index (in Docker's terms, a manifest list). An index has RV(platforms) and no layers.
  returned: if the image exists and O(content=true)
  type: bool
  sample: false
artifact_type:
  description: Type of an artifact, by default the media type of its configuration. V(null) for images.
  returned: if the image exists and O(content=true)
  type: str
  sample: application/vnd.example.sbom
annotations:
  description: Annotations of the manifest.
  returned: if the image exists and O(content=true)
  type: dict
  sample:
    org.opencontainers.image.version: 1.4.2
subject:
  description: Subject of the manifest, such as the image that a signature refers to. V(null) if there is none.
  returned: if the image exists and O(content=true)
  type: dict
  sample:
    media_type: application/vnd.oci.image.manifest.v1+json
    digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
    size: 1158
platforms:
  description: Entries of an index, in its order. Empty for other manifests.
  returned: if the image exists and O(content=true)
  type: list
  elements: dict
  contains:
    platform:
      description: Platform. V(null) if the entry has none. Default variants are omitted, such as V(v8) of arm64.
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
      description: Annotations of the entry.
      type: dict
      sample: {}
    attestation_of:
      description: Digest of the image that a build attestation refers to. V(null) for images.
      type: str
      sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
    total_size:
      description: Total size of this entry in bytes, computed as RV(total_size). V(null) without O(sizes).
      type: int
      sample: 4194304
layers:
  description: Layers of an image from bottom to top, or blobs of an artifact. Empty for an index.
  returned: if the image exists and O(content=true)
  type: list
  elements: dict
  contains:
    digest:
      description: Digest of the layer.
      type: str
      sample: sha256:7c9e1f0a3b5d8e6f2a4c1d9b7e5f3a8c6b4d2e0f1a9c8b7d6e5f4a3b2c1d0e9f
    size:
      description: Size of the compressed layer in bytes. V(null) for schema 1.
      type: int
      sample: 2097152
    media_type:
      description: Media type of the layer. V(null) for schema 1.
      type: str
      sample: application/vnd.oci.image.layer.v1.tar+gzip
total_size:
  description:
    - Total size in bytes of the configuration and the layers. A blob that is used twice counts once.
    - For an index, the total size of all its images, where shared blobs count once. V(null) unless O(sizes=true).
    - V(null) for schema 1, and for an index whose manifests are missing.
  returned: if the image exists and O(content=true)
  type: int
  sample: 4194304
config:
  description:
    - Configuration of the image. V(null) for artifacts, and for an index unless O(platform) selects an image.
  returned: if the image exists and O(config) is set
  type: dict
  contains:
    platform:
      description: Operating system, architecture and variant. Default variants are omitted, such as V(v8) of arm64.
      type: str
      sample: linux/arm64
    architecture:
      description: Architecture, as in the configuration.
      type: str
      sample: arm64
    os:
      description: Operating system.
      type: str
      sample: linux
    variant:
      description: Variant of the architecture. V(null) if there is none.
      type: str
      sample: v8
    created:
      description: Creation time of the image, as in the configuration. V(null) if there is none.
      type: str
      sample: "2026-02-01T10:15:30Z"
    labels:
      description: Labels.
      type: dict
      sample:
        org.opencontainers.image.version: 1.4.2
    env:
      description: Environment variables, by name.
      type: dict
      sample:
        PATH: /usr/local/bin:/usr/bin:/bin
    entrypoint:
      description: Entry point.
      type: list
      elements: str
      sample: [/entrypoint.sh]
    cmd:
      description: Command.
      type: list
      elements: str
      sample: [serve, --all]
    user:
      description: User, and after a colon the group, that containers run as. Empty if none is set.
      type: str
      sample: "1000:1000"
    working_dir:
      description: Working directory. Empty if none is set.
      type: str
      sample: /srv
    exposed_ports:
      description: Ports that the image declares.
      type: list
      elements: str
      sample: [8080/tcp]
    full:
      description: Complete configuration, including the history and the digests of uncompressed layers.
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
    "content": {"type": "bool", "default": True},
    "platform": {"type": TEXT},
    "config": {"type": "bool", "default": False},
    "sizes": {"type": "bool", "default": False},
    "expected_digest": {"type": TEXT, "no_log": False},
}


def main() -> None:
    run(inspect_manifest, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
