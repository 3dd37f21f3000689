"""Whatever is done to a trial has words on the clinician's page."""

import ast
from pathlib import Path

import trials
from trials.services.trail import DEEDS, DIARY

PLACE = {"record": 2, "Deed": 0}
"""Where each of them takes the name of what was done."""


def recorded() -> set[str]:
    """Return the names, as they stand in the sources, of all that is recorded of a trial."""
    names = set()
    for path in Path(trials.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            place = PLACE.get(node.func.id)
            if place is None or "trial" not in {word.arg for word in node.keywords}:
                continue
            name = node.args[place]
            either = (name.body, name.orelse) if isinstance(name, ast.IfExp) else (name,)
            names |= {str(part.value) for part in either if isinstance(part, ast.Constant)}
    return names


def test_everything_that_is_recorded_of_a_trial_has_words():
    names = recorded()

    assert {"begin_period", "end_period", "take_look", "raise_alert"} <= names
    assert names - {DIARY} <= set(DEEDS)
