"""The distribution's own chromium, driven by Playwright: a page of a given width and colour scheme, and what is wrong with it.

    with opened_browser(width=400, scheme="dark") as page:
        page.goto(url)
        assert faults(page) == []

Each block has a browser of its own with an empty profile. Playwright's own browsers are neither needed nor used.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

FLAGS = [
    "--no-sandbox",  # as root in a container there is none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_GRAVE = ("serious", "critical")


def chromium() -> str:
    """The path of the machine's chromium."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise AssertionError(
            "The browser tests need chromium: apt-get install chromium (or google-chrome), and have it in the PATH."
        )
    return found


@contextmanager
def opened_browser(
    *,
    width: int = 1400,
    height: int = 1000,
    scheme: Literal["light", "dark"] = "light",
    runs_any_script: bool = False,
) -> Iterator[Page]:
    """An empty page; with `runs_any_script` the pages' own Content-Security-Policy is ignored."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=runs_any_script
            )
            yield context.new_page()
        finally:
            browser.close()


def faults(page: Page) -> list[str]:
    """What axe-core finds on the page that excludes users, a line each: rule, impact and place."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{fault['id']} ({fault['impact']}): {node['html'][:200]}"
        for fault in found
        if fault["impact"] in _GRAVE
        for node in fault["nodes"]
    ]


def is_wider_than_its_window(page: Page) -> bool:
    """Whether the page itself scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))
