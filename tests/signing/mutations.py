# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures changed at random, judged by both: PYTHONPATH=.cache/dev .venv/bin/python -m tests.signing.mutations --count 3000

Each that still passes here is shown to cosign 2 and 3. One that either refuses is a finding, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import random
import sys
import tempfile
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._errors import ProtocolError
from ansible_collections.ocikit.registry.plugins.module_utils._verify.bundles import (
    Evidence,
    read_bundle,
    read_signature_layer,
)
from ansible_collections.ocikit.registry.plugins.module_utils._verify.signers import read_signer
from tests.fuzz.documents import changed
from tests.registries import Registry, images

from . import stored
from .cases import World
from .cosign import Cosign
from .instance import IDENTITY, ISSUER

_PARTS = ("", "A", "\n", " ", "=", "-----", "x" * 10)


class Mutant(t.NamedTuple):
    """A changed signature: how it is read, and what is pushed beside the image, each with its tag."""

    evidence: t.Callable[[], Evidence]
    pushed: list[tuple[images.Image, str | None]]
    flags: list[str]


class Mutations:
    """Signatures by a key and by an identity, in both forms, and changes to them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.world = world = World(folder)
        log, signer, root = world.instance.log, world.instance.signer(), world.root()
        payload = stored.statement(world.digest)
        # No timestamps: cosign asks for them by a flag of its own.
        self._bundles = {
            "key": json.dumps(stored.bundle(world.key, payload, log=log)).encode(),
            "identity": json.dumps(stored.bundle(None, payload, signer=signer, log=log)).encode(),
        }
        self._layers = {
            "key": stored.signature_layer(world.key, world.digest, log=log, annotations={"build": "42"}),
            "identity": stored.signature_layer(None, world.digest, signer=signer, log=log),
        }
        key = world.public(world.key)
        self.signers = {
            "key": read_signer(
                {"key": key, "trusted_root": root, "transparency_log": "required"}, "signatures"
            ),
            "identity": read_signer(
                {"identity": IDENTITY, "issuer": ISSUER, "trusted_root": root}, "signatures"
            ),
        }
        self._flags = {
            "key": ["--key", key],
            "identity": ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER],
        }
        self._common = ["verify", "--trusted-root", root, "--offline=true"]
        self._tag = world.digest.replace(":", "-")

    def make(self, seed: int) -> tuple[str, Mutant | None]:
        """Return the kind of signer and a signature of it, changed by ``seed``; None where nothing was changed."""
        chance = random.Random(seed)
        kind = chance.choice(("key", "identity"))
        mutant = self._bundle(kind, seed) if chance.random() < 0.5 else self._layer(kind, seed, chance)
        return kind, mutant

    def _bundle(self, kind: str, seed: int) -> Mutant | None:
        raw = changed(self._bundles[kind], seed)
        if raw is None:
            return None
        referrer = stored.bundle_image(raw, self.world.image)
        listed = images.referrers_index([referrer])
        flags = [*self._common, "--new-bundle-format=true", *self._flags[kind]]
        return Mutant(lambda: read_bundle(raw), [(referrer, None), (listed, self._tag)], flags)

    def _layer(self, kind: str, seed: int, chance: random.Random) -> Mutant | None:
        layer = self._layers[kind]
        annotations, content = dict(layer.annotations), layer.content
        name = chance.choice([*annotations, ""])
        if not name:
            content = changed(content, seed) or content
        elif annotations[name].startswith("{"):
            annotations[name] = (changed(annotations[name].encode(), seed) or b"").decode()
        else:
            text, start = annotations[name], chance.randint(0, len(annotations[name]))
            annotations[name] = text[:start] + chance.choice(_PARTS) + text[start + chance.randrange(3) :]
        made = dataclasses.replace(layer, content=content, annotations=annotations)
        flags = [*self._common, "--new-bundle-format=false", *self._flags[kind]]
        pushed: list[tuple[images.Image, str | None]] = [(stored.layers_image([made]), f"{self._tag}.sig")]
        return Mutant(lambda: read_signature_layer(content, annotations), pushed, flags)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Registry() as registry:
        folder = pathlib.Path(name)
        mutations, judges = Mutations(folder), [Cosign(release, folder) for release in (2, 3)]
        world, passed, findings = mutations.world, 0, 0
        for seed in range(arguments.count):
            kind, mutant = mutations.make(seed)
            if mutant is None:
                continue
            try:
                evidence = mutant.evidence()
                mutations.signers[kind].verify(evidence)
            except ProtocolError:
                continue
            if world.digest not in evidence.claim.digests:
                continue
            passed += 1
            repository = f"mutants/{seed}"
            for image, tag in [(world.image, None), *mutant.pushed]:
                images.push(registry.url, repository, image, tag)
            for cosign in judges:
                accepted, said = cosign.accepts(mutant.flags, f"{registry.host}/{repository}@{world.digest}")
                if not accepted:
                    findings += 1
                    print(f"{seed} ({kind}): cosign {cosign.release} refuses it: {ascii(said)[-300:]}")
    print(f"{arguments.count} changes, {passed} pass here, {findings} are refused by cosign")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
