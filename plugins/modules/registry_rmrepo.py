#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_rmrepo
short_description: Delete a repository with all its tags and manifests
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Deletes all tags of a repository and all manifests that can be found from them. These are images, indexes and their children,
    referrers such as signatures and SBOMs (by the referrers API, by fallback tags, or by tags of cosign), and untagged subjects.
  - All manifests are read before anything is deleted. If a manifest cannot be read, the task fails and nothing is changed.
  - If the registry does not allow deletion, the task fails before it changes anything. This is tested with a DELETE request for a
    digest that does not exist.
  - Indexes are deleted before their children, and referrers before their subjects. If the registry refuses to delete a tagged
    manifest, or keeps its tags, the tags are deleted first by their names.
  - A referrer is deleted only if the subject in its own manifest is part of the repository.
  - After a failure, the result contains what was deleted, as the registry shows it.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
options:
  repository:
    description:
      - Repository to delete, without tag and digest, such as V(registry.example.com/team/app).
    type: str
    required: true
    aliases: [image, repo]
  confirm:
    description:
      - Name of the repository without the registry, such as V(team/app), to confirm the deletion. For an official image of Docker
        Hub, it is a name such as V(library/ubuntu).
      - If it is not the name in O(repository), the task fails before it sends a request, also in check mode.
    type: str
    required: true
  digests:
    description:
      - Digests of additional manifests to delete, which cannot be found from any tag. Registries do not list such manifests.
      - After a failure, pass RV(stranded) to it. Digests that do not exist are ignored.
    type: list
    elements: str
    default: []
notes:
  - Registries still list an empty repository in their catalog, and keep its blobs until garbage collection, see
    RV(needs_garbage_collection).
  - Check mode does not test whether the registry allows deletion, because that requires a DELETE request.
seealso:
  - module: ocikit.registry.registry_rmtag
  - module: ocikit.registry.registry_catalog_info
"""

EXAMPLES = r"""
---
- name: Show what would be deleted
  ocikit.registry.registry_rmrepo:
    repository: registry.example.com/review/feature-1
    confirm: review/feature-1
  check_mode: true
  register: would_delete

- name: Show the tags
  ansible.builtin.debug:
    msg: "{{ would_delete.tags | map(attribute='tag') }}"

- name: Delete the repository of a merged branch
  ocikit.registry.registry_rmrepo:
    repository: registry.example.com/review/feature-1
    confirm: review/feature-1

- name: Delete the manifests that remained after a failure
  ocikit.registry.registry_rmrepo:
    repository: registry.example.com/review/feature-1
    confirm: review/feature-1
    digests: "{{ failed_removal.stranded }}"

- name: List the repositories of finished reviews
  ocikit.registry.registry_catalog_info:
    registry: registry.example.com
    include: [review/*]
  register: reviews

- name: Delete all of them
  ocikit.registry.registry_rmrepo:
    repository: "{{ item.repository }}"
    confirm: "{{ item.name }}"
  loop: "{{ reviews.repositories }}"
  loop_control:
    label: "{{ item.name }}"
"""

RETURN = r"""
repository:
  description: Repository, with its registry.
  returned: success, and on failure once anything was read
  type: str
  sample: registry.example.com/review/feature-1
tags:
  description: Tags of the repository.
  returned: success, and on failure once all was read
  type: list
  elements: dict
  contains:
    tag:
      description: Name of the tag.
      type: str
    digest:
      description: Digest of the tag. V(null) if the manifest does not exist.
      type: str
    deleted:
      description:
        - Whether it was deleted (in check mode, would be). V(null) if this could not be looked up after a failure.
      type: bool
  sample:
    - tag: 1.4.2
      digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      deleted: true
manifests:
  description: Manifests of the repository, in the order of their deletion.
  returned: success, and on failure once all was read
  type: list
  elements: dict
  contains:
    digest:
      description: Digest of the manifest.
      type: str
    media_type:
      description: Media type of the manifest.
      type: str
    size:
      description: Size of the manifest itself in bytes.
      type: int
    tags:
      description: Tags of the manifest.
      type: list
      elements: str
    deleted:
      description:
        - Whether it was deleted (in check mode, would be). V(null) if this could not be looked up after a failure.
      type: bool
  sample:
    - digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      media_type: application/vnd.oci.image.manifest.v1+json
      size: 682
      tags:
        - 1.4.2
      deleted: true
stranded:
  description:
    - After a failure, the digests of manifests that still exist, or may still exist, but cannot be found from any tag. Pass them to
      O(digests) to delete them.
  returned: success, and on failure once all was read
  type: list
  elements: str
  sample: []
needs_garbage_collection:
  description:
    - Whether the registry must run its garbage collection to free the space of the blobs. Some registries run it automatically. On
      distribution, the administrator must run it.
    - Registries have no API for this. It is V(true) if something was deleted, unless a blob of the deleted manifests does not exist
      any more. In check mode, it is V(true) if something would be deleted.
  returned: success
  type: bool
  sample: true
note:
  description: Sentence that says how to free the space. V(null) if nothing was deleted.
  returned: success
  type: str
  sample: >-
    The registry still keeps the blobs: only its garbage collection frees the space. On distribution run
    'registry garbage-collect' while nothing is pushed.
error:
  description:
    - Details of the failure. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(unsupported) or V(invalid_input).
      C(status), C(code), C(message) and C(detail) are those of the registry's response to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: unsupported
    status: 405
    code: UNSUPPORTED
    message: The operation is unsupported.
    detail:
    method: DELETE
    url: https://registry.example.com/v2/review/feature-1/manifests/sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._deletion.remove_repository import (
    remove_repository,
)
from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST, TEXT

ARGUMENT_SPEC: dict[str, t.Any] = {
    "repository": {"type": TEXT, "required": True, "aliases": ["image", "repo"]},
    "confirm": {"type": TEXT, "required": True},
    "digests": {"type": LIST, "elements": TEXT, "default": []},
}


def main() -> None:
    run(remove_repository, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
