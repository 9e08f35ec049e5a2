# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images with right and wrong signatures, each with what the collection is asked, and how cosign is asked the same."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import pathlib
import tempfile
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.registries import images

from . import der, stored
from .instance import (
    BEGIN,
    IDENTITY,
    ISSUER,
    MINUTES,
    SIGNED,
    Authority,
    Instance,
    authority,
    certificate_der,
    certificate_pem,
    encode,
    new_key,
    public_pem,
)
from .stored import Layer

MAIL = "release@acme.example"
_BASE64 = "base64 is standard base64 without blanks, as cosign writes it"
_ONE_NAME = "a certificate of Fulcio has one name"
_NAMES = "identities are e-mail addresses, URIs and user names"
_LIBRARY = "the library sigstore refuses such certificates"
_ISSUED = "an authority must have been valid when it issued the certificate"
_TYPES = "artifacts and layers have the types that cosign gives them"
OTHER_DIGEST = images.digest(b"another image")
NOW_SIGNERS = {"begin": BEGIN, "end": BEGIN.replace(year=2035)}


@dataclasses.dataclass
class Signed:
    """What is pushed beside the image: layers of cosign's tags, and referrers. All belong to ``digest``."""

    digest: str
    signatures: t.Sequence[Layer] = ()
    attestations: t.Sequence[Layer] = ()
    referrers: t.Sequence[images.Image] = ()


@dataclasses.dataclass
class Case:
    """One image: what was signed, what the collection is asked, whether it must pass, and the question to cosign.

    ``stricter`` says why the collection refuses what cosign passes, and ``beyond`` why it passes what cosign refuses.
    """

    name: str
    signed: Signed
    params: dict[str, t.Any]
    cosign: list[str]
    passes: bool
    image: images.Image
    stricter: str = ""
    releases: tuple[int, ...] = (2, 3)
    beyond: str = ""

    @property
    def command(self) -> list[str]:
        """The command of cosign, without the image."""
        return ["verify-attestation" if "attestations" in self.params else "verify", *self.cosign]

    def pushed(self) -> t.Iterator[tuple[images.Image, str | None]]:
        """Yield what is pushed, each with its tag: the image, signatures, and the list of referrers."""
        yield self.image, None
        tag = self.signed.digest.replace(":", "-")
        for suffix, layers in ((".sig", self.signed.signatures), (".att", self.signed.attestations)):
            if layers:
                yield stored.layers_image(layers), tag + suffix
        for referrer in self.signed.referrers:
            yield referrer, None
        if self.signed.referrers:
            yield images.referrers_index(self.signed.referrers), tag


@functools.lru_cache(maxsize=None)
def other_kinds() -> dict[str, t.Any]:
    """Return keys of all kinds but P-256, by name."""
    return {
        "rsa": rsa.generate_private_key(65537, 2048),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "p521": ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }


class World:
    """The keys, the instance and the private PKI of all cases, and the files that both are given."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.image = images.image({"a": "signed"})
        self.digest = self.image.digest
        self.instance = Instance("ours")
        self.other = Instance("other")
        self.key = new_key("signer")
        self.wrong = new_key("somebody else")
        self.pki = authority("acme root")
        self.pki_inner = authority("acme signing", self.pki, path_length=0)

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all cases."""
        with tempfile.TemporaryDirectory() as folder:
            return [case.name for case in cases(cls(pathlib.Path(folder)))]

    def tagged(self, *layers: Layer) -> Signed:
        """Return signatures of the image under cosign's tag."""
        return Signed(self.digest, signatures=layers)

    def referring(self, *contents: t.Any, predicate_type: str | None = stored.SIGN_PREDICATE) -> Signed:
        """Return bundles that refer to the image."""
        made = [stored.bundle_image(content, self.image, predicate_type) for content in contents]
        return Signed(self.digest, referrers=made)

    def file(self, name: str, content: str) -> str:
        """Return the path of a file with ``content``."""
        path = self.folder / name
        path.write_text(content)
        return str(path)

    def public(self, key: t.Any, name: str = "key") -> str:
        return self.file(f"{name}.pub", public_pem(key))

    def root(self, name: str = "root", **fields: t.Any) -> str:
        return self.file(f"{name}.json", json.dumps(self.instance.trusted_root(**fields)))


def cases(world: World) -> t.Iterator[Case]:
    """Yield all cases."""
    yield from _keys(world)
    yield from _payloads(world)
    yield from _bundles(world)
    yield from _several(world)
    yield from _logged_keys(world)
    yield from _identities(world)
    yield from _times(world)
    yield from _private_pki(world)
    yield from _attestations(world)


def _of_key(
    world: World,
    name: str,
    signed: Signed,
    passes: bool,
    *,
    key: t.Any = None,
    flags: t.Sequence[str] = (),
    bundle: bool = False,
    stricter: str = "",
    releases: tuple[int, ...] = (2, 3),
    image: images.Image | None = None,
    module: t.Mapping[str, t.Any] | None = None,
    **entry: t.Any,
) -> Case:
    path = world.public(key or world.key, f"key-{name.replace(' ', '-')[:40]}")
    command = ["--key", path, "--insecure-ignore-tlog=true", f"--new-bundle-format={str(bundle).lower()}"]
    command += ["--trusted-root", world.root()] if bundle else []
    params = {"signatures": [{"key": path, **entry}], **(module or {})}
    return Case(name, signed, params, [*command, *flags], passes, image or world.image, stricter, releases)


