r"""Prose of a report: paragraphs with `code` and **bold** words, and lists; nothing else is markup.

Paragraphs are apart by an empty line; a paragraph whose lines all begin with "- " is a list. Everything else, HTML and
the signs of Markdown among it, is shown as it is.

>>> to_html("Below **0.01**, from `metrics.csv`\n\n- a < b")
Markup('<p>Below <b>0.01</b>, from <code>metrics.csv</code></p>\n<ul><li>a &lt; b</li></ul>')
>>> print(to_markdown("Below **0.01**, from `metrics.csv`: a_b < c_d"))
Below **0.01**, from `metrics.csv`: a\_b &lt; c\_d
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

from narrows.compare.markdown import escaped

_SPANS = re.compile(r"`([^`\n]+)`|\*\*([^*\n]+)\*\*")


def to_html(text: str) -> Markup:
    """As paragraphs and lists of HTML."""
    found = []
    for lines, is_list in _paragraphs(text):
        if is_list:
            found.append(Markup("<ul>") + Markup("").join(_item(line) for line in lines) + Markup("</ul>"))
        else:
            found.append(Markup("<p>{}</p>").format(inline_html(" ".join(lines))))
    return Markup("\n").join(found)


def inline_html(text: str) -> Markup:
    """One line of prose as HTML, without a paragraph around it."""
    parts = []
    for kind, words in _spans(text):
        tag = {"code": "code", "bold": "b"}.get(kind)
        parts.append(Markup("<{0}>{1}</{0}>").format(tag, words) if tag else escape(words))
    return Markup("").join(parts)


def to_markdown(text: str) -> str:
    """As Markdown in which only this module's own markup works."""
    found = []
    for lines, is_list in _paragraphs(text):
        if is_list:
            found.append("\n".join(f"- {inline_markdown(line)}" for line in lines))
        else:
            found.append(inline_markdown(" ".join(lines)))
    return "\n\n".join(found)


def inline_markdown(text: str) -> str:
    """One line of prose as Markdown; it can stand in the cell of a table."""
    return "".join(_written(kind, words) for kind, words in _spans(text))


def _item(line: str) -> Markup:
    return Markup("<li>{}</li>").format(inline_html(line))


def _written(kind: str, words: str) -> str:
    if kind == "code":  # a bar would end the cell of a table even inside of code
        return f"`{words}`".replace("|", "\\|")
    if kind == "bold":
        return f"**{escaped(words)}**"
    inner = escaped(words)
    # escaped() trims; the space to the neighbouring span is part of the sentence
    return " " * (words[:1].isspace()) + inner + " " * (words[-1:].isspace() and bool(inner))


def _paragraphs(text: str) -> Iterator[tuple[list[str], bool]]:
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        if lines:
            is_list = all(line.startswith("- ") for line in lines)
            yield ([line[2:] for line in lines] if is_list else lines), is_list


def _spans(text: str) -> Iterator[tuple[str, str]]:
    """(kind, words): "code", "bold" or ""."""
    at = 0
    for match in _SPANS.finditer(text):
        if match.start() > at:
            yield "", text[at : match.start()]
        code, bold = match.groups()
        yield ("code", code) if code is not None else ("bold", bold)
        at = match.end()
    if at < len(text):
        yield "", text[at:]
