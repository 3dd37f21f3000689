"""The patient's pages: today, the diary, own entries, the guess, and the way out.

Everything here is read by somebody tired, in pain and with sore hands: one thing at a time,
large targets, short sentences, and no state without a page that says what it means. While a
trial is blinded these pages know box numbers only.
"""

from trials.web.patient import (
    clinic,
    correct,
    diary,
    entries,
    guess,
    guide,
    pack,
    problem,
    reminders,
    result,
    sync,
    thanks,
    today,
)
from trials.web.patient import help as help_pages
from trials.web.patient.blueprint import MENU, bp

PAGES = (
    today,
    diary,
    thanks,
    correct,
    entries,
    guess,
    guide,
    result,
    clinic,
    help_pages,
    problem,
    reminders,
    pack,
    sync,
)
"""The modules with pages: importing them gives the blueprint its routes."""

__all__ = ["MENU", "PAGES", "bp"]
