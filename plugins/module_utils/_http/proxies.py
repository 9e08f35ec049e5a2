# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Which proxy a request takes: the option ``proxy``, else what the environment says."""

from __future__ import annotations

import fnmatch
import importlib.util
import ipaddress
import re
import sys
import typing as t
import urllib.request
from urllib.parse import unquote, urlsplit

from .._errors import InvalidInput
from .._oci.reference import is_loopback
from .origin import Origin, normal_address, safe_url

_HTTP = ("http", "https")
_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")


def check_proxy(proxy: str, option: str) -> None:
    """Raise InvalidInput where ``proxy``, the value of ``option``, is no URL of a proxy that can be used."""
    try:
        parts = urlsplit(proxy)
        scheme, right = parts.scheme.lower(), bool(parts.hostname) and parts.port != 0
    except ValueError:
        scheme, right = "", False
    if not right or scheme not in _HTTP + _SOCKS:
        raise InvalidInput(f"{option} must be a URL such as http://proxy.example.com:3128.")
    if scheme in _SOCKS and importlib.util.find_spec("socks") is None:
        raise InvalidInput(
            f"The proxy {safe_url(proxy)} speaks SOCKS, which needs the Python library PySocks: install it for"
            f" {sys.executable}, or use a proxy with a URL such as http://proxy.example.com:3128."
        )


def proxy_secrets(proxy: str) -> tuple[str, ...]:
    """Return the password in a proxy's URL, as it is written and as it is meant."""
    password = proxy.rpartition("@")[0].rpartition("://")[2].partition(":")[2]
    return (password, unquote(password)) if password else ()


def environment_proxy(origin: Origin, environ: t.Mapping[str, str] | None = None) -> str | None:
    """Return the URL of the proxy for ``origin``, None for a direct connection.

    The variables are HTTPS_PROXY or HTTP_PROXY, ALL_PROXY and NO_PROXY, in lower case first; on macOS and Windows also the
    settings of the system. Loopback hosts have none. Raises InvalidInput.
    """
    if is_loopback(origin.host):
        return None
    proxies = urllib.request.getproxies() if environ is None else dict(environ)
    proxy = proxies.get(origin.scheme) or proxies.get("all")
    if not proxy:
        return None
    listed = proxies.get("no")
    if listed is None:
        # What the system's settings leave out; the environment has nothing.
        direct = environ is None and bool(urllib.request.proxy_bypass(origin.host))
    else:
        direct = any(_fits(entry, origin) for entry in re.split(r"[,\s]+", listed.lower()) if entry)
    if direct:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    check_proxy(proxy, "The proxy of the environment")
    return proxy


def _fits(entry: str, origin: Origin) -> bool:
    """Tell whether an entry of NO_PROXY is for ``origin``.

    It is a host, a domain (``example.com`` with the names below it, ``.example.com`` and ``*.example.com`` for these alone),
    an address or a network (``10.0.0.0/8``), each with or without a port; or ``*`` for all.
    """
    host = normal_address(origin.host.rstrip("."))
    # An address of IPv6 has brackets only where it has a port.
    parts = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^:]+))(?::([0-9]+))?", entry)
    name, port = (parts[1] or parts[2], parts[3]) if parts else (entry, None)
    name = normal_address(name.rstrip(".") if re.search("[a-z]", name) else name)
    if port and int(port) != origin.port:
        return False
    if "/" in name:
        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
        except ValueError:
            return False
    if name.startswith("."):
        return host.endswith(name)
    # No address is below another.
    is_name = ":" not in host and bool(re.search("[^0-9.]", host))
    return fnmatch.fnmatchcase(host, name) or (is_name and "*" not in name and host.endswith(f".{name}"))
