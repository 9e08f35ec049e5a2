# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Headers of answers that results show."""

from __future__ import annotations

import re
import typing as t

from .._errors import printable

_PRIVATE = frozenset(
    (
        "authentication-info",
        "authorization",
        "content-location",
        "location",
        "proxy-authenticate",
        "proxy-authentication-info",
        "refresh",
        "set-cookie",
        "set-cookie2",
        "www-authenticate",
    )
)
_LIMIT = 2000
# The user information and the query of a URL, in which others than the registry may have put what gives access.
_URL_SECRETS = re.compile(r"://(?:[^\s/?#\"<>]*@)?([^\s?#\"<>]*)(?:[?#][^\s\"<>]*)?")


def shown_headers(headers: t.Mapping[str, str], names: t.Collection[str] | None = None) -> dict[str, str]:
    """Return ``headers`` by lower-case name, each one harmless line, without cookies and what gives access to something.

    That belongs to authentication, or is an address that may be signed. With ``names``, in lower case, only these.
    """
    lower = {
        name.lower(): printable(_URL_SECRETS.sub(r"://\1", value), _LIMIT) for name, value in headers.items()
    }
    return {
        name: value
        for name, value in lower.items()
        if name not in _PRIVATE and (names is None or name in names)
    }
