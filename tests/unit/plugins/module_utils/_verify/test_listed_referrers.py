# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listed referrers are read, and those that are none say why."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import OCI_EMPTY, Descriptor
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._verify.listed_referrers import (
    listed_type,
    read_listed,
)
from tests.hostile import HostileRegistry
from tests.registries import images

Connect = t.Callable[..., t.Tuple[RegistryClients, t.Any]]
IMAGE, OTHER = images.image({"a": "1"}), images.image({"a": "2"})
SBOM = images.artifact("application/vnd.example.sbom", b"b", "text/plain", subject=IMAGE)
FOREIGN = images.artifact("application/vnd.example.sbom", b"c", "text/plain", subject=OTHER)
DAMAGED = images.Image(b"{", SBOM.media_type, {})


def descriptor(image: images.Image) -> Descriptor:
    return Descriptor.from_dict(image.descriptor())


def test_what_is_a_referrer_and_why_others_are_none(connect: Connect) -> None:
    with HostileRegistry() as server:
        for image in (IMAGE, SBOM, FOREIGN, DAMAGED):
            server.add("a/b", image)
        clients, _client = connect(server.url, retries=0)
        repository = clients.repository_of(clients.repository("a/b"))
        missing = Descriptor(SBOM.media_type, "sha256:" + "0" * 64, 1)
        listed = [*map(descriptor, (SBOM, IMAGE, FOREIGN, DAMAGED)), missing]
        server.requests.clear()
        read = read_listed(repository, IMAGE.digest, listed)
        assert len(server.requests) == len(listed)
    assert [referrer.listed for referrer in read] == listed
    assert read[0].manifest and read[0].manifest.raw == SBOM.raw
    assert [referrer.manifest for referrer in read[1:]] == [None] * 4
    reasons = [referrer.reason for referrer in read]
    assert reasons[:3] == ["", "it has no subject", f"it refers to {OTHER.digest}"]
    assert reasons[3] and not reasons[3].endswith(".")
    assert reasons[4] == "it does not exist"


@pytest.mark.parametrize(
    ("artifact_type", "expected"),
    [("application/vnd.example", "application/vnd.example"), (OCI_EMPTY, None), (None, None)],
)
def test_the_type_of_an_empty_configuration_is_none(artifact_type: str | None, expected: str | None) -> None:
    entry = {"mediaType": SBOM.media_type, "digest": SBOM.digest, "size": 1}
    entry.update({"artifactType": artifact_type} if artifact_type else {})
    assert listed_type(Descriptor.from_dict(json.loads(json.dumps(entry)))) == expected
