# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What a registry can do, as its answers show. Of each capability it is known that it is there, that it is not, or nothing.

No decision is made by a registry's name. Unless asked for, no probe uses a method that writes.
"""

from __future__ import annotations

import re
import secrets
import typing as t

from .._errors import (
    Denied,
    InvalidInput,
    ProtocolError,
    RegistryError,
    ServerFault,
    Unauthorized,
    UnsafeTarget,
    printable,
)
from .._http.auth import CATALOG_SCOPE, scope
from .._http.credentials import Credentials
from .._http.transport import Response
from .._oci.documents import LISTING, parse_json_object
from .._oci.reference import is_digest, is_tag
from .client import RegistryClient
from .context import ModuleContext
from .failures import failure
from .headers import shown_headers
from .repository import Repository

CAPABILITIES = ("catalog", "tag_pages", "head_digest", "referrers", "delete_manifest", "delete_tag", "mount")
# What tells which registry this is, and what stands before it.
HEADERS = (
    "server",
    "via",
    "docker-distribution-api-version",
    "x-jfrog-version",
    "x-artifactory-id",
    "x-artifactory-node-id",
)
_REFUSED = frozenset((400, 401, 403, 404, 405, 501))
_UNCLEAR = (Unauthorized, Denied, ProtocolError, ServerFault)


class Listing(t.NamedTuple):
    """The first page of a listing. ``page_size`` is the number of names on it where there are more pages."""

    names: list[str]
    page_size: int | None


class Probe:
    """Finds out what a registry can do, and keeps the ``answers``."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client
        self.answers: list[Response] = []
        self.page_size: dict[str, int | None] = {"catalog": None, "tags": None}

    def reads(self) -> dict[str, bool | None]:
        """Return the capabilities that GET and HEAD tell, and set ``page_size``."""
        catalog = self._listing("_catalog", "repositories", "", CATALOG_SCOPE)
        self.page_size["catalog"] = catalog.page_size if catalog else None
        return {"catalog": catalog if catalog is None else bool(catalog)}

    def _listing(
        self, path: str, key: str, repository: str, needed_scope: str
    ) -> Listing | t.Literal[False] | None:
        """Read the first page of a listing. False: there is none for these credentials. None: it cannot be told."""
        try:
            response = self._client.get(path, repository, [needed_scope])
        except (Unauthorized, Denied):
            return False
        self.answers.append(response)
        if response.status in _REFUSED:
            return False
        if response.status != 200:
            return None
        try:
            names = parse_json_object(response.body, f"list of {key}", LISTING).get(key) or []
        except ProtocolError:
            return False
        names = [name for name in names if isinstance(name, str)]
        has_next = re.search(r'rel\s*=\s*"?next', response.headers.get("Link", ""), re.IGNORECASE)
        return Listing(names, len(names) if has_next else None)


