# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: image_reference
short_description: Take an image reference apart
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Reads an image reference as container engines do and gives its parts. Nothing is asked of a registry.
positional: registry
options:
  _input:
    description:
      - An image or a repository, such as V(registry.example.com/team/app:1.4.2).
    type: str
    required: true
  registry:
    description:
      - >-
        The registry that a reference without a host belongs to: a host such as V(registry.example.com:5000),
        or a URL.
      - Without it such references belong to Docker Hub.
    type: str
seealso:
  - plugin: ocikit.registry.image_pin
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: Name the repository of an image
  ansible.builtin.debug:
    # registry.example.com:5000/team/app
    msg: "{{ ('registry.example.com:5000/team/app:1.4.2' | ocikit.registry.image_reference).name }}"

- name: Write a short name in full
  ansible.builtin.debug:
    # docker.io/library/busybox
    msg: "{{ ('busybox' | ocikit.registry.image_reference).reference }}"

- name: Accept only images of our registry that are pinned
  ansible.builtin.assert:
    that:
      - (item | ocikit.registry.image_reference).registry == 'registry.example.com'
      - (item | ocikit.registry.image_reference).digest is not none
  loop: "{{ images }}"
"""

RETURN = r"""
_value:
  description: The parts of the reference.
  type: dict
  contains:
    reference:
      description: The reference in full.
      type: str
    registry:
      description: The registry, with its port if one is written. V(docker.io) for Docker Hub.
      type: str
    repository:
      description: The repository, without the registry.
      type: str
    name:
      description: Registry and repository.
      type: str
    tag:
      description: The tag, or V(none) where none is written.
      type: str
    digest:
      description: The digest, or V(none) where none is written.
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
