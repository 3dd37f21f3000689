"""What every page made of the macros is: valid, labelled, free of inline code, and translatable."""

from collections import Counter
from html.parser import HTMLParser

import pytest
from flask import Flask, render_template_string

from tests.web.gallery.app import PAGES
from trials.domain.life_cycle import State

ERRORS = ("403", "404", "409", "422", "429", "500")
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Page(HTMLParser):
    """Collects the elements of a page and checks that they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.badly_nested: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.badly_nested.append(f"</{tag}> at {self.getpos()}")

    def values(self, name: str) -> list[str]:
        return [attrs[name] for _, attrs in self.elements if name in attrs]


def addresses() -> list[str]:
    return [
        *(f"/{name}" for name in PAGES),
        "/diary?errors=1",
        "/diary?lang=ar&demo=1",
        *(f"/error/{code}" for code in ERRORS),
    ]


@pytest.fixture(params=addresses())
def page(gallery: Flask, request: pytest.FixtureRequest) -> Page:
    response = gallery.test_client().get(request.param)
    assert response.status_code == 200
    return Page(response.text)


def rendered(gallery: Flask, source: str, **values: object) -> str:
    with gallery.test_request_context("/"):
        return render_template_string(source, **values)


def test_elements_nest(page: Page):
    assert page.badly_nested == []
    assert page.open == []


def test_nothing_is_inline(page: Page):
    assert page.values("style") == []
    assert [tag for tag, _ in page.elements if tag == "style"] == []
    scripts = [attrs for tag, attrs in page.elements if tag == "script"]
    assert all(attrs.get("src") for attrs in scripts)
    handlers = [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    assert handlers == []


def test_ids_are_unique_and_references_lead_somewhere(page: Page):
    ids = page.values("id")
    assert [name for name, count in Counter(ids).items() if count > 1] == []

    wanted = set(page.values("for"))
    for name in ("aria-labelledby", "aria-describedby", "aria-controls", "data-reveals"):
        wanted |= {part for value in page.values(name) for part in value.split()}
    wanted |= {href[1:] for href in page.values("href") if len(href) > 1 and href[0] == "#"}
    wanted |= {fill[5:-1] for fill in page.values("fill") if fill.startswith("url(#")}
    assert wanted - set(ids) == set()


def test_every_field_has_a_label(page: Page):
    labelled = set(page.values("for"))
    fields = [
        attrs
        for tag, attrs in page.elements
        if tag in {"input", "select", "textarea"} and attrs.get("type") != "hidden"
    ]
    assert [field["id"] for field in fields if field["id"] not in labelled] == []


def test_every_drawing_is_named_or_hidden(page: Page):
    for tag, attrs in page.elements:
        if tag == "svg":
            assert attrs.get("aria-hidden") == "true" or attrs.get("role") == "img"


def test_every_posting_form_carries_the_token(page: Page):
    forms = [attrs for tag, attrs in page.elements if tag == "form" and attrs["method"] == "post"]
    tokens = [attrs for _, attrs in page.elements if attrs.get("name") == "csrf_token"]
    assert len(forms) == len(tokens)


def test_page_speaks_its_language_and_direction(gallery: Flask):
    client = gallery.test_client()

    assert '<html lang="en" dir="ltr"' in client.get("/diary").text
    arabic = client.get("/diary?lang=ar").text
    assert '<html lang="ar" dir="rtl"' in arabic
    assert "base.rtl.css" in arabic


def test_demonstration_banner_is_shown_on_a_demonstration_site_only(gallery: Flask):
    client = gallery.test_client()

    assert "Every patient here is simulated" in client.get("/diary?demo=1").text
    assert "Every patient here is simulated" not in client.get("/diary").text


def test_an_error_page_stands_without_any_context(gallery: Flask):
    """A page that says the server failed may not need the database for its frame."""
    with gallery.test_request_context("/"):
        bare = gallery.jinja_env.get_template("errors/500.html").render(
            url_for=lambda *_, **__: "/static", get_flashed_messages=lambda **_: []
        )

    assert "Something went wrong on our side" in bare


# ---- the scale

NRS = """{% import "_macros/scale.html" as scale %}
{{ scale.nrs("pain", "Your pain", value=value, error=error) }}"""


@pytest.mark.parametrize("value", [None, ""])
def test_the_scale_has_no_answer_beforehand(gallery: Flask, value: object):
    html = rendered(gallery, NRS, value=value, error="")

    assert html.count('type="radio"') == 11
    assert "checked" not in html


@pytest.mark.parametrize("value", [0, "0", 10, "10"])
def test_the_scale_shows_the_answer_that_was_given(gallery: Flask, value: object):
    page = Page(rendered(gallery, NRS, value=value, error=""))
    checked = [attrs["value"] for _, attrs in page.elements if "checked" in attrs]

    assert checked == [str(value)]


def test_the_ends_of_the_scale_say_what_they_mean(gallery: Flask):
    html = rendered(gallery, NRS, value=None, error="")

    assert html.count("No pain") == 2  # once for the eye, once in the name of the button
    assert html.count("Worst pain you can imagine") == 2


def test_an_error_is_tied_to_the_scale_and_linked_to_its_first_button(gallery: Flask):
    html = rendered(gallery, NRS, value=None, error="Please choose a number from 0 to 10.")
    page = Page(html)
    fieldset = next(attrs for tag, attrs in page.elements if tag == "fieldset")

    assert "pain-error" in fieldset["aria-describedby"].split()
    assert ("input", "pain", "0") in [
        (tag, attrs.get("id"), attrs.get("value")) for tag, attrs in page.elements
    ]


# ---- fields


def test_a_typed_value_cannot_break_out(gallery: Flask):
    html = rendered(
        gallery,
        '{% import "_macros/form.html" as form %}'
        "{{ form.text('a', label, value=label, error=label) }}",
        label='"><script>alert(1)</script>',
    )

    assert "<script>" not in html


def test_choices_compare_as_text(gallery: Flask):
    source = """{% import "_macros/form.html" as form %}
    {{ form.radios("n", "How many", [(1, "One"), (2, "Two")], value=value) }}"""
    for value in (2, "2"):
        page = Page(rendered(gallery, source, value=value))
        assert [a["value"] for _, a in page.elements if "checked" in a] == ["2"]


def test_no_errors_give_no_summary(gallery: Flask):
    source = '{% import "_macros/form.html" as form %}[{{ form.error_summary({}) }}]'

    assert rendered(gallery, source).strip() == "[]"


@pytest.mark.parametrize("kind", ["best", "equal", "none", "undetermined", "refused"])
def test_every_verdict_has_its_words(gallery: Flask, kind: str):
    source = '{% import "_macros/status.html" as status %}{{ status.verdict(kind, "So it is") }}'

    assert "So it is" in rendered(gallery, source, kind=kind)


def test_every_state_of_a_trial_has_its_tag(gallery: Flask):
    source = '{% import "_macros/status.html" as status %}{{ status.trial_state(state) }}'
    for state in State:
        html = rendered(gallery, source, state=state)
        assert state.value not in html.replace("lt-tag", "")  # the word, not the key


def test_numbers_are_written_for_the_reader(gallery: Flask):
    source = """{% import "_macros/charts.html" as charts %}{{ charts.num(-1234.56, 1) }}"""
    with gallery.test_request_context("/?lang=de"):
        assert render_template_string(source) == "\N{MINUS SIGN}1234,6"
    with gallery.test_request_context("/?lang=en"):
        assert render_template_string(source) == "\N{MINUS SIGN}1234.6"
