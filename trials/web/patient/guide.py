"""How it works: a page for the patient in pictures, the same on the screen and on paper.

The pictures show the product itself, taken by `make pictures` in each language; the pages of
docs/guide are written from the same steps.
"""

from dataclasses import dataclass

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _

from trials.services.language import SOURCE_LANGUAGE
from trials.web.access import public
from trials.web.patient.blueprint import bp, render
from trials.web.patient.pack import STATIC

PICTURE_SIZE = (390, 560)
"""Width and height of every picture, in pixels."""


@dataclass(frozen=True, slots=True)
class Step:
    """One picture and what it shows.

    Attributes:
        name: of the picture, such as "today".
        title: what happens here.
        text: one or two short sentences.
        shown: the picture in words, for those who cannot see it.
        picture: its address, "" where there is none.
    """

    name: str
    title: str
    text: str
    shown: str
    picture: str = ""


@dataclass(frozen=True, slots=True)
class GuidePage:
    """All that templates/patient/guide.html may use.

    Attributes:
        steps: in the order the patient meets them.
        width: of each picture, in pixels.
        height: likewise.
    """

    steps: tuple[Step, ...]
    width: int
    height: int


@bp.get("/how-it-works")
@public
def guide() -> ResponseReturnValue:
    """Show how a trial goes, in pictures."""
    locale = get_locale()
    language = locale.language if locale is not None else SOURCE_LANGUAGE
    return render("guide", GuidePage(steps(language), *PICTURE_SIZE))


def steps(language: str) -> tuple[Step, ...]:
    """Return the steps, with pictures of this language; in English where there are none."""
    taken = language if (STATIC / "guide" / language).is_dir() else SOURCE_LANGUAGE
    told = (
        ("link", *_link()),
        ("today", *_today()),
        ("diary", *_diary()),
        ("offline", *_offline()),
        ("clinic", *_clinic()),
        ("result", *_result()),
    )
    return tuple(Step(*step, picture=_picture(taken, step[0])) for step in told)


def _picture(language: str, name: str) -> str:
    file = f"guide/{language}/{name}.webp"
    return url_for("static", filename=file) if (STATIC / file).is_file() else ""


def _link() -> tuple[str, str, str]:
    return (
        _("Open your link"),
        _("Your clinic gives you a link. Open it on your phone and press the button. That is all."),
        _("The page of the personal link, with one button"),
    )


def _today() -> tuple[str, str, str]:
    return (
        _("See what to take"),
        _("Each day this page tells you which box to take from. What is in it stays a secret."),
        _("The page of today, with the number of the box"),
    )


def _diary() -> tuple[str, str, str]:
    return (
        _("Fill in the diary"),
        _("In the evening you tap a few answers. It takes 20 seconds. A day missed is all right."),
        _("The diary, with the numbers from 0 to 10"),
    )


def _offline() -> tuple[str, str, str]:
    return (
        _("It works without a network"),
        _(
            "Your diary and calls for help stay on the phone and are sent later. "
            "Other pages need a network."
        ),
        _("The page without a network, with the diary open all the same"),
    )


def _clinic() -> tuple[str, str, str]:
    return (
        _("You can always stop"),
        _(
            "Ask for a call, take a break or stop: a few taps each. "
            "In an emergency call 112 or 911."
        ),
        _("The page of the clinic: help, a call, a break"),
    )


def _result() -> tuple[str, str, str]:
    return (
        _("Read your answer"),
        _("At the end you see which treatment was best for you, and how sure that is."),
        _("The result: which treatment was best"),
    )
