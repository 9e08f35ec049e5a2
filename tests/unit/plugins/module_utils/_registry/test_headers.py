# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which headers results show."""

from __future__ import annotations

from ansible_collections.ocikit.registry.plugins.module_utils._registry.headers import shown_headers


def test_headers_of_authentication_and_cookies_are_not_shown() -> None:
    headers = {
        "Content-Type": "application/json",
        "Set-Cookie": "session=secret",
        "WWW-Authenticate": "Bearer realm=x",
        "Authorization": "secret",
        "ETag": '"x"',
    }
    assert shown_headers(headers) == {"content-type": "application/json", "etag": '"x"'}


def test_signed_addresses_in_headers_are_not_shown() -> None:
    signed = "https://store.example.com/blob?X-Amz-Signature=5ecret&X-Amz-Date=1"
    headers = {
        "Location": signed,
        "content-location": "/blob?sig=5ecret",
        "Refresh": f"0; url={signed}",
        "X-Source": f'<{signed}>; rel="source"',
        "X-Upstream": "http://mirror:5ecret@cache.example.com/v2/",
        "X-Both": "http://mirror:5ecret@cache.example.com/v2/?token=5ecret next",
        "ETag": '"what?"',
    }
    assert shown_headers(headers) == {
        "x-source": '<https://store.example.com/blob>; rel="source"',
        "x-upstream": "http://cache.example.com/v2/",
        "x-both": "http://cache.example.com/v2/ next",
        "etag": '"what?"',
    }


def test_headers_are_one_line_of_a_bounded_length() -> None:
    shown = shown_headers({"Via": "1.1 proxy\x1b[31m\r\nb", "Server": "x" * 5000})
    assert shown["via"] == "1.1 proxy [31m b"
    assert len(shown["server"]) < 2100


def test_headers_by_name() -> None:
    assert shown_headers({"Server": "zot", "Date": "today"}, ["server", "via"]) == {"server": "zot"}
    assert shown_headers({"Set-Cookie": "session=secret"}, ["set-cookie"]) == {}
