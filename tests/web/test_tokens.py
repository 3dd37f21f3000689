"""The colours that meet on a page keep their contrast, in the light and in the dark face."""

import re
from pathlib import Path

import pytest

SHEET = Path(__file__).parents[2] / "trials" / "web" / "static" / "lenitive.css"
ARMS = tuple(f"--arm-{letter}" for letter in "abcdef")

# WCAG 2.2: 1.4.3 text 4.5, 1.4.11 parts and chart lines 3. Body text aims at 7.
BODY = [("--ink", ground) for ground in ("--paper", "--surface", "--sunken")]
TEXT = [
    *[("--ink-soft", ground) for ground in ("--paper", "--surface", "--sunken", "--brand-tint")],
    *[("--brand", ground) for ground in ("--paper", "--surface", "--sunken", "--brand-tint")],
    *[("--link-hover", ground) for ground in ("--paper", "--surface", "--sunken")],
    *[("--link-visited", ground) for ground in ("--paper", "--surface")],
    *[("--danger", ground) for ground in ("--paper", "--surface", "--danger-tint")],
    *[("--ink", f"--{kind}-tint") for kind in ("brand", "good", "warn", "danger")],
    ("--good", "--good-tint"),
    ("--warn", "--warn-tint"),
    ("--warn", "--surface"),
    ("--on-brand", "--brand"),
    ("--on-button", "--button"),
    ("--on-button", "--button-hover"),
    ("--surface", "--danger-button"),
    ("--surface", "--danger-button-hover"),
    ("--on-focus", "--focus"),
    *[(arm, ground) for arm in ARMS for ground in ("--paper", "--surface")],
]
PARTS = [
    *[("--line-strong", ground) for ground in ("--paper", "--surface", "--sunken")],
    *[("--accent", ground) for ground in ("--paper", "--surface")],
]


def faces() -> dict[str, dict[str, str]]:
    """The tokens of both faces."""
    css = SHEET.read_text("utf-8")
    roots = re.findall(r":root \{(.*?)\n\s*\}", css, re.DOTALL)
    light, dark = (dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", block)) for block in roots[:2])
    return {"light": light, "dark": light | dark}


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours as WCAG defines it."""

    def luminance(colour: str) -> float:
        channels = (value / 255 for value in bytes.fromhex(colour.removeprefix("#")))
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("face", ["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(BODY, 7.0), (TEXT, 4.5), (PARTS, 3.0)])
def test_colours_that_meet_have_contrast(face: str, pairs: list[tuple[str, str]], least: float):
    tokens = faces()[face]

    weak = {
        (text, ground): round(contrast(tokens[text], tokens[ground]), 2)
        for text, ground in pairs
        if contrast(tokens[text], tokens[ground]) < least
    }

    assert weak == {}


def test_black_on_white_is_twenty_one():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_every_token_that_is_used_is_defined():
    css = SHEET.read_text("utf-8")
    vendored = "".join(p.read_text("utf-8") for p in SHEET.parent.glob("vendor/*/*.css"))
    used = set(re.findall(r"var\((--[\w-]+)", css + vendored))
    defined = set(re.findall(r"(--[\w-]+):", css + vendored))

    assert used - defined == set()