class RepositoryProbe(Probe):
    """Finds out as well what takes a repository to find out, best one with two tags at least."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(repository.client)
        self._repository = repository

    def reads(self) -> dict[str, bool | None]:
        """Return the capabilities that GET and HEAD tell, those of the repository too, and set ``page_size``."""
        capabilities = super().reads()
        tags = self._tags()
        if tags:
            self.page_size["tags"] = tags.page_size
            capabilities["tag_pages"] = self._tag_pages(len(tags.names))
            tag = next(filter(is_tag, tags.names), None)
            response = self._head(tag) if tag else None
            digest = response.headers.get("Docker-Content-Digest") if response else None
            if response and response.status < 429:
                capabilities["head_digest"] = response.status == 200 and is_digest(digest)
            capabilities["referrers"] = self._referrers(digest if is_digest(digest) else None)
        return capabilities

    def deletion(self) -> dict[str, bool | None]:
        """Ask for the deletion of a digest and of a tag that do not exist."""
        return {
            "delete_manifest": self._deletes(f"sha256:{secrets.token_hex(32)}"),
            "delete_tag": self._deletes(f"no-such-tag-{secrets.token_hex(16)}"),
        }

    def mount(self) -> bool | None:
        """Mount a blob of the repository into itself, where it is already. An upload begun instead is cancelled."""
        name = self._repository.name
        try:
            blob = self._any_blob()
            if blob is None:
                return None
            session = self._client.mount_blob(name, blob, name)
        except (Unauthorized, Denied):
            return False
        except _UNCLEAR:
            return None
        if session:
            self._client.cancel_upload(name, session)
        return session is None

    def _tags(self, query: str = "") -> Listing | t.Literal[False] | None:
        name = self._repository.name
        return self._listing(f"{name}/tags/list{query}", "tags", name, scope(name, "pull"))

    def _tag_pages(self, count: int) -> bool | None:
        """Tell whether a client can choose the length of a page. It takes two tags to see."""
        if count < 2:
            return None
        page = self._tags("?n=1")
        return len(page.names) == 1 if page else None

    def _head(self, tag: str) -> Response:
        """HEAD a tag, the only request that Docker Hub tells its rate limit at."""
        response = self._client.head_manifest(self._repository.name, tag)
        self.answers.append(response)
        return response

    def _referrers(self, digest: str | None) -> bool | None:
        # Registries with the API answer for any digest, but one that does not exist may be an error to them.
        try:
            listed = self._repository.referrers(digest or f"sha256:{secrets.token_hex(32)}")
        except _UNCLEAR:
            return None
        return True if listed is not None else (False if digest else None)

    def _deletes(self, reference: str) -> bool | None:
        try:
            return self._repository.delete(reference).error is None
        except (Unauthorized, Denied):
            return False
        except _UNCLEAR:
            return None

    def _any_blob(self) -> str | None:
        """Return a blob that an image of the repository needs, if it has one."""
        tags = self._repository.tags(limit=1)
        reference: str | None = tags.names[0] if tags and tags.names else None
        for _depth in range(5):
            fetched = self._repository.find_manifest(reference) if reference else None
            if not fetched:
                break
            parts = [part for part in fetched.manifest.successors() if not part.is_foreign]
            blob = next((part.digest for part in parts if not part.is_manifest), None)
            if blob:
                return blob
            reference = parts[0].digest if parts else None
        return None


def inspect_registry(context: ModuleContext) -> dict[str, t.Any]:
    """Return the result of a task of registry_info. Raises InvalidInput; with ``fail`` also why the registry cannot be used."""
    params, clients = context.params, context.clients
    reference = clients.repository(params["repository"]) if params["repository"] else None
    for option in ("probe_deletion", "probe_mount"):
        if params[option] and not reference:
            raise InvalidInput(f"{option} needs repository.")
    repository = clients.repository_of(reference) if reference else None
    client = repository.client if repository else clients.default()
    name = repository.name if repository else ""
    credentials = clients.credentials(client.endpoint.name, name)
    result: dict[str, t.Any] = {
        "changed": False,
        "registry": client.endpoint.name,
        "url": str(client.endpoint),
        "reachable": False,
        "authenticated": False,
        "authentication": None,
        "username": credentials.username or None,
        "credentials_source": None if credentials.anonymous else credentials.source,
        "api_version": None,
        "capabilities": dict.fromkeys(CAPABILITIES),
        "page_size": {"catalog": None, "tags": None},
        "rate_limit": None,
        "headers": {},
        "error": None,
    }
    try:
        # Some token services refuse scopes they do not know, so none is named where it makes no difference.
        differ = credentials != clients.credentials(client.endpoint.name, "")
        answer = client.ping(name if differ else None)
        if answer.status != 200:
            raise failure(answer, f"{client.endpoint} cannot be used")
        probe = RepositoryProbe(repository) if repository else Probe(client)
        result.update(_probed(context, probe, answer))
        result["authenticated"] = _authenticated(client, credentials)
    except RegistryError as error:
        if params["fail"]:
            raise
        answered = isinstance(error, (Unauthorized, Denied, UnsafeTarget))
        result.update(reachable=answered, msg=str(error), error=error.to_dict())
    return {**result, "authentication": client.authentication}


def _probed(context: ModuleContext, probe: Probe, answer: Response) -> dict[str, t.Any]:
    """Return what a registry that gave ``answer`` at the base of its API can do."""
    capabilities = {**dict.fromkeys(CAPABILITIES), **probe.reads()}
    # A request that could write is none for check mode.
    if isinstance(probe, RepositoryProbe) and not context.check_mode:
        if context.params["probe_deletion"]:
            capabilities.update(probe.deletion())
        if context.params["probe_mount"]:
            capabilities["mount"] = probe.mount()
    version = answer.headers.get("Docker-Distribution-Api-Version")
    return {
        "reachable": True,
        "api_version": printable(version, 80) if version else None,
        "capabilities": capabilities,
        "page_size": probe.page_size,
        "rate_limit": rate_limit([answer, *probe.answers]),
        "headers": shown_headers(answer.headers, HEADERS),
    }


def _authenticated(client: RegistryClient, credentials: Credentials) -> bool | None:
    if credentials.anonymous:
        return False
    return True if credentials.token or client.authentication else None


def rate_limit(answers: t.Iterable[Response]) -> dict[str, t.Any] | None:
    """Return what the last answer with ``RateLimit-*`` or ``X-RateLimit-*`` headers says, None if none has them.

    Docker Hub writes ``100;w=21600``: the number, and the seconds of the window that it is for.
    """
    limits = None
    for answer in answers:
        for prefix in ("RateLimit-", "X-RateLimit-"):
            limit, window = _quota(answer.headers.get(f"{prefix}Limit"))
            remaining, other_window = _quota(answer.headers.get(f"{prefix}Remaining"))
            if limit is not None or remaining is not None:
                source = answer.headers.get("Docker-RateLimit-Source")
                limits = {
                    "limit": limit,
                    "remaining": remaining,
                    "window": window if window is not None else other_window,
                    "reset": _quota(answer.headers.get(f"{prefix}Reset"))[0],
                    "source": printable(source, 200) if source else None,
                }
                break
    return limits


def _quota(value: str | None) -> tuple[int | None, int | None]:
    """Read ``NUMBER[;w=SECONDS]``; of a list of several, the first."""
    match = re.match(r"\s*(\d{1,15})(?:\s*;\s*w=(\d{1,15}))?", value or "")
    if not match:
        return None, None
    return int(match.group(1)), int(match.group(2)) if match.group(2) else None
