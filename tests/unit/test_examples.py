# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example files of README.md and of the guides, run by ansible-playbook on real registries."""

from __future__ import annotations

import getpass
import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
import yaml

from ansible_collections.ocikit.registry.plugins.module_utils._http.library_versions import OLDEST_REQUESTS
from ansible_collections.ocikit.registry.plugins.module_utils._watch.options import read_options
from tests.docsite import EXAMPLES, PAGES, ROOT, copies, example
from tests.registries import Registry, images
from tests.unit import plays
from tests.unit.expressions import COLLECTIONS

APP = images.image({"app": "1.4.2"})
OLDER = images.image({"app": "1.4.1"})
BUILDS = [images.image({"build": str(day)}, created=f"2023-11-{day:02}T12:00:00Z") for day in range(1, 6)]
HOSTS = ("web1", "web2", "web3")
INVENTORY = "[webservers]\n" + "".join(f"{host} ansible_connection=local\n" for host in HOSTS)
FILES = sorted(str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*") if path.is_file())


class Examples:
    """Runs example files with names and paths replaced by those of a test."""

    def __init__(self, folder: pathlib.Path, replacements: t.Mapping[str, str]) -> None:
        self.folder = folder
        self.replacements = {
            "/var/lib/": f"{folder}/var/lib/",
            "/var/cache/": f"{folder}/var/cache/",
            "/srv/": f"{folder}/srv/",
            **replacements,
        }
        self.variables: dict[str, str] = {}
        (folder / "hosts").write_text(INVENTORY, encoding="utf-8")

    def path(self, name: str) -> pathlib.Path:
        """Return the place of a file that an example names by its absolute path. Its directory exists."""
        place = pathlib.Path(f"{self.folder}{name}")
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def copy(self, name: str) -> pathlib.Path:
        """Write the folder of an example with the replacements. Return the place of the example."""
        for path in sorted((EXAMPLES / name).parent.iterdir()):
            text = path.read_text(encoding="utf-8")
            for old, new in self.replacements.items():
                text = text.replace(old, new)
            (self.folder / path.name).write_text(text, encoding="utf-8")
        return self.folder / pathlib.Path(name).name

    def run(self, name: str, *arguments: str, fails: bool = False, **variables: str) -> str:
        """Run an example and return the output. It has to succeed, or to fail with ``fails``."""
        given = [part for key, value in variables.items() for part in ("-e", f"{key}={value}")]
        done = plays.run(
            self.folder,
            *("-i", str(self.folder / "hosts"), str(self.copy(name)), *given, *arguments),
            cwd=self.folder,
            variables={"ANSIBLE_PYTHON_INTERPRETER": sys.executable, **self.variables},
        )
        output = done.stdout + done.stderr
        assert (done.returncode != 0) is fails, output
        assert "[WARNING]" not in output or fails, output
        return output


@pytest.fixture
def examples(registry: Registry, tmp_path: pathlib.Path) -> Examples:
    """The example files for the registry of the tests."""
    return Examples(tmp_path, {"registry.example.com": registry.host})


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_hold_the_example_files(page: pathlib.Path) -> None:
    """``python -m tests.docsite`` updates the copies."""
    for copy in copies(page):
        assert copy.text == example(copy.name), f"{page.name} differs from {copy.name}"


def test_every_example_file_is_on_a_page() -> None:
    assert {copy.name for page in PAGES for copy in copies(page)} == set(FILES)


def test_readme_retag(registry: Registry, examples: Examples) -> None:
    images.push(registry.url, "team/app", APP, "1.4.2")
    examples.run("readme/retag.yml", fails=True, tested_digest=OLDER.digest)
    output = examples.run("readme/retag.yml", tested_digest=APP.digest)
    assert "changed=1" in output
    assert "changed=0" in examples.run("readme/retag.yml", tested_digest=APP.digest)


def test_readme_deploy(registry: Registry, examples: Examples) -> None:
    images.push(registry.url, "team/app", APP, "stable")
    compose = examples.path("/srv/app/compose.yml")
    examples.run("readme/deploy.yml", fails=True, tested_digest=OLDER.digest)
    assert not compose.exists()
    examples.run("readme/deploy.yml", tested_digest=APP.digest)
    assert f"image: {registry.host}/team/app@{APP.digest}\n" in compose.read_text(encoding="utf-8")


def test_readme_prune(registry: Registry, examples: Examples) -> None:
    for number, build in enumerate(BUILDS):
        images.push(registry.url, "team/app", build, f"build-{number}")
    examples.path("/var/lib/registry-prune/undo.json")
    output = examples.run("readme/prune.yml", "-e", '{"running_images": ["build-0"]}')
    assert re.search(r"localhost\s+: ok=1\s+changed=1", output)
    left = {tag for tag in images.tags(registry.url, "team/app") if tag.startswith("build-")}
    assert left == {"build-0", "build-2", "build-3", "build-4"}


@pytest.fixture
def own(tmp_path: pathlib.Path) -> t.Iterator[tuple[Registry, Examples, dict[str, t.Any]]]:
    """The registry of the guide, with TLS and a password, its examples, and how the tests get in."""
    with Registry(tls=True, users={"deployer": "secret"}) as registry:
        assert registry.ca
        # A registry on the loopback interface needs its scheme.
        examples = Examples(
            tmp_path, {"registry.example.com": registry.url, "/etc/pki/registry-ca.pem": registry.ca}
        )
        examples.variables = {"DEPLOYER_PASSWORD": "secret"}
        yield registry, examples, {"auth": ("deployer", "secret"), "verify": registry.ca}


def test_getting_started(own: tuple[Registry, Examples, dict[str, t.Any]]) -> None:
    """The guide from the first request to the deployment."""
    registry, examples, access = own
    output = examples.run("getting_started/check.yml")
    assert "as deployer, from the options username and password" in output
    examples.run("getting_started/first_image.yml")
    first = images.head(registry.url, "team/app", "1.4.2", **access)
    output = examples.run("getting_started/first_image.yml")
    assert first and first in output and "changed=0" in output
    examples.run("getting_started/promote.yml")
    lock = (examples.folder / "images.lock.yml").read_text(encoding="utf-8")
    assert f'image: "{registry.host}/team/app:stable"' in lock
    assert f"Deploying {registry.host}/team/app@{first}" in examples.run("getting_started/verify.yml")
    images.push(registry.url, "team/app", OLDER, "stable", **access)
    assert "as in the lock file" in examples.run("getting_started/verify.yml", fails=True)


def test_getting_started_prune(own: tuple[Registry, Examples, dict[str, t.Any]]) -> None:
    """The guide from the prune to the restored image."""
    registry, examples, access = own
    for tag in ("1.4.2", "stable"):
        images.push(registry.url, "team/app", APP, tag, **access)
    for version in ("1.5.0", "1.6.0", "1.7.0"):
        images.push(registry.url, "team/app", images.image({"app": version}), version, **access)
    (examples.folder / "images.lock.yml").write_text(f"- digest: {APP.digest}\n", encoding="ascii")
    before = images.state(registry.url, "team/app", **access)
    output = examples.run("getting_started/prune.yml", "--check", "--diff")
    assert images.state(registry.url, "team/app", **access) == before
    assert "1.5.0: old versions" in output
    examples.run("getting_started/prune.yml")
    assert images.tags(registry.url, "team/app", **access) == ["1.4.2", "1.6.0", "1.7.0", "stable"]
    assert "1.5.0: restored" in examples.run("getting_started/restore.yml")
    assert images.state(registry.url, "team/app", **access) == before


def test_getting_started_schedule(registry: Registry, examples: Examples) -> None:
    """The schedule in directories of the test, for the user who runs it."""
    for name in ("etc/cron.d", "var/lib"):
        examples.path(f"/{name}/x")
    (examples.folder / "images.lock.yml").write_text(f"- digest: {APP.digest}\n", encoding="ascii")
    examples.run(
        "getting_started/schedule.yml",
        ansible_become="false",
        prune_schedule_manager="cron",
        prune_schedule_etc_dir=f"{examples.folder}/etc",
        prune_schedule_var_dir=f"{examples.folder}/var/lib",
        prune_schedule_collections_path=str(COLLECTIONS),
    )
    entry = (examples.folder / "etc/cron.d/ocikit-prune-team").read_text(encoding="utf-8")
    assert f" {getpass.getuser()} " in entry
    run = (examples.folder / "etc/ocikit-prune-team/run").read_text(encoding="utf-8")
    assert str(pathlib.Path(sys.executable).parent / "ansible-playbook") in run


def test_authentication(tmp_path: pathlib.Path) -> None:
    """The playbook of each vendor sends its user name and password to the registry."""
    hosts = {
        "docker_hub": ("docker.io", "myaccount"),
        "ghcr": ("ghcr.io", "myaccount"),
        "ecr": ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "AWS"),
        "google": ("europe-docker.pkg.dev", "oauth2accesstoken"),
        "azure": ("myregistry.azurecr.io", "client"),
        "quay": ("quay.io", "myorganization+deployer"),
        "harbor": ("harbor.example.com", "robot$team+deployer"),
        "gitlab": ("registry.gitlab.example.com", "deployer"),
    }
    assert {f"authentication/{name}.yml" for name in hosts} == {
        name for name in FILES if name.startswith("authentication/")
    }
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in ("aws", "gcloud"):
        (programs / program).write_text("#!/bin/sh\necho secret\n", encoding="ascii")
        (programs / program).chmod(0o755)
    secrets = {"azure_client_id": "client"} | {
        name: "secret"
        for text in map(example, FILES)
        for name in re.findall(r"password: \"\{\{ (\w+) \}\}", text)
    }
    with Registry(users={user: "secret" for _host, user in hosts.values()}) as registry:
        examples = Examples(tmp_path, {f" {host}": f" {registry.host}" for host, _user in hosts.values()})
        examples.variables = {"PATH": f"{programs}:{os.environ['PATH']}"}
        first, *others = [examples.copy(f"authentication/{name}.yml") for name in hosts]
        output = examples.run(
            f"authentication/{first.name}", *map(str, others), "-v", "-e", json.dumps(secrets)
        )
        for _host, user in hosts.values():
            assert f'"username": "{user}"' in output
        assert output.count('"authenticated": true') == len(hosts)


