# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test servers and sample images themselves, checked by other people's clients."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t

import pytest
import requests

from tests.registries import OptionMissing, Registry, RegistryFailed, find_tool, images
from tests.registries.built import COSIGN2, COSIGN3, find_built

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def registry() -> t.Iterator[Registry]:
    with Registry() as started:
        yield started


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_demo_is_what_skopeo_sees(registry: Registry) -> None:
    digests = images.seed_demo(registry.url, "demo/app")
    assert digests["latest"] == digests["1.4.2"] != digests["stable"] == digests["1.4.1"]
    assert images.state(registry.url, "demo/app") == digests
    seen = run(
        find_tool("skopeo"), "inspect", "--tls-verify=false", f"docker://{registry.host}/demo/app:multi"
    )
    assert seen.returncode == 0, seen.stderr
    found = json.loads(seen.stdout)
    assert found["Digest"] == digests["multi"]
    assert sorted(found["RepoTags"]) == sorted(digests)
    assert found["Labels"]["org.opencontainers.image.version"] == "1.4.2"


def test_samples_are_the_same_each_time() -> None:
    first, second = images.samples(), images.samples()
    assert {name: made.digest for name, made in first.items()} == {n: m.digest for n, m in second.items()}


@pytest.mark.parametrize("name", sorted(images.samples()))
def test_every_sample_is_stored_as_made_and_copied_by_skopeo(
    registry: Registry, tmp_path: pathlib.Path, name: str
) -> None:
    sample = images.samples()[name]
    assert images.push(registry.url, "samples/all", sample, name) == sample.digest
    assert images.get_manifest(registry.url, "samples/all", name) == (sample.raw, sample.media_type)
    if name in ("nested-index", "foreign-layer"):
        return  # skopeo copies no index inside an index, and asks the registry for foreign layers
    source = f"docker://{registry.host}/samples/all:{name}"
    copied = run(
        find_tool("skopeo"), "copy", "--quiet", "--all", "--src-tls-verify=false", source, f"dir:{tmp_path}"
    )
    assert copied.returncode == 0, copied.stderr
    assert (tmp_path / "manifest.json").read_bytes() == sample.raw


def test_busybox_runs_after_umoci(registry: Registry, tmp_path: pathlib.Path) -> None:
    images.seed_demo(registry.url, "demo/run")
    layout, bundle = f"oci:{tmp_path}/layout:x", tmp_path / "bundle"
    copied = run(
        find_tool("skopeo"),
        "copy",
        "-q",
        "--src-tls-verify=false",
        f"docker://{registry.host}/demo/run:1.4.2",
        layout,
    )
    assert copied.returncode == 0, copied.stderr
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    unpacked = run(find_tool("umoci"), "unpack", *rootless, "--image", f"{tmp_path}/layout:x", str(bundle))
    assert unpacked.returncode == 0, unpacked.stderr
    assert (bundle / "rootfs/etc/demo-version").read_text() == "1.4.2\n"
    if os.geteuid() != 0:
        pytest.skip("only root may chroot; the files are right")
    ran = run("chroot", str(bundle / "rootfs"), "/bin/sh", "-c", "cat /etc/demo-version && id -un")
    assert ran.stdout == "1.4.2\nroot\n", ran.stderr


