# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A signature counts when it is proven to be of this image and by the right signer; anything else is none."""

from __future__ import annotations

import base64
import builtins
import copy
import dataclasses
import json
import pathlib
import sys
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, rsa

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    LibraryMissing,
    LocalStorageError,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._verify import sigstore_library
from ansible_collections.ocikit.registry.plugins.modules import registry_copy, registry_verify
from tests.hostile import HostileRegistry
from tests.registries import images
from tests.signing import stored
from tests.signing.cases import Case, Signed, World, cases
from tests.signing.instance import (
    BEGIN,
    IDENTITY,
    ISSUER,
    certificate_der,
    certificate_pem,
    new_key,
    public_pem,
)
from tests.unit import running
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]

pytest.importorskip("sigstore")
NAMES = World.names()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("signing"))


@pytest.fixture(scope="module")
def all_cases(world: World) -> dict[str, Case]:
    return {case.name: case for case in cases(world)}


def add(server: HostileRegistry, image: images.Image, signed: Signed | None = None, tag: str = "1") -> None:
    """Store an image and its signatures, without requests."""
    server.add("a/b", image, tag)
    for part, own_tag in Case("", signed, {}, [], True, image).pushed() if signed else ():
        server.add("a/b", part, own_tag)


def verify(
    connect: Connect,
    signed: Signed | None,
    image: images.Image,
    behaviours: t.Mapping[str, t.Any] | None = None,
    **params: t.Any,
) -> list[dict[str, t.Any]]:
    """Verify an image with these signatures, and return the violations."""
    # Ansible fills in what is missing in the very dictionaries that it is given.
    params = copy.deepcopy(params)
    with HostileRegistry(**(behaviours or {})) as server:
        add(server, image, signed)
        clients, _client = connect(server.url, retries=0)
        result = task(registry_verify, clients, images=["a/b:1"], report_only=True, **params)
        return t.cast("list[dict[str, t.Any]]", result["violations"])


@pytest.mark.parametrize("name", NAMES)
def test_each_case(connect: Connect, all_cases: dict[str, Case], name: str) -> None:
    case = all_cases[name]
    violations = verify(connect, case.signed, case.image, **case.params)
    assert bool(violations) is not case.passes, violations
    assert {violation["demand"] for violation in violations} <= set(case.params)


@pytest.mark.parametrize("api", ["on", "unfiltered"])
@pytest.mark.parametrize(
    "name", ["key, bundle", "wrong key, bundle", "key, oci 1.1", "attestation, bundle", "identity, bundle"]
)
def test_the_referrers_api_is_read_as_the_fallback_tag_is(
    connect: Connect, all_cases: dict[str, Case], name: str, api: str
) -> None:
    case = all_cases[name]
    with HostileRegistry(referrers=api) as server:
        server.add("a/b", case.image, "1")
        for referrer in case.signed.referrers:
            server.add("a/b", referrer)
        clients, _client = connect(server.url, retries=0)
        result = task(registry_verify, clients, images=["a/b:1"], report_only=True, **case.params)
    assert result["passed"] is case.passes, result["violations"]


def test_one_image_by_key_takes_three_requests(connect: Connect, world: World) -> None:
    with HostileRegistry() as server:
        add(server, world.image, world.tagged(stored.signature_layer(world.key, world.digest)))
        clients, _client = connect(server.url, retries=0)
        entry = {"key": public_pem(world.key)}
        result = task(registry_verify, clients, images=["a/b:1"], signatures=[entry])
        assert result["passed"] and len(server.requests) == 3
        assert result["images"][0]["pinned"] == f"{server.host}/a/b@{world.digest}"


def test_what_was_verified_is_what_the_result_names_also_if_the_tag_moves(
    connect: Connect, world: World
) -> None:
    def move(request: t.Any) -> None:
        if request.path.endswith(".sig"):
            server.add("a/b", images.image({"evil": "image"}), "1")

    with HostileRegistry(before=move) as server:
        add(server, world.image, world.tagged(stored.signature_layer(world.key, world.digest)))
        clients, _client = connect(server.url, retries=0)
        result = task(registry_verify, clients, images=["a/b:1"], signatures=[{"key": public_pem(world.key)}])
        assert result["images"][0]["digest"] == world.digest


