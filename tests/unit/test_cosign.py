# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes registry_verify passes cosign, but for RSASSA-PSS: the same images, judged by cosign 2 and 3.

What registry_verify says of each is tested in test_signatures.py.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_verify
from tests.registries import Registry, ToolMissing, images
from tests.signing import stored
from tests.signing.cases import Case, World, cases, other_kinds
from tests.signing.cosign import Cosign
from tests.signing.instance import Instance, encode, new_key, public_pem
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]

NAMES = World.names()


@pytest.fixture(scope="module")
def all_cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    return {case.name: case for case in cases(World(tmp_path_factory.mktemp("signing")))}


@pytest.fixture(scope="module", params=[2, 3])
def cosign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    try:
        return Cosign(request.param, tmp_path_factory.mktemp("cosign"))
    except ToolMissing as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_passes_that_cosign_refuses(
    registry: Registry, cosign: Cosign, all_cases: dict[str, Case], name: str
) -> None:
    case = all_cases[name]
    if cosign.release not in case.releases:
        pytest.skip(f"cosign {cosign.release} has no such form")
    repository = f"cosign-{cosign.release}/case-{NAMES.index(name)}"
    for part, tag in case.pushed():
        images.push(registry.url, repository, part, tag)
    image = f"{registry.host}/{repository}@{case.image.digest}"
    accepted, said = cosign.accepts(case.command, image)
    if case.passes:
        assert accepted or case.beyond, said
    elif accepted:
        assert case.stricter, "cosign passes it, and no reason is given why it is refused here"


def test_there_are_many_cases_and_each_exception_has_a_reason(all_cases: dict[str, Case]) -> None:
    assert len(all_cases) >= 60
    assert not [case.name for case in all_cases.values() if case.passes and case.stricter]
    assert [case.name for case in all_cases.values() if case.beyond] == ["rsa with pss, tag"]


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa"])
def test_what_cosign_itself_makes_passes(
    connect: Connect, registry: Registry, cosign: Cosign, tmp_path: pathlib.Path, kind: str
) -> None:
    """Keys, signatures and attestations that are made by cosign alone, as users make them."""
    repository, image = f"made/{cosign.release}-{kind}", images.image({"made": kind})
    images.push(registry.url, repository, image, "1")
    name = f"{registry.host}/{repository}@{image.digest}"
    key = {**other_kinds(), "p256": new_key("p256")}[kind]
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "own.pem").write_bytes(pem)
    prefix = tmp_path / "made"
    cosign.must("import-key-pair", "--key", tmp_path / "own.pem", "--output-key-prefix", prefix)
    flags = cosign.offline_flags(tmp_path)
    cosign.must("sign", "--key", f"{prefix}.key", *flags, "-a", "build=42", name)
    (tmp_path / "predicate.json").write_text('{"builder": "ours"}')
    predicate = ["--predicate", tmp_path / "predicate.json", "--type", "https://example.com/build/v1"]
    cosign.must("attest", "--key", f"{prefix}.key", *flags, *predicate, name)
    clients, _client = connect(registry.url, retries=0)
    own = {"key": f"{prefix}.pub"}
    attestation = {**own, "predicate_type": "https://example.com/build/v1", "match": {"builder": "ours"}}
    result = task(
        registry_verify,
        clients,
        images=[name],
        signatures=[{**own, "match": {"build": "42"}}],
        attestations=[attestation],
        referrers=["cosign"],
    )
    assert result["images"][0]["pinned"] == name
    other = tmp_path / "other.pub"
    other.write_text(public_pem(new_key("other")))
    result = task(registry_verify, clients, images=[name], signatures=[{"key": str(other)}], report_only=True)
    assert not result["passed"]


def test_a_signature_that_cosign_attaches_passes(
    connect: Connect, registry: Registry, cosign: Cosign, tmp_path: pathlib.Path
) -> None:
    """The key stays where it is: what signs is another program."""
    repository, image, key = f"attached/{cosign.release}", images.image({"made": "attached"}), new_key("own")
    images.push(registry.url, repository, image, "1")
    name = f"{registry.host}/{repository}@{image.digest}"
    payload = tmp_path / "payload.json"
    payload.write_text(cosign.run("generate", name).stdout)
    signature = tmp_path / "signature"
    signature.write_text(encode(stored.sign(key, payload.read_bytes())))
    cosign.must("attach", "signature", "--payload", payload, "--signature", signature, name)
    clients, _client = connect(registry.url, retries=0)
    own, other = ({"key": public_pem(signer)} for signer in (key, new_key("other")))
    assert task(registry_verify, clients, images=[name], signatures=[own])["passed"]
    assert not task(registry_verify, clients, images=[name], signatures=[other], report_only=True)["passed"]


def test_what_cosign_signs_by_ed25519_passes_neither(
    connect: Connect, registry: Registry, cosign: Cosign, tmp_path: pathlib.Path
) -> None:
    """It signs by Ed25519ph and verifies Ed25519. Once that changes, this has to be looked at again."""
    repository, image = f"ed25519/{cosign.release}", images.image({"made": "ed25519"})
    images.push(registry.url, repository, image, "1")
    name = f"{registry.host}/{repository}@{image.digest}"
    pem = other_kinds()["ed25519"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "own.pem").write_bytes(pem)
    prefix = tmp_path / "made"
    cosign.must("import-key-pair", "--key", tmp_path / "own.pem", "--output-key-prefix", prefix)
    cosign.must("sign", "--key", f"{prefix}.key", *cosign.offline_flags(tmp_path), name)
    bundle = str(cosign.release == 3).lower()
    root = tmp_path / "root.json"
    root.write_text(json.dumps(Instance("ed25519").trusted_root()))
    command = ["verify", "--key", f"{prefix}.pub", "--insecure-ignore-tlog=true"]
    command += [f"--new-bundle-format={bundle}", *(["--trusted-root", str(root)] if bundle == "true" else [])]
    assert not cosign.accepts(command, name)[0]
    clients, _client = connect(registry.url, retries=0)
    own = {"key": f"{prefix}.pub"}
    result = task(registry_verify, clients, images=[name], signatures=[own], report_only=True)
    assert "1 do not count" in result["violations"][0]["message"]
