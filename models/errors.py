"""Errors a person can cause by what they ask of the models; each carries a sentence."""

from __future__ import annotations


class ModelInputError(ValueError):
    """The data or the specification cannot be what they say they are."""