def test_the_violation_says_in_a_line_each_why_signatures_do_not_count(
    connect: Connect, world: World
) -> None:
    digest = world.digest
    layers = [
        stored.signature_layer(world.wrong, digest),
        stored.signature_layer(world.key, images.digest(b"another")),
        stored.Layer(b"x", stored.SIMPLE_SIGNING, {"dev.cosignproject.cosign/signature": "eA=="}),
    ]
    (violation,) = verify(
        connect, world.tagged(*layers), world.image, signatures=[{"key": public_pem(world.key)}]
    )
    summary, *lines = violation["message"].splitlines()
    assert violation["demand"] == "signatures"
    assert summary.startswith("it has no signature by the key SHA256:")
    assert summary.endswith("(signatures[0]): 3 do not count:")
    assert [line.partition("): ")[2] for line in lines] == [
        "it was not made with the key",
        f"it is about {images.digest(b'another')}",
        "The signed payload is not valid JSON",
    ]
    (violation,) = verify(connect, None, world.image, signatures=[{"key": public_pem(world.key)}])
    assert violation["message"].endswith("(signatures[0]): there is none.")


def test_all_that_is_said_is_part_of_the_message_of_the_task(connect: Connect, world: World) -> None:
    from ansible_collections.ocikit.registry.plugins.module_utils._errors import Refused

    with HostileRegistry() as server:
        add(server, world.image, world.tagged(stored.signature_layer(world.wrong, world.digest)))
        clients, _client = connect(server.url, retries=0)
        with pytest.raises(Refused) as caught:
            task(registry_verify, clients, images=["a/b:1"], signatures=[{"key": public_pem(world.key)}])
    lines = str(caught.value).splitlines()
    assert lines[0] == "1 of 1 images must not be deployed:"
    assert lines[1].startswith(f"{server.host}/a/b:1: it has no signature by the key")
    assert lines[2].startswith("  sha256:") and len(lines) == 3


def test_a_hundred_signatures_are_read_and_no_more(connect: Connect, world: World) -> None:
    bad = [stored.signature_layer(world.wrong, world.digest, annotations={"n": str(n)}) for n in range(120)]
    good = stored.signature_layer(world.key, world.digest)
    entry = {"key": public_pem(world.key)}
    assert verify(connect, world.tagged(*bad[:99], good), world.image, signatures=[entry]) == []
    with HostileRegistry() as server:
        add(server, world.image, world.tagged(*bad, good))
        clients, _client = connect(server.url, retries=0)
        result = task(registry_verify, clients, images=["a/b:1"], signatures=[entry], report_only=True)
        read = [request for request in server.requests if "/blobs/" in request.path]
    assert len(read) == 100
    (violation,) = result["violations"]
    assert "100 do not count" in violation["message"]
    assert "and 80 more that do not count" in violation["message"]
    assert "only 100 of 121 signatures were read" in violation["message"]


def test_attestations_do_not_use_up_what_signatures_may_take(connect: Connect, world: World) -> None:
    payload = stored.statement(world.digest, stored.PROVENANCE, {"n": 1})
    others = [
        stored.bundle_image(stored.bundle(world.key, payload), world.image, stored.PROVENANCE)
        for _n in range(110)
    ]
    good = stored.bundle_image(stored.bundle(world.key, stored.statement(world.digest)), world.image)
    with HostileRegistry(referrers="on") as server:
        server.add("a/b", world.image, "1")
        for referrer in [*others, good]:
            server.add("a/b", referrer)
        clients, _client = connect(server.url, retries=0)
        entry = {"key": public_pem(world.key)}
        assert task(registry_verify, clients, images=["a/b:1"], signatures=[entry])["passed"]


def test_a_signature_that_is_too_large_is_none(connect: Connect, world: World) -> None:
    payload = stored.simple_payload(world.digest, {"much": "x" * (1 << 20)})
    layer = stored.signature_layer(world.key, world.digest, payload=payload)
    entry = {"key": public_pem(world.key)}
    (violation,) = verify(connect, world.tagged(layer), world.image, signatures=[entry])
    assert "more than the 1048576 that are read" in violation["message"]
    good = stored.signature_layer(world.key, world.digest)
    assert verify(connect, world.tagged(layer, good), world.image, signatures=[entry]) == []


