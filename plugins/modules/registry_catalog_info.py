#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_catalog_info
short_description: List the repositories of a registry
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Lists the repositories of the registry that O(registry) names, all of them or those whose names match patterns.
  - Not every registry has a catalog, and some show it to administrators only. Docker Hub, GitHub's registry and Amazon ECR
    have none. The task fails then, with RV(ignore:error.kind=unsupported).
  - Many registries go on listing repositories whose tags were all deleted, see O(tag_counts).
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  include:
    description:
      - Patterns of the repositories to list. They are shell patterns such as V(team/*), or regular expressions after
        V(regex:), such as V(regex:team/[^/]+). One of them must match the whole name, without the registry.
      - V(*) in a shell pattern matches slashes as well. A pattern that can match no repository is refused.
      - Without patterns all repositories are listed.
    type: list
    elements: str
    default: []
    aliases: [patterns]
  exclude:
    description:
      - Patterns of the repositories to leave out, written as in O(include).
    type: list
    elements: str
    default: []
  limit:
    description:
      - The largest number of repositories to be listed. Pages of the catalog that are not needed for that are not read.
      - The first ones in the registry's own order are taken, and RV(truncated) tells that there are more.
    type: int
  tag_counts:
    description:
      - Whether to count the tags of each repository. That takes one request for each, or more if it has many tags.
    type: bool
    default: false
seealso:
  - module: ocikit.registry.registry_tag_info
  - module: ocikit.registry.registry_info
"""

EXAMPLES = r"""
---
- name: List the repositories of a team
  ocikit.registry.registry_catalog_info:
    registry: registry.example.com
    include:
      - team/*
    exclude:
      - "*/cache"
  register: catalog

- name: Show them
  ansible.builtin.debug:
    msg: "{{ catalog.repositories | map(attribute='repository') }}"

- name: Find the repositories that are empty
  ocikit.registry.registry_catalog_info:
    registry: registry.example.com
    tag_counts: true
  register: counted

- name: Show the empty ones
  ansible.builtin.debug:
    msg: "{{ counted.repositories | selectattr('tag_count', 'equalto', 0) | map(attribute='name') }}"
"""

RETURN = r"""
registry:
  description: The registry, as references name it.
  returned: success
  type: str
  sample: registry.example.com
repositories:
  description: The repositories, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name, without the registry.
      type: str
    repository:
      description: The full name, as other modules of this collection take it.
      type: str
    tag_count:
      description:
        - The number of tags, V(0) if there are none or the repository was removed meanwhile, V(null) if the credentials
          have no right to read it.
      returned: if O(tag_counts=true)
      type: int
  sample:
    - name: team/app
      repository: registry.example.com/team/app
      tag_count: 12
truncated:
  description: Whether more repositories match than O(limit) lets be listed.
  returned: success
  type: bool
  sample: false
error:
  description:
    - The failure in parts. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(unreachable) or V(unsupported).
      C(status), C(code), C(message) and C(detail) are the registry's answer to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: unsupported
    status: 404
    code:
    message: 404 page not found
    detail:
    method: GET
    url: https://registry.example.com/v2/_catalog
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.catalog import inspect_catalog
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST, TEXT

ARGUMENT_SPEC: dict[str, t.Any] = {
    "include": {"type": LIST, "elements": TEXT, "default": [], "aliases": ["patterns"]},
    "exclude": {"type": LIST, "elements": TEXT, "default": []},
    "limit": {"type": "int"},
    "tag_counts": {"type": "bool", "default": False},
}


def main() -> None:
    run(inspect_catalog, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
