# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it takes to verify a signature, and what it takes cosign: PYTHONPATH=.cache/dev .venv/bin/python -m tests.bench.signatures

An image is signed by a key and by an identity, in the forms of cosign 2 and 3. Fails if one image by key takes more than 3
requests or 50 ms of processor time, the import of cryptography included.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile
import time
import typing as t

from tests.registries import Registry, ToolMissing, images
from tests.signing.cases import World, cases
from tests.signing.cosign import Cosign

RUNS = 10
LIMIT_REQUESTS = 3
LIMIT_MILLISECONDS = 50
NAMES = ("key, tag", "key, bundle", "identity, tag", "identity, bundle")


def ours(url: str, image: str, params: dict[str, t.Any], runs: int) -> tuple[float, float]:
    """Return the milliseconds of processor time that the first and each further verification of an image takes."""

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.bench.verifying",
            url,
            json.dumps({"images": [image], **params}),
            str(runs),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    first, further = done.stdout.split()
    return float(first), float(further)


def main() -> None:
    too_much = []
    with tempfile.TemporaryDirectory() as folder, Registry() as registry:
        world = World(pathlib.Path(folder))
        chosen = {case.name: case for case in cases(world) if case.name in NAMES}
        print("case               requests  first ms  further ms  cosign ms")
        for name in NAMES:
            case, repository = chosen[name], f"bench/{NAMES.index(name)}"
            for part, tag in case.pushed():
                images.push(registry.url, repository, part, tag)
            image = f"{registry.host}/{repository}@{case.image.digest}"
            # What reads a signature without verifying one: the time of requests, which is not that of signatures.
            plain = ours(registry.url, image, {}, RUNS)
            registry.clear_requests()
            ours(registry.url, image, case.params, 1)
            requests = len(registry.requests())
            first, further = ours(registry.url, image, case.params, RUNS)
            try:
                cosign = Cosign(3 if "bundle" in name else 2, pathlib.Path(folder))
                begun = time.monotonic()
                for _run in range(RUNS):
                    cosign.accepts(case.command, image)
                taken = f"{(time.monotonic() - begun) / RUNS * 1000:9.0f}"
            except ToolMissing:
                taken = "not built"
            print(
                f"{name:18} {requests:8} {first:9.0f} {further:11.1f}  {taken}   (a HEAD alone: {plain[0]:.0f})"
            )
            if name == "key, tag" and (requests > LIMIT_REQUESTS or first > LIMIT_MILLISECONDS + plain[0]):
                too_much.append(name)
    if too_much:
        sys.exit(f"More than it may take: {', '.join(too_much)}")


if __name__ == "__main__":
    main()
