"""The page docs/reference/readers.md: `make readers` runs all readers and writes the tables and recipes into it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ticket_events_pipeline_tests.readers.lake import make_lake
from ticket_events_pipeline_tests.readers.probe import READERS
from ticket_events_pipeline_tests.readers.reader import RECIPES
from ticket_events_pipeline_tests.readers.run import HAS_JAVA, run_readers
from ticket_events_pipeline_tests.readers.tables import Truth, tables
from ticket_events_pipeline_tests.support.checkout import CHECKOUT

PAGE = CHECKOUT / "docs" / "reference" / "readers.md"
PLACE = re.compile(r"<!-- (run|recipe): (\w+) -->\n(.*?)<!-- /\1 -->", re.DOTALL)


def recipes() -> dict[str, str]:
    """The recipe of each reader as a block of code."""
    return {name: f"```python\n{(RECIPES / f'with_{name}.py').read_text()}```" for name in READERS}


def places(page: str, kind: str) -> dict[str, str]:
    """What stands in the page's places of a kind, by name."""
    return {name: text.strip() for found, name, text in PLACE.findall(page) if found == kind}


def documented(page: str, kind: str, texts: Mapping[str, str]) -> str:
    """The page with the texts in their places.

    Raises:
        ValueError: a text has no place in the page, or a place no text.
    """
    if set(places(page, kind)) != set(texts):
        raise ValueError(f"{PAGE} has places for {sorted(places(page, kind))}, not for {sorted(texts)}")

    def filled(place: re.Match[str]) -> str:
        if place[1] != kind:
            return place[0]
        return f"<!-- {kind}: {place[2]} -->\n\n{texts[place[2]]}\n\n<!-- /{kind} -->"

    return PLACE.sub(filled, page)


def main() -> None:
    """Run all readers and write the page.

    Raises:
        SystemExit: there is no Java for Spark.
    """
    if not HAS_JAVA:
        raise SystemExit("The page needs all readers, and Spark needs Java: install a JDK 17, then run make readers again.")
    with tempfile.TemporaryDirectory() as folder:
        lake, small = Path(folder, "lake"), Path(folder, "small")
        make_lake(lake)
        small.mkdir()
        found = tables(run_readers(lake, small, list(READERS)), Truth.of(lake))
    PAGE.write_text(documented(documented(PAGE.read_text(), "run", found), "recipe", recipes()))


if __name__ == "__main__":
    main()
