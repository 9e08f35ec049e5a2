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
  - Fails unless all images exist and meet all demands. Every violation is listed at once, on a line of its own.
  - Images are looked up in parallel with a HEAD request each; more is asked only where a demand needs it.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  images:
    description:
      - The images to be verified, each a reference, or a dictionary of C(image) and demands of its own.
      - A demand of an image takes the place of the option of the same name. These are O(pinned), O(allow_moved_tags),
        O(forbidden_tags), O(platforms), O(max_size), O(max_age), O(allow_unknown_age), O(labels) and O(referrers).
      - Without it all images of O(lock) are verified.
    type: list
    elements: raw
    default: []
  lock:
    description:
      - A lock file, as the role P(ocikit.registry.promote#role) writes it, that every image must be in with the digest that
        it has now.
      - Its path on the host that runs the task, its text, or the list that it holds. Each entry has C(image), a reference
        by tag, and C(digest); more keys are allowed.
      - A file in YAML needs PyYAML on the host that runs the task, one in JSON does not.
    type: raw
  pinned:
    description:
      - Whether every image must be written with its digest. If it has a tag as well, that must still point to the digest.
    type: bool
    default: false
  allow_moved_tags:
    description:
      - Whether tags may have moved since a digest was written behind them, or into O(lock). The image is then the one of
        that digest.
    type: bool
    default: false
  forbidden_tags:
    description:
      - Tags that must not be used, as shell patterns, or as regular expressions after C(regex:). An image that is written
        without tag and digest has the tag V(latest).
    type: list
    elements: str
    default: []
  platforms:
    description:
      - Platforms that must be there, such as V(linux/arm64/v8). O(max_size), O(max_age) and O(labels) are then about their
        images alone, else about all images of an index.
    type: list
    elements: str
    default: []
  max_size:
    description:
      - The size that an image may have at most, configuration and compressed layers together, for each platform.
      - In bytes, or with a unit such as V(500MB) (powers of 1000) or V(1.5GiB) (powers of 1024).
    type: str
  max_age:
    description:
      - The time since an image was made, at most, such as V(12h), V(30d), V(2w) or V(1y).
      - When it was made says the first of the annotation C(org.opencontainers.image.created), the image's configuration, the
        label of that name, and the latest step of its history.
    type: str
  allow_unknown_age:
    description:
      - Whether an image passes O(max_age) that does not tell when it was made, or that tells a time before there were
        images, as reproducible builds do, or in the future.
    type: bool
    default: false
  labels:
    description:
      - Labels that an image must have, each with what its value has to match, a shell pattern or a regular expression after
        C(regex:). If that is empty, the label must be there, whatever its value.
    type: dict
    default: {}
  referrers:
    description:
      - Artifact types that must be there among what refers to the image, as shell patterns, or as regular expressions after
        C(regex:). V(cosign) stands for a signature of cosign, which is kept under a tag.
      - Only that they exist is verified, not who made them; that takes the keys and tools of whoever signs.
    type: list
    elements: str
    default: []
  report_only:
    description:
      - Whether violations are only returned, and do not fail the task.
    type: bool
    default: false
notes:
  - A registry that does not answer, or fails, is never taken for one where all is well, also with O(report_only).
seealso:
  - module: ocikit.registry.registry_promote
  - module: ocikit.registry.registry_manifest_info
  - module: ocikit.registry.registry_referrers_info
"""

EXAMPLES = r"""
---
- name: Deploy only what is pinned, signed, small and not too old
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

- name: Verify that all tags are still what was promoted
  ocikit.registry.registry_verify:
    lock: "{{ playbook_dir }}/images.lock.yml"
  register: verified

- name: See which images a cluster should not run
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
  description: Whether all images meet all demands.
  returned: success, and on failure once all images were verified
  type: bool
  sample: false
images:
  description: The images, in the order they were named.
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
      description: The image by that digest, which nothing can move.
      type: str
    passed:
      description: Whether it meets all demands.
      type: bool
  sample:
    - image: registry.example.com/team/app:1.4.2
      digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      pinned: registry.example.com/team/app@sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      passed: false
violations:
  description: The demands that are not met.
  returned: success, and on failure once all images were verified
  type: list
  elements: dict
  contains:
    image:
      description: The image as a full reference.
      type: str
    demand:
      description:
        - The name of the option that is not met, or V(exists), or V(readable) if the registry does not hand it out.
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
    - The failure in parts. RV(ignore:error.kind) is V(refused) where demands are not met, and another stable name such as
      V(unreachable) or V(invalid_input) where they could not be verified.
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

from ansible_collections.ocikit.registry.plugins.module_utils._errors import Refused
from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.context import ModuleContext
from ansible_collections.ocikit.registry.plugins.module_utils._verify.requirements import (
    REQUIREMENTS,
    read_checks,
    verify,
)

_DEFAULTS: dict[str, t.Any] = {"bool": False, "list": [], "dict": {}}
ARGUMENT_SPEC: dict[str, t.Any] = {
    "images": {"type": "list", "elements": "raw", "default": []},
    "lock": {"type": "raw"},
    **{
        name: {**spec, "default": _DEFAULTS[spec["type"]]} if spec["type"] in _DEFAULTS else spec
        for name, spec in REQUIREMENTS.items()
    },
    "report_only": {"type": "bool", "default": False},
}


def verify_images(context: ModuleContext) -> dict[str, t.Any]:
    findings = verify(context.clients, read_checks(context.clients, context.params))
    violations = [violation for finding in findings for violation in finding.violations]
    result = {
        "changed": False,
        "passed": not violations,
        "images": [
            {
                "image": finding.image,
                "digest": finding.digest,
                "pinned": finding.pinned,
                "passed": not finding.violations,
            }
            for finding in findings
        ],
        "violations": [violation._asdict() for violation in violations],
    }
    if violations and not context.params["report_only"]:
        lines = "".join(f"\n{violation.image}: {violation.message}" for violation in violations)
        bad = sum(bool(finding.violations) for finding in findings)
        error = Refused(f"{bad} of {len(findings)} images must not be deployed:{lines}")
        error.result = result
        raise error
    return result


def main() -> None:
    run(verify_images, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
