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
  - Pushes an image from an OCI image layout, an archive or a plain directory on the host that runs the task, without a
    container engine there.
  - Taken are what ocikit.registry.registry_pull, C(docker save), C(podman save) and C(skopeo copy) write (C(oci:),
    C(oci-archive:), C(docker-archive:), C(dir:)). An archive is read where it lies. One that is compressed with gzip, bzip2,
    xz or zstd is unpacked once, to a file in C(TMPDIR) or C(/var/tmp) that is removed; zstd needs the Python library zstandard,
    or Python 3.14.
  - Layers are pushed as they are. Plain ones of C(docker save) stay plain, those in xz or bzip2 are refused, as registries take
    none.
  - An archive whose layers are not those that the configuration of the image lists is refused. Symbolic links in a layout or
    directory are not followed.
  - Every blob is verified on its way, sent once, and only if the repository lacks it. The manifest comes last.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
attributes:
  check_mode:
    details:
      - No write request is sent. What could be mounted is counted as RV(blobs.mounted), although the registry may refuse that.
options:
  src:
    description:
      - The layout, archive or directory.
    type: path
    required: true
    aliases: [path]
  name:
    description:
      - Which image of O(src) to push, by its name, its digest, or its position counted from V(0). A name is that in the
        index, its tag, or what C(docker load) and containerd call it, in familiar (V(app:1.4.2)) or full form.
      - May be left out if there is only one. Images without a name that belong to another one do not count, such as the
        platforms of an index and signatures.
    type: str
  image:
    description:
      - Where to push to, such as V(registry.example.com/team/app:1.4.2). With a digest instead of a tag, the image must
        have that one and is stored without a name.
    type: str
    required: true
    aliases: [to]
  tags:
    description:
      - Further tags in the repository of O(image).
    type: list
    elements: str
    default: []
  platforms:
    description:
      - Take only these platforms of an index, such as V(linux/arm64/v8). One platform gives that image without the index;
        several give a new index with its own digest.
      - Indexes within the index are searched as well. Where there is no image for the variant, one for the newest older variant is
        taken, and else one that names no platform. A version of Windows may follow, as in V(windows/amd64:10.0.20348).
      - Without it the whole index is taken.
    type: list
    elements: str
    default: []
    aliases: [platform]
  overwrite:
    description:
      - Whether a tag that points to another image may be moved. If V(false), the task fails before it writes anything.
    type: bool
    default: true
  foreign_layers:
    description:
      - Whether layers that are usually not distributed by registries are sent as well, instead of being left at their URLs.
    type: bool
    default: false
  if_digest:
    description:
      - The digest that every target must have at present, or V(absent) if it must not exist. The task fails otherwise.
    type: str
  mount_from:
    description:
      - Repositories of the same registry to look in for missing blobs, so that they are mounted instead of sent.
    type: list
    elements: str
    default: []
  max_unpacked_size:
    description:
      - The most bytes that a compressed archive in O(src), or a layer of C(docker save) in one, may unpack to, such as V(20GiB).
      - Without it, the limit is 100 times its own size, and at least 1 GiB.
    type: str
seealso:
  - module: ocikit.registry.registry_pull
  - module: ocikit.registry.registry_append
"""

EXAMPLES = r"""
---
- name: Push what docker save or podman save wrote
  ocikit.registry.registry_push:
    src: /srv/images/app.tar
    image: registry.example.com/team/app:1.4.2
    tags:
      - stable

- name: Push one image of a bundle, whose base layers the registry has in another repository
  ocikit.registry.registry_push:
    src: /srv/bundles/2026-11.tar
    name: registry.example.com/team/app:1.5.0
    image: registry.site.example.com/team/app:1.5.0
    mount_from:
      - base/python
"""

RETURN = r"""
images:
  description: The images, in the order they were named.
  returned: success
  type: list
  elements: dict
  contains:
    image:
      description: The image that was read.
      type: str
    digest:
      description: The digest of what the targets have now (in check mode, would have).
      type: str
    source_digest:
      description: The digest of the image that was read. It differs if some platforms of an index were chosen.
      type: str
    targets:
      description: Full references of the targets.
      type: list
      elements: str
  sample:
    - image: /srv/images/app.tar
      digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      source_digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      targets:
        - registry.example.com/team/app:1.4.2
targets:
  description: All targets.
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
  sample:
    - image: registry.example.com/team/app:1.4.2
      digest_before: sha256:1d34ffeaf190be23d3de5a8de0a436676b758f48f835c3a2d4768b798c15a7f1
      digest: sha256:8ac49a4c1d4bfae1a2b3e1e0b4a5f9d8d4f5c1c0e7d4a3b2918f7e6d5c4b3a29
      changed: true
      repaired: false
blobs:
  description: What had to move (in check mode, would have to).
  returned: success
  type: dict
  contains:
    missing:
      description: How many blobs were sent (in check mode, would have to be).
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
  sample:
    missing: 3
    missing_bytes: 31457280
    mounted: 0
    present: 2
    foreign: 0
error:
  description:
    - The failure in parts. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(not_found) or V(refused).
      C(status), C(code), C(message) and C(detail) are the registry's answer to the request C(method) C(url).
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
}


def main() -> None:
    run(push, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