def test_promotion(registry: Registry, tmp_path: pathlib.Path) -> None:
    """Two registries, a lock file, and the promotion undone."""
    with Registry() as production:
        examples = Examples(
            tmp_path, {"staging.example.com": registry.host, "registry.example.com": production.host}
        )
        # The registries of this test know no users.
        examples.replacements.update(
            {"          username:": "          #", "          password:": "          #"}
        )
        examples.replacements.update({"        username:": "        #", "        password:": "        #"})
        for name in ("app", "worker"):
            images.push(registry.url, f"team/{name}", APP, "1.4.2")
            images.push(production.url, f"team/{name}", OLDER, "stable")
        tested = f'{{"tested": {{"app": "{APP.digest}", "worker": "{APP.digest}"}}}}'
        assert "failed=1" in examples.run(
            "promotion/promote.yml",
            "-e",
            tested.replace(APP.digest, OLDER.digest),
            fails=True,
            version="1.4.2",
        )
        examples.run("promotion/promote.yml", "-e", tested, version="1.4.2")
        assert images.state(production.url, "team/worker") == {"1.4.2": APP.digest, "stable": APP.digest}
        output = examples.run("promotion/deploy.yml")
        assert output.count(f"Deploying {production.host}/team/app@{APP.digest}") == 2 * len(HOSTS)
        examples.run("promotion/undo.yml")
        assert images.state(production.url, "team/app") == {"stable": OLDER.digest}
        assert "as in the lock file" in examples.run("promotion/deploy.yml", fails=True)


