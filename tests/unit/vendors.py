# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The everyday round through the modules, at a registry simulated or real, and what is expected of it."""

from __future__ import annotations

import json
import pathlib
import types
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._errors import RateLimited, RegistryError
from ansible_collections.ocikit.registry.plugins.modules import (
    registry_catalog_info,
    registry_copy,
    registry_info,
    registry_manifest_info,
    registry_prune,
    registry_pull,
    registry_push,
    registry_referrers_info,
    registry_rmrepo,
    registry_rmtag,
    registry_tag,
    registry_tag_info,
)
from tests.hostile import HostileRegistry, Request
from tests.hostile.profiles import ASSUMED, DOCUMENTED, OPERATIONS, PROFILES, REPORTED
from tests.registries import Registry, images
from tests.unit.copying import assert_layout, assert_whole
from tests.unit.pruning import aged, sbom
from tests.unit.task import task

Result = t.Dict[str, t.Any]

# What becomes of an operation. "refused": the task fails with one sentence, and nothing was changed.
REFUSED = "refused"
USUAL = {
    "sign-in": "Bearer",
    "catalog": "yes",
    "tags": "yes",
    "digest": "HEAD",
    "pull": "yes",
    "referrers": "fallback tag",
    "limits": "waits",
    "push": "yes",
    "retag": "yes",
    "copy": "yes",
    "mount": "yes",
    "remove-tag": "by name",
    "delete-digest": "yes",
    "prune": "yes",
    "remove-repository": "yes",
}
_BY_PLACEHOLDER = {"remove-tag": "placeholder"}
_NO_DELETION = dict.fromkeys(("remove-tag", "delete-digest", "prune", "remove-repository"), REFUSED)
_REFERRERS = {"referrers": "API"}
_ECR = {"sign-in": "Basic", "catalog": REFUSED, "mount": "upload", **_REFERRERS}
_ARTIFACTORY = {"sign-in": "Basic", "digest": "GET"}
_NEXUS = {"sign-in": "Basic", "digest": "GET", "push": "yes, changed each time"}
EXPECTED: dict[str, dict[str, str]] = {
    vendor: {**USUAL, **special}
    for vendor, special in {
        "distribution2": {"sign-in": "Basic", **_BY_PLACEHOLDER},
        "distribution3": {"sign-in": "Basic"},
        "zot": {"sign-in": "Basic", **_REFERRERS},
        "ggcr": {},
        "olareg": {"catalog": REFUSED, "tags": "yes, also of unknown repositories", **_REFERRERS},
        "docker-hub": {"catalog": REFUSED, "limits": "waits, shows it", **_NO_DELETION},
        "ghcr": {"catalog": REFUSED, **_NO_DELETION},
        "ecr": _ECR,
        "ecr-no-delete": {**_ECR, **_NO_DELETION},
        "ecr-public": {"catalog": REFUSED, "digest": "GET", **_NO_DELETION},
        "gar": _REFERRERS,
        "gcr": {},
        "acr": {**_BY_PLACEHOLDER, **_REFERRERS},
        "quay": _REFERRERS,
        "harbor": {**_BY_PLACEHOLDER, **_REFERRERS},
        "gitlab": {"catalog": REFUSED},
        "gitea": {},
        "codeberg": {},
        "pulp": _BY_PLACEHOLDER,
        "artifactory": _ARTIFACTORY,
        "artifactory-digest": {**_ARTIFACTORY, **_BY_PLACEHOLDER},
        "zot-newest": {"sign-in": "Basic", **_REFERRERS},
        "nexus": _NEXUS,
        "nexus-digest": {**_NEXUS, **_NO_DELETION},
    }.items()
}
# Servers that really run.
REAL = {
    "distribution2": "distribution 2.8",
    "distribution3": "distribution 3.1.1",
    "zot": "zot 1.4.3",
    "ggcr": "go-containerregistry 0.20.6",
    "olareg": "olareg 0.1.2",
}
# These two know no users.
NOT_RUN = {*((server, "limits") for server in REAL), ("ggcr", "sign-in"), ("olareg", "sign-in")}
_WORDS = {DOCUMENTED: "documented", REPORTED: "reported", ASSUMED: "assumed", None: "spec"}


def cell(vendor: str, operation: str) -> str:
    """Return what docs/compatibility.md says of an operation: its outcome, and how that was verified."""
    if (vendor, operation) in NOT_RUN:
        return "not run"
    word = "real" if vendor in REAL else _WORDS[PROFILES[vendor].known(operation)]
    return f"{EXPECTED[vendor][operation]} ({word})"


