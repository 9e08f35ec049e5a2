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
  - Deletes every tag of a repository and every manifest that the tags lead to. These are images, indexes and their
    children, manifests that refer to them such as signatures and SBOMs, be it by the referrers API, by a fallback tag
    or by cosign's tags, and untagged subjects of these.
  - Everything is read before anything is deleted; if a manifest cannot be read, the task fails and nothing is changed.
  - A registry that does not allow deletion is found out before anything is changed as well, by the request to delete a
    digest that does not exist.
  - Indexes are deleted before their children, and referrers before their subjects. Where the registry refuses to delete a
    manifest that is tagged, or leaves its tags, the tags are deleted first, by their names.
  - A manifest that the registry lists as a referrer is deleted only if its own subject is part of the repository.
  - After a failure the task looks up what was deleted, and returns that.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
options:
  repository:
    description:
      - The repository to be deleted, without tag and digest, such as V(registry.example.com/team/app).
    type: str
    required: true
    aliases: [image, repo]
  confirm:
    description:
      - The name of the repository once more, without the registry, such as V(team/app). For an official image of Docker
        Hub that is V(library/ubuntu).
      - The task fails before any request is sent if this is another name, also in check mode.
    type: str
    required: true
  digests:
    description:
      - Manifests to be deleted although no tag leads to them. No registry lists these.
      - After a failure that is what RV(stranded) holds. Digests that do not exist need nothing.
    type: list
    elements: str
    default: []
notes:
  - Registries go on listing the names of empty repositories in their catalog, and keep the blobs until garbage collection,
    see RV(needs_garbage_collection).
  - In check mode it is not asked whether the registry allows deletion, because only a request to delete could tell.
seealso:
  - module: ocikit.registry.registry_rmtag
  - module: ocikit.registry.registry_catalog_info
"""

EXAMPLES = r"""
---
- name: Delete what a finished branch has left behind
  ocikit.registry.registry_rmrepo:
    repository: registry.example.com/review/feature-1
    confirm: review/feature-1

- name: Finish after a failure that stranded manifests
  ocikit.registry.registry_rmrepo:
    repository: registry.example.com/review/feature-1
    confirm: review/feature-1
    digests: "{{ failed_removal.stranded }}"
"""

RETURN = r"""
repository:
  description: Repository, with its registry.
  returned: success, and on failure once anything was read
  type: str
  sample: registry.example.com/review/feature-1
tags:
  description: The tags that the repository had.
  returned: success, and on failure once all was read
  type: list
  elements: dict
  contains:
    tag:
      description: The tag.
      type: str
    digest:
      description: What it pointed to. V(null) if that does not exist.
      type: str
    deleted:
      description: Whether it was deleted (in check mode, would be).
      type: bool
  sample:
    - tag: 1.4.2
      digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      deleted: true
manifests:
  description: All manifests that were found, in the order of their deletion.
  returned: success, and on failure once all was read
  type: list
  elements: dict
  contains:
    digest:
      description: The digest of the manifest.
      type: str
    media_type:
      description: Its media type.
      type: str
    size:
      description: Its own size in bytes, without blobs.
      type: int
    tags:
      description: The tags that pointed to it.
      type: list
      elements: str
    deleted:
      description: Whether it was deleted (in check mode, would be).
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
    - After a failure, the digests of manifests that are still there although nothing leads to them any more, or that may be
      there because the registry could not be asked. A further run deletes them if O(digests) names them.
  returned: success, and on failure once all was read
  type: list
  elements: str
  sample: []
needs_garbage_collection:
  description:
    - Whether the space that the blobs take is freed by the registry's garbage collection only. Some registries run that by
      themselves, on distribution the administrator has to.
    - No API of a registry tells. So this is V(true) whenever something was deleted, unless a blob of the deleted manifests
      is found to be gone. In check mode that cannot be looked up.
  returned: success
  type: bool
  sample: true
note:
  description: What is left to do, in a sentence. V(null) if nothing was deleted.
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
