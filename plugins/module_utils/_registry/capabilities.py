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

from .._errors import Denied, ProtocolError, ServerFault, Unauthorized, printable
from .._http.auth import CATALOG_SCOPE, scope
from .._http.transport import Response
from .._oci.documents import LISTING, parse_json_object
from .._oci.reference import is_digest, is_tag
from .client import RegistryClient

HEADERS = (
    "Server",
    "Via",
    "Docker-Distribution-Api-Version",
    "X-JFrog-Version",
    "X-Artifactory-Id",
    "X-Artifactory-Node-Id",
)
_REFUSED = frozenset((400, 401, 403, 404, 405, 501))
_UNCLEAR = (Unauthorized, Denied, ProtocolError, ServerFault)


class Listing(t.NamedTuple):
    """The first page of a listing. ``page_size`` is the number of names on it where there are more pages."""

    names: list[str]
    page_size: int | None


class Probe:
    """Finds out what one registry can do; with ``repository``, also what takes one to find out."""

    def __init__(self, client: RegistryClient, repository: str | None) -> None:
        self._client = client
        self._repository = repository
        self.answers: list[Response] = []

    def reads(self) -> dict[str, t.Any]:
        """Return what GET and HEAD tell: capabilities and, under ``page_size``, that of the listings."""
        catalog = self._listing("_catalog", "repositories", CATALOG_SCOPE)
        found: dict[str, t.Any] = {
            "catalog": catalog if catalog is None else bool(catalog),
            "tag_pages": None,
            "head_digest": None,
            "referrers": None,
            "page_size": {"catalog": catalog.page_size if catalog else None, "tags": None},
        }
        if self._repository:
            tags = self._listing(f"{self._repository}/tags/list", "tags", self._pull)
            if tags:
                found["page_size"]["tags"] = tags.page_size
                found["tag_pages"] = self._tag_pages(len(tags.names))
                tag = next(filter(is_tag, tags.names), None)
                digest = self._head(tag, found) if tag else None
                found["referrers"] = self._referrers(digest)
        return found

    def deletion(self) -> dict[str, bool | None]:
        """Ask for the deletion of a digest and of a tag that do not exist."""
        return {
            "delete_manifest": self._deletes(f"sha256:{secrets.token_hex(32)}"),
            "delete_tag": self._deletes(f"no-such-tag-{secrets.token_hex(16)}"),
        }

    def mount(self) -> bool | None:
        """Mount a blob of the repository into itself, where it is already. An upload begun instead is cancelled."""
        repository = t.cast(str, self._repository)
        try:
            blob = self._any_blob()
            if blob is None:
                return None
            session = self._client.mount_blob(repository, blob, repository)
        except (Unauthorized, Denied):
            return False
        except _UNCLEAR:
            return None
        if session:
            self._client.cancel_upload(repository, session)
        return session is None

    @property
    def _pull(self) -> str:
        return scope(t.cast(str, self._repository), "pull")

    def _get(self, path: str, needed: str) -> Response | None:
        """GET ``path``. None: the credentials have no right to it."""
        try:
            repository = "" if needed == CATALOG_SCOPE else t.cast(str, self._repository)
            response = self._client.get(path, repository, [needed])
        except (Unauthorized, Denied):
            return None
        self.answers.append(response)
        return response

    def _listing(self, path: str, key: str, needed: str) -> Listing | t.Literal[False] | None:
        """Read the first page of a listing. False: there is none for these credentials. None: it cannot be told."""
        response = self._get(path, needed)
        if response is None or response.status in _REFUSED:
            return False
        if response.status != 200:
            return None
        try:
            names = parse_json_object(response.body, f"list of {key}", LISTING).get(key) or []
        except ProtocolError:
            return False
        names = [name for name in names if isinstance(name, str)]
        more = re.search(r'rel\s*=\s*"?next', response.headers.get("Link", ""), re.IGNORECASE)
        return Listing(names, len(names) if more else None)

    def _tag_pages(self, count: int) -> bool | None:
        """Tell whether a client can choose the length of a page. It takes two tags to see."""
        if count < 2:
            return None
        page = self._listing(f"{self._repository}/tags/list?n=1", "tags", self._pull)
        return len(page.names) == 1 if page else None

    def _head(self, tag: str, found: dict[str, t.Any]) -> str | None:
        """HEAD a tag, the only request that Docker Hub tells its rate limit at. Return the digest."""
        response = self._client.head_manifest(t.cast(str, self._repository), tag)
        self.answers.append(response)
        digest = response.headers.get("Docker-Content-Digest")
        if response.status < 429:
            found["head_digest"] = response.status == 200 and is_digest(digest)
        return digest if is_digest(digest) else None

    def _referrers(self, digest: str | None) -> bool | None:
        # Registries with the API answer for any digest, but one that does not exist may be an error to them.
        try:
            listed = self._client.referrers(
                t.cast(str, self._repository), digest or f"sha256:{secrets.token_hex(32)}"
            )
        except _UNCLEAR:
            return None
        return True if listed is not None else (False if digest else None)

    def _deletes(self, reference: str) -> bool | None:
        try:
            return self._client.delete_manifest(t.cast(str, self._repository), reference).error is None
        except (Unauthorized, Denied):
            return False
        except _UNCLEAR:
            return None

    def _any_blob(self) -> str | None:
        """Return a blob that an image of the repository needs, if it has one."""
        repository = t.cast(str, self._repository)
        tags = self._client.tags(repository, limit=1)
        wanted: str | None = tags.names[0] if tags and tags.names else None
        for _depth in range(5):
            fetched = self._client.find_manifest(repository, wanted) if wanted else None
            if not fetched:
                break
            parts = [part for part in fetched.manifest.successors() if not part.is_foreign]
            blob = next((part.digest for part in parts if not part.is_manifest), None)
            if blob:
                return blob
            wanted = parts[0].digest if parts else None
        return None


def rate_limit(answers: t.Iterable[Response]) -> dict[str, t.Any] | None:
    """Return what the last answer with ``RateLimit-*`` or ``X-RateLimit-*`` headers says, None if none has them.

    Docker Hub writes ``100;w=21600``: the number, and the seconds of the window that it is for.
    """
    found = None
    for answer in answers:
        for prefix in ("RateLimit-", "X-RateLimit-"):
            limit, window = _quota(answer.headers.get(f"{prefix}Limit"))
            remaining, other_window = _quota(answer.headers.get(f"{prefix}Remaining"))
            if limit is not None or remaining is not None:
                source = answer.headers.get("Docker-RateLimit-Source")
                found = {
                    "limit": limit,
                    "remaining": remaining,
                    "window": window if window is not None else other_window,
                    "reset": _quota(answer.headers.get(f"{prefix}Reset"))[0],
                    "source": printable(source, 200) if source else None,
                }
                break
    return found


def shown_headers(answer: Response) -> dict[str, str]:
    """Return the headers that tell what kind of registry this is, and what stands before it."""
    return {name.lower(): printable(answer.headers[name], 200) for name in HEADERS if name in answer.headers}


def _quota(value: str | None) -> tuple[int | None, int | None]:
    """Read ``NUMBER[;w=SECONDS]``; of a list of several, the first."""
    match = re.match(r"\s*(\d{1,15})(?:\s*;\s*w=(\d{1,15}))?", value or "")
    if not match:
        return None, None
    return int(match.group(1)), int(match.group(2)) if match.group(2) else None
