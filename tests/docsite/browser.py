# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens every page of the documentation site in headless Chromium: ``python -m tests.docsite.browser DIRECTORY``.

It starts at index.html and follows the links. A link to a page or place of the site that does not exist is a failure, and so
is a module, plugin, role or guide whose page no link leads to. Links to other sites are not followed. With ``--screenshots
FOLDER``, pictures of some pages are written at the width of a phone and of a desk.
"""

from __future__ import annotations

import argparse
import html.parser
import os
import pathlib
import subprocess
import sys
import tempfile
import typing as t
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from tests.registries import find_tool

from . import GUIDES, ROOT

SHOWN = ("index", "registry_prune_module", "docsite/guide_getting_started", "verify_role")
SIZES = {"phone": (500, 2400), "desk": (1400, 2400)}


class Page(html.parser.HTMLParser):
    """The links of a page and the places in it, as the browser has them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            if tag == "a" and name == "href" and value:
                self.links.add(value)


class Browser:
    """Headless Chromium with a profile of its own."""

    def __init__(self, profile: str) -> None:
        self._program = find_tool("chromium")
        self._profile = profile

    def _run(self, page: pathlib.Path, *arguments: str) -> str:
        with tempfile.TemporaryDirectory(dir=self._profile) as folder:
            options = ["--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder}"]
            # Chromium has no sandbox for root.
            if os.geteuid() == 0:
                options.append("--no-sandbox")
            done = subprocess.run(
                [self._program, *options, *arguments, page.as_uri()],
                capture_output=True,
                text=True,
                check=True,
                timeout=120,
            )
            return done.stdout

    def open(self, page: pathlib.Path) -> Page:
        """Return the page after its scripts ran."""
        return Page(self._run(page, "--dump-dom", "--virtual-time-budget=2000"))

    def picture(self, page: pathlib.Path, size: tuple[int, int], file: pathlib.Path) -> None:
        """Write a picture of the page."""
        width, height = size
        self._run(page, f"--window-size={width},{height}", f"--screenshot={file}", "--hide-scrollbars")


def visit(site: pathlib.Path, browser: Browser) -> dict[pathlib.Path, Page]:
    """Open all pages that links lead to, starting with index.html."""
    pages: dict[pathlib.Path, Page] = {}
    new = {site / "index.html"}
    while new:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            opened = dict(zip(sorted(new), pool.map(browser.open, sorted(new))))
        pages.update(opened)
        targets = {target for path, page in opened.items() for target, _place in internal(path, page)}
        new = {target for target in targets if target.suffix == ".html" and target.is_file()} - set(pages)
    return pages


def internal(path: pathlib.Path, page: Page) -> t.Iterator[tuple[pathlib.Path, str]]:
    """Return the links of a page within the site, each as a file and a place in it."""
    for link in page.links:
        address = urllib.parse.urlsplit(urllib.parse.urljoin(path.as_uri(), link))
        if address.scheme == "file":
            yield pathlib.Path(urllib.parse.unquote(address.path)), urllib.parse.unquote(address.fragment)


def faults(site: pathlib.Path, pages: dict[pathlib.Path, Page]) -> t.Iterator[str]:
    """Return a sentence for each broken link, and for each page that no link leads to."""
    for path, page in pages.items():
        for target, place in internal(path, page):
            if target not in pages and not target.is_file():
                yield f"{path.relative_to(site)} links to {target}, which does not exist."
            elif place and target in pages and place not in pages[target].places:
                yield f"{path.relative_to(site)} links to {target.name}#{place}, which does not exist."
    for name in expected():
        if site / f"{name}.html" not in pages:
            yield f"No link leads to {name}.html."


def expected() -> t.Iterator[str]:
    """Return the names of the pages that readers have to find."""
    for kind, suffix in (("modules", "module"), ("lookup", "lookup"), ("filter", "filter")):
        yield from (f"{path.stem}_{suffix}" for path in (ROOT / "plugins" / kind).glob("*.py"))
    yield from (f"{path.name}_role" for path in (ROOT / "roles").iterdir())
    yield from (f"docsite/{path.stem}" for path in GUIDES.glob("*.rst"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("site", type=pathlib.Path, help="directory with index.html")
    parser.add_argument("--screenshots", type=pathlib.Path, help="directory to write pictures to")
    arguments = parser.parse_args()
    site = arguments.site.resolve()
    with tempfile.TemporaryDirectory(prefix="browser-") as profile:
        browser = Browser(profile)
        pages = visit(site, browser)
        if arguments.screenshots:
            arguments.screenshots.mkdir(parents=True, exist_ok=True)
            for name in SHOWN:
                for size, pixels in SIZES.items():
                    file = arguments.screenshots.resolve() / f"{name.replace('/', '-')}-{size}.png"
                    browser.picture(site / f"{name}.html", pixels, file)
    found = sorted(faults(site, pages))
    for fault in found:
        print(fault)
    print(
        f"{len(pages)} pages, {sum(len(page.links) for page in pages.values())} links, {len(found)} faults."
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
