# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: image_reference
short_description: Parse an image reference
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Parses an image reference as container engines do, and returns its parts. No request is sent to a registry.
positional: registry
options:
  _input:
    description:
      - Image or repository, such as V(registry.example.com/team/app:1.4.2).
    type: str
    required: true
  registry:
    description:
      - >-
        Registry of a reference without a host, as a host such as V(registry.example.com:5000), or as a URL.
      - By default such references belong to Docker Hub.
    type: str
seealso:
  - plugin: ocikit.registry.image_pin
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: Show the repository of an image
  ansible.builtin.debug:
    # registry.example.com:5000/team/app
    msg: "{{ ('registry.example.com:5000/team/app:1.4.2' | ocikit.registry.image_reference).name }}"

- name: Show the full reference of a short name
  ansible.builtin.debug:
    # docker.io/library/busybox
    msg: "{{ ('busybox' | ocikit.registry.image_reference).reference }}"

- name: Show the repository of an image without a host
  ansible.builtin.debug:
    # registry.example.com/team/app
    msg: "{{ ('team/app:1.4.2' | ocikit.registry.image_reference('registry.example.com')).name }}"

- name: Show the tag of an image
  ansible.builtin.debug:
    # 1.4.2
    msg: "{{ ('team/app:1.4.2' | ocikit.registry.image_reference).tag }}"

- name: Fail unless all images are pinned and from one registry
  ansible.builtin.assert:
    that:
      - (item | ocikit.registry.image_reference).registry == 'registry.example.com'
      - (item | ocikit.registry.image_reference).digest is not none
  loop: "{{ images }}"
"""

RETURN = r"""
_value:
  description: Parts of the reference.
  type: dict
  contains:
    reference:
      description: Full reference.
      type: str
    registry:
      description: Registry, with its port if there is one. V(docker.io) for Docker Hub.
      type: str
    repository:
      description: Repository without the registry.
      type: str
    name:
      description: Registry and repository.
      type: str
    tag:
      description: Tag. V(none) if the reference has no tag.
      type: str
    digest:
      description: Digest. V(none) if the reference has no digest.
      type: str
  sample:
    reference: registry.example.com/team/app:1.4.2
    registry: registry.example.com
    repository: team/app
    name: registry.example.com/team/app
    tag: 1.4.2
    digest:
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import parse
from ansible_collections.ocikit.registry.plugins.plugin_utils._filter import as_filter, text


def image_reference(image: t.Any, registry: t.Any = None) -> dict[str, str | None]:
    """Return the parts of the reference ``image``; ``registry`` is that of one without a host. Raises InvalidInput."""
    reference = parse(text(image, "The image"), None if registry is None else text(registry, "registry"))
    return {
        "reference": str(reference),
        "registry": reference.registry,
        "repository": reference.repository,
        "name": reference.name,
        "tag": reference.tag,
        "digest": reference.digest,
    }


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"image_reference": as_filter(image_reference)}