def table(operations: t.Sequence[str]) -> str:
    """Return a table of docs/compatibility.md."""
    rows = [["registry", *operations], ["--"] * (len(operations) + 1)]
    for vendor in EXPECTED:
        title = REAL[vendor] if vendor in REAL else PROFILES[vendor].title
        rows.append([title, *(cell(vendor, operation) for operation in operations)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


ONE, TWO = images.image({"file": "one"}), images.image({"file": "two"})
ARM = images.image({"file": "one"}, architecture="arm64")
MULTI = images.index([ONE, ARM])
OTHER = images.index([TWO])
SBOM = sbom(ONE)
TAGS = {"1": ONE, "1.0": ONE, "latest": ONE, "2": TWO, "2.0": TWO, "multi": MULTI}

NEW, OLD, SHARED, CHILD, COMMON, FRESH = (
    aged("new", 2), aged("old", 40), aged("shared", 50), aged("child"), aged("common"), aged("fresh", 1),
)  # fmt: skip
INDEX_OLD, INDEX_NEW = images.index([CHILD, COMMON]), images.index([COMMON, FRESH])
PRUNED = {"b-2": OLD, "b-3": SHARED, "m-1": INDEX_OLD}
KEPT = {"b-1": NEW, "stable": SHARED, "m-2": INDEX_NEW}
RULES = [{"match": {"tags": ["b-*", "m-*"]}, "delete": True, "older_than": "30d"}]

MANY = [f"v{number:03}" for number in range(120)]
APP = "team/app"


class Place:
    """A registry with the content of tests, and what is there now, seen without the code under test."""

    url: str
    options: dict[str, t.Any]
    anonymous_pull = False

    def add(self, repository: str, image: images.Image, tag: str | None = None) -> None:
        """Store an image."""
        raise NotImplementedError

    def make(self, repository: str) -> None:
        """Make an empty repository, where they have to be there before a push."""

    def state(self, repository: str) -> dict[str, t.Any]:
        """Return the digest of each tag."""
        raise NotImplementedError

    def serves(self, repository: str, digest: str) -> bool:
        """Return whether a manifest is there."""
        raise NotImplementedError

    def assert_whole(self, repository: str, image: images.Image) -> None:
        """Assert that an image is there with all it needs."""
        raise NotImplementedError

    def count(self, methods: str, part: str) -> int:
        """Return how many requests were one of ``methods`` and had ``part`` in their path."""
        raise NotImplementedError

    def expect(self, tags: t.Iterable[str]) -> None:
        """Say which tags the next operation may delete."""

    def fill(self, repository: str, tags: t.Mapping[str, images.Image]) -> None:
        """Store images under tags."""
        for name, image in tags.items():
            self.add(repository, image, name)


class Played(Place):
    """The hostile registry with a profile."""

    def __init__(self, server: HostileRegistry) -> None:
        self.server = server
        self.url = server.url
        username, password = server.behaviour.user
        self.options = {"username": username, "password": password} if server.behaviour.auth else {}
        self.anonymous_pull = server.behaviour.anonymous == "pull"
        self.wrong: list[str] = []
        self._expected: set[str] = set()
        server.before = self._watch

    def add(self, repository: str, image: images.Image, tag: str | None = None) -> None:
        self.server.add(repository, image, tag)

    def make(self, repository: str) -> None:
        self.server.repository(repository)

    def state(self, repository: str) -> dict[str, t.Any]:
        return self.server.state(repository)

    def serves(self, repository: str, digest: str) -> bool:
        return self.server.find(repository, digest) is not None

    def assert_whole(self, repository: str, image: images.Image) -> None:
        content = self.server.repositories[repository]
        assert content.manifests[image.digest] == (image.media_type, image.raw)
        assert image.blobs.items() <= content.blobs.items()
        for child in getattr(image, "children", ()):
            self.assert_whole(repository, child)

    def count(self, methods: str, part: str) -> int:
        return self.server.count(f"^({methods}) .*{part}")

    def expect(self, tags: t.Iterable[str]) -> None:
        self._expected = set(tags)

    def assert_safe(self) -> None:
        """Assert that nothing unnamed was deleted, and that credentials went only where they belong."""
        assert not self.wrong
        do = self.server.behaviour
        for request in self.server.requests:
            given = request.headers.get("Authorization")
            if given and request.path != do.token_path:
                assert request.origin == "registry"
                assert do.auth != "bearer" or given.startswith("Bearer ")

    def _watch(self, request: Request) -> None:
        """Note a DELETE that would take a tag along which is not to go."""
        repository, found, reference = request.path[len("/v2/") :].partition("/manifests/")
        if request.method != "DELETE" or not found or repository not in self.server.repositories:
            return
        tags = self.server.repositories[repository].tags
        going = {name for name, digest in list(tags.items()) if reference in (name, digest)}
        if not going <= self._expected:
            self.wrong.append(f"DELETE {reference} takes {', '.join(sorted(going - self._expected))} along")


class Real(Place):
    """A registry that really runs."""

    def __init__(self, server: Registry) -> None:
        self.server = server
        self.url = server.url
        self.options = {"username": "alice", "password": "secret"} if server.users else {}
        self._auth = ("alice", "secret") if server.users else None

    def add(self, repository: str, image: images.Image, tag: str | None = None) -> None:
        images.push(self.url, repository, image, tag, auth=self._auth)

    def state(self, repository: str) -> dict[str, t.Any]:
        return images.state(self.url, repository)

    def serves(self, repository: str, digest: str) -> bool:
        return images.head(self.url, repository, digest) is not None

    def assert_whole(self, repository: str, image: images.Image) -> None:
        assert_whole(self.url, repository, image.digest, image)

    def count(self, methods: str, part: str) -> int:
        return sum(
            method in methods.split("|") and part in path for method, path, _status in self.server.requests()
        )


class Round:
    """The operations. Each runs the modules' functions, asserts what came of it, and returns the outcome."""

    def __init__(
        self, place: Place, connect: t.Callable[..., t.Any], directory: pathlib.Path, app: str = APP
    ) -> None:
        self.place = place
        self.app = app
        self._connect = connect
        self._directory = directory

    def run(self, operation: str) -> str:
        """Run one of OPERATIONS and return what became of it."""
        assert operation in OPERATIONS
        return t.cast(str, getattr(self, operation.replace("-", "_"))())

    def sign_in(self) -> str:
        self.place.fill(self.app, TAGS)
        found = self._info()
        assert self._failure(lambda: self._tags(self.app, password="wrong")).kind == "unauthorized"

        def anonymous() -> Result:
            return self._tags(self.app, username=None, password=None)

        if self.place.anonymous_pull:
            assert anonymous()["tags"] == sorted(TAGS)
        else:
            assert self._failure(anonymous).kind == "unauthorized"
        return str(found["authentication"]).capitalize()

    def catalog(self) -> str:
        self.place.fill(self.app, TAGS)
        result = self._attempt(lambda: self._task(registry_catalog_info))
        if result is None:
            return REFUSED
        assert self.app in [one["name"] for one in result["repositories"]]
        return "yes"

    def tags(self) -> str:
        repository = f"{self.app}-many"
        self.place.fill(repository, dict.fromkeys(MANY, ONE))
        assert self._tags(repository)["tags"] == MANY
        if self._tags(f"{self.app}-none")["exists"]:
            return "yes, also of unknown repositories"
        return "yes"

    def digest(self) -> str:
        self.place.fill(self.app, TAGS)
        before = self.place.count("GET", "/manifests/")
        found = self._tags(self.app, digests=True)
        assert found["digests"] == {name: image.digest for name, image in TAGS.items()}
        way = "GET" if self.place.count("GET", "/manifests/") > before else "HEAD"
        shown = self._manifest("multi")
        assert (shown["digest"], shown["exists"]) == (MULTI.digest, True)
        assert self._manifest("absent")["exists"] is False
        return way

    def pull(self) -> str:
        self.place.fill(self.app, TAGS)
        for name in ("1", "multi"):
            dest = self._directory / f"pulled-{name}"
            self._pull(f"{self.app}:{name}", dest)
            assert_layout(dest)
            assert (dest / "blobs" / "sha256" / TAGS[name].digest.partition(":")[2]).read_bytes() == TAGS[
                name
            ].raw
        return "yes"

    def referrers(self) -> str:
        source, target = f"{self.app}-signed", f"{self.app}-copied"
        with HostileRegistry(referrers="on") as other:
            other.add(source, ONE, "1")
            other.add(source, SBOM)
            self.place.make(target)
            self._copy_from(other, f"{source}:1", f"{target}:1", referrers=True)
        (referrer,) = self._task(registry_referrers_info, image=f"{target}:1")["referrers"]
        assert referrer["digest"] == SBOM.digest
        self.place.assert_whole(target, SBOM)
        return {"api": "API", "fallback_tag": "fallback tag"}[referrer["source"]]

    def limits(self) -> str:
        assert isinstance(self.place, Played)
        server = self.place.server
        self.place.fill(self.app, TAGS)
        server.behaviour.fail_status, server.behaviour.fail_on = 429, "^GET .*/manifests/"
        server.behaviour.fail_first = 1
        self._pull(f"{self.app}:1", self._directory / "limited")
        server.behaviour.fail_first = -1
        error = self._failure(lambda: self._pull(f"{self.app}:2", self._directory / "never"))
        assert isinstance(error, RateLimited)
        server.behaviour.fail_first = 0
        shown = self._info()["rate_limit"]
        assert shown is None or (shown["limit"], shown["remaining"], shown["window"]) == (100, 76, 21600)
        return "waits, shows it" if shown else "waits"

    def push(self) -> str:
        source = self._directory / "source"
        with HostileRegistry() as other:
            other.add("x/y", MULTI, "multi")
            self._pull_from(other, "x/y:multi", source)
        self.place.make(self.app)
        result = self._task(registry_push, src=str(source), image=f"{self.app}:multi", tags=["latest"])
        assert result["changed"]
        self.place.assert_whole(self.app, MULTI)
        assert self.place.state(self.app) == dict.fromkeys(("latest", "multi"), MULTI.digest)
        again = self._task(registry_push, src=str(source), image=f"{self.app}:multi", tags=["latest"])
        return "yes, changed each time" if again["changed"] else "yes"

    def retag(self) -> str:
        self.place.fill(self.app, TAGS)
        before = self.place.state(self.app)
        self._task(registry_tag, image=f"{self.app}:1", tags=["2", "stable"])
        self._task(registry_tag, image=f"{self.app}:multi", tags=["all"])
        moved = {"2": ONE.digest, "stable": ONE.digest, "all": MULTI.digest}
        assert self.place.state(self.app) == {**before, **moved}
        return "yes"

    def copy(self) -> str:
        self.place.fill(self.app, TAGS)
        target = f"{self.app}-other"
        self.place.make(target)
        with HostileRegistry() as other:
            self._copy_to(other, f"{self.app}:multi", "x/y:multi")
            there = Played(other)
            there.assert_whole("x/y", MULTI)
            assert there.state("x/y") == {"multi": MULTI.digest}
            other.add("x/y", OTHER, "other")
            self._copy_from(other, "x/y:other", f"{target}:other")
            assert not [one for one in other.requests if one.headers.get("Authorization")]
        self.place.assert_whole(target, OTHER)
        assert self.place.state(target) == {"other": OTHER.digest}
        return "yes"

    def mount(self) -> str:
        self.place.fill(self.app, TAGS)
        target = f"{self.app}-mounted"
        self.place.make(target)
        before = self.place.count("PUT|PATCH", "/blobs/uploads/")
        self._task(registry_copy, image=f"{self.app}:multi", to=f"{target}:multi")
        self.place.assert_whole(target, MULTI)
        assert self.place.state(target) == {"multi": MULTI.digest}
        return "upload" if self.place.count("PUT|PATCH", "/blobs/uploads/") > before else "yes"

    def remove_tag(self) -> str:
        self.place.fill(self.app, TAGS)
        before = self.place.state(self.app)
        self.place.expect(["1"])
        result = self._attempt(lambda: self.remove(["1"]))
        if result is None:
            return self._refused(TAGS, before)
        assert self.place.state(self.app) == {name: found for name, found in before.items() if name != "1"}
        self._assert_served(ONE, ARM, MULTI, TWO)
        assert not self.remove(["1"])["changed"]
        assert self._manifest("1")["exists"] is False
        return {"tag": "by name", "placeholder": "placeholder"}[result["removed"][0]["method"]]

    def delete_digest(self) -> str:
        self.place.fill(self.app, TAGS)
        before = self.place.state(self.app)
        error = self._failure(lambda: self.remove(["2"], "manifest"))
        assert error.kind == "refused" and self.place.state(self.app) == before
        self.place.expect(["2", "2.0"])
        result = self._attempt(lambda: self.remove(["2", "2.0"], "manifest"))
        if result is None:
            return self._refused(TAGS, before)
        assert self.place.state(self.app) == {
            name: found for name, found in before.items() if name not in ("2", "2.0")
        }
        self._assert_served(ONE, ARM, MULTI)
        assert not self.place.serves(self.app, TWO.digest)
        return "yes"

    def prune(self) -> str:
        self.place.fill(self.app, {**PRUNED, **KEPT})
        before = self.place.state(self.app)
        self.place.expect(PRUNED)
        params: Result = {"registry": self.place.url, "repositories": [self.app], "rules": RULES}
        result = self._attempt(lambda: self._task(registry_prune, **params, max_delete_percent=90.0))
        if result is None:
            return self._refused({**PRUNED, **KEPT}, before)
        assert self.place.state(self.app) == {name: image.digest for name, image in KEPT.items()}
        for image in KEPT.values():
            self.place.assert_whole(self.app, image)
        self._assert_served(NEW, SHARED, INDEX_NEW, COMMON, FRESH)
        assert not [one for one in (OLD, INDEX_OLD, CHILD) if self.place.serves(self.app, one.digest)]
        return "yes"

    def remove_repository(self) -> str:
        self.place.fill(self.app, TAGS)
        self.place.add(f"{self.app}-beside", ONE, "1")
        before = self.place.state(self.app)
        self.place.expect(TAGS)
        result = self._attempt(self.remove_all, partly=True)
        assert self.place.state(f"{self.app}-beside") == {"1": ONE.digest}
        if result is None:
            return self._refused(TAGS, before)
        assert self.place.state(self.app) == {}
        assert not [one for one in (ONE, ARM, TWO, MULTI) if self.place.serves(self.app, one.digest)]
        return "yes, but names of tags stay" if "failure" in result else "yes"

    # What the operations are made of

    def remove(self, names: list[str], strategy: str = "auto") -> Result:
        """Remove tags of the repository."""
        return self._task(registry_rmtag, image=self.app, tags=names, strategy=strategy)

    def remove_all(self) -> Result:
        """Remove the repository."""
        return self._task(registry_rmrepo, repository=self.app, confirm=self.app)

    def _task(
        self, module: types.ModuleType, options: t.Mapping[str, t.Any] | None = None, **params: t.Any
    ) -> Result:
        """Run a module with ``params``, and with connection ``options``."""
        connection, _client = self._connect(
            self.place.url, **{**self.place.options, "retries": 1, **(options or {})}
        )
        result = task(module, connection, **params)
        self._assert_no_secret(json.dumps(result, default=str))
        return result

    def _failure(self, do: t.Callable[[], Result]) -> RegistryError:
        """Return the error of what must fail."""
        try:
            do()
        except RegistryError as error:
            return self._clear(error)
        raise AssertionError("it did not fail")

    def _clear(self, error: RegistryError) -> RegistryError:
        """Assert that an error is one sentence or two, without secrets."""
        text = str(error)
        assert "\n" not in text and text.endswith(".") and len(text) < 600, text
        self._assert_no_secret(text + json.dumps(error.to_dict()) + json.dumps(error.result, default=str))
        return error

    def _attempt(self, do: t.Callable[[], Result], partly: bool = False) -> Result | None:
        """Return the result, None where it fails without a change, or ``partly`` what a failure has done."""
        try:
            return do()
        except RegistryError as error:
            failure = self._clear(error)
        assert failure.kind in ("unsupported", "denied", "unauthorized"), (failure.kind, str(failure))
        if partly and failure.result.get("changed"):
            return {**failure.result, "failure": str(failure)}
        assert not failure.result.get("changed"), failure.result
        return None

    def _refused(self, tags: t.Mapping[str, images.Image], before: dict[str, t.Any]) -> str:
        assert self.place.state(self.app) == before
        for image in tags.values():
            self.place.assert_whole(self.app, image)
        return REFUSED

    def _assert_served(self, *found: images.Image) -> None:
        assert [one.digest for one in found if not self.place.serves(self.app, one.digest)] == []

    def _assert_no_secret(self, text: str) -> None:
        secret = self.place.options.get("password")
        assert not secret or secret not in text

    def _info(self) -> Result:
        return self._task(registry_info, repository=self.app)

    def _tags(self, repository: str, digests: bool = False, **options: t.Any) -> Result:
        return self._task(registry_tag_info, options, image=repository, digests=digests)

    def _manifest(self, name: str) -> Result:
        return self._task(registry_manifest_info, image=f"{self.app}:{name}", sizes=True)

    def _pull(self, image: str, dest: pathlib.Path) -> Result:
        return self._task(registry_pull, image=[image], dest=str(dest))

    def _pull_from(self, other: HostileRegistry, image: str, dest: pathlib.Path) -> None:
        connection, _client = self._connect(other.url)
        task(registry_pull, connection, image=[image], dest=str(dest))

    def _copy_from(self, other: HostileRegistry, image: str, to: str, **params: t.Any) -> None:
        destination = {"registry": self.place.url, **self.place.options}
        connection, _client = self._connect(other.url)
        task(registry_copy, connection, image=image, to=to, destination=destination, **params)

    def _copy_to(self, other: HostileRegistry, image: str, to: str) -> None:
        self._task(registry_copy, image=image, to=to, destination={"registry": other.url})
