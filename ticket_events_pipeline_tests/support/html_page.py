"""A page as a tree of elements, read strictly: an element that is left open, or closed out of turn, is an error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "br", "hr", "img", "link", "input"}
_SELF_CLOSED = {"g", "path", "rect", "line", "circle"}


@dataclass
class Element:
    """An element: its own texts and elements in order."""

    tag: str
    attributes: dict[str, str | None]
    content: list[Element | str] = field(default_factory=list)

    def elements(self) -> Iterator[Element]:
        """It and all below it, in the order of the page."""
        yield self
        for child in self.content:
            if isinstance(child, Element):
                yield from child.elements()

    @property
    def text(self) -> str:
        """All text in it, white space as a browser shows it."""
        return " ".join("".join(self._texts()).split())

    def all(self, tag: str = "", **attributes: str) -> list[Element]:
        """The elements below it with that tag and these attributes (`data_figure` for `data-figure`)."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            element
            for element in self.elements()
            if element is not self
            and tag in ("", element.tag)
            and all(element.attributes.get(name) == value for name, value in wanted.items())
        ]

    def one(self, tag: str = "", **attributes: str) -> Element:
        """The only one of those."""
        (found,) = self.all(tag, **attributes)
        return found

    def figure(self, name: str) -> str:
        """The text of the one element that bears the figure of that name."""
        return self.one(data_figure=name).text

    def rows(self) -> list[list[str]]:
        """A table's body, cell by cell."""
        body = [row for part in self.all("tbody") for row in part.all("tr")]
        return [[cell.text for cell in row.content if isinstance(cell, Element)] for row in body]

    def _texts(self) -> Iterator[str]:
        for child in self.content:
            if isinstance(child, str):
                yield child
            elif child.tag not in ("style", "title"):
                yield from child._texts()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice: {attrs}"
        element = Element(tag, dict(attrs))
        self._open[-1].content.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _SELF_CLOSED, f"<{tag}/> closes nothing in HTML"
        self._open[-1].content.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].content.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")


def parsed(page: str) -> Element:
    """The page's root, above <html>."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert len(reader._open) == 1, f"<{reader._open[-1].tag}> is left open"
    return reader.root
