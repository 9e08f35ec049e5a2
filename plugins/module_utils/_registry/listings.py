# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Lists in pages (distribution-spec, "Listing Tags" and "Listing Referrers"): all of them, but within bounds."""

from __future__ import annotations

import re
import time
import typing as t
from urllib.parse import quote, urlencode, urlsplit

from .._errors import ProtocolError
from .._http.transport import Request, Response, Transport
from .._oci.documents import LISTING, parse_json_object
from .failures import check_not_web_page, failure, is_absence

PAGE_SIZE = 1000
MAX_PAGES = 10000
MAX_BYTES = 128 << 20
# A list may take this many times read_timeout, but never less than the second number of seconds.
_TIMEOUTS = 10
_LEAST_TIME = 30.0


class Page(t.NamedTuple):
    """Names of a listing; ``last`` is the name after which the next page begins, None where there is none."""

    names: list[str]
    last: str | None


class Listing:
    """One list of a registry, read a page at a time: at most MAX_PAGES pages and MAX_BYTES bytes, within a time."""

    def __init__(
        self,
        transport: Transport,
        url: str,
        repository: str,
        scopes: t.Sequence[str],
        accept: str = "application/json",
    ) -> None:
        """``repository`` is the one whose credentials are used; the empty name is the registry itself."""
        self._transport = transport
        self._url = url
        self._repository = repository
        self._scopes = scopes
        self._accept = accept
        self._path = urlsplit(url).path
        self._pages = self._bytes = 0
        self._seconds = 0.0

    def answers(self, url: str | None = None) -> t.Iterator[Response]:
        """Yield the answer to the list's URL, or to ``url``, and to the pages that ``Link: rel=next`` names (RFC 8288).

        Only the query of a Link is used: its origin and path are wrong behind some proxies and in some registries,
        and no other host decides what is requested. Raises ProtocolError for a list that is out of bounds.
        """
        following: str | None = url or self._url
        path = self._url.partition("?")[0]
        seen: set[str] = set()
        while following and following not in seen:
            seen.add(following)
            response = self._get(following)
            yield response
            query = next_query(response)
            following = f"{path}?{query}" if query is not None else None

    def pages(self, key: str, limit: int | None, last: str | None) -> t.Iterator[Page | None]:
        """Yield the pages of the names under ``key``, or one None where the list is absent.

        ``limit`` is the length of a page, ``last`` the name after which to begin. The list ends with the first page without a
        new name. Raises ProtocolError and what failure() returns.
        """
        size = limit or PAGE_SIZE
        query: dict[str, t.Any] | None = {"n": size, **({"last": last} if last else {})}
        known: set[str] = set()
        while query is not None:
            sent, query = query, None
            for response in self.answers(f"{self._url}?{urlencode(sent)}" if sent else self._url):
                if response.status in (400, 405, 422) and "n" in sent and not known and not limit:
                    # ECR and others have a largest page of their own, and their default serves.
                    query = {name: value for name, value in sent.items() if name != "n"}
                    break
                if response.status == 404 and not known and is_absence(response):
                    yield None
                    return
                if response.status != 200:
                    raise failure(response, f"The list {self._path} cannot be read")
                check_not_web_page(response, f"The list {self._path} cannot be read")
                entries = parse_json_object(response.body, f"list of {key}", LISTING).get(key) or []
                # Some registries list null for what is gone. Anything else that is no name is damage, and not absence.
                if not isinstance(entries, list) or not all(
                    isinstance(name, (str, type(None))) for name in entries
                ):
                    raise ProtocolError(f"The list of {key} at {self._path} holds something else than names.")
                names = [name for name in entries if name is not None]
                if not names:
                    # Some registries divide into pages first and leave out what we may not see then.
                    continue
                if known.issuperset(names):
                    return
                known.update(names)
                following = next_query(response) is not None
                # A full page without a Link may be one of several all the same.
                full = not following and len(names) == size
                yield Page(names, names[-1] if following else max(names) if full else None)
                if full:
                    query = {"n": size, "last": names[-1]}

    def _get(self, url: str) -> Response:
        if self._pages >= MAX_PAGES:
            raise ProtocolError(f"The list {self._path} has more than {MAX_PAGES} pages.")
        began = time.monotonic()
        response = self._transport.send(
            Request("GET", url, self._repository, self._scopes, {"Accept": self._accept})
        )
        self._pages += 1
        self._bytes += len(response.body)
        self._seconds += time.monotonic() - began
        allowed = max(_LEAST_TIME, _TIMEOUTS * self._transport.read_timeout)
        if self._bytes > MAX_BYTES:
            raise ProtocolError(f"The list {self._path} is larger than {MAX_BYTES} bytes in all.")
        if self._seconds > allowed:
            raise ProtocolError(
                f"The list {self._path} takes longer than {allowed:g} seconds: raise"
                f" {response.option_prefix}read_timeout, as a list may take {_TIMEOUTS} times as long."
            )
        return response


def next_query(response: Response) -> str | None:
    """Return the query of the ``Link`` with the relation next, or None."""
    for value in response.header_values("Link"):
        for target, parameters in re.findall(
            r"<([^<>]*)>((?:\s*;\s*[^\s;,=]+(?:\s*=\s*(?:\"[^\"]*\"|[^\s;,\"]*))?)*)", value
        ):
            relation = re.search(r";\s*rel\s*=\s*\"?([^\";,]*)", parameters, re.IGNORECASE)
            if relation and "next" in relation.group(1).lower().split():
                query = target.partition("#")[0].partition("?")[2]
                return quote(query, safe="=&%+/:;,@!$'()*?~-._") or None
    return None
