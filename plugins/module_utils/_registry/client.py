# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The distribution API of one registry: a method for each endpoint (distribution-spec 1.1, "Endpoints")."""

from __future__ import annotations

import re
import typing as t
from dataclasses import replace
from urllib.parse import quote, urlencode, urlsplit

from .._errors import (
    DigestMismatch,
    NotFound,
    ProtocolError,
    RegistryError,
    Unauthorized,
    Unsupported,
    printable,
)
from .._http.auth import CATALOG_SCOPE, scope
from .._http.origin import origin_of, with_https
from .._http.rate_limits import RateLimit
from .._http.transport import SMALL_LIMIT, Body, Request, Response, Transport, number
from .._oci.content import (
    ACCEPT_MANIFESTS,
    MANIFEST_READ_LIMIT,
    MANIFEST_TYPES,
    MANIFEST_WRITE_LIMIT,
    OCI_INDEX,
    Descriptor,
    Manifest,
    digest_of,
    same_algorithm,
)
from .._oci.documents import MANIFEST, parse_json_object
from .._oci.reference import Endpoint, is_digest, is_repository, is_tag
from .._parallel import poll
from .failures import check_not_web_page, failure, is_absence, stands_for_web_page
from .listings import Listing, Page


class Fetched(t.NamedTuple):
    """A manifest and the headers it came with."""

    manifest: Manifest
    headers: t.Mapping[str, str]

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor as a HEAD gives it: the registry may use another algorithm than sha256."""
        announced = self.headers.get("Docker-Content-Digest")
        if is_digest(announced) and _is_digest_of(announced, self.manifest):
            return replace(self.manifest.descriptor, digest=t.cast(str, announced))
        return self.manifest.descriptor


class Pushed(t.NamedTuple):
    """What the registry said of a manifest that it stored."""

    digest: str
    maintains_referrers: bool


class Deletion(t.NamedTuple):
    """How a DELETE ended: ``deleted``, ``absent``, or ``unsupported`` with what the registry said."""

    outcome: str
    error: RegistryError | None = None


class RegistryClient:
    """Speaks to one registry. Safe for threads.

    ``repository`` is a name without the registry, ``reference`` a tag or a digest, and ``session`` the URL of an upload.

    Raises:
        Unauthorized, Denied: the credentials do not suffice.
        Unreachable, TlsFailure, RateLimited, ServerFault: there was no answer that helps, also after the retries.
        UnsafeTarget: an answer leads where nothing must be sent.
        ProtocolError: an answer does not follow the specification, or is too large.
        DigestMismatch: a manifest is not what its digest, or the registry's header, promises.
    """

    def __init__(self, endpoint: Endpoint, transport: Transport) -> None:
        self.endpoint = endpoint
        self._transport = transport
        self._head_works: bool | None = None
        # The least size of all chunks of an upload but the last, as far as the registry has told.
        self.chunk_minimum = 0
        self._without_referrers: set[str] = set()

    # Base

    def ping(self, repository: str | None = None) -> Response:
        """GET ``/v2/`` (end-1): whether this is a registry, and whether it lets us in.

        With ``repository`` it is asked with the credentials for that.
        """
        if repository:
            return self._transport.send(_request("GET", self.endpoint.base, repository, limit=SMALL_LIMIT))
        return self._transport.send(Request("GET", self.endpoint.base, limit=SMALL_LIMIT))

    def expect(self, repository: str, *actions: str) -> None:
        """Say that the task will need ``actions`` on ``repository``, so that a token can be asked for that once."""
        self._transport.expect(repository, *actions)

    @property
    def authentication(self) -> str | None:
        """The scheme by which the registry asked for credentials: ``basic``, ``bearer``, or None if it did not."""
        return self._transport.authentication

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the registry last said of how many requests it allows, None where it never did."""
        return self._transport.rate_limit

    @property
    def serves_head(self) -> bool:
        """Whether the registry answered a HEAD of a manifest as it should, so that its 404 to another one is believed."""
        return self._head_works is True

    def get(self, path: str, repository: str, scopes: t.Sequence[str]) -> Response:
        """GET ``path`` below ``/v2/`` and return the answer, whatever its status: to find out what there is.

        The credentials are those for ``repository``; the empty name is the registry itself.
        """
        return self._transport.send(Request("GET", self.endpoint.base + path, repository, scopes))

    # Manifests

    def resolve(self, repository: str, reference: str, trust_absence: bool = False) -> Descriptor | None:
        """Return media type, digest and size of what a tag or digest names, or None where it does not exist.

        One HEAD (end-3); a GET where the registry does not serve HEAD, or does so without the digest. Some answer
        every HEAD with 404, so that is believed only of a registry that served another HEAD before; or of any with
        ``trust_absence``, for callers whom a wrong None costs no more than a needless write.
        """
        response = None
        if self._head_works is not False:
            response = self._transport.send(self._manifest_request("HEAD", repository, reference))
            descriptor = _described(response, reference)
            if descriptor:
                self._head_works = True
                return descriptor
            believed = self._head_works or trust_absence
            if believed and response.status == 404 and response.content_type == "application/json":
                return None
        fetched = self.find_manifest(repository, reference)
        if fetched and response and response.status in (400, 404, 405):
            self._head_works = False
        return fetched.descriptor if fetched else None

    def head_manifest(self, repository: str, reference: str) -> Response:
        """HEAD a tag or digest (end-3) and return the answer, whatever its status: for its headers."""
        return self._transport.send(self._manifest_request("HEAD", repository, reference))

    def find_manifest(self, repository: str, reference: str) -> Fetched | None:
        """GET the manifest of a tag or digest (end-3), or None where it does not exist.

        The digest is computed from the bytes; asked for by digest, they have to have that one.
        """
        response = self._transport.send(self._manifest_request("GET", repository, reference))
        if response.status == 404 and is_absence(response):
            return None
        if response.status != 200:
            raise failure(response, f"The manifest {repository}{_suffix(reference)} cannot be read")
        check_not_web_page(response, f"The manifest {repository}{_suffix(reference)} cannot be read")
        expected = reference if is_digest(reference) else None
        manifest = Manifest.parse(response.body, response.headers.get("Content-Type"), expected)
        announced = response.headers.get("Docker-Content-Digest", "")
        if (
            is_digest(announced)
            and same_algorithm(announced, manifest.digest)
            and announced != manifest.digest
        ):
            raise DigestMismatch(
                f"The registry contradicts itself on {repository}{_suffix(reference)}: it announces {announced}, but"
                f" the manifest it sent has {manifest.digest}."
            )
        return Fetched(manifest, response.headers)

    def manifest(self, repository: str, reference: str) -> Manifest:
        """Return the manifest of a tag or digest, like find_manifest(). Raises NotFound where it does not exist."""
        fetched = self.find_manifest(repository, reference)
        if fetched is None:
            raise NotFound(
                f"{self.endpoint.name}/{repository}{_suffix(reference)} does not exist.", status=404
            )
        return fetched.manifest

    def put_manifest(
        self,
        repository: str,
        reference: str,
        manifest: Manifest,
        guard: t.Callable[[], None] | None = None,
    ) -> Pushed:
        """PUT the manifest's own bytes under a tag or its digest (end-7a), and check what was stored.

        ``guard`` is called right before each time that the request is sent; what it raises ends that. Raises Unsupported for
        schema 1, ProtocolError for a manifest that is too large, and DigestMismatch where the registry stored another one.
        """
        if manifest.is_schema1:
            raise Unsupported(
                f"{manifest.digest} is a schema 1 manifest, which today's registries do not store: push the image anew."
            )
        if len(manifest.raw) > MANIFEST_WRITE_LIMIT:
            raise ProtocolError(
                f"{manifest.digest} is larger than the {MANIFEST_WRITE_LIMIT} bytes registries accept."
            )
        response = self._transport.send(
            _request(
                "PUT",
                self._url(repository, "manifests", reference),
                repository,
                ("pull", "push"),
                headers={"Content-Type": manifest.media_type},
                body=manifest.raw,
                guard=guard,
            )
        )
        if response.status not in (200, 201, 202):
            raise failure(response, f"{repository}{_suffix(reference)} cannot be written")
        stored = response.headers.get("Docker-Content-Digest")
        for _look in poll() if not is_digest(stored) else ():
            # Reads may lag behind writes.
            descriptor = self.resolve(repository, reference)
            stored = descriptor.digest if descriptor else None
            if _is_digest_of(stored, manifest):
                break
        if not _is_digest_of(stored, manifest):
            raise DigestMismatch(
                f"The registry stored {stored or 'nothing'} under {repository}{_suffix(reference)}, not {manifest.digest}."
            )
        return Pushed(manifest.digest, "OCI-Subject" in response.headers)

    def delete_manifest(
        self, repository: str, reference: str, guard: t.Callable[[], None] | None = None
    ) -> Deletion:
        """DELETE a tag or a digest (end-9). A digest takes its tags along on most registries.

        ``guard`` is called right before each time that the request is sent; what it raises ends that.
        """
        response = self._transport.send(
            _request(
                "DELETE",
                self._url(repository, "manifests", reference),
                repository,
                ("pull", "delete"),
                guard=guard,
            )
        )
        if response.status in (200, 202, 204):
            return Deletion("deleted")
        if response.status in (400, 404) and is_absence(response):
            # zot says 400 NAME_UNKNOWN. After a repeated request the first one may have been carried out.
            return Deletion("deleted" if response.attempts > 1 else "absent")
        error = failure(response, f"{repository}{_suffix(reference)} cannot be deleted")
        if response.status in (400, 404, 405, 501):
            return Deletion("unsupported", error)
        raise error

    # Blobs

    def blob_size(self, repository: str, digest: str) -> int | None:
        """Return the size of a blob in bytes, or None where it does not exist.

        One HEAD (end-2); a GET, whose body is not read, where storage refuses a HEAD or the answer does not tell.
        """
        response = self._transport.send(self._blob_request("HEAD", repository, digest))
        if response.status == 404 and response.content_type == "application/json":
            return None
        length = number(response.headers.get("Content-Length"))
        if response.status >= 429:
            raise failure(response, f"The blob {digest} in {repository} cannot be looked up")
        if response.status == 200:
            check_not_web_page(response, f"The blob {digest} in {repository} cannot be looked up")
        if response.status != 200 or length is None:
            try:
                response = self.open_blob(repository, digest)
            except NotFound:
                return None
            response.close()
            length = number(response.headers.get("Content-Length"))
        if length is None:
            raise ProtocolError(f"The registry does not tell the size of {digest}.")
        return length

    def has_blob(self, repository: str, digest: str) -> bool:
        """HEAD a blob (end-2). A redirect to storage is an answer as well, and is not followed."""
        response = self._transport.send(self._blob_request("HEAD", repository, digest, follow=False))
        if response.status in (401, 403) or response.status >= 429:
            raise failure(response, f"The blob {digest} in {repository} cannot be looked up")
        if response.status < 400:
            check_not_web_page(response, f"The blob {digest} in {repository} cannot be looked up")
        return response.status < 400

    def open_blob(self, repository: str, digest: str, offset: int = 0) -> Response:
        """GET a blob as a stream (end-2), from ``offset`` on where the answer is 206, else from its start.

        The caller closes the response, and verifies what it reads. Raises NotFound.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        response = self._transport.send(
            self._blob_request("GET", repository, digest, headers=headers, stream=True)
        )
        if response.status == 200 and not stands_for_web_page(response):
            return response
        begins = re.match(rf"bytes {offset}-", response.headers.get("Content-Range", ""))
        if response.status == 206 and offset and begins:
            return response
        response.close()
        if response.status == 206:
            raise ProtocolError(
                f"The registry serves another part of {digest} than the one from byte {offset} on."
            )
        raise failure(response, f"The blob {digest} in {repository} cannot be read")

    def mount_blob(self, repository: str, digest: str, source: str) -> str | None:
        """Mount a blob of the repository ``source`` (end-11). None: done. Else the URL of an upload to be used instead."""
        url = self._url(repository, "blobs", "uploads/") + "?" + urlencode({"mount": digest, "from": source})
        scopes = [scope(repository, "pull", "push"), scope(source, "pull")]
        try:
            response = self._transport.send(Request("POST", url, repository, scopes))
        except Unauthorized:
            # Some token services grant nothing at all to whom may not read the source.
            return self.start_upload(repository)
        if response.status == 201:
            return None
        # Anything but a session means only "no mount": pulp answers 404 where the source is unknown.
        return self._session_url(response) if response.status == 202 else self.start_upload(repository)

    def start_upload(self, repository: str) -> str:
        """POST for an upload session (end-4a) and return its URL."""
        response = self._transport.send(
            _request("POST", self._url(repository, "blobs", "uploads/"), repository, ("pull", "push"))
        )
        if response.status != 202:
            raise failure(response, f"An upload to {repository} cannot be started")
        return self._session_url(response)

    def finish_upload(self, repository: str, session: str, digest: str, body: Body | bytes = b"") -> Response:
        """PUT to an upload session (end-6), with all of the blob or with what chunks have left. Returns the answer."""
        separator = "&" if urlsplit(session).query else "?"
        return self._transport.send(
            _request(
                "PUT",
                f"{session}{separator}digest={quote(digest, safe='')}",
                repository,
                ("pull", "push"),
                headers={"Content-Type": "application/octet-stream"},
                body=body,
                repeatable=False,
            )
        )

    def send_chunk(self, repository: str, session: str, start: int, chunk: Body) -> Response:
        """PATCH a chunk that begins at byte ``start`` to an upload session (end-5). Returns the answer."""
        return self._transport.send(
            _request(
                "PATCH",
                session,
                repository,
                ("pull", "push"),
                headers={
                    "Content-Type": "application/octet-stream",
                    "Content-Range": f"{start}-{start + chunk.size - 1}",
                },
                body=chunk,
                repeatable=False,
            )
        )

    def upload_status(self, repository: str, session: str) -> Response:
        """GET an upload session (end-13). Returns the answer, whose ``Range`` tells what has arrived."""
        return self._transport.send(_request("GET", session, repository, ("pull", "push"), follow=False))

    def cancel_upload(self, repository: str, session: str) -> None:
        """DELETE an upload session (end-14), as a courtesy: whether it works changes nothing."""
        try:
            self._transport.send(
                _request("DELETE", session, repository, ("pull", "push"), repeatable=False, courtesy=True)
            )
        except RegistryError:
            pass

    def session_url(self, response: Response, session: str) -> str:
        """Return the URL that an answer to an upload request moved the session to, else ``session``."""
        return self._session_url(response) if response.headers.get("Location") else session

    # Listings

    def tags(self, repository: str, limit: int | None = None, last: str | None = None) -> Page | None:
        """List the tags of a repository (end-8), or None where it does not exist.

        Without ``limit`` and ``last`` all pages are read; with one of them a single page, of at most ``limit`` names
        after ``last``. Names come sorted, each once, and without what is no tag.
        """
        url = self._url(repository, "tags", "list")
        served: list[str] = []
        following = None
        listing = Listing(self._transport, url, repository, [scope(repository, "pull")])
        for page in listing.pages("tags", limit, last):
            if page is None:
                return None
            served += page.names
            if limit or last:
                following = page.last
                break
        names = sorted(name for name in set(served) if is_tag(name) and not is_digest(name))
        if last in served or (limit and len(names) > limit):
            # distribution 2.8 serves everything, whatever is asked. Order is no sign of that: some list by age.
            names = [name for name in names if not last or name > last]
            following = None
        if limit and len(names) > limit:
            names = names[:limit]
            following = names[-1]
        return Page(names, following)

    def catalog(self, last: str | None = None) -> t.Iterator[list[str]]:
        """List the registry's repositories, a page at a time. Raises Unsupported where there is no catalog."""
        listing = Listing(self._transport, f"{self.endpoint.base}_catalog", "", [CATALOG_SCOPE])
        for page in listing.pages("repositories", None, last):
            if page is None:
                raise Unsupported(f"{self.endpoint.name} offers no catalog of its repositories.", status=404)
            yield [name for name in page.names if is_repository(name)]

    def referrers(
        self, repository: str, digest: str, artifact_type: str | None = None
    ) -> list[Descriptor] | None:
        """List the manifests whose subject is ``digest`` (end-12), or None where the registry has no such API.

        ``artifact_type`` limits the list to one type, also where the registry does not filter.
        """
        if repository in self._without_referrers:
            return None
        url = self._url(repository, "referrers", digest)
        url += "?" + urlencode({"artifactType": artifact_type}) if artifact_type else ""
        referrers: dict[str, Descriptor] = {}
        listing = Listing(self._transport, url, repository, [scope(repository, "pull")], OCI_INDEX)
        for response in listing.answers():
            if response.status != 200 or response.content_type != OCI_INDEX:
                if not referrers and response.status in (200, 400, 404, 405):
                    if not is_absence(response):
                        self._without_referrers.add(repository)
                    return None
                raise failure(response, f"The referrers of {repository}@{digest} cannot be listed")
            entries = parse_json_object(response.body, "list of referrers", MANIFEST).get("manifests") or []
            if not isinstance(entries, list):
                raise ProtocolError("The list of referrers holds something else than a list.")
            before = len(referrers)
            for descriptor in (Descriptor.from_dict(entry) for entry in entries):
                referrers.setdefault(descriptor.digest, descriptor)
            # A page may be empty because its entries are of another type; one that repeats the last is the end.
            if entries and len(referrers) == before:
                break
        return [
            descriptor
            for descriptor in referrers.values()
            if artifact_type in (None, descriptor.artifact_type)
        ]

    # Requests

    def _url(self, repository: str, kind: str, reference: str) -> str:
        """Build a URL from checked parts only: nothing that a server said reaches a path unseen."""
        if not is_repository(repository):
            raise ProtocolError(f"{printable(repository)!r} is not a valid repository name.")
        if not (is_digest(reference) or is_tag(reference) or reference in ("uploads/", "list")):
            raise ProtocolError(f"{printable(reference)!r} is neither a tag nor a digest.")
        return f"{self.endpoint.base}{repository}/{kind}/{reference}"

    def _manifest_request(self, method: str, repository: str, reference: str) -> Request:
        return _request(
            method,
            self._url(repository, "manifests", reference),
            repository,
            headers={"Accept": ACCEPT_MANIFESTS},
            limit=MANIFEST_READ_LIMIT,
        )

    def _blob_request(self, method: str, repository: str, digest: str, **options: t.Any) -> Request:
        return _request(method, self._url(repository, "blobs", digest), repository, **options)

    def _session_url(self, response: Response) -> str:
        self.chunk_minimum = number(response.headers.get("OCI-Chunk-Min-Length")) or self.chunk_minimum
        location = response.headers.get("Location")
        if not location:
            raise ProtocolError("The registry started an upload without saying where it is to be sent.")
        asked = origin_of(response.url)
        if self.endpoint.prefix and location.startswith("/v2/") and asked == self._transport.origin:
            # distribution 2.8 forgets its prefix in relative addresses.
            location = self.endpoint.prefix + location
        return self._transport.guard.resolve(response.url, with_https(location, asked), "upload address")


def _request(
    method: str, url: str, repository: str, actions: t.Sequence[str] = ("pull",), **options: t.Any
) -> Request:
    """Return a request that needs ``actions`` on ``repository``."""
    return Request(method, url, repository, [scope(repository, *actions)], **options)


def _described(response: Response, reference: str) -> Descriptor | None:
    """Read a HEAD's headers. None where they do not tell everything: size and type differ from a GET's then."""
    digest = response.headers.get("Docker-Content-Digest")
    length = number(response.headers.get("Content-Length"))
    if response.status != 200 or not is_digest(digest) or length is None:
        return None
    if is_digest(reference) and same_algorithm(reference, t.cast(str, digest)) and digest != reference:
        return None
    if response.content_type not in MANIFEST_TYPES:
        return None
    return Descriptor(response.content_type, t.cast(str, digest), length)


def _is_digest_of(digest: str | None, manifest: Manifest) -> bool:
    """Tell whether ``digest`` is that of ``manifest``: a registry may use sha256 for what it was sent by sha512."""
    return digest is not None and digest == digest_of(manifest.raw, digest)


def _suffix(reference: str) -> str:
    return f"@{reference}" if is_digest(reference) else f":{reference}"
