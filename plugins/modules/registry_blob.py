#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_blob
short_description: Get one blob from a registry
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Writes a blob (a layer, a config, a file of an artifact) to a file, or returns it if it is small text.
  - The content is verified against its digest on the way. A file gets its name only when all of it is there and right;
    an interrupted download is taken up where it ended.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.action_module
options:
  image:
    description:
      - The repository that holds the blob, such as V(registry.example.com/team/app).
      - A reference with tag or digest will do as well; they are not looked at.
    type: str
    required: true
    aliases: [repository]
  digest:
    description:
      - The digest of the blob.
    type: str
    required: true
  dest:
    description:
      - The file to write. If this is an existing directory, the file in it is named by the digest, like V(sha256:4b26…).
      - If the file has the digest already, nothing is requested from the registry.
      - Without it, the content is returned.
    type: path
  max_size:
    description:
      - The largest blob, in bytes, that is returned as RV(content). Does not apply to O(dest).
    type: int
    default: 1048576
seealso:
  - module: ocikit.registry.registry_blob_info
"""

EXAMPLES = r"""
---
- name: Get a layer
  ocikit.registry.registry_blob:
    image: registry.example.com/team/app
    digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
    dest: /srv/layers/base.tar.gz

- name: Read the config of an image
  ocikit.registry.registry_blob:
    image: registry.example.com/team/app
    digest: "{{ config_digest }}"
  register: config

- name: Show the labels in it
  ansible.builtin.debug:
    var: config.json.config.Labels
"""

RETURN = r"""
repository:
  description: The repository, with its registry.
  returned: success
  type: str
  sample: registry.example.com/team/app
digest:
  description: The digest of the blob.
  returned: success
  type: str
  sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
size:
  description: The size of the blob in bytes.
  returned: success
  type: int
  sample: 1469
dest:
  description: The file that holds the blob (in check mode, would hold it).
  returned: success, if O(dest) is set
  type: str
  sample: /srv/layers/base.tar.gz
content:
  description: The blob as text.
  returned: success, if O(dest) is not set
  type: str
  sample: '{"architecture":"amd64","os":"linux"}'
json:
  description: The blob as data. V(null) if it is text that is not JSON.
  returned: success, if O(dest) is not set
  type: raw
  sample:
    architecture: amd64
    os: linux
error:
  description:
    - The failure in parts. RV(ignore:error.kind) is a stable name such as V(not_found), V(digest_mismatch) or V(storage).
      C(status), C(code), C(message) and C(detail) are the registry's answer to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: not_found
    status: 404
    code: BLOB_UNKNOWN
    message: blob unknown to registry
    detail:
    method: GET
    url: https://registry.example.com/v2/team/app/blobs/sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
"""

import json
import os
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, NotFound, Refused
from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor, digest_diff
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import Reference, check_digest
from ansible_collections.ocikit.registry.plugins.module_utils._oci.verified_reader import read_blob
from ansible_collections.ocikit.registry.plugins.module_utils._registry.blobs import BlobDownload
from ansible_collections.ocikit.registry.plugins.module_utils._registry.context import ModuleContext
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import TEXT, check_number
from ansible_collections.ocikit.registry.plugins.module_utils._storage.files import (
    file_digest,
    receive,
    replacing,
    storage_errors,
    write_all,
)

_MEDIA_TYPE = "application/octet-stream"


ARGUMENT_SPEC: dict[str, t.Any] = {
    "image": {"type": TEXT, "required": True, "aliases": ["repository"]},
    "digest": {"type": TEXT, "required": True},
    "dest": {"type": "path"},
    "max_size": {"type": "int", "default": 1 << 20},
}


def blob(context: ModuleContext) -> dict[str, t.Any]:
    reference = context.clients.reference(context.params["image"])
    digest = check_digest(context.params["digest"])
    check_number(context.params["max_size"], "max_size", 0)
    found = (
        _write(context, reference, digest) if context.params["dest"] else _read(context, reference, digest)
    )
    return {"repository": reference.name, "digest": digest, **found}


def _write(context: ModuleContext, reference: Reference, digest: str) -> dict[str, t.Any]:
    path = _file(context.params["dest"], digest)
    with storage_errors(path):
        before = file_digest(path, digest) if os.path.exists(path) else None
        size = os.path.getsize(path) if before == digest else 0
    if before != digest:
        download, descriptor = _find(context, reference, digest)
        size = descriptor.size
        if not context.check_mode:
            with storage_errors(path), replacing(path) as file:
                receive(download, descriptor, lambda block: write_all(file, block))
    return {
        "changed": before != digest,
        "size": size,
        "dest": path,
        "diff": digest_diff({path: before}, {path: digest}),
    }


def _file(dest: str, digest: str) -> str:
    """Return the file that ``dest`` stands for. Raises InvalidInput where none can be written."""
    path = os.path.join(dest, digest) if os.path.isdir(dest) else dest
    directory = os.path.dirname(os.path.abspath(path))
    if path.endswith("/"):
        directory = path
    if not os.path.isdir(directory):
        raise InvalidInput(f"The directory {directory} does not exist: create it first.")
    if os.path.exists(path) and not os.path.isfile(path):
        raise InvalidInput(f"{path} is not a regular file: choose another dest.")
    if not os.access(directory, os.W_OK):
        raise InvalidInput(
            f"No file can be written in {directory}: choose another dest, or become another user."
        )
    return path


def _read(context: ModuleContext, reference: Reference, digest: str) -> dict[str, t.Any]:
    download, descriptor = _find(context, reference, digest)
    limit = context.params["max_size"]
    if descriptor.size > limit:
        raise Refused(
            f"{digest} has {descriptor.size} bytes, more than the {limit} of max_size: set dest to write it to a file."
        )
    raw = read_blob(download, descriptor, limit)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise Refused(f"{digest} is binary, neither JSON nor text: set dest to write it to a file.")
    return {"changed": False, "size": descriptor.size, "content": text, "json": _parsed(text)}


def _parsed(text: str) -> t.Any:
    try:
        data = json.loads(text)
        # NaN and lone surrogates are no JSON, whatever Python thinks, and Ansible does not take them.
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return data


def _find(context: ModuleContext, reference: Reference, digest: str) -> tuple[BlobDownload, Descriptor]:
    client = context.clients.client(reference)
    size = client.blob_size(reference.repository, digest)
    if size is None:
        raise NotFound(f"The blob {digest} does not exist in {reference.name}.", status=404)
    descriptor = Descriptor(_MEDIA_TYPE, digest, size)
    return BlobDownload(client, reference.repository, descriptor), descriptor


def main() -> None:
    run(blob, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
