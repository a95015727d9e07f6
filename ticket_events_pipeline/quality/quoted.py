"""Text from the account inside a sentence of ours: it shows as text, in a terminal and where sentences are read as Markdown."""

from __future__ import annotations

import re

LONGEST = 80
"""Characters that are shown of a name; nobody reads more of it in a finding."""


def quoted(text: str | None) -> str:
    """The text in backticks, on one line, without anything that can't be printed; `none` without backticks for None.

    Between backticks Markdown knows neither markup nor HTML nor links. Some of the text's own need a longer fence.
    """
    if text is None:
        return "none"
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text)
    shown = shown if len(shown) <= LONGEST else shown[:LONGEST] + "…"
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    # A space on either side belongs to the fence where the text begins or ends with a backtick, or is blank.
    padding = " " if fence != "`" or not shown.strip() else ""
    return f"{fence}{padding}{shown}{padding}{fence}"
