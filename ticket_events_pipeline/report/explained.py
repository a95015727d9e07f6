"""The page that explains the numbers, made of `explained.md` in the look of the report. It holds nothing of an account."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_NO_LETTER = re.compile(r"[^a-z0-9]+")


def explained_page() -> str:
    """The page, self-contained: no network, no script."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # as for the report
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("ticket_events_pipeline.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    reader = _reader()
    tokens = reader.parse(_markdown())
    _number_headings(tokens)
    body = reader.renderer.render(tokens, reader.options, {})
    sections = [(token.attrs["id"], inline.content) for token, inline in _headings(tokens) if token.tag == "h2"]
    page = environment.get_template("explained.html")
    return page.render(body=Markup(body), sections=sections)  # noqa: S704  # our own Markdown, whose HTML is escaped


def trace_query() -> str:
    """The DuckDB script of the page: its variables, and the query that finds the events behind a figure."""
    return _queries()[0]


def due_query() -> str:
    """The DuckDB script of the page that lists what breaches next."""
    return _queries()[1]


def _queries() -> list[str]:
    return [token.content for token in _reader().parse(_markdown()) if token.type == "fence" and token.info == "sql"]


@lru_cache(maxsize=1)
def _markdown() -> str:
    return files("ticket_events_pipeline.report").joinpath("explained.md").read_text(encoding="utf-8")


def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt  # not needed to start the command line

    reader = MarkdownIt("js-default", {"html": False})
    reader.add_render_rule("table_open", _table_open)
    reader.add_render_rule("table_close", _table_close)
    reader.add_render_rule("th_open", _th_open)
    reader.add_render_rule("fence", _fence)
    return reader


def _headings(tokens: list[Token]) -> Iterable[tuple[Token, Token]]:
    """Every heading, with its text."""
    return [(token, tokens[place + 1]) for place, token in enumerate(tokens) if token.type == "heading_open"]


def _number_headings(tokens: list[Token]) -> None:
    """Give every heading an anchor, the same that code hosts give it."""
    for heading, inline in _headings(tokens):
        heading.attrSet("id", _NO_LETTER.sub("-", inline.content.lower().replace("'", "")).strip("-"))


# What is wider than the page scrolls by itself; a keyboard can do that only where the focus can go.


def _table_open(self: Any, tokens: list[Token], place: int, options: Any, env: Any) -> str:
    return '<div class="scroll" role="region" aria-label="Table" tabindex="0"><table>\n'


def _table_close(self: Any, tokens: list[Token], place: int, options: Any, env: Any) -> str:
    return "</table></div>\n"


def _th_open(self: Any, tokens: list[Token], place: int, options: Any, env: Any) -> str:
    return '<th scope="col">'


def _fence(self: Any, tokens: list[Token], place: int, options: Any, env: Any) -> str:
    from markupsafe import escape

    return f'<pre role="region" aria-label="Query" tabindex="0"><code>{escape(tokens[place].content)}</code></pre>\n'
