#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_referrers_info
short_description: List signatures, SBOMs and attestations of an image
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Lists the referrers of an image, such as signatures, SBOMs and attestations.
  - Manifests whose subject is the image are found with the referrers API, or with the fallback tag if the registry has no such API.
  - Signatures, attestations and SBOMs of cosign are found by their tags, such as C(sha256-….sig).
  - Build attestations of BuildKit are found in the index of the image.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  image:
    description:
      - Image, by tag or digest, such as V(registry.example.com/team/app:1.4.2).
    type: str
    required: true
  artifact_type:
    description:
      - Artifact type of the referrers to list. Referrers of unknown type are omitted. By default all referrers are listed.
    type: str
  children:
    description:
      - Whether to list the referrers of each image of an index and of nested indexes as well. By default only referrers of the index
        itself are listed.
    type: bool
    default: false
"""

EXAMPLES = r"""
---
- name: List all referrers of a release and of its platforms
  ocikit.registry.registry_referrers_info:
    image: registry.example.com/team/app:1.4.2
    children: true
  register: found

- name: Fail if there is no signature of cosign, whoever made it (registry_verify verifies who signed)
  ocikit.registry.registry_verify:
    images: [registry.example.com/team/app:1.4.2]
    referrers: [cosign]

- name: Show the types of the referrers
  ansible.builtin.debug:
    msg: "{{ found.referrers | map(attribute='artifact_type') | unique }}"

- name: List the SBOMs in SPDX format
  ocikit.registry.registry_referrers_info:
    image: registry.example.com/team/app:1.4.2
    artifact_type: application/spdx+json
  register: sboms

- name: Read the manifest of the first SBOM
  ocikit.registry.registry_manifest_info:
    image: "registry.example.com/team/app@{{ sboms.referrers[0].digest }}"
  when: sboms.referrers != []
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
  description: Digest of the image. V(null) if it does not exist.
  returned: success
  type: str
  sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
referrers:
  description:
    - Referrers, for each subject first those of the API or the fallback tag, then those of cosign's tags, then those in the index.
    - A referrer that is found in two ways is listed twice.
  returned: success
  type: list
  elements: dict
  contains:
    subject:
      description: Digest of the image that the referrer refers to.
      type: str
    digest:
      description: Digest of the manifest of the referrer.
      type: str
    media_type:
      description: Media type of the manifest of the referrer.
      type: str
    artifact_type:
      description: Artifact type of the referrer, by default the media type of its configuration. V(null) if it is not known.
      type: str
    size:
      description: Size of the manifest of the referrer in bytes.
      type: int
    annotations:
      description: Annotations of the referrer, or for a build attestation those of its entry in the index.
      type: dict
    source:
      description:
        - Where the referrer was found. V(api), V(fallback_tag), V(cosign_tag), or V(attestation) for an entry of the index.
      type: str
    tag:
      description: Tag of the referrer.
      returned: if it was found by a tag of cosign
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
