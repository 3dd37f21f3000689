"""Every word of a template that a person reads can be translated.

The templates are read, not rendered: text between tags, attributes that are read aloud or
shown, and literals given to macros as labels must all go through ``_()``.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment, nodes
from jinja2.lexer import Lexer

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "templates"
PAGES = sorted(path for path in TEMPLATES.rglob("*") if path.suffix in {".html", ".txt", ".svg"})

SHOWN = {
    "alt",
    "aria-description",
    "aria-label",
    "aria-placeholder",
    "aria-roledescription",
    "label",
    "placeholder",
    "title",
}
LABELS = {
    "alt",
    "aria_label",
    "caption",
    "empty",
    "error",
    "hint",
    "label",
    "legend",
    "placeholder",
    "text",
    "title",
}
# Not words: units, symbols and names that are the same in every language.
UNTRANSLATED = {
    "Lenitive",
    "PyMC",
    "R-hat",
    "ESS",
    "SD",
    "NRS",
    "SHA-256",
    "mg",
    "px",
    "P",
    "h",
    "d",
}
SENTENCE = re.compile(r"^[^\W\da-z_]|[a-z] [a-z]")
# What a macro writes into the inside of a tag: an attribute, or one of our classes.
ATTRIBUTE = re.compile(r'[\w.:-]+="[^"]*"|\b(?:lt|nhsuk)-[\w-]+')
WORD = re.compile(r"[^\W\d_]+(?:-[^\W_]+)*")


def words(text: str) -> list[str]:
    """Return the words of a text that somebody would have to translate."""
    return [word for word in WORD.findall(text) if word not in UNTRANSLATED]


def without_code(source: str) -> str:
    """Return a template with its code blanked out, line by line, leaving only its HTML.

    An expression becomes a digit, so that ``class="{{ x }}"`` stays an attribute; what
    stands between ``{% trans %}`` and ``{% endtrans %}`` is translated and goes too.
    """
    lexer = Lexer(Environment(keep_trailing_newline=True, autoescape=True))
    kept, translated = [], False
    block: list[str] = []
    for _line, token, value in lexer.tokeniter(source, None):
        if token == "block_begin":
            block = []
        if token == "name":
            block.append(value)
        if token == "block_end" and block:
            translated = block[0] == "trans" or (translated and block[0] != "endtrans")
        if token == "data" and not translated:
            kept.append(value)
        else:
            shown = "0" if token == "variable_begin" else ""
            kept.append(shown + "\n" * value.count("\n"))
    return "".join(kept)


class Reader(HTMLParser):
    """Collects what a person would read in a piece of HTML, with the line it is on."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in {"script", "style"}
        for name, value in attrs:
            if name in SHOWN and words(value or ""):
                self.found.append((self.getpos()[0], f"{name}={value!r}"))

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in {"script", "style"}

    def handle_data(self, data: str) -> None:
        text = ATTRIBUTE.sub("", data)
        if not self.silent and words(text):
            self.found.append((self.getpos()[0], text.strip()))


def bare_text(source: str) -> list[tuple[int, str]]:
    """Return line and text of what is written into the HTML itself."""
    reader = Reader()
    reader.feed(without_code(source))
    reader.close()
    return reader.found


def bare_labels(source: str) -> list[tuple[int, str]]:
    """Return line and text of literals that an expression shows, or gives to a macro to show.

    A literal in lower case without a space, such as a class name, is taken for a key.
    """
    tree = Environment(autoescape=True, extensions=["jinja2.ext.i18n", "jinja2.ext.do"]).parse(
        source
    )
    literals = (node for node in shown_by(tree) if isinstance(node, nodes.Const))
    texts = ((node.lineno, str(node.value)) for node in literals)
    return [(line, text) for line, text in texts if words(text) and SENTENCE.search(text)]


def shown_by(tree: nodes.Template) -> Iterator[nodes.Node]:
    """Yield the values of labels, and what an output shows itself or by condition."""
    for keyword in tree.find_all(nodes.Keyword):
        if keyword.key in LABELS:
            yield keyword.value
    for pair in tree.find_all(nodes.Pair):
        if isinstance(pair.key, nodes.Const) and pair.key.value in LABELS:
            yield pair.value
    for output in tree.find_all(nodes.Output):
        for child in output.nodes:
            yield child
            if isinstance(child, nodes.CondExpr):
                yield from child.iter_child_nodes()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_every_text_goes_through_the_translation(path: Path):
    source = path.read_text("utf-8")

    assert bare_text(source) + bare_labels(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Hello</p>",
        '<p class="{{ kind }}">Hello {{ name }}</p>',
        '<img alt="A chart" src="x.svg">',
        '{{ field(label="Name") }}',
        '{{ button({"text": "Save"}) }}',
        '{{ "Hello" }}',
        '{{ "Yes" if taken else "No" }}',
        "{% trans %}Good{% endtrans %}<b>bad</b>",
    ],
)
def test_the_check_sees_a_forgotten_text(source: str):
    assert bare_text(source) + bare_labels(source) != []


@pytest.mark.parametrize(
    "source",
    [
        '<p class="lead">{{ _("Hello") }}</p>',
        "{% trans name=user %}Hello {{ name }}{% endtrans %}",
        '<img alt="" src="words.svg"><style>p { color: red }</style>',
        '{{ field(label=_("Name"), kind="wide") }}',
        "{# a remark #}<b>0 / 10 %</b>",
        """{{ {"error": "danger"}.get(kind) }}""",
        '{% macro described(id) %} aria-describedby="{{ id }}-hint"{% endmacro %}',
    ],
)
def test_the_check_lets_translated_text_pass(source: str):
    assert bare_text(source) + bare_labels(source) == []