def _keys(world: World) -> t.Iterator[Case]:
    digest, key = world.digest, world.key
    layer = stored.signature_layer(key, digest)
    yield _of_key(world, "key, tag", world.tagged(layer), True)
    yield _of_key(world, "wrong key, tag", world.tagged(layer), False, key=world.wrong)
    artifact = stored.layers_image([layer], world.image, stored.COSIGN_SIGNATURE)
    yield _of_key(
        world,
        "key, oci 1.1",
        Signed(world.digest, referrers=[artifact]),
        True,
        flags=["--experimental-oci11=true"],
        releases=(2,),
    )
    yield _of_key(
        world,
        "wrong key, oci 1.1",
        Signed(world.digest, referrers=[artifact]),
        False,
        key=world.wrong,
        flags=["--experimental-oci11=true"],
        releases=(2,),
    )
    for kind, other in other_kinds().items():
        yield _of_key(
            world, f"{kind}, tag", world.tagged(stored.signature_layer(other, digest)), True, key=other
        )
        yield _of_key(
            world, f"{kind}, wrong key", world.tagged(stored.signature_layer(key, digest)), False, key=other
        )
        algorithm = {"p384": hashes.SHA384(), "p521": hashes.SHA512()}.get(kind)
        if algorithm:
            own = world.tagged(stored.signature_layer(other, digest, algorithm=algorithm))
            flag = f"--signature-digest-algorithm={algorithm.name}"
            yield _of_key(world, f"{kind}, {algorithm.name}, tag", own, True, key=other, flags=[flag])
            content = stored.bundle(other, stored.statement(digest), algorithm=algorithm)
            yield _of_key(
                world,
                f"{kind}, {algorithm.name}, bundle",
                world.referring(content),
                True,
                key=other,
                bundle=True,
                flags=[flag],
            )
        content = stored.bundle(other, stored.statement(digest))
        yield _of_key(world, f"{kind}, bundle", world.referring(content), True, key=other, bundle=True)
    pss = world.tagged(stored.signature_layer(other_kinds()["rsa"], digest, pss=True))
    case = _of_key(world, "rsa with pss, tag", pss, True, key=other_kinds()["rsa"])
    yield dataclasses.replace(
        case, beyond="key services sign with RSASSA-PSS; cosign reads PKCS #1 v1.5 alone"
    )
    yield _of_key(world, "unsigned", Signed(world.digest), False)
    yield _of_key(world, "unsigned, bundle", Signed(world.digest), False, bundle=True)
    nobody = dataclasses.replace(layer, annotations={})
    yield _of_key(world, "no signature in the annotation", world.tagged(nobody), False)
    for name, value in {"empty": "", "not base64": "%%%", "other bytes": encode(b"other")}.items():
        changed = dataclasses.replace(layer, annotations={"dev.cosignproject.cosign/signature": value})
        yield _of_key(world, f"signature is {name}", world.tagged(changed), False)
    signature = stored.sign(key, layer.content)
    for name, value in {
        "has bytes behind it": encode(signature + b"x"),
        "has a line break": encode(signature)[:20] + "\n" + encode(signature)[20:],
        "has a blank": encode(signature) + " ",
    }.items():
        changed = dataclasses.replace(layer, annotations={"dev.cosignproject.cosign/signature": value})
        yield _of_key(world, f"signature {name}", world.tagged(changed), False, stricter=_BASE64)
    typed = dataclasses.replace(layer, media_type="application/octet-stream")
    yield _of_key(world, "layer of another type", world.tagged(typed), False, stricter=_TYPES)
    plain = stored.layers_image([layer], world.image, "application/vnd.example")
    yield _of_key(
        world,
        "signature in a referrer of another type",
        Signed(world.digest, referrers=[plain]),
        False,
        flags=["--experimental-oci11=true"],
        releases=(2,),
        stricter=_TYPES,
    )
    raw = encode(_raw_form(stored.sign(key, layer.content)))
    changed = dataclasses.replace(layer, annotations={"dev.cosignproject.cosign/signature": raw})
    yield _of_key(
        world,
        "signature in raw form",
        world.tagged(changed),
        False,
        stricter="ECDSA signatures are DER encoded, as the specification of cosign says",
    )