def test_deploy_gate(registry: Registry, examples: Examples) -> None:
    """No host is changed when an image fails, and each host gets the same digest in batches."""
    images.push(registry.url, "team/app", OLDER, "1.4.2")
    examples.path("/srv/app/x")
    assert "org.opencontainers.image.version" in examples.run("deploy_gate/gate.yml", fails=True)
    assert not list((examples.folder / "srv/app").glob("*.yml"))
    good = images.image({"app": "1.4.2"}, labels={"org.opencontainers.image.version": "1.4.2"})
    images.push(registry.url, "team/app", good, "1.4.2")
    examples.run("deploy_gate/gate.yml", batch="1")
    for host in HOSTS:
        text = (examples.folder / f"srv/app/{host}.yml").read_text(encoding="utf-8")
        assert f"image: {registry.host}/team/app@{good.digest}\n" in text


def test_prune_policy(tmp_path: pathlib.Path) -> None:
    """A plan with a report, and the plan applied."""
    with Registry() as registry:
        examples = Examples(tmp_path, {"registry.example.com": registry.host})
        for number, build in enumerate(BUILDS):
            images.push(registry.url, "team/app", build, f"build-{number}")
        for version in ("1.0.0", "1.1.0-rc.1", "1.1.0-rc.2", "1.1.0-rc.3"):
            images.push(registry.url, "team/app", images.image({"app": version}), version)
        before = images.tags(registry.url, "team/app")
        examples.run("prune/plan.yml", "-e", '{"running_images": ["build-1"]}')
        assert images.tags(registry.url, "team/app") == before
        assert "build-0" in (tmp_path / "report.md").read_text(encoding="utf-8")
        examples.run("prune/apply.yml")
        assert set(before) - set(images.tags(registry.url, "team/app")) == {"build-0", "1.1.0-rc.1"}
        assert (tmp_path / "undo.json").exists()


