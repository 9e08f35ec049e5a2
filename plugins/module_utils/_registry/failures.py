# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What the answers of a registry mean that are no success (distribution-spec, "Error Codes")."""

from __future__ import annotations

import json
import re
import typing as t
from urllib.parse import urljoin

from .._errors import (
    Denied,
    NotFound,
    ProtocolError,
    RateLimited,
    RegistryError,
    ServerFault,
    TlsFailure,
    Unauthorized,
    Unsupported,
)
from .._http.faults import tls_advice, wants_tls
from .._http.origin import REDIRECTS, origin_of, safe_url
from .._http.transport import Response, retry_after

# The last two are Harbor's word, and Quay's for a tag that was deleted.
_ABSENT_CODES = frozenset(
    ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN", "BLOB_UPLOAD_UNKNOWN", "NOT_FOUND", "TAG_EXPIRED")
)
_WEB_PAGE = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)


def registry_errors(response: Response) -> list[dict[str, t.Any]]:
    """Return the ``errors`` of a registry's answer; an empty list where there are none in a known form."""
    try:
        errors = json.loads(response.body).get("errors")
    except (ValueError, AttributeError, RecursionError):
        return []
    errors = [errors] if isinstance(errors, dict) else errors
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def is_absence(response: Response) -> bool:
    """Tell whether a 404 is the registry's word that something does not exist, and not some web server's."""
    return any(str(error.get("code")) in _ABSENT_CODES for error in registry_errors(response))


def is_web_page(response: Response) -> bool:
    """Tell whether a web page stands where a registry answers with JSON or bytes."""
    return response.content_type in ("text/html", "application/xhtml+xml") or bool(
        _WEB_PAGE.match(response.body)
    )


def stands_for_web_page(response: Response) -> bool:
    """Tell whether a success is that of a web page and no registry's: behind some proxies each address has one."""
    return is_web_page(response) and "Docker-Content-Digest" not in response.headers


def check_not_web_page(response: Response, action: str) -> None:
    """Raise ProtocolError for a success that is that of a web page."""
    if stands_for_web_page(response):
        raise failure(response, action)


def failure(response: Response, action: str) -> RegistryError:
    """Return the error for an answer that is no success: ``action`` is what failed, such as "The blob cannot be read".

    The message goes on with what the registry answered, without secrets, and what to do.
    """
    first = next(iter(registry_errors(response)), {})
    code = response.masked(first.get("code") or "", 80) or None
    said = response.masked(first.get("message") or "") or None
    text = response.masked(response.body.decode("utf-8", "replace"), 200)
    answer = f"HTTP {response.status}" + (f" {code}" if code else "") + (f": {said}" if said else "")
    kind, advice = _advice(response, code, said)
    if not code and not said and text and "<" not in text:
        answer += f" {text!r}"
    return kind(
        f"{action}: {origin_of(response.url)} answered {answer.rstrip('.')}"
        + (f" ({advice})." if advice else "."),
        status=response.status,
        code=code,
        registry_message=said or (text or None),
        detail=_shown(response, first.get("detail")),
        method=response.method,
        url=safe_url(response.url),
        retry_after=retry_after(response.headers.get("Retry-After")),
    )


def _advice(response: Response, code: str | None, said: str | None) -> tuple[type[RegistryError], str]:
    """Return the kind of error that an answer is, and what to do."""
    status, prefix = response.status, response.option_prefix
    address = f"check the option {prefix}registry"
    if wants_tls(response.body):
        return TlsFailure, tls_advice(prefix)
    if status == 401:
        return Unauthorized, _about_credentials(response, "it does not exist, or {} have no right to it")
    if status == 403:
        # What the server says of it is better than a guess.
        advice = (
            ""
            if said and response.authenticated
            else _about_credentials(response, "{} have no right to do this")
        )
        return Denied, advice
    if status == 407:
        return ProtocolError, f"the proxy wants credentials: write them in the proxy's URL, see {prefix}proxy"
    if status == 413:
        return (
            ProtocolError,
            "a proxy before the registry, or the registry itself, limits the size of requests: raise that limit, which is"
            " client_max_body_size in nginx",
        )
    if status == 415:
        return (
            Unsupported,
            "the registry does not take this media type; on zot that of Docker images is switched on with http.compat",
        )
    if status == 429:
        return (
            RateLimited,
            # One option for both sides.
            "the registry limits requests: try again later, or lower concurrency",
        )
    if status == 405 or code == "UNSUPPORTED":
        return Unsupported, "the registry does not allow it"
    if status >= 500:
        return ServerFault, "a proxy answered in place of the registry" if is_web_page(response) else ""
    if status in REDIRECTS:
        return ProtocolError, _about_redirect(response)
    if is_web_page(response):
        content_type = response.masked(response.content_type, 80)
        return (
            ProtocolError,
            f"{safe_url(response.url)} is a web page of the type {content_type or 'unknown'} and not a registry: is it a proxy"
            f" or login page? Else {address}",
        )
    if status == 404:
        if is_absence(response):
            return NotFound, ""
        return ProtocolError, f"this address is not that of a registry's API: {address}"
    return ProtocolError, ""


def _about_credentials(response: Response, refused: str) -> str:
    """Return ``refused``, a sentence about the credentials that were sent; or that none were, and why."""
    prefix, credentials = response.option_prefix, response.credentials
    if response.authenticated:
        return refused.format(f"the credentials from {credentials.source}")
    if credentials.anonymous:
        return (
            f"no credentials were found{credentials.searched}: set {prefix}username and {prefix}password, or"
            f" {prefix}auth_file"
        )
    if response.redirected:
        return f"it is where the registry redirects to, and gets no credentials: check {prefix}registry"
    return f"the credentials from {credentials.source} were not sent, as the registry did not ask for them"


def _about_redirect(response: Response) -> str:
    location = response.headers.get("Location")
    if not location:
        return "it redirects without saying where to"
    try:
        target = urljoin(response.url, location)
        destination, source = origin_of(target), origin_of(response.url)
    except (ValueError, RegistryError):
        return "it redirects to an address that is no URL"
    if (source.scheme, destination.scheme) == ("http", "https") and source.host == destination.host:
        return (
            f"it redirects to https: write {destination.url} in the option {response.option_prefix}registry"
        )
    return f"it redirects to {safe_url(target)}: check the option {response.option_prefix}registry"


def _shown(response: Response, detail: t.Any) -> t.Any:
    """Return a registry's detail as plain, bounded data without secrets."""
    if isinstance(detail, (bool, int, float)) or detail is None:
        return detail
    try:
        text = detail if isinstance(detail, str) else json.dumps(detail, sort_keys=True, ensure_ascii=False)
    except RecursionError:
        return None
    return response.masked(text, 500 if isinstance(detail, str) else 1000)