def test_options(tmp_path: pathlib.Path) -> None:
    made = images.image({"a": "1"})
    with Registry(users={"alice": "secret"}, client_ca=True, prefix="/nested/") as closed:
        access: dict[str, t.Any] = {"verify": closed.ca, "cert": (closed.client_cert, closed.client_key)}
        images.push(closed.url, "a/b", made, "x", auth=("alice", "secret"), **access)
        assert images.head(closed.url, "a/b", "x", auth=("alice", "secret"), **access) == made.digest
        closed.clear_requests()
        with pytest.raises(RuntimeError, match="401"):
            images.head(closed.url, "a/b", "x", auth=("alice", "wrong"), **access)
        assert closed.requests() == [("HEAD", "/nested/v2/a/b/manifests/x", 401)]
        with pytest.raises(requests.RequestException):
            images.head(closed.url, "a/b", "x", auth=("alice", "secret"), verify=closed.ca)
    with Registry(storage=tmp_path) as writable:
        images.push(writable.url, "a/b", made, "x")
    with Registry(storage=tmp_path, readonly=True) as readonly, Registry(proxy_of=readonly.url) as proxy:
        assert images.tags(proxy.url, "a/b") == ["x"]
        for refusing in (readonly, proxy):
            assert images.head(refusing.url, "a/b", "x") == made.digest
            with pytest.raises(RuntimeError, match="405"):
                images.push(refusing.url, "a/b", images.image({"a": "2"}), "y")
    with Registry(storage=tmp_path, redirect_to="http://127.0.0.1:9/") as redirecting:
        answer = requests.get(
            f"{redirecting.url}/v2/a/b/blobs/{next(iter(made.blobs))}", allow_redirects=False, timeout=10
        )
        assert answer.status_code == 307
        assert answer.headers["Location"].startswith("http://127.0.0.1:9/")


def test_schema1_is_stored() -> None:
    with Registry(schema1=True) as old:
        raw = images.push_schema1(old.url, "a/old", "x")
        assert json.loads(raw)["schemaVersion"] == 1
        # With a stored schema 2 manifest this Accept header would give schema 2.
        stored, media_type = images.get_manifest(old.url, "a/old", "x")
        assert media_type == images.DOCKER_SCHEMA1
        assert json.loads(stored)["fsLayers"] == json.loads(raw)["fsLayers"]


GO = """#!/bin/sh
case $1 in
mod) echo "{\\"Dir\\": \\"$PWD\\"}" ;;
build)
    echo "$GOCACHE $GOMODCACHE" >>"$LOG"
    while [ "$1" != -o ]; do shift; done
    echo program >"$2"
    ;;
esac
"""


def test_builds_share_what_was_compiled_and_are_made_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", str(go.parent), prepend=os.pathsep)
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    for source in (COSIGN2, COSIGN3, COSIGN2):
        assert pathlib.Path(find_built(source, tmp_path / "cache")).read_text() == "program\n"
    first, second = (tmp_path / "log").read_text().splitlines()
    assert first == second
    assert first.startswith(f"{tmp_path}/cache/")


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(RegistryFailed, match="choose one of distribution2, distribution3, zot"):
        Registry(kind="harbor")


def test_what_a_kind_lacks_is_named() -> None:
    with pytest.raises(OptionMissing, match="zot has no option catalog_max"):
        Registry(kind="zot", catalog_max=1).start()


def test_failure_names_the_cause(registry: Registry) -> None:
    with pytest.raises(RegistryFailed, match="address already in use"):
        Registry(port=registry.port).start()


def test_run_gives_facts_and_stops_everything(tmp_path: pathlib.Path) -> None:
    facts = tmp_path / "vars.yml"
    script = (
        "import os, requests, sys\n"
        "sys.exit(requests.get(os.environ['REGISTRY_A_URL'] + '/v2/').status_code - 193)"
    )
    command = [sys.executable, "-m", "tests.registries", "run", "--registry", "a", "--vars", str(facts)]
    done = subprocess.run([*command, "--", sys.executable, "-c", script], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 7
    found = json.loads(facts.read_text())
    with pytest.raises(requests.ConnectionError):
        requests.get(found["registry_a_url"], timeout=10)
    assert not os.path.exists(found["registry_a_log"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_serve_leaves_no_server_behind(tmp_path: pathlib.Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.registries", "serve", "--registry", "a"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # a killed process cannot tidy up
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment) as serving:
        assert serving.stdout
        text = ""
        while not text.endswith("}\n"):
            text += serving.stdout.readline()
        serving.send_signal(number)
        serving.wait(30)
    url = json.loads(text)["registry_a_url"]
    with pytest.raises(requests.ConnectionError):
        for _attempt in range(100):  # the kernel ends the server a moment after its parent
            requests.get(url, timeout=10)
            time.sleep(0.05)
    if number == signal.SIGTERM:
        assert list(tmp_path.iterdir()) == []
