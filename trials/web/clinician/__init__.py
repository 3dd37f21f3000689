"""The clinician's list of trials, and the page of one trial.

While a trial is blinded its page shows which days were answered, and nothing of what was
answered: whoever sees pain fall in periods 2 and 3 begins to guess.
"""

from trials.web.clinician import listing, trial
from trials.web.clinician.blueprint import MENU, bp

PAGES = (listing, trial)
"""The modules with pages: importing them gives the blueprint its routes."""

__all__ = ["MENU", "PAGES", "bp"]