def test_a_bundle_that_is_too_large_is_none(connect: Connect, world: World) -> None:
    entry = {"key": public_pem(world.key)}
    large = stored.statement(world.digest, predicate={"much": "x" * (1 << 20)})
    signed = world.referring(stored.bundle(world.key, large))
    (violation,) = verify(connect, signed, world.image, signatures=[entry])
    assert "more than the 1048576 that are read" in violation["message"]


@pytest.mark.parametrize("damage", ["no manifest", "bytes that are not its own", "an index"])
def test_a_tag_of_cosign_that_cannot_be_read_hides_no_referrer(
    connect: Connect, world: World, damage: str
) -> None:
    entry = {"key": public_pem(world.key)}
    bundle = stored.bundle_image(stored.bundle(world.key, stored.statement(world.digest)), world.image)
    tag = world.digest.replace(":", "-") + ".sig"
    odd = images.index([world.image])
    if damage != "an index":
        odd = dataclasses.replace(odd, raw=b'{"schemaVersion": 2, "layers": 5, "manifests": 5}')
    for referrers, passes in (([bundle], True), ([], False)):
        with HostileRegistry() as server:
            add(server, world.image, Signed(world.digest, referrers=referrers))
            server.add("a/b", odd, tag)
            if damage == "bytes that are not its own":
                server.repository("a/b").tags[tag] = images.digest(b"other")
            clients, _client = connect(server.url, retries=0)
            result = task(registry_verify, clients, images=["a/b:1"], signatures=[entry], report_only=True)
        assert result["passed"] is passes
        assert {violation["demand"] for violation in result["violations"]} <= {"signatures"}


def replaced(certificate: bytes, old: bytes, new: bytes) -> str:
    """Return a certificate in PEM with other bytes in it."""
    assert certificate.count(old) == 1
    encoded = base64.b64encode(certificate.replace(old, new)).decode()
    return f"-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("damage", ["extension twice", "unknown version", "key of another kind"])