def test_check_mode(registry: Registry, examples: Examples) -> None:
    """Check mode predicts the whole play and changes nothing."""
    images.push(registry.url, "team/app", APP, "1.4.2")
    images.push(registry.url, "team/app", OLDER, "stable")
    compose = examples.path("/srv/app/compose.yml")
    output = examples.run("check_mode/release.yml", "--check", "--diff")
    assert "changed=2" in output and f"@{APP.digest}" in output
    assert images.head(registry.url, "team/app", "stable") == OLDER.digest and not compose.exists()
    assert "changed=2" in examples.run("check_mode/release.yml")
    assert images.head(registry.url, "team/app", "stable") == APP.digest
    assert "changed=0" in examples.run("check_mode/release.yml", "--check")


def test_air_gapped(registry: Registry, tmp_path: pathlib.Path) -> None:
    """A bundle from one registry to another."""
    with Registry() as site:
        examples = Examples(tmp_path, {"registry.example.com": registry.host, "site.example.com": site.host})
        images.push(registry.url, "team/app", APP, "1.5.0")
        images.push(registry.url, "team/worker", OLDER, "1.5.0")
        examples.path("/srv/bundles/x")
        examples.run("air_gapped/export.yml")
        examples.run("air_gapped/import.yml")
        assert images.head(site.url, "team/app", "1.5.0") == APP.digest
        assert images.head(site.url, "team/worker", "1.5.0") == OLDER.digest
        assert "changed=0" in examples.run("air_gapped/import.yml")


def test_migration(registry: Registry, examples: Examples) -> None:
    images.push(registry.url, "team/app", APP, "1.4.2")
    examples.path("/srv/images/app")
    assert APP.digest in examples.run("migration/tasks.yml")
    assert images.head(registry.url, "mirror/app", "1.4.2") == APP.digest


