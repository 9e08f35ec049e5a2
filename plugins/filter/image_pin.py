# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: image_pin
short_description: Pin an image reference to a digest
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Creates a pinned reference from an image reference and a known digest. No request is sent to a registry. Use
    P(ocikit.registry.registry_digest#lookup) to look up the digest.
positional: digest
options:
  _input:
    description:
      - Image or repository, such as V(registry.example.com/team/app:1.4.2).
      - If it has a digest, it must be the same as O(digest).
    type: str
    required: true
  digest:
    description:
      - Digest to pin to, such as RV(ocikit.registry.registry_tag#module:digest).
    type: str
    required: true
  keep_tag:
    description:
      - Whether to keep the tag in the reference, before the digest.
    type: bool
    default: false
  registry:
    description:
      - >-
        Registry of a reference without a host, as a host such as V(registry.example.com:5000), or as a URL.
      - By default such references belong to Docker Hub.
    type: str
seealso:
  - plugin: ocikit.registry.image_reference
    plugin_type: filter
  - plugin: ocikit.registry.registry_digest
    plugin_type: lookup
"""

EXAMPLES = r"""
---
- name: Promote an image
  ocikit.registry.registry_tag:
    image: registry.example.com/team/app:1.4.2
    tags:
      - stable
  register: promoted

- name: Show the pinned reference
  ansible.builtin.debug:
    # registry.example.com/team/app@sha256:...
    msg: "{{ promoted.image | ocikit.registry.image_pin(promoted.digest) }}"

- name: Show the pinned reference with its tag
  ansible.builtin.debug:
    # registry.example.com/team/app:1.4.2@sha256:...
    msg: "{{ promoted.image | ocikit.registry.image_pin(promoted.digest, keep_tag=true) }}"

- name: Pin an image without a host
  ansible.builtin.debug:
    # registry.example.com/team/app@sha256:...
    msg: "{{ 'team/app' | ocikit.registry.image_pin(promoted.digest, registry='registry.example.com') }}"
"""

RETURN = r"""
_value:
  description: Pinned reference.
  type: str
  sample: registry.example.com/team/app@sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
"""

import typing as t
from dataclasses import replace

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import check_digest, parse
from ansible_collections.ocikit.registry.plugins.plugin_utils._filter import as_filter, flag, text


def image_pin(image: t.Any, digest: t.Any, keep_tag: t.Any = False, registry: t.Any = None) -> str:
    """Return the reference ``image`` with ``digest``, and its tag if ``keep_tag``. Raises InvalidInput."""
    reference = parse(text(image, "The image"), None if registry is None else text(registry, "registry"))
    pinned = replace(reference, digest=check_digest(text(digest, "The digest")))
    if reference.digest not in (None, pinned.digest):
        raise InvalidInput(f"{reference} is pinned already, and not to {pinned.digest}.")
    return str(pinned) if flag(keep_tag, "keep_tag") else pinned.pinned(str(pinned.digest))


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"image_pin": as_filter(image_pin)}
