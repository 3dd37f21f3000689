"""How it works: the same in the product, on paper and in the documentation, in each language."""

import pytest

from tests.plugins.web import Visitor
from tools.guide import PAGES, PICTURES, markdown_of
from trials.services.language import languages
from trials.web.patient.guide import PICTURE_SIZE

STEPS = ("link", "today", "diary", "offline", "clinic", "result")
LARGEST_PICTURE = 40_000


@pytest.mark.parametrize("code", languages())
def test_the_page_of_the_documentation_says_what_the_product_says(visitor: Visitor, code: str):
    """If this fails: `make pictures` writes the pages of docs/guide anew."""
    page = visitor.get("/how-it-works", headers={"Accept-Language": code})

    assert page.status_code == 200
    assert f'<html lang="{code}"' in page.text
    assert (PAGES / f"{code}.md").read_text(encoding="utf-8") == markdown_of(page.text, code)


@pytest.mark.parametrize("code", languages())
def test_each_step_has_a_small_picture_in_the_language_and_its_words(visitor: Visitor, code: str):
    page = visitor.get("/how-it-works", headers={"Accept-Language": code}).text

    for name in STEPS:
        picture = (PICTURES / code / f"{name}.webp").read_bytes()
        assert picture[8:12] == b"WEBP"
        assert len(picture) < LARGEST_PICTURE
        assert f"/static/guide/{code}/{name}.webp" in page
    assert page.count("<img ") == page.count(' alt="') == len(STEPS)
    assert f'width="{PICTURE_SIZE[0]}" height="{PICTURE_SIZE[1]}"' in page


def test_everybody_may_read_it_and_print_it(visitor: Visitor):
    page = visitor.get("/how-it-works")

    assert "data-print" in page.text
    assert "/how-it-works" in visitor.get("/help").text