def test_a_certificate_that_cannot_be_read_hides_no_good_one(
    connect: Connect, world: World, damage: str
) -> None:
    """The library has exceptions for these that are like no other."""
    entry = {"certificate_authority": certificate_pem(world.pki.certificate), "identity": "a@acme.example"}
    odd = [
        (x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.4.5.6.7.{n}"), b"x"), False) for n in (8, 9)
    ]
    own: dict[str, t.Any] = {"identity": "a@acme.example", "by": world.pki, "end": BEGIN.replace(year=2035)}
    key = dsa.generate_private_key(1024) if damage == "key of another kind" else None
    good = stored.signature_layer(None, world.digest, signer=world.instance.signer(**own))
    signer = world.instance.signer(**own, extensions=odd)
    bad = stored.signature_layer(None, world.digest, signer=signer)
    der = certificate_der(signer.certificate)
    if key:
        text = certificate_pem(world.instance.signer(**own, key=key).certificate)
    elif damage == "unknown version":
        text = replaced(der, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05")
    else:
        text = replaced(der, bytes([0x2A, 3, 4, 5, 6, 7, 9]), bytes([0x2A, 3, 4, 5, 6, 7, 8]))
    bad = dataclasses.replace(bad, annotations={**bad.annotations, "dev.sigstore.cosign/certificate": text})
    (violation,) = verify(connect, world.tagged(bad), world.image, signatures=[entry])
    assert "its certificate cannot be" in violation["message"]
    assert verify(connect, world.tagged(bad, good), world.image, signatures=[entry]) == []


def test_a_log_entry_with_a_key_that_is_too_short_hides_no_good_one(connect: Connect, world: World) -> None:
    entry = {"key": public_pem(world.key), "trusted_root": world.root()}
    log = world.instance.log
    weak = public_pem(rsa.generate_private_key(65537, 1024))
    bad = stored.signature_layer(world.key, world.digest, log=log, verifier=weak)
    good = stored.signature_layer(world.key, world.digest, log=log)
    (violation,) = verify(connect, world.tagged(bad), world.image, signatures=[entry])
    assert "RSA keys of 1024 bits are too short" in violation["message"]
    assert verify(connect, world.tagged(bad, good), world.image, signatures=[entry]) == []


def test_identities_need_a_library_that_validates_chains(
    connect: Connect, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("cryptography.x509.verification.ExtensionPolicy")
    entry = {"identity": "x", "issuer": "y", "trusted_root": world.root()}
    with HostileRegistry() as server:
        clients, _client = connect(server.url, retries=0)
        with pytest.raises(LibraryMissing, match="cryptography 45 or newer"):
            task(registry_verify, clients, images=["a/b:1"], signatures=[entry])
        assert server.requests == []


def listing(entries: t.Sequence[tuple[images.Image, str | None]]) -> images.Index:
    """Return a list of referrers, each with the type that it is listed with."""
    made = images.index([image for image, _type in entries])
    manifest = made.manifest
    for entry, (_image, artifact_type) in zip(manifest["manifests"], entries):
        entry.update({"artifactType": artifact_type} if artifact_type else {})
    return dataclasses.replace(made, raw=json.dumps(manifest).encode())


SPDX = "application/spdx+json"


@pytest.mark.parametrize("others", ["sboms", "unreadable"])
def test_what_else_is_listed_hides_no_signature(connect: Connect, world: World, others: str) -> None:
    """Neither what cannot be read, nor more referrers of other types than are read."""
    entry = {"key": public_pem(world.key)}
    good = stored.bundle_image(stored.bundle(world.key, stored.statement(world.digest)), world.image)
    sboms = [images.artifact(SPDX, f"{n}".encode(), subject=world.image) for n in range(150)]
    odd = dataclasses.replace(sboms[0], raw=b'{"schemaVersion": 2,')
    first = [(sbom, SPDX) for sbom in sboms] if others == "sboms" else [(odd, None)]
    # Cosign lists its bundles with the type of the empty configuration.
    entries = [*first, (good, images.OCI_EMPTY)]
    with HostileRegistry() as server:
        server.add("a/b", world.image, "1")
        for referrer, _type in entries:
            server.add("a/b", referrer)
        server.add("a/b", listing(entries), images.referrers_tag(world.image))
        clients, _client = connect(server.url, retries=0)
        assert task(registry_verify, clients, images=["a/b:1"], signatures=[entry])["passed"]
        assert task(registry_verify, clients, images=["a/b:1"], referrers=["cosign"])["passed"]


def test_a_long_list_of_referrers_does_not_keep_the_task_busy(connect: Connect, world: World) -> None:
    entry = {"key": public_pem(world.key)}
    sboms = [images.artifact(SPDX, f"{n}".encode(), subject=world.image) for n in range(300)]
    with HostileRegistry() as server:
        server.add("a/b", world.image, "1")
        server.add("a/b", listing([(sbom, None) for sbom in sboms]), images.referrers_tag(world.image))
        clients, _client = connect(server.url, retries=0)
        result = task(registry_verify, clients, images=["a/b:1"], signatures=[entry], report_only=True)
        assert not result["passed"] and len(server.requests) < 110
    assert "only 100 of 300 referrers were read" in result["violations"][0]["message"]


def test_a_signature_whose_bytes_are_not_there_is_none(connect: Connect, world: World) -> None:
    layer = stored.signature_layer(world.key, world.digest)
    for damage in ("missing", "other"):
        with HostileRegistry() as server:
            add(server, world.image, world.tagged(layer))
            blobs = server.repository("a/b").blobs
            name = images.digest(layer.content)
            blobs.pop(name) if damage == "missing" else blobs.update({name: layer.content[:-1] + b" "})
            clients, _client = connect(server.url, retries=0)
            entry = {"key": public_pem(world.key)}
            result = task(registry_verify, clients, images=["a/b:1"], signatures=[entry], report_only=True)
        assert [violation["demand"] for violation in result["violations"]] == ["signatures"]


def test_each_entry_must_be_met_and_one_signature_may_meet_several(connect: Connect, world: World) -> None:
    first, second = (
        stored.signature_layer(world.key, world.digest),
        stored.signature_layer(world.wrong, world.digest),
    )
    entries: list[dict[str, t.Any]] = [{"key": public_pem(world.key)}, {"key": public_pem(world.wrong)}]
    assert verify(connect, world.tagged(first, second), world.image, signatures=entries) == []
    (violation,) = verify(connect, world.tagged(first), world.image, signatures=entries)
    assert "(signatures[1])" in violation["message"]
    assert verify(connect, world.tagged(first), world.image, signatures=[entries[0], {**entries[0]}]) == []


def test_any_of_several_keys_will_do(connect: Connect, world: World, tmp_path: pathlib.Path) -> None:
    signed = world.tagged(stored.signature_layer(world.key, world.digest))
    path = tmp_path / "cosign.pub"
    path.write_text(public_pem(world.key))
    wrong, both = public_pem(world.wrong), public_pem(world.wrong) + public_pem(world.key)
    for key in ([wrong, public_pem(world.key)], [wrong, str(path)], both, str(path), [both]):
        assert verify(connect, signed, world.image, signatures=[{"key": key}]) == []
    assert len(verify(connect, signed, world.image, signatures=[{"key": [wrong]}])) == 1


def test_recursive_requires_a_signature_of_each_image(connect: Connect, world: World) -> None:
    arm = images.image({"a": "arm"}, architecture="arm64", variant="v8")
    index = images.index([world.image, arm], attestations=True)
    key = public_pem(world.key)

    def violations(*signed: images.Image, **params: t.Any) -> list[str]:
        with HostileRegistry() as server:
            server.add("a/b", index, "1")
            for image in signed:
                layers = stored.layers_image([stored.signature_layer(world.key, image.digest)])
                server.add("a/b", layers, image.digest.replace(":", "-") + ".sig")
            clients, _client = connect(server.url, retries=0)
            result = task(registry_verify, clients, images=["a/b:1"], report_only=True, **params)
            return [violation["message"].partition(" by ")[0] for violation in result["violations"]]

    once = {"signatures": [{"key": key}]}
    for deep in ({"signatures": [{"key": key, "recursive": True}]}, {**once, "recursive": True}):
        assert violations(index, world.image, arm, **deep) == []
        assert violations(index, world.image, **deep) == ["its image for linux/arm64 has no signature"]
        assert violations(index, world.image, platforms=["linux/amd64"], **deep) == []
        assert violations(world.image, arm, **deep) == ["it has no signature"]
    assert violations(index, **once) == []
    assert violations(index, signatures=[{"key": key, "recursive": False}], recursive=True) == []
    assert len(violations(index, **once, labels={"x": None})) == 2


def test_an_image_may_have_requirements_of_its_own(connect: Connect, world: World) -> None:
    other = images.image({"a": "other"})
    with HostileRegistry() as server:
        add(server, world.image, world.tagged(stored.signature_layer(world.key, world.digest)), "1")
        add(server, other, None, "2")
        clients, _client = connect(server.url, retries=0)
        key = {"key": public_pem(world.key)}
        result = task(
            registry_verify,
            clients,
            images=["a/b:1", {"image": "a/b:2", "signatures": []}],
            signatures=[key],
            report_only=True,
        )
        assert result["passed"]
        result = task(
            registry_verify,
            clients,
            images=["a/b:1", {"image": "a/b:2", "signatures": [key]}],
            report_only=True,
        )
        assert [image["passed"] for image in result["images"]] == [True, False]


def test_signatures_in_another_repository(connect: Connect, world: World) -> None:
    layers = stored.layers_image([stored.signature_layer(world.key, world.digest)])
    entry = {"key": public_pem(world.key)}
    with HostileRegistry() as server, HostileRegistry() as other:
        server.add("a/b", world.image, "1")
        for place, where in ((server, "a/signatures"), (other, "signatures")):
            place.add(where, layers, world.digest.replace(":", "-") + ".sig")
            clients, _client = connect(server.url, retries=0)
            repository = f"{place.host}/{where}"
            result = task(
                registry_verify,
                clients,
                images=["a/b:1", {"image": "a/b:1", "signature_repository": f"{server.host}/a/none"}],
                signatures=[entry],
                signature_repository=repository,
                report_only=True,
            )
            assert [image["passed"] for image in result["images"]] == [True, False]


def test_match_of_an_attestation(connect: Connect, world: World) -> None:
    predicate = {"a": {"b": "x"}, "list": ["one", {"two": 2}], "a.b": "x", "yes": True, "null": None}
    payload = stored.statement(world.digest, "https://example.com/p/v1", predicate)
    signed = Signed(world.digest, attestations=[stored.attestation_layer(world.key, payload)])

    def passes(**match: t.Any) -> bool:
        entry = {"key": public_pem(world.key), "predicate_type": "https://example.com/p/*", "match": match}
        return not verify(connect, signed, world.image, attestations=[entry])

    assert passes(**{"a.b": "x", "list.0": "o?e", "list.1.two": "2", "yes": "true", "a": "*", "null": None})
    assert passes(**{"a.b": "regex:[xy]"})
    for match in ({"a.c": "*"}, {"a.b": "y"}, {"list.7": "*"}, {"list.two": "*"}, {"yes": "True"}, {"": "x"}):
        assert not passes(**match), match
    # Where a path can be read in two ways, both have to match.
    both = stored.statement(world.digest, "https://example.com/p/v1", {**predicate, "a.b": "y"})
    signed = Signed(world.digest, attestations=[stored.attestation_layer(world.key, both)])
    assert not passes(**{"a.b": "x"}) and passes(**{"a.b": "regex:x|y"})


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ({}, "needs either key, or identity"),
        ({"key": ""}, "needs either key, or identity"),
        ({"key": []}, "needs either key, or identity"),
        ({"key": [""]}, "must be text, or the path of a file"),
        ({"key": 5}, "must be text, or the path of a file"),
        ({"key": "\0"}, "must be text, or the path of a file"),
        ({"key": "KEY", "match": {5: "x"}}, "5 in signatures.0..match is not text"),
        (
            {"key": "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"},
            "no public key that can be read",
        ),
        ({"key": "-----BEGIN PUBLIC KEY-----"}, "is not PEM"),
        ({"key": "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"}, "holds a private key"),
        (
            {
                "key": "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nx\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----"
            },
            "holds a encrypted sigstore private key",
        ),
        ({"key": "KEY", "identity": "x"}, "needs either key, or identity"),
        ({"key": "KEY", "issuer": "x"}, "issuer does not go with key"),
        ({"key": "KEY", "transparency_log": "required"}, "needs trusted_root"),
        ({"identity": "x", "issuer": "y"}, "identity needs issuer and trusted_root"),
        ({"identity": "x", "trusted_root": "ROOT"}, "identity needs issuer and trusted_root"),
        ({"identity": "*", "issuer": "y", "trusted_root": "ROOT"}, "is met by everything"),
        ({"identity": "x", "issuer": "**", "trusted_root": "ROOT"}, "is met by everything"),
        ({"identity": "regex:(", "issuer": "y", "trusted_root": "ROOT"}, "is not a regular expression"),
        ({"identity": "x", "issuer": "y", "trusted_root": "{}"}, "is no trusted root"),
        ({"identity": "x", "issuer": "y", "trusted_root": "{"}, "is no trusted root"),
        ({"certificate_authority": "CA"}, "certificate_authority needs identity"),
        ({"certificate_authority": "KEY", "identity": "x"}, "holds a public key"),
        ({"certificate_authority": "LEAF", "identity": "x"}, "not one of an authority"),
        ({"key": "KEY", "match": {"build": 42}}, "is not text"),
        ({"key": "KEY", "match": {"build": "regex:("}}, "is not a regular expression"),
    ],
)
def test_requirements_that_cannot_be_used_send_nothing(
    connect: Connect, world: World, entry: dict[str, t.Any], match: str
) -> None:
    texts = {
        "KEY": public_pem(world.key),
        "CA": certificate_pem(world.pki.certificate),
        "LEAF": certificate_pem(world.instance.signer().certificate),
        "ROOT": json.dumps(world.instance.trusted_root()),
    }
    entry = {
        name: texts.get(value, value) if isinstance(value, str) else value for name, value in entry.items()
    }
    with HostileRegistry() as server:
        clients, _client = connect(server.url, retries=0)
        with pytest.raises(InvalidInput, match=match):
            task(registry_verify, clients, images=["a/b:1"], signatures=[entry])
        assert server.requests == []


def test_a_file_that_is_missing_sends_nothing(connect: Connect, world: World, tmp_path: pathlib.Path) -> None:
    missing = str(tmp_path / "missing")
    for entry in (
        {"key": missing},
        {"identity": "x", "issuer": "y", "trusted_root": missing},
        {"identity": "x", "certificate_authority": missing},
    ):
        with HostileRegistry() as server:
            clients, _client = connect(server.url, retries=0)
            with pytest.raises(LocalStorageError, match="missing cannot be used"):
                task(registry_verify, clients, images=["a/b:1"], signatures=[entry])
            assert server.requests == []


def test_attestations_of_other_types_are_named(connect: Connect, world: World) -> None:
    """Cosign has short names for types, which no attestation has."""
    layer = stored.attestation_layer(world.key, stored.statement(world.digest, stored.PROVENANCE, {}))
    entry = {"key": public_pem(world.key), "predicate_type": "slsaprovenance"}
    signed = Signed(world.digest, attestations=[layer])
    (violation,) = verify(connect, signed, world.image, attestations=[entry])
    first, second = violation["message"].splitlines()
    assert first.endswith("there is none.")
    assert second == f"  of other types, and not verified: {stored.PROVENANCE}"


def test_an_attestation_needs_a_predicate_type(connect: Connect, world: World) -> None:
    with HostileRegistry() as server:
        clients, _client = connect(server.url, retries=0)
        with pytest.raises(ValueError, match="predicate_type"):
            task(registry_verify, clients, images=["a/b:1"], attestations=[{"key": public_pem(world.key)}])


def without(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``library`` be one that cannot be imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def no_import(name: str, *args: t.Any, **kwargs: t.Any) -> t.Any:
        if name.partition(".")[0] == library:
            raise ImportError(f"No module named {library!r}", name=library)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_import)


def test_who_verifies_no_signatures_needs_no_library(
    connect: Connect, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    without("cryptography", monkeypatch)
    without("sigstore", monkeypatch)
    assert verify(connect, None, world.image, labels={}, platforms=["linux/amd64"]) == []


@pytest.mark.parametrize(
    ("library", "entry", "named"),
    [
        ("cryptography", {"key": "KEY"}, "cryptography"),
        ("cryptography", {"identity": "x", "certificate_authority": "CA"}, "cryptography"),
        ("sigstore", {"identity": "x", "issuer": "y", "trusted_root": "{}"}, "sigstore 4"),
    ],
)
def test_a_library_that_is_missing_is_named(
    connect: Connect,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
    entry: dict[str, t.Any],
    named: str,
) -> None:
    texts = {"KEY": public_pem(world.key), "CA": certificate_pem(world.pki.certificate)}
    entry = {name: texts.get(value, value) for name, value in entry.items()}
    without(library, monkeypatch)
    with HostileRegistry() as server:
        clients, _client = connect(server.url, retries=0)
        with pytest.raises(LibraryMissing) as caught:
            task(registry_verify, clients, images=["a/b:1"], signatures=[entry])
        assert server.requests == []
    assert caught.value.library == named


@pytest.mark.parametrize(
    ("library", "entry", "named"),
    [
        ("cryptography", {"key": "x"}, "cryptography"),
        ("sigstore", {"identity": "x", "issuer": "y", "trusted_root": "{}"}, "sigstore 4"),
    ],
)
def test_the_module_says_which_library_to_install_and_where(
    monkeypatch: pytest.MonkeyPatch, library: str, entry: dict[str, t.Any], named: str
) -> None:
    monkeypatch.setattr(running, "_CODE", f"import sys\nsys.modules[{library!r}] = None\n{running._CODE}")
    process = running.start(
        "registry_verify", "http://127.0.0.1:9", images=["a/b:1"], signatures=[entry], retries=0
    )
    output, _errors = process.communicate(timeout=60)
    answer = json.loads(output)
    assert answer["failed"]
    assert f"Failed to import the required Python library ({named})" in answer["msg"]


def test_keys_need_no_sigstore(connect: Connect, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = world.tagged(stored.signature_layer(world.key, world.digest, log=world.instance.log))
    without("sigstore", monkeypatch)
    assert verify(connect, signed, world.image, signatures=[{"key": public_pem(world.key)}]) == []


def test_another_release_of_sigstore_is_refused(
    connect: Connect, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sigstore

    monkeypatch.setattr(sigstore, "__version__", "5.0.0")
    with pytest.raises(LibraryMissing, match="sigstore 4"):
        sigstore_library.require_sigstore()


def test_a_log_entry_is_verified_where_there_is_one(connect: Connect, world: World) -> None:
    entry = {"key": public_pem(world.key), "trusted_root": world.root()}
    log = world.instance.log
    right = stored.signature_layer(world.key, world.digest, log=log)
    other = stored.signature_layer(world.key, world.digest, log=world.other.log)
    plain = stored.signature_layer(world.key, world.digest)
    for layer, mode, passes in (
        (right, None, True),
        (other, None, False),
        (plain, None, True),
        (right, "required", True),
        (plain, "required", False),
        (other, "ignore", True),
        (plain, "ignore", True),
    ):
        chosen = {**entry, "transparency_log": mode} if mode else entry
        assert (verify(connect, world.tagged(layer), world.image, signatures=[chosen]) == []) is passes
    # Without a trusted root there is nothing to verify it with.
    bare = {"key": public_pem(world.key)}
    assert verify(connect, world.tagged(other), world.image, signatures=[bare]) == []


def test_a_trusted_root_may_be_given_as_text_or_as_data(connect: Connect, world: World) -> None:
    signer = world.instance.signer()
    signed = world.tagged(stored.signature_layer(None, world.digest, signer=signer, log=world.instance.log))
    root = world.instance.trusted_root()
    for value in (root, json.dumps(root), world.root()):
        entry = {"identity": IDENTITY, "issuer": ISSUER, "trusted_root": value}
        assert verify(connect, signed, world.image, signatures=[entry]) == []


@pytest.mark.parametrize("source_api", ["off", "on"])
@pytest.mark.parametrize("destination_api", ["off", "on"])
def test_signatures_of_every_form_are_copied_along(
    connect: Connect, world: World, source_api: str, destination_api: str
) -> None:
    key = {"key": public_pem(world.key)}
    layer = stored.signature_layer(world.key, world.digest)
    bundle = stored.bundle(world.key, stored.statement(world.digest))
    provenance = stored.bundle(world.key, stored.statement(world.digest, stored.PROVENANCE))
    sbom = images.artifact("application/spdx+json", b"sbom", subject=world.image)
    forms = {
        "tag": world.tagged(layer),
        "oci 1.1": Signed(
            world.digest, referrers=[stored.layers_image([layer], world.image, stored.COSIGN_SIGNATURE)]
        ),
        "bundle": world.referring(bundle),
        "attestation": world.referring(provenance, predicate_type=stored.PROVENANCE),
    }
    for form, signed in forms.items():
        with HostileRegistry(referrers=source_api) as source, HostileRegistry(
            referrers=destination_api
        ) as destination:
            signed.referrers = [*signed.referrers, sbom]
            add(source, world.image, signed)
            clients, _client = connect(source.url, retries=0)
            target = f"{destination.host}/c/d:1"
            task(registry_copy, clients, image="a/b:1", to=[target], signatures=True)
            required: dict[str, t.Any] = {"signatures": [key]}
            if form == "attestation":
                required = {"attestations": [{**key, "predicate_type": stored.PROVENANCE}]}
            there, _client = connect(destination.url, retries=0)
            assert task(registry_verify, there, images=[target], **required)["passed"], form
            assert sbom.digest not in destination.repository("c/d").manifests


def test_names_of_bots_are_no_patterns(connect: Connect, world: World) -> None:
    signer = world.instance.signer(identity="releases@acme.example")
    signed = world.tagged(stored.signature_layer(None, world.digest, signer=signer, log=world.instance.log))
    for identity, passes in (
        ("release[s]@acme.example", False),
        ("release?@acme.example", False),
        ("release*@acme.example", True),
        ("regex:release[s]@acme[.]example", True),
        ("regex:release", False),
        ("*@acme.example.evil", False),
    ):
        entry = {"identity": identity, "issuer": ISSUER, "trusted_root": world.root()}
        assert (verify(connect, signed, world.image, signatures=[entry]) == []) is passes, identity


def test_a_bundle_that_is_listed_with_the_empty_type_is_found(connect: Connect, world: World) -> None:
    bundle = stored.bundle_image(stored.bundle(world.key, stored.statement(world.digest)), world.image)
    listed = images.referrers_index([bundle])
    manifest = listed.manifest
    for entry in manifest["manifests"]:
        entry["artifactType"] = images.OCI_EMPTY
        del entry["annotations"]
    listed = dataclasses.replace(listed, raw=json.dumps(manifest).encode())
    with HostileRegistry() as server:
        server.add("a/b", world.image, "1")
        server.add("a/b", bundle)
        server.add("a/b", listed, images.referrers_tag(world.image))
        clients, _client = connect(server.url, retries=0)
        assert task(registry_verify, clients, images=["a/b:1"], signatures=[{"key": public_pem(world.key)}])[
            "passed"
        ]


def test_new_key_is_the_same_within_a_run() -> None:
    assert new_key("x") is new_key("x") and new_key("x") is not new_key("y")