def test_credential_type() -> None:
    """Each input of the credential type is used, and each variable is one of the connection options."""
    inputs, injectors = (
        yaml.safe_load((EXAMPLES / f"execution_environments/credential_type_{name}.yml").read_text("utf-8"))
        for name in ("inputs", "injectors")
    )
    used = set(re.findall(r"{{ (\w+) }}", str(injectors)))
    assert used == {field["id"] for field in inputs["fields"]}
    fragment = (ROOT / "plugins/doc_fragments/_registry.py").read_text(encoding="utf-8")
    assert all(f"E({name})" in fragment for name in injectors["env"])


def builder(*arguments: str | pathlib.Path) -> str:
    """Return what ansible-builder prints. It has to succeed."""
    program = pathlib.Path(sys.executable).parent / "ansible-builder"
    if not program.exists():
        pytest.skip("ansible-builder is not installed")
    done = subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "name", ["execution_environments/execution-environment.yml", "event_driven/decision-environment.yml"]
)
def test_ansible_builder_accepts_the_definition(name: str, tmp_path: pathlib.Path) -> None:
    context = tmp_path / "context"
    builder("create", "--file", EXAMPLES / name, "--context", context, "--output-filename", "Containerfile")
    assert "ocikit.registry" in (context / "_build/requirements.yml").read_text(encoding="utf-8")
    assert (context / "Containerfile").is_file()


def test_ansible_builder_reads_what_the_collection_requires() -> None:
    (requirement,) = yaml.safe_load(builder("introspect", COLLECTIONS))["python"]
    assert requirement == f"requests>={OLDEST_REQUESTS}  # from collection ocikit.registry"
    assert f"\nrequests>={OLDEST_REQUESTS}\n" in (ROOT / "requirements.txt").read_text(encoding="utf-8")


def test_event_driven(registry: Registry, examples: Examples) -> None:
    """What the rulebook runs, with the variables and the tasks of the guide."""
    images.push(registry.url, "team/app", APP, "1.4.2")
    examples.copy("event_driven/redeploy.yml")
    for host in HOSTS:
        examples.path(f"/srv/app/{host}.yml")
    deploy = examples.path("/srv/eda/deploy.yml")
    deploy.write_text(examples.copy("event_driven/deploy.yml").read_text(encoding="utf-8"), encoding="utf-8")

    def redeploy(image: str) -> tuple[int, str]:
        done = plays.run(
            examples.folder,
            *("-i", str(examples.folder / "hosts"), "ocikit.registry.redeploy"),
            *("-e", f"@{examples.folder}/redeploy.yml", "-e", f"image={registry.host}/team/app{image}"),
            variables={"ANSIBLE_PYTHON_INTERPRETER": sys.executable},
        )
        return done.returncode, done.stdout + done.stderr

    for image in (f"@sha256:{'0' * 64}", ":1.4.2"):
        code, output = redeploy(image)
        assert code != 0 and "Nothing was deployed." in output and "Deploying" not in output
    code, output = redeploy(f"@{APP.digest}")
    assert code == 0, output
    for host in HOSTS:
        text = examples.path(f"/srv/app/{host}.yml").read_text(encoding="utf-8")
        assert f"image: {registry.host}/team/app@{APP.digest}\n" in text


def test_event_driven_rulebook() -> None:
    """The source in it takes such arguments, and the variables of the guide are those of the rulebook redeploy."""
    (ruleset,) = yaml.safe_load((EXAMPLES / "event_driven/rulebook.yml").read_text(encoding="utf-8"))
    (source,) = ruleset["sources"]
    options = read_options(source["ocikit.registry.registry_watch"])
    assert options.tags.match("1.27.0") and not options.tags.match("1.27.0-alpine")
    variables = yaml.safe_load((EXAMPLES / "event_driven/redeploy.yml").read_text(encoding="utf-8"))
    rulebook = (ROOT / "extensions/eda/rulebooks/redeploy.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"{{ (?!event\.)(\w+)", rulebook)) == set(variables)
