#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_referrers_info
short_description: Find signatures, SBOMs and attestations of an image
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Lists what refers to an image, in all the ways that are in use.
  - Manifests whose subject is the image are found by the referrers API of the registry, or, where there is none, by the
    tag that clients keep in its place.
  - Signatures, attestations and SBOMs of cosign are found by their tags, such as C(sha256-….sig).
  - Build attestations that BuildKit puts beside an image are found in the image's own index.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  image:
    description:
      - The image, by tag or digest, such as V(registry.example.com/team/app:1.4.2).
    type: str
    required: true
  artifact_type:
    description:
      - List only referrers of this type. Those whose type is not known are left out.
    type: str
  children:
    description:
      - Whether to look also for referrers of each image in an index, and in the indexes within it, and not of the index alone.
    type: bool
    default: false
"""

EXAMPLES = r"""
---
- name: Find everything that refers to a release
  ocikit.registry.registry_referrers_info:
    image: registry.example.com/team/app:1.4.2
    children: true
  register: found

- name: Fail if there is no signature of cosign, whoever made it (registry_verify verifies who signed)
  ocikit.registry.registry_verify:
    images: [registry.example.com/team/app:1.4.2]
    referrers: [cosign]

- name: Find its SBOMs in SPDX format
  ocikit.registry.registry_referrers_info:
    image: registry.example.com/team/app:1.4.2
    artifact_type: application/spdx+json
"""

RETURN = r"""
image:
  description: Image, as a full reference.
  returned: success
  type: str
  sample: registry.example.com/team/app:1.4.2
exists:
  description: Whether the image exists.
  returned: success
  type: bool
  sample: true
digest:
  description: The digest of the image, V(null) if it does not exist.
  returned: success
  type: str
  sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
referrers:
  description:
    - What refers to the image, for each subject first by API or tag, then cosign's, and the index's own at the end.
    - Something that is found in two ways is listed twice.
  returned: success
  type: list
  elements: dict
  contains:
    subject:
      description: The digest that it refers to.
      type: str
    digest:
      description: The digest of the referrer's manifest.
      type: str
    media_type:
      description: The media type of this manifest.
      type: str
    artifact_type:
      description: What it is, by its own word or else the media type of its config. V(null) if that is not known.
      type: str
    size:
      description: The size of this manifest in bytes.
      type: int
    annotations:
      description: The annotations of this manifest; of a build attestation those that the index gives it.
      type: dict
    source:
      description:
        - How it was found. By the V(api), by the V(fallback_tag), by a V(cosign_tag), or as an V(attestation) in the index.
      type: str
    tag:
      description: The tag that points to it.
      returned: if it was found by cosign's tag
      type: str
  sample:
    - subject: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      digest: sha256:0ba0ac3b09c9f3b2d90fb35ae0f68d0ac9ee3dce5a8ba2ddd5a6a3ba0d7b9b71
      media_type: application/vnd.oci.image.manifest.v1+json
      artifact_type: application/spdx+json
      size: 744
      annotations:
        org.opencontainers.image.created: "2026-01-15T08:30:00Z"
      source: api
error:
  description:
    - Details of the failure. RV(ignore:error.kind) is a stable name such as V(unauthorized) or V(unreachable).
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
from ansible_collections.ocikit.registry.plugins.module_utils._registry.inspection import inspect_referrers
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import TEXT

ARGUMENT_SPEC: dict[str, t.Any] = {
    "image": {"type": TEXT, "required": True},
    "artifact_type": {"type": TEXT},
    "children": {"type": "bool", "default": False},
}


def main() -> None:
    run(inspect_referrers, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