def _raw_form(signature: bytes) -> bytes:
    """Return an ECDSA signature as two numbers of the same length (IEEE P1363)."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    first, second = decode_dss_signature(signature)
    return first.to_bytes(32, "big") + second.to_bytes(32, "big")


def _payloads(world: World) -> t.Iterator[Case]:
    digest, key = world.digest, world.key

    def signed(payload: bytes) -> Signed:
        return world.tagged(stored.signature_layer(key, digest, payload=payload))

    yield _of_key(world, "payload of another image", signed(stored.simple_payload(OTHER_DIGEST)), False)
    tampered = stored.signature_layer(key, OTHER_DIGEST)
    tampered = dataclasses.replace(
        tampered, content=tampered.content.replace(OTHER_DIGEST.encode(), digest.encode())
    )
    yield _of_key(world, "payload changed afterwards", world.tagged(tampered), False)
    yield _of_key(
        world,
        "payload of another type",
        signed(stored.simple_payload(digest, type="something else")),
        False,
        stricter="the type says what the signature is for",
    )
    yield _of_key(world, "payload without an image", signed(stored.simple_payload(digest, image={})), False)
    elsewhere = stored.simple_payload(digest, identity={"docker-reference": "evil.example/app"})
    yield _of_key(world, "payload of another repository", signed(elsewhere), True)
    yield _of_key(world, "payload with more keys", signed(stored.simple_payload(digest, more={"a": 1})), True)
    number = signed(stored.simple_payload(digest, {"build": 42}))
    yield _of_key(
        world, "annotation that is a number", number, False, match={"build": "42"}, flags=["-a", "build=42"]
    )
    yield _of_key(world, "payload is no JSON", signed(b"signed"), False)
    yield _of_key(world, "payload is a list", signed(b"[]"), False)
    twice = stored.simple_payload(OTHER_DIGEST).replace(
        b'"type"', b'"image":{"docker-manifest-digest":"%s"},"type"' % digest.encode()
    )
    yield _of_key(
        world, "payload names two images", signed(twice), False, stricter="JSON with two readings is refused"
    )
    case = stored.simple_payload(OTHER_DIGEST).replace(
        b'"docker-manifest-digest"',
        b'"Docker-Manifest-Digest":"%s","docker-manifest-digest"' % digest.encode(),
    )
    yield _of_key(world, "payload names two images in two cases", signed(case), False)
    with_notes = world.tagged(stored.signature_layer(key, digest, annotations={"build": "42", "env": "prod"}))
    without = world.tagged(stored.signature_layer(key, digest))
    yield _of_key(world, "annotation", with_notes, True, match={"build": "42"}, flags=["-a", "build=42"])
    yield _of_key(
        world,
        "two annotations",
        with_notes,
        True,
        match={"build": "42", "env": "prod"},
        flags=["-a", "build=42", "-a", "env=prod"],
    )
    yield _of_key(
        world, "annotation, other value", with_notes, False, match={"build": "43"}, flags=["-a", "build=43"]
    )
    yield _of_key(
        world, "annotation, missing", without, False, match={"build": "42"}, flags=["-a", "build=42"]
    )


def _bundles(world: World) -> t.Iterator[Case]:
    digest, key = world.digest, world.key

    def case(name: str, content: t.Any, passes: bool, **options: t.Any) -> Case:
        referrers = [stored.bundle_image(content, world.image)]
        return _of_key(world, name, Signed(world.digest, referrers=referrers), passes, bundle=True, **options)

    right = stored.bundle(key, stored.statement(digest))
    yield case("key, bundle", right, True)
    yield case("wrong key, bundle", right, False, key=world.wrong)
    hint = copy.deepcopy(right)
    hint["verificationMaterial"]["publicKey"]["hint"] = encode(b"somebody else")
    yield case("bundle with another hint", hint, True)
    claims = stored.bundle(world.wrong, stored.statement(digest))
    claims["verificationMaterial"] = right["verificationMaterial"]
    yield case("bundle with our hint by somebody else", claims, False)
    yield case("bundle of another image", stored.bundle(key, stored.statement(OTHER_DIGEST)), False)
    changed = copy.deepcopy(stored.bundle(key, stored.statement(OTHER_DIGEST)))
    changed["dsseEnvelope"]["payload"] = encode(stored.statement(digest))
    yield case("bundle with another payload", changed, False)
    kind = copy.deepcopy(right)
    kind["dsseEnvelope"]["payloadType"] = "application/json"
    yield case("bundle with another payload type", kind, False)
    plain = stored.bundle(key, stored.statement(digest), payload_type="application/json")
    yield case("bundle signed with another payload type", plain, False)
    provenance = stored.bundle(key, stored.statement(digest, stored.PROVENANCE))
    yield case(
        "bundle with an attestation",
        provenance,
        False,
        stricter="an attestation is no signature: it says more than that the image was signed",
    )
    two = json.loads(stored.statement(OTHER_DIGEST))
    two["subject"].append({"digest": {"sha256": digest.partition(":")[2]}})
    yield case("bundle of two images", stored.bundle(key, json.dumps(two).encode()), True)
    none = {**json.loads(stored.statement(digest)), "subject": []}
    yield case("bundle of no image", stored.bundle(key, json.dumps(none).encode()), False)
    other_type = {**json.loads(stored.statement(digest)), "_type": "https://example.com/Statement"}
    yield case(
        "bundle with another statement",
        stored.bundle(key, json.dumps(other_type).encode()),
        False,
        stricter="the type of a statement says how it is to be read",
    )
    yield case("bundle of an unknown version", {**right, "mediaType": f"{stored.BUNDLE};9"}, False)
    yield case("bundle is no JSON", b"bundle", False)
    unsigned = copy.deepcopy(right)
    unsigned["dsseEnvelope"]["signatures"] = []
    yield case("bundle without a signature", unsigned, False)
    twice = copy.deepcopy(right)
    twice["dsseEnvelope"]["signatures"] *= 2
    yield case("bundle with two signatures", twice, False)
    other = images.image({"a": "another"})
    elsewhere = stored.bundle_image(right, other)
    yield _of_key(
        world,
        "bundle that refers to another image",
        Signed(world.digest, referrers=[elsewhere]),
        False,
        bundle=True,
        stricter="a listing is a hint: the referrer's own manifest names another subject",
    )
    for name, types, why in (
        ("artifact", {"artifact_type": "application/vnd.example"}, ""),
        ("layer", {"layer_type": "application/vnd.example"}, _TYPES),
        (
            "artifact of an older",
            {"artifact_type": "application/vnd.dev.sigstore.bundle+json;version=0.2"},
            "",
        ),
    ):
        other_typed = stored.bundle_image(right, world.image, **types)
        yield _of_key(
            world,
            f"bundle with {name} type",
            Signed(world.digest, referrers=[other_typed]),
            name != "layer",
            bundle=True,
            stricter=why,
        )
    spelled = {**right, "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.3"}
    yield case("bundle with the other spelling of its version", spelled, True)
    extended = copy.deepcopy(right)
    extended["dsseEnvelope"]["more"] = 1
    yield case("bundle with an unknown key", extended, False)
    bare = stored.bundle_image(right, world.image, predicate_type=None)
    yield _of_key(
        world, "bundle without annotations", Signed(world.digest, referrers=[bare]), True, bundle=True
    )
    notes = stored.bundle(key, stored.statement(digest, annotations={"build": "42"}))
    yield case("bundle with an annotation", notes, True, match={"build": "42"}, flags=["-a", "build=42"])
    yield case(
        "bundle with another annotation",
        notes,
        False,
        match={"build": "43"},
        flags=["-a", "build=43"],
        stricter="cosign 2 does not look at the annotations of bundles",
    )


def _several(world: World) -> t.Iterator[Case]:
    digest, key, wrong = world.digest, world.key, world.wrong
    good, bad = stored.signature_layer(key, digest), stored.signature_layer(wrong, digest)
    yield _of_key(world, "a bad one before", world.tagged(bad, good), True)
    yield _of_key(world, "a bad one behind", world.tagged(good, bad), True)
    broken = Layer(b"broken", stored.SIMPLE_SIGNING, {"dev.cosignproject.cosign/signature": "%"})
    yield _of_key(
        world,
        "a broken one before",
        world.tagged(broken, good),
        True,
    )
    many = [stored.signature_layer(wrong, digest, annotations={"n": str(n)}) for n in range(60)]
    yield _of_key(world, "sixty bad ones before", world.tagged(*many, good), True)
    bundles = [
        stored.bundle_image(stored.bundle(one, stored.statement(digest)), world.image) for one in (wrong, key)
    ]
    yield _of_key(
        world, "bundle, a bad one before", Signed(world.digest, referrers=bundles), True, bundle=True
    )
    index = images.index([world.image])
    child = world.tagged(stored.signature_layer(key, digest))
    yield _of_key(world, "index of which the child is signed", child, False, image=index)
    whole = Signed(index.digest, signatures=[stored.signature_layer(key, index.digest)])
    yield _of_key(world, "index that is signed", whole, True, image=index)


def _logged_keys(world: World) -> t.Iterator[Case]:
    digest, key, log = world.digest, world.key, world.instance.log
    right = stored.signature_layer(key, digest, log=log)

    def case(name: str, signed: Signed, passes: bool, bundle: bool = False, **options: t.Any) -> Case:
        path, root = world.public(key), world.root()
        command = [
            "--key",
            path,
            "--trusted-root",
            root,
            "--offline=true",
            f"--new-bundle-format={str(bundle).lower()}",
        ]
        entry = {"key": path, "trusted_root": root, "transparency_log": "required"}
        return Case(name, signed, {"signatures": [entry]}, command, passes, world.image, **options)

    yield case("key and log, tag", world.tagged(right), True)
    yield case("key without log, tag", world.tagged(stored.signature_layer(key, digest)), False)
    other_log = world.tagged(stored.signature_layer(key, digest, log=world.other.log))
    yield case("key and another log, tag", other_log, False)
    for name, promise in _changed_promises(right, stored.signature_layer(key, OTHER_DIGEST, log=log)).items():
        yield case(f"key, {name}, tag", world.tagged(dataclasses.replace(right, annotations=promise)), False)
    payload = stored.statement(digest)

    def bundled(content: dict[str, t.Any]) -> Signed:
        return world.referring(content)

    content = stored.bundle(key, payload, log=log)
    yield case("key and log, bundle", bundled(content), True, bundle=True)
    unpromised = stored.bundle(key, payload, log=log, promise=False)
    yield case("key and proof without a promise, bundle", world.referring(unpromised), True, bundle=True)
    unproven = stored.bundle(key, payload, log=log, proof=False)
    yield case("key and promise without a proof, bundle", world.referring(unproven), False, bundle=True)
    oldest = world.referring(_of_version_one(unproven))
    yield case("key and promise without a proof, bundle 0.1", oldest, False, bundle=True)
    yield case("key without log, bundle", bundled(stored.bundle(key, payload)), False, bundle=True)
    for name, changed in _changed_entries(
        content, stored.bundle(key, stored.statement(OTHER_DIGEST), log=log)
    ).items():
        yield case(f"key, {name}, bundle", bundled(changed), False, bundle=True)


def _changed_promises(right: Layer, other: Layer) -> dict[str, dict[str, str]]:
    """Return the annotations of a signature with log entries that do not belong to it."""
    name = "dev.sigstore.cosign/bundle"
    entry = json.loads(right.annotations[name])
    changes = {}
    for title, path, value in (
        ("promise changed", ("SignedEntryTimestamp",), encode(b"changed")),
        ("log index changed", ("Payload", "logIndex"), 6),
        ("log time changed", ("Payload", "integratedTime"), entry["Payload"]["integratedTime"] - 60),
    ):
        changed = copy.deepcopy(entry)
        holder = changed if len(path) == 1 else changed[path[0]]
        holder[path[-1]] = value
        changes[title] = {**right.annotations, name: json.dumps(changed)}
    changes["log entry of another"] = {**right.annotations, name: other.annotations[name]}
    return changes


def _changed_entries(right: dict[str, t.Any], other: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """Return a bundle with log entries that do not belong to it."""

    def changed(change: t.Callable[[dict[str, t.Any]], object]) -> dict[str, t.Any]:
        content = copy.deepcopy(right)
        change(content["verificationMaterial"]["tlogEntries"][0])
        return content

    entry = other["verificationMaterial"]["tlogEntries"][0]
    return {
        "log entry of another": changed(lambda own: own.update(copy.deepcopy(entry))),
        "promise changed": changed(
            lambda own: own["inclusionPromise"].update(signedEntryTimestamp=encode(b"x"))
        ),
        "log time changed": changed(
            lambda own: own.update(integratedTime=str(int(own["integratedTime"]) - 60))
        ),
        "proof changed": changed(
            lambda own: own["inclusionProof"].update(hashes=own["inclusionProof"]["hashes"][:-1])
        ),
        "root changed": changed(lambda own: own["inclusionProof"].update(rootHash=encode(bytes(32)))),
        "checkpoint changed": changed(
            lambda own: own["inclusionProof"]["checkpoint"].update(
                envelope=own["inclusionProof"]["checkpoint"]["envelope"].replace("\n7\n", "\n8\n")
            )
        ),
    }


def _of_identity(
    world: World,
    name: str,
    signed: Signed,
    root: str,
    passes: bool,
    *,
    identity: str = IDENTITY,
    issuer: str = ISSUER,
    bundle: bool = False,
    flags: t.Sequence[str] | None = None,
    stricter: str = "",
    releases: tuple[int, ...] = (2, 3),
    **entry: t.Any,
) -> Case:
    if flags is None:
        flags = ["--certificate-identity", identity, "--certificate-oidc-issuer", issuer]
    command = ["--trusted-root", root, "--offline=true", f"--new-bundle-format={str(bundle).lower()}", *flags]
    own = {"identity": identity, "issuer": issuer, "trusted_root": root, **entry}
    return Case(name, signed, {"signatures": [own]}, command, passes, world.image, stricter, releases)


def _forms(world: World, signer: t.Any, **how: t.Any) -> t.Iterator[tuple[str, bool, Signed]]:
    """Yield a signature as a tag of cosign 2 and as a bundle of cosign 3: name, whether it is a bundle, content."""
    how = {"log": world.instance.log, **how}
    yield "tag", False, world.tagged(stored.signature_layer(None, world.digest, signer=signer, **how))
    content = stored.bundle(None, stored.statement(world.digest), signer=signer, **how)
    yield "bundle", True, world.referring(content)


def _identities(world: World) -> t.Iterator[Case]:
    instance, root = world.instance, world.root()
    signer = instance.signer()
    family = IDENTITY.rpartition("@")[0] + "@refs/tags/*"
    expression = "^" + family.replace(".", "[.]").replace("*", ".*") + "$"
    by_family = ["--certificate-identity-regexp", expression, "--certificate-oidc-issuer", ISSUER]
    other_root = world.file("other.json", json.dumps(world.other.trusted_root()))
    mail = instance.signer(identity=MAIL)
    for form, bundle, signed in _forms(world, signer):
        yield _of_identity(world, f"identity, {form}", signed, root, True, bundle=bundle)
        yield _of_identity(
            world, f"another identity, {form}", signed, root, False, bundle=bundle, identity=IDENTITY + "0"
        )
        yield _of_identity(
            world, f"part of the identity, {form}", signed, root, False, bundle=bundle, identity=IDENTITY[:-1]
        )
        yield _of_identity(
            world, f"another issuer, {form}", signed, root, False, bundle=bundle, issuer=ISSUER + ".evil"
        )
        yield _of_identity(world, f"another root, {form}", signed, other_root, False, bundle=bundle)
        yield _of_identity(
            world,
            f"family of identities, {form}",
            signed,
            root,
            True,
            bundle=bundle,
            identity=family,
            flags=by_family,
        )
    workflow, _at, _tag = IDENTITY.rpartition("@")
    folder = workflow.rpartition("/")[0]
    branch = instance.signer(identity=f"{workflow}@refs/heads/x@refs/tags/v1")
    for form, bundle, signed in _forms(world, branch):
        yield _of_identity(
            world,
            f"branch called as a tag, {form}",
            signed,
            root,
            False,
            bundle=bundle,
            identity=f"{folder}/*@refs/tags/*",
            flags=["--certificate-identity-regexp", f"^{folder}/.*@refs/tags/.*$", *by_family[2:]],
            stricter="a * in front of an @ stands for no @",
        )
    for form, bundle, signed in _forms(world, mail):
        yield _of_identity(world, f"mail address, {form}", signed, root, True, bundle=bundle, identity=MAIL)
        yield _of_identity(
            world, f"another mail address, {form}", signed, root, False, bundle=bundle, identity="x" + MAIL
        )
    for name, other, stricter in (
        ("no promise of the certificate log", instance.signer(sct="missing"), ""),
        ("promise of another certificate log", instance.signer(sct="other log"), ""),
        ("promise of a certificate log for another time", instance.signer(sct="other time"), ""),
        ("certificate for servers", instance.signer(usage=ExtendedKeyUsageOID.SERVER_AUTH), ""),
        ("certificate of another authority", instance.signer(by=world.other.fulcio), ""),
        ("certificate of a signer", instance.signer(by=Authority(signer.certificate, signer.key)), ""),
        ("certificate without issuer", instance.signer(issuer=None), ""),
    ):
        for form, bundle, signed in _forms(world, other):
            yield _of_identity(
                world, f"{name}, {form}", signed, root, False, bundle=bundle, stricter=stricter
            )
    for form, bundle, signed in _forms(world, instance.signer(issuer=None, old_issuer=ISSUER)):
        yield _of_identity(world, f"issuer in the old extension, {form}", signed, root, True, bundle=bundle)
    other_mail = "other@acme.example"
    user = x509.OtherName(
        x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), der.encode(0x0C, b"jane!acme.example")
    )
    for name, own, asked, passes, stricter in (
        ("first of two names", [MAIL, other_mail], MAIL, False, _ONE_NAME),
        ("second of two names", [other_mail, MAIL], MAIL, False, _ONE_NAME),
        ("dns name", [x509.DNSName("ci.acme.example")], "ci.acme.example", False, _NAMES),
        ("user name", [user], "jane!acme.example", True, ""),
    ):
        for form, bundle, signed in _forms(world, instance.signer(identity=own)):
            yield _of_identity(
                world,
                f"{name}, {form}",
                signed,
                root,
                passes,
                bundle=bundle,
                identity=asked,
                stricter=stricter,
            )
    for form, bundle, signed in _forms(world, instance.signer(critical=False)):
        yield _of_identity(
            world, f"name that is not critical, {form}", signed, root, False, bundle=bundle, stricter=_LIBRARY
        )
    odd = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5.6"), b"x"), True)
    for form, bundle, signed in _forms(world, instance.signer(extensions=[odd])):
        yield _of_identity(world, f"unknown critical extension, {form}", signed, root, False, bundle=bundle)
    for kind, own_key in other_kinds().items():
        for form, bundle, signed in _forms(world, instance.signer(key=own_key)):
            yield _of_identity(
                world,
                f"certificate with {kind}, {form}",
                signed,
                root,
                kind[0] == "p",
                bundle=bundle,
                stricter="" if kind[0] == "p" else _LIBRARY,
            )
    trusted = instance.trusted_root()
    others = world.other.trusted_root()
    both = world.file(
        "both-roots.json",
        json.dumps(
            {
                name: others[name] + value if isinstance(value, list) else value
                for name, value in trusted.items()
            }
        ),
    )
    for form, bundle, signed in _forms(world, signer):
        yield _of_identity(world, f"second of two roots, {form}", signed, both, True, bundle=bundle)
    late = authority("late fulcio", instance.root, begin=SIGNED, usages=[ExtendedKeyUsageOID.CODE_SIGNING])
    chain = [{"rawBytes": encode(certificate_der(one))} for one in late.chain]
    late_root = json.loads(json.dumps(trusted))
    late_root["certificateAuthorities"][0]["certChain"]["certificates"] = chain
    late_file = world.file("late.json", json.dumps(late_root))
    for form, bundle, signed in _forms(world, instance.signer(by=late), moment=SIGNED + MINUTES):
        yield _of_identity(
            world,
            f"authority that is younger than the certificate, {form}",
            signed,
            late_file,
            False,
            bundle=bundle,
            stricter=_ISSUED,
        )
    layer = stored.signature_layer(None, world.digest, signer=signer, log=instance.log)
    alien = "".join(map(certificate_pem, world.other.fulcio.chain))
    chained = dataclasses.replace(
        layer, annotations={**layer.annotations, "dev.sigstore.cosign/chain": alien}
    )
    yield _of_identity(world, "chain of another authority, tag", world.tagged(chained), root, True)
    two = {
        **layer.annotations,
        "dev.sigstore.cosign/certificate": layer.annotations["dev.sigstore.cosign/certificate"] * 2,
    }
    doubled = dataclasses.replace(layer, annotations=two)
    yield _of_identity(
        world,
        "certificate twice, tag",
        world.tagged(doubled),
        root,
        False,
        stricter="there is one certificate",
    )
    theft = dataclasses.replace(signer, key=world.wrong)
    for form, bundle, signed in _forms(world, theft):
        yield _of_identity(world, f"certificate of somebody else, {form}", signed, root, False, bundle=bundle)


def _times(world: World) -> t.Iterator[Case]:
    instance, root = world.instance, world.root()
    signer = instance.signer()
    for name, moment in (("after", SIGNED + 20 * MINUTES), ("before", SIGNED - 20 * MINUTES)):
        for form, bundle, signed in _forms(world, signer, moment=moment):
            yield _of_identity(
                world, f"logged {name} the certificate was valid, {form}", signed, root, False, bundle=bundle
            )
    past = world.root("past", end=SIGNED - 60 * MINUTES)
    future = world.root("future", begin=SIGNED + 60 * MINUTES)
    for form, bundle, signed in _forms(world, signer):
        yield _of_identity(
            world,
            f"root that was not valid any more, {form}",
            signed,
            past,
            False,
            bundle=bundle,
        )
        yield _of_identity(
            world,
            f"root that was not valid yet, {form}",
            signed,
            future,
            False,
            bundle=bundle,
        )
    for form, bundle, signed in _forms(world, signer, log=None):
        yield _of_identity(world, f"no log entry, {form}", signed, root, False, bundle=bundle)
    for form, bundle, signed in _forms(world, signer, log=world.other.log):
        yield _of_identity(world, f"entry of another log, {form}", signed, root, False, bundle=bundle)
    right = stored.signature_layer(None, world.digest, signer=signer, log=instance.log)
    other = stored.signature_layer(None, OTHER_DIGEST, signer=signer, log=instance.log)
    for name, promise in _changed_promises(right, other).items():
        signed = world.tagged(dataclasses.replace(right, annotations=promise))
        yield _of_identity(world, f"identity, {name}, tag", signed, root, False)
    content = stored.bundle(None, stored.statement(world.digest), signer=signer, log=instance.log)
    alien = stored.bundle(None, stored.statement(OTHER_DIGEST), signer=signer, log=instance.log)
    for name, changed in _changed_entries(content, alien).items():
        signed = world.referring(changed)
        yield _of_identity(world, f"identity, {name}, bundle", signed, root, False, bundle=True)
    proven = stored.bundle(
        None, stored.statement(world.digest), signer=signer, log=instance.log, promise=False
    )
    yield _of_identity(
        world,
        "proof without a promise or timestamp, bundle",
        world.referring(proven),
        root,
        False,
        bundle=True,
    )
    unproven = stored.bundle(
        None, stored.statement(world.digest), signer=signer, log=instance.log, proof=False
    )
    for name, content, passes in (
        ("promise without a proof, bundle", unproven, False),
        ("promise without a proof, bundle 0.1", _of_version_one(unproven), False),
        ("promise and proof, bundle 0.1", _of_version_one(_proven(world, signer)), False),
    ):
        yield _of_identity(world, name, world.referring(content), root, passes, bundle=True)
    for form, bundle, signed in _forms(world, signer, stamps=instance):
        yield _of_identity(world, f"log and timestamp, {form}", signed, root, True, bundle=bundle)
    for form, bundle, signed in _forms(world, signer, stamps=world.other):
        yield _of_identity(
            world,
            f"log and timestamp of another authority, {form}",
            signed,
            root,
            True,
            bundle=bundle,
        )
    stamped = ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER]
    stamped += ["--insecure-ignore-tlog=true", "--use-signed-timestamps=true"]
    for name, options, passes in (
        ("timestamp alone", {"stamps": instance}, True),
        ("timestamp of another authority alone", {"stamps": world.other}, False),
        (
            "timestamp after the certificate was valid",
            {"stamps": instance, "moment": SIGNED + 20 * MINUTES},
            False,
        ),
        ("neither log nor timestamp", {}, False),
    ):
        for form, bundle, signed in _forms(world, signer, log=None, **options):
            yield _of_identity(
                world,
                f"{name}, {form}",
                signed,
                root,
                passes,
                bundle=bundle,
                flags=stamped,
                transparency_log="ignore",
            )


def _proven(world: World, signer: t.Any) -> dict[str, t.Any]:
    return stored.bundle(None, stored.statement(world.digest), signer=signer, log=world.instance.log)


def _of_version_one(content: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a bundle in the oldest form, which has a chain of certificates."""
    changed = copy.deepcopy(content)
    material = changed["verificationMaterial"]
    changed["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"
    if "certificate" in material:
        material["x509CertificateChain"] = {"certificates": [material.pop("certificate")]}
    return changed


def _private_pki(world: World) -> t.Iterator[Case]:
    instance = world.instance
    roots = world.file("pki.pem", certificate_pem(world.pki.certificate))
    both = world.file("both.pem", "".join(map(certificate_pem, world.pki_inner.chain)))

    def case(
        name: str,
        signer: t.Any,
        passes: bool,
        *,
        identity: str = MAIL,
        authorities: str = roots,
        **options: t.Any,
    ) -> Case:
        command = [
            "--ca-roots",
            authorities,
            "--certificate-identity",
            identity,
            "--certificate-oidc-issuer-regexp",
            ".*",
        ]
        command += ["--insecure-ignore-tlog=true", "--insecure-ignore-sct=true", "--new-bundle-format=false"]
        inner = [one for one in signer.authority.chain if one != world.pki.certificate]
        if options.pop("given", True) and inner:
            path = f"inner-{name.replace(' ', '-')[:40]}.pem"
            command += ["--ca-intermediates", world.file(path, "".join(map(certificate_pem, inner)))]
        layer = stored.signature_layer(None, world.digest, signer=signer)
        entry = {"certificate_authority": authorities, "identity": identity}
        return Case(
            name, world.tagged(layer), {"signatures": [entry]}, command, passes, world.image, **options
        )

    def signer(by: Authority, **how: t.Any) -> t.Any:
        return instance.signer(
            **{
                "identity": MAIL,
                "by": by,
                "sct": "missing",
                "issuer": "https://any.example",
                **NOW_SIGNERS,
                **how,
            }
        )

    yield case("private pki", signer(world.pki), True)
    yield case("private pki, intermediate", signer(world.pki_inner), True)
    yield case(
        "private pki, intermediate is trusted as well", signer(world.pki_inner), True, authorities=both
    )
    yield case("private pki, another identity", signer(world.pki), False, identity="x" + MAIL)
    yield case("private pki, another authority", signer(authority("evil root")), False)
    yield case("private pki, expired", signer(world.pki, end=SIGNED), False)
    yield case("private pki, for servers", signer(world.pki, usage=ExtendedKeyUsageOID.SERVER_AUTH), False)
    lone = signer(world.pki_inner)
    lone = dataclasses.replace(lone, authority=Authority(world.pki.certificate, world.pki.key))
    yield case("private pki, intermediate is missing", lone, False, given=False)
    leaf = signer(world.pki)
    fake = Authority(leaf.certificate, leaf.key, (world.pki.certificate,))
    yield case("private pki, a signer as an authority", signer(fake), False)
    deep = authority("too deep", world.pki_inner)
    yield case("private pki, longer than the authority allows", signer(deep), False)
    lapsed = authority("lapsed", world.pki, end=SIGNED)
    yield case(
        "private pki, intermediate expired",
        signer(lapsed),
        False,
        stricter="all certificates must be valid now",
    )
    theft = dataclasses.replace(signer(world.pki), key=world.wrong)
    yield case("private pki, certificate of somebody else", theft, False)
    odd = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5.6"), b"x"), True)
    yield case("private pki, unknown critical extension", signer(world.pki, extensions=[odd]), False)
    unused = signer(world.pki, usage=None)
    yield case(
        "private pki, no extended key usage", unused, False, stricter="certificates are for code signing"
    )
    servers = authority("for servers", world.pki, usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    yield case("private pki, intermediate for servers", signer(servers), False)
    coders = authority("for code", world.pki, usages=[ExtendedKeyUsageOID.CODE_SIGNING])
    yield case("private pki, intermediate for code", signer(coders), True)
    constraint = x509.NameConstraints([x509.RFC822Name("other.example")], None)
    narrow = authority("narrow", world.pki, extensions=[(constraint, True)])
    yield case("private pki, name that the authority may not issue", signer(narrow), False)
    constraint = x509.NameConstraints([x509.RFC822Name("acme.example")], None)
    wide = authority("wide", world.pki, extensions=[(constraint, True)])
    yield case("private pki, name that the authority may issue", signer(wide), True)
    young = authority("young", world.pki, begin=SIGNED)
    yield case(
        "private pki, authority that is younger than the certificate", signer(young), False, stricter=_ISSUED
    )
    future = authority("future", world.pki, begin=BEGIN.replace(year=2034))
    yield case("private pki, authority that is not valid yet", signer(future), False)
    also = signer(world.pki, extensions=[(x509.BasicConstraints(True, None), True)])
    yield case("private pki, an authority that signs", also, True)
    two = signer(world.pki, identity=["other@acme.example", MAIL])
    yield case("private pki, second of two names", two, True)
    rsa_key = signer(world.pki, key=other_kinds()["rsa"])
    yield case("private pki, rsa", rsa_key, True)
    named = signer(world.pki, identity=x509.UniformResourceIdentifier("https://ci.acme.example/release"))
    yield case("private pki, uri", named, True, identity="https://ci.acme.example/release")


def _attestations(world: World) -> t.Iterator[Case]:
    digest, key, root = world.digest, world.key, world.root()
    predicate = {
        "buildDefinition": {"buildType": "https://acme.example/build/v1", "externalParameters": {}},
        "runDetails": {"builder": {"id": "https://acme.example/builder"}},
    }
    payload = stored.statement(digest, stored.PROVENANCE, predicate)
    alien = stored.statement(OTHER_DIGEST, stored.PROVENANCE, predicate)

    def case(
        name: str,
        signed: Signed,
        passes: bool,
        *,
        bundle: bool = False,
        predicate_type: str = stored.PROVENANCE,
        by: t.Any = None,
        stricter: str = "",
        **entry: t.Any,
    ) -> Case:
        path = world.public(by or key, f"attest-{name.replace(' ', '-')[:40]}")
        command = ["--key", path, "--insecure-ignore-tlog=true", "--type", predicate_type]
        command += [
            f"--new-bundle-format={str(bundle).lower()}",
            *(["--trusted-root", root] if bundle else []),
        ]
        own = {"key": path, "predicate_type": predicate_type, **entry}
        return Case(name, signed, {"attestations": [own]}, command, passes, world.image, stricter)

    def tagged(content: bytes, by: t.Any = key, **how: t.Any) -> Signed:
        return Signed(world.digest, attestations=[stored.attestation_layer(by, content, **how)])

    def bundled(content: bytes, by: t.Any = key) -> Signed:
        image = stored.bundle_image(
            stored.bundle(by, content), world.image, json.loads(content)["predicateType"]
        )
        return Signed(world.digest, referrers=[image])

    for form, bundle, make in (("tag", False, tagged), ("bundle", True, bundled)):
        yield case(f"attestation, {form}", make(payload), True, bundle=bundle)
        yield case(f"attestation, wrong key, {form}", make(payload, world.wrong), False, bundle=bundle)
        yield case(f"attestation of another image, {form}", make(alien), False, bundle=bundle)
        yield case(
            f"attestation of another type, {form}",
            make(payload),
            False,
            bundle=bundle,
            predicate_type="https://spdx.dev/Document",
        )
        match = {"buildDefinition.buildType": "https://acme.example/*", "runDetails.builder.id": "*/builder"}
        yield case(f"attestation that matches, {form}", make(payload), True, bundle=bundle, match=match)
        yield case(
            f"attestation that does not match, {form}",
            make(payload),
            False,
            bundle=bundle,
            match={"buildDefinition.buildType": "https://other.example/*"},
            stricter="cosign is not asked for the content here: it takes policies in CUE or Rego",
        )
    both = json.loads(stored.attestation_layer(key, payload).content)
    both["signatures"].insert(
        0, json.loads(stored.attestation_layer(world.wrong, payload).content)["signatures"][0]
    )
    doubly = Layer(json.dumps(both).encode(), stored.DSSE, {"dev.cosignproject.cosign/signature": ""})
    yield case("attestation by two, tag", Signed(digest, attestations=[doubly]), True)
    plain = stored.attestation_layer(key, payload, payload_type="application/json")
    yield case("attestation of another payload type, tag", Signed(digest, attestations=[plain]), False)
    signature = Signed(world.digest, signatures=[stored.signature_layer(key, digest)])
    yield case("attestation, but there is a signature, tag", signature, False)
    changed = stored.attestation_layer(key, alien)
    content = json.loads(changed.content)
    content["payload"] = encode(payload)
    tampered = dataclasses.replace(changed, content=json.dumps(content).encode())
    yield case("attestation changed afterwards, tag", Signed(world.digest, attestations=[tampered]), False)
