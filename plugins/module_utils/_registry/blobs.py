# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Blobs on their way: downloads that go on where a connection broke, uploads whole or in chunks, every byte verified."""

from __future__ import annotations

import functools
import io
import re
import typing as t

from .._errors import RegistryError, Unreachable
from .._http.transport import Body, Response
from .._oci.content import Descriptor
from .._oci.verified_reader import BLOCK, verified
from .client import RegistryClient
from .failures import failure

CHUNK = 16 << 20
_MAX_CHUNK = 512 << 20
_MAX_STALLS = 5


class BlobDownload(io.RawIOBase):
    """The bytes of a blob of a registry. A broken connection is taken up again with ``Range`` where it ended.

    Progress decides how often: only a number of interruptions in a row without a single new byte is final.
    """

    def __init__(self, client: RegistryClient, repository: str, descriptor: Descriptor) -> None:
        self._client = client
        self._repository = repository
        self._descriptor = descriptor
        self._offset = 0
        self._skip = 0
        self._stalls = 0
        self._response: Response | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on from the byte ``offset`` of the blob; nothing before it is fetched from a registry that knows ranges.

        Raises ValueError.
        """
        if whence != io.SEEK_SET or not 0 <= offset <= self._descriptor.size:
            raise ValueError("a download is read from one of its own bytes on")
        self._give_up()
        self._offset = offset
        return offset

    def readinto(self, buffer: t.Any) -> int:
        """Read on. An empty buffer only lets the registry begin to send."""
        view = memoryview(buffer)
        while True:
            if self._response is None:
                if self._offset and self._offset == self._descriptor.size:
                    return 0
                # When this fails the transport has tried often enough.
                self._response = self._client.open_blob(
                    self._repository, self._descriptor.digest, self._offset
                )
                self._skip = 0 if self._response.status == 206 else self._offset
            if not view:
                return 0
            try:
                self._pass_over(self._response.stream, view)
                count = self._response.stream.readinto(view) or 0
                if not count and self._offset < self._descriptor.size:
                    raise Unreachable(
                        f"The connection ended after {self._offset} of the {self._descriptor.size} bytes of"
                        f" {self._descriptor.digest}."
                    )
            except Unreachable:
                self._give_up()
                self._stalls += 1
                if self._stalls > _MAX_STALLS:
                    raise
                continue
            if count:
                self._stalls = 0
            self._offset += count
            return count

    def close(self) -> None:
        self._give_up()
        super().close()

    def _give_up(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    def _pass_over(self, stream: io.RawIOBase, buffer: memoryview) -> None:
        """Skip what is known already, where the registry knows no ranges and sends the whole again."""
        while self._skip:
            count = stream.readinto(buffer[: self._skip])
            if not count:
                raise Unreachable(
                    f"The connection ended again before byte {self._offset} of {self._descriptor.digest}."
                )
            self._skip -= count


def blob_body(descriptor: Descriptor, open_source: t.Callable[[], io.RawIOBase]) -> Body:
    """Return the body of an upload of the blob that ``open_source`` opens, verified while it is sent."""
    return Body(descriptor.size, lambda: verified(open_source(), descriptor))


def upload(
    client: RegistryClient, repository: str, descriptor: Descriptor, body: Body, session: str | None = None
) -> None:
    """Store ``body`` in ``repository``: in one piece, else in chunks where the registry does not take that.

    ``session`` is an upload that a mount left open. Raises RegistryError; the registry checks the digest at the end.
    """
    session = session or client.start_upload(repository)
    try:
        response = client.finish_upload(repository, session, descriptor.digest, body)
        if response.status in (201, 204):
            return
        error: RegistryError = failure(
            response, f"The blob {descriptor.digest} cannot be stored in {repository}"
        )
        if response.status in (401, 403) or response.status == 400 and error.code == "DIGEST_INVALID":
            raise error
    except Unreachable as broken:
        error = broken
    except BaseException:
        client.cancel_upload(repository, session)
        raise
    client.cancel_upload(repository, session)
    try:
        _upload_chunks(client, repository, descriptor, body)
    except RegistryError as second:
        raise second from error


class _Rereadable:
    """The content of a body, from any byte on: it is opened once more to go back, so that no chunk is kept in memory."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._source: io.RawIOBase | None = None
        self._position = 0
        self.failed = False

    def readinto(self, position: int, buffer: memoryview) -> int:
        """Read from ``position`` on; 0 at the end. An error of the source sets ``failed``."""
        try:
            if self._source is None or position < self._position:
                self.close()
                self._source, self._position = self._body.open(), 0
            while self._position < position:
                passed = self._source.read(min(position - self._position, BLOCK))
                if not passed:
                    return 0
                self._position += len(passed)
            count = self._source.readinto(buffer) or 0
        except (RegistryError, OSError):
            self.failed = True
            raise
        self._position += count
        return count

    def close(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None


class _Chunk(io.RawIOBase):
    """The bytes from ``start`` to ``end`` of a body. What closes it leaves the body open for the next chunk."""

    def __init__(self, content: _Rereadable, start: int, end: int) -> None:
        self._content = content
        self._position = start
        self._end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        view = memoryview(buffer)[: self._end - self._position]
        count = self._content.readinto(self._position, view) if view else 0
        self._position += count
        return count


def _upload_chunks(client: RegistryClient, repository: str, descriptor: Descriptor, body: Body) -> None:
    """Send a blob in chunks (distribution-spec, "Pushing a blob in chunks"), going on from where the registry is."""
    session = client.start_upload(repository)
    size = max(CHUNK, min(client.chunk_minimum, _MAX_CHUNK))
    content, sent, stalls = _Rereadable(body), 0, 0
    try:
        while sent < descriptor.size:
            end = min(descriptor.size, sent + size)
            try:
                chunk = Body(end - sent, functools.partial(_Chunk, content, sent, end))
                response = client.send_chunk(repository, session, sent, chunk)
                arrived = end if response.status in (201, 202, 204) else None
            except Unreachable:
                if content.failed:
                    raise
                response, arrived = client.upload_status(repository, session), None
            if arrived is None:
                if response.status == 416:
                    session = client.session_url(response, session)
                    response = client.upload_status(repository, session)
                arrived = _arrived(response) if response.status in (202, 204) else None
                stalls += 1
                if arrived is None or not sent <= arrived <= end or stalls > _MAX_STALLS:
                    raise failure(response, f"The blob {descriptor.digest} cannot be stored in {repository}")
            session = client.session_url(response, session)
            sent = arrived
        # A source is verified where it ends.
        content.readinto(sent, memoryview(bytearray(1)))
        response = client.finish_upload(repository, session, descriptor.digest)
        if response.status not in (201, 204):
            raise failure(response, f"The blob {descriptor.digest} cannot be stored in {repository}")
    except BaseException:
        client.cancel_upload(repository, session)
        raise
    finally:
        content.close()


def _arrived(response: Response) -> int:
    """Return how many bytes an upload session holds. ``0-0`` is written for none and, by some, for one."""
    match = re.match(r"(?:bytes=)?0-(-?[0-9]{1,18})\Z", response.headers.get("Range", ""))
    last = int(match.group(1)) if match else 0
    return last + 1 if last > 0 else 0
