"""Parity with independent posteriors of the synthetic cases, which are ours."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from models import exact
from models.evidence.parity import distance, not_covered, parity, references
from models.evidence.real_files import daily_means, prepare
from models.evidence.table import Table, markdown

FOLDER = Path(__file__).parents[1] / "reference"
REFERENCES = references(FOLDER)


def test_the_synthetic_cases_are_all_found():
    found = {(r.model, r.engine) for r in REFERENCES}

    assert {(m, e) for m in ("m1", "m2", "m1p", "m2p") for e in ("quad", "stan")} <= found


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda r: f"{r.model}-{r.engine}")
def test_the_exact_engine_agrees_with(reference):
    posterior = exact.fit(reference.data, reference.specification, seed=1, draws=20_000)

    assert distance(posterior, reference).within


def test_references_of_other_models_are_named_and_not_passed_over():
    sentences = not_covered(FOLDER)

    assert [s.split(":")[1].strip() for s in sentences] == [
        "m4b_synthetic_S4 (m4b by jags and stan)"
    ]
    assert "hierarchy of many patients" in sentences[0]
    assert sentences[0] in parity([], {}, sentences * 2).notes


def test_a_wrong_prior_is_not_parity():
    reference = next(r for r in REFERENCES if (r.model, r.engine) == ("m1", "quad"))
    narrow = replace(reference.specification.priors.arm, sd=0.2)
    wrong = replace(
        reference.specification, priors=replace(reference.specification.priors, arm=narrow)
    )
    fit = partial(exact.fit, seed=1)

    assert not distance(fit(reference.data, wrong), reference).within
    assert not parity([replace(reference, specification=wrong)], {"exact": fit}).passed


def test_nothing_compared_is_nothing_shown():
    assert not parity([], {}).passed


def test_a_table_is_markdown():
    text = markdown(Table("T", ("a", "bb"), (("1", "2"),), notes=("n",)))

    assert text.splitlines()[2:] == ["| a | bb |", "|---|----|", "| 1 | 2  |", "", "n"]


def test_real_files_become_diaries(tmp_path):
    """On files of the same form as the real ones, which are not ours to keep."""
    ratings = [
        f"P1,{day}.{half},,placebo,pain_0_10,{day % 5 + half}"
        for day in range(60)
        for half in (2, 7)
    ]
    header = "patient,day,period,treatment,outcome,value"
    (tmp_path / "cbp_diary_placeboI.csv").write_text("\n".join([header, *ratings]))
    mood = [
        f"m,{day},{day},{'control' if day % 2 else 'melatonin'},mood,{50 + day}"
        for day in range(1, 9)
    ]
    (tmp_path / "melatonin_nof1kit.csv").write_text("\n".join([header, *mood]))

    prepared = prepare(tmp_path, tmp_path / "out")

    assert daily_means(tmp_path / "cbp_diary_placeboI.csv")["P1"][3] == (7.5, "placebo")
    lines = prepared[0].diary.read_text().splitlines()
    assert lines[0] == "day,arm,pain"
    assert [line.split(",")[1] for line in lines[1::7]] == list("ABBAABBA")
    assert all(item.protocol.exists() for item in prepared)
