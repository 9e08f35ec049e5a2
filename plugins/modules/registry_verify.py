#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_verify
short_description: Verify images before a deployment
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Fails unless all images exist and meet all requirements. Every violation is listed, each on a line of its own.
  - Images are looked up in parallel with one HEAD request each. Further requests are sent only for indexes, and where a
    requirement needs them.
  - Everything in an index that a container engine could run is an image, whatever its entry says, except for attestations with
    the platform C(unknown/unknown) and the annotation C(vnd.docker.reference.digest). An image that cannot be read or
    understood is a violation. So is an index without images, and the placeholder of an interrupted M(ocikit.registry.registry_rmtag).
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  images:
    description:
      - Images to verify, each a reference, or a dictionary of C(image) and requirements of its own.
      - A requirement of an image replaces the option of the same name. These are O(pinned), O(allow_moved_tags),
        O(forbidden_tags), O(platforms), O(max_size), O(max_age), O(allow_unknown_age), O(labels) and O(referrers).
      - Without this option all images of O(lock) are verified.
    type: list
    elements: raw
    default: []
  lock:
    description:
      - Lock file, as the role P(ocikit.registry.promote#role) writes it. Every image must be in it, with the digest that the
        image has now.
      - Either its path on the host that runs the task, its text, or the list that it holds. Each entry has C(image), a
        reference by tag, and C(digest). Further keys are allowed, but none twice, and none that differs from these in case only.
      - A file in YAML needs PyYAML on the host that runs the task, one in JSON does not.
    type: raw
  pinned:
    description:
      - Whether every image must be written with its digest. If it has a tag as well, the tag must still point to the digest.
    type: bool
    default: false
  allow_moved_tags:
    description:
      - Whether tags may have moved since a digest was written behind them, or into O(lock). The digest then decides which
        image is verified.
    type: bool
    default: false
  forbidden_tags:
    description:
      - Tags that must not be used, as shell patterns, or as regular expressions after C(regex:). An image that is written
        without tag and digest has the tag V(latest).
    type: list
    elements: raw
    default: []
  platforms:
    description:
      - Platforms that the image must have, such as V(linux/arm64/v8). O(max_size), O(max_age) and O(labels) then apply to the
        images for these platforms. Otherwise they apply to all images of an index.
      - An image that does not name its platform, neither in an index nor in its configuration, is a violation. All images of
        an index whose entries name no platform are verified as well, because some engines run them.
    type: list
    elements: raw
    default: []
  max_size:
    description:
      - Maximum size of the image for each platform. Configuration and compressed layers count.
      - In bytes, or with a unit such as V(500MB) (powers of 1000) or V(1.5GiB) (powers of 1024).
    type: str
  max_age:
    description:
      - Maximum time since the image was created, such as V(12h), V(30d), V(2w), V(6mo) or V(1y). V(6m) is refused, as
        it may be minutes or months; write V(6min) or V(6mo).
      - The time of creation is taken from the annotation C(org.opencontainers.image.created), else from the image's
        configuration, else from the label of that name, else from the latest step of its history.
    type: str
  allow_unknown_age:
    description:
      - Whether an image passes O(max_age) if it does not tell when it was created, or tells a time before there were images,
        as reproducible builds do, or in the future.
    type: bool
    default: false
  labels:
    description:
      - Labels that the image must have. The value of each must match a shell pattern, or a regular expression after
        C(regex:). With an empty pattern the label must exist with any value.
    type: dict
    default: {}
  referrers:
    description:
      - Artifact types that must exist among the referrers of the image, as shell patterns, or as regular expressions after
        C(regex:). V(cosign) stands for a signature of cosign, under its tag or among the referrers.
      - A referrer counts if its own manifest exists, names the image as its subject, and has the type. What a list of referrers
        says is not enough. At most 100 referrers are read.
      - This option does not verify who made them.
    type: list
    elements: raw
    default: []
  report_only:
    description:
      - Whether to return violations only, and not to fail the task because of them.
    type: bool
    default: false
notes:
  - A registry that does not answer, or that fails, always fails the task, also with O(report_only).
seealso:
  - module: ocikit.registry.registry_promote
  - module: ocikit.registry.registry_manifest_info
  - module: ocikit.registry.registry_referrers_info
"""

EXAMPLES = r"""
---
- name: Require pinned, signed, small and recent images
  ocikit.registry.registry_verify:
    images:
      - registry.example.com/team/app:1.4.2@sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      - image: registry.example.com/team/database@sha256:9c2f5bd1a4b0e6d3f78c21a5e9d0b4f6a7c8e1d2b3f4a5968778695a4b3c2d1e
        max_size: 2GB
    pinned: true
    platforms:
      - linux/amd64
      - linux/arm64
    max_size: 500MB
    max_age: 90d
    labels:
      org.opencontainers.image.source: https://git.example.com/*
      org.opencontainers.image.revision:
    referrers:
      - cosign
      - application/vnd.cyclonedx+json

- name: Verify that no tag has moved since the promotion
  ocikit.registry.registry_verify:
    lock: "{{ playbook_dir }}/images.lock.yml"
  register: verified

- name: Report which running images have forbidden tags
  ocikit.registry.registry_verify:
    images: "{{ running_images }}"
    forbidden_tags:
      - latest
      - "*-rc*"
    report_only: true
  register: report
"""

RETURN = r"""
passed:
  description: Whether all images meet all requirements.
  returned: success, and on failure once all images were verified
  type: bool
  sample: false
images:
  description: The images, in the order of the option.
  returned: success, and on failure once all images were verified
  type: list
  elements: dict
  contains:
    image:
      description: The image as a full reference.
      type: str
    digest:
      description: The digest that was verified, V(null) if the image does not exist or cannot be read.
      type: str
    pinned:
      description: The image by that digest. Deploy this reference.
      type: str
    passed:
      description: Whether the image meets all requirements.
      type: bool
  sample:
    - image: registry.example.com/team/app:1.4.2
      digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      pinned: registry.example.com/team/app@sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      passed: false
violations:
  description: The requirements that are not met.
  returned: success, and on failure once all images were verified
  type: list
  elements: dict
  contains:
    image:
      description: The image as a full reference.
      type: str
    demand:
      description:
        - Name of the option that is not met; V(exists) if the image does not exist, or is none; V(readable) if it cannot be
          read or understood.
      type: str
    message:
      description: What is wrong, on one line.
      type: str
  sample:
    - image: registry.example.com/team/app:1.4.2
      demand: platforms
      message: "it lacks linux/arm64: it has linux/amd64."
error:
  description:
    - The failure as data. RV(ignore:error.kind) is V(refused) where requirements are not met, and another stable name such as
      V(unreachable) or V(invalid_input) where the images could not be verified.
      C(status), C(code), C(message) and C(detail) are the registry's answer to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: refused
    status:
    code:
    message:
    detail:
    method:
    url:
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST
from ansible_collections.ocikit.registry.plugins.module_utils._verify.requirements import REQUIREMENTS
from ansible_collections.ocikit.registry.plugins.module_utils._verify.verification import verify_images

_DEFAULTS: dict[str, t.Any] = {"bool": False, "list": [], "dict": {}}
ARGUMENT_SPEC: dict[str, t.Any] = {
    "images": {"type": LIST, "elements": "raw", "default": []},
    "lock": {"type": "raw"},
    **{
        name: {**spec, "default": _DEFAULTS[spec["type"]]} if spec["type"] in _DEFAULTS else spec
        for name, spec in REQUIREMENTS.items()
    },
    "report_only": {"type": "bool", "default": False},
}


def main() -> None:
    run(verify_images, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
