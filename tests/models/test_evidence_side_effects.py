"""What shows that the model of side effects is right, on a few simulations."""

from __future__ import annotations

import pytest

from models.evidence import veto
from models.evidence.calibration import calibrate, calibration_table
from models.evidence.side_effects import ITEMS


@pytest.mark.parametrize("model", list(ITEMS))
def test_side_effects_are_calibrated_as_far_as_a_few_simulations_tell(model):
    found = calibrate(models=(model,), simulations=40, seed=3, missing=(0.15,))

    assert set(found[0].ranks) >= {"any on A", "severe on C", "grade: C minus B"}
    assert calibration_table(found).passed


def test_an_arm_is_vetoed_when_it_is_severe_often_and_never_when_it_is_not():
    often = veto.count(veto.Task(share=0.4, memory=0.0, seed=1, trials=8))
    never = veto.count(veto.Task(share=0.0, memory=0.0, seed=1, trials=8))

    assert often[0] >= 7
    assert never[0] == 0


def test_the_table_of_vetoes_has_a_row_for_each_truth():
    table = veto.veto_table(trials=1, seed=1)

    assert len(table.rows) == 2 * len(veto.SHARES)
    assert "10%" in table.title
