"""Files of an analysis: pseudonymous, blind while the trial is, and enough to do it again."""

import csv
import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select
from sqlalchemy.orm import Session

from models.files.diary import parse_diary
from models.files.protocol import parse_protocol
from models.specification import Specification
from tests.builders import (
    PROTOCOL,
    RELIEF,
    VAULT,
    answer,
    evening,
    fill_day,
    fill_diary,
    make_actor,
    make_completed,
    make_fit,
    make_running,
    make_site,
    open_protocol,
    patient_actor,
    trial_days,
)
from trials.cli.analyze import analyze as analyze_command
from trials.domain.blinding import Role
from trials.domain.design import AnalysisSet
from trials.domain.diary import Intake, Source
from trials.domain.errors import AnalysisError, NotAllowedError, NotFoundError
from trials.domain.life_cycle import Step
from trials.services.actor import SYSTEM, Actor
from trials.services.allocation import masked_sequence
from trials.services.analysis import (
    assemble_data,
    finish_fit,
    fit_result,
    prepare_fit,
    release_result,
    request_fit,
)
from trials.services.diary import record_entry
from trials.services.export import ExportedFile, ExportKind, export
from trials.services.running import (
    pause_trial,
    resume_trial,
)
from trials.services.steps import take_step
from trials.store.audit import AuditRow
from trials.store.fit import FitRow
from trials.store.trial import TrialRow

EVERYTHING = replace(
    PROTOCOL,
    design=replace(PROTOCOL.design, run_in_days=3),
    comparator="ibuprofen",
    analysis_set=AnalysisSet.AS_TAKEN,
    candidates=(
        PROTOCOL.candidates[0],
        replace(PROTOCOL.candidates[1], burden=0.3, name='Amitriptyline "low"\ndose \x07'),
    ),
)


@pytest.fixture
def analyst(session: Session) -> Actor:
    return make_actor(session, make_site(session), Role.ANALYST)


@pytest.fixture
def clinician(analyst: Actor) -> Actor:
    return replace(analyst, role=Role.CLINICIAN)


def take(
    session: Session, actor: Actor, trial: TrialRow, fit: FitRow, kind: ExportKind, now: datetime
) -> ExportedFile:
    return export(session, VAULT, actor, trial, fit=fit.public_id, kind=kind, now=now)


def release(session: Session, analyst: Actor, trial: TrialRow, fit: FitRow, now: datetime) -> None:
    release_result(
        session,
        VAULT,
        analyst,
        trial,
        revision=trial.revision,
        fit=fit.public_id,
        comment="",
        now=now,
    )


def hard_trial(session: Session, clinician: Actor, now: datetime) -> TrialRow:
    """Return a completed trial with run-in, pause, missed days, partly taken doses, a note."""
    trial = make_running(session, clinician, now, EVERYTHING)
    days = trial_days(trial, EVERYTHING)
    for day in days[:12]:
        fill_day(session, trial, day, pain=day.day % 5 + 2)
    pause = evening(days[12], 9)
    pause_trial(session, clinician, trial, revision=trial.revision, reason="flu", now=pause)
    resume_trial(session, clinician, trial, revision=trial.revision, now=pause + timedelta(days=2))
    record_entry(
        session,
        trial,
        days[14],
        replace(answer(7, 2), intake=Intake.PART, note="My neighbour Pat came, 030 123456"),
        source=Source.PATIENT,
        author=patient_actor(trial.patient),
        key="with a note",
        now=evening(days[14]),
    )
    fill_diary(session, trial, RELIEF, missed={*range(1, 16), 20})
    take_step(session, SYSTEM, trial, Step.COMPLETE, now)
    return trial


def rows_of(file: ExportedFile) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.content)))


# ---- while blinded


@pytest.fixture
def blinded(session: Session, analyst: Actor, clinician: Actor, now: datetime) -> TrialRow:
    return make_completed(session, clinician, now)


def test_a_blinded_diary_has_no_arm_and_nothing_that_follows_it(
    session: Session, analyst: Actor, blinded: TrialRow, now: datetime
):
    fit = make_fit(session, analyst, blinded, now)
    file = take(session, analyst, blinded, fit, ExportKind.DIARY, now)
    rows = rows_of(file)

    assert len(rows) == 28
    assert set(rows[0]) == {
        "subject",
        "day",
        "period",
        "phase",
        "pain",
        "bother",
        "sleep",
        "interference",
        "rescue_doses",
        "intake",
        "source",
        "minutes_late",
    }
    for word in ("buprofen", "mitriptyline", "nausea", "dry_mouth"):
        assert word not in file.content


def test_blinded_diaries_of_two_sequences_differ_in_the_answers_only(
    session: Session, analyst: Actor, clinician: Actor, now: datetime
):
    """The same answers under another sequence give the same file, byte for byte."""
    files, sequences = set(), set()
    for _draw in range(12):
        trial = make_running(session, clinician, now)
        for day in trial_days(trial):
            fill_day(session, trial, day, day.day % 7)
        take_step(session, SYSTEM, trial, Step.COMPLETE, now)
        fit = make_fit(session, analyst, trial, now)
        file = take(session, analyst, trial, fit, ExportKind.DIARY, now)
        lines = [line.partition(",")[2] for line in file.content.splitlines()]
        files.add("\n".join(lines))
        sequences.add(masked_sequence(session, VAULT, trial))

    assert len(files) == 1
    assert len(sequences) > 1


def test_a_blinded_result_is_masked(
    session: Session, analyst: Actor, blinded: TrialRow, now: datetime
):
    fit = make_fit(session, analyst, blinded, now)
    file = take(session, analyst, blinded, fit, ExportKind.RESULT, now)
    content = json.loads(file.content)

    assert content["blinded"] is True
    assert content["provenance"]["protocol_hash"] == fit.protocol_hash
    assert content["provenance"]["model_version"] == "crossover-1"
    assert isinstance(content["verdict"]["sentence"], str)
    plain_hash = assemble_data(session, VAULT, blinded).data_hash
    for secret in ("buprofen", "mitriptyline", "half_life", plain_hash, str(fit.seed)):
        assert secret not in file.content


def test_the_protocol_file_waits_for_the_release(
    session: Session, analyst: Actor, blinded: TrialRow, now: datetime
):
    fit = make_fit(session, analyst, blinded, now)

    with pytest.raises(NotAllowedError, match="after the release"):
        take(session, analyst, blinded, fit, ExportKind.PROTOCOL, now)


@pytest.mark.parametrize("kind", ExportKind)
def test_no_file_says_who(
    session: Session, analyst: Actor, clinician: Actor, now: datetime, kind: ExportKind
):
    trial = hard_trial(session, clinician, now)
    fit = make_fit(session, analyst, trial, now)
    release(session, analyst, trial, fit, now)
    file = take(session, analyst, trial, fit, kind, now)
    patient = trial.patient
    told = file.name + file.content

    for who in (patient.name, patient.code, patient.email, patient.public_id, trial.public_id):
        assert who not in told
    assert "neighbour" not in told
    assert trial.title not in told
    assert str(trial.start_day) not in told


def test_a_file_name_tells_the_analysis_and_no_more(
    session: Session, analyst: Actor, clinician: Actor, now: datetime
):
    trial = make_completed(session, clinician, now, open_protocol())
    fit = make_fit(session, analyst, trial, now)

    names = {take(session, analyst, trial, fit, kind, now).name for kind in ExportKind}
    assert names == {
        f"{fit.public_id}-RESULT.json",
        f"{fit.public_id}-DIARY.csv",
        f"{fit.public_id}-PROTOCOL.toml",
    }


def test_a_patient_is_the_same_subject_in_every_file_and_another_in_no_other(
    session: Session, analyst: Actor, clinician: Actor, blinded: TrialRow, now: datetime
):
    other = make_completed(session, clinician, now)
    subjects = []
    for trial in (blinded, other):
        fit = make_fit(session, analyst, trial, now)
        rows = rows_of(take(session, analyst, trial, fit, ExportKind.DIARY, now))
        result = json.loads(take(session, analyst, trial, fit, ExportKind.RESULT, now).content)
        subjects.append({row["subject"] for row in rows} | {result["subject"]})

    assert [len(found) for found in subjects] == [1, 1]
    assert subjects[0] != subjects[1]


def test_every_export_is_on_record(
    session: Session, analyst: Actor, blinded: TrialRow, now: datetime
):
    fit = make_fit(session, analyst, blinded, now)
    file = take(session, analyst, blinded, fit, ExportKind.DIARY, now)
    row = session.scalars(select(AuditRow).where(AuditRow.action == "export_analysis")).one()

    assert row.actor == analyst.public_id
    assert (row.after or {})["file"] == file.name


@pytest.mark.parametrize("role", [Role.CLINICIAN, Role.PHARMACIST, Role.PATIENT])
def test_only_the_analyst_exports(
    session: Session, analyst: Actor, blinded: TrialRow, now: datetime, role: Role
):
    fit = make_fit(session, analyst, blinded, now)

    with pytest.raises(NotAllowedError):
        take(session, replace(analyst, role=role), blinded, fit, ExportKind.DIARY, now)


def test_what_is_not_there_is_not_exported(
    session: Session, analyst: Actor, clinician: Actor, blinded: TrialRow, now: datetime
):
    fit = make_fit(session, analyst, blinded, now)
    other = make_completed(session, clinician, now)

    with pytest.raises(NotFoundError):
        take(session, analyst, other, fit, ExportKind.RESULT, now)


def test_a_changed_diary_is_not_passed_off_as_the_analysed_one(
    session: Session, analyst: Actor, clinician: Actor, now: datetime
):
    trial = make_completed(session, clinician, now, missed={28})
    late = partial(fill_day, session, trial, trial_days(trial)[-1])
    fit = make_fit(session, analyst, trial, now, meanwhile=late)

    with pytest.raises(AnalysisError, match="changed"):
        take(session, analyst, trial, fit, ExportKind.DIARY, now)


# ---- after the release


def test_the_released_files_are_the_analysed_data_and_specification_to_the_last_bit(
    session: Session, analyst: Actor, clinician: Actor, now: datetime
):
    trial = hard_trial(session, clinician, now)
    fit = make_fit(session, analyst, trial, now)
    release(session, analyst, trial, fit, now)
    protocol = parse_protocol(
        take(session, analyst, trial, fit, ExportKind.PROTOCOL, now).content.encode()
    )
    diary = parse_diary(
        take(session, analyst, trial, fit, ExportKind.DIARY, now).content.encode(), protocol
    )
    provenance = fit_result(session, VAULT, analyst, trial, fit).summary["provenance"]

    assert diary.trials[None].data_hash == provenance["data_hash"]
    assert protocol.specification.specification_hash == provenance["specification_hash"]


@pytest.mark.parametrize("protocol", [PROTOCOL, EVERYTHING], ids=["plain", "everything"])
def test_the_command_line_gives_the_released_numbers_again(
    session: Session,
    analyst: Actor,
    clinician: Actor,
    now: datetime,
    tmp_path: Path,
    protocol: object,
):
    """The released fit is an exact one of as many draws as the command line takes."""
    trial = (
        make_completed(session, clinician, now)
        if protocol is PROTOCOL
        else hard_trial(session, clinician, now)
    )
    fit = make_fit(session, analyst, trial, now, draws=4000)
    release(session, analyst, trial, fit, now)
    for kind in ExportKind:
        file = take(session, analyst, trial, fit, kind, now)
        (tmp_path / file.name.partition("-")[2]).write_text(file.content, encoding="utf-8")
    released = json.loads((tmp_path / "RESULT.json").read_text("utf-8"))
    again = tmp_path / "AGAIN.json"
    outcome = CliRunner().invoke(
        analyze_command,
        [
            str(tmp_path / "DIARY.csv"),
            "--protocol",
            str(tmp_path / "PROTOCOL.toml"),
            "--out",
            str(again),
            "--seed",
            released["provenance"]["seed"],
        ],
    )
    repeated = json.loads(again.read_text("utf-8"))

    assert outcome.exit_code == (3 if released["verdict"]["kind"] == "refused" else 0)
    for key in ("arms", "contrasts", "parameters", "target"):
        assert repeated[key] == released[key]
    assert repeated["verdict"]["sentence"] == released["verdict"]["sentence"]
    if protocol is PROTOCOL:
        assert released["verdict"]["kind"] == "best"
        assert released["treatments"][released["verdict"]["arm"]] == "Amitriptyline"


def test_a_protocol_file_holds_every_prior_and_rule(
    session: Session, analyst: Actor, clinician: Actor, now: datetime
):
    trial = make_completed(session, clinician, now, open_protocol(EVERYTHING))
    fit = make_fit(session, analyst, trial, now)
    file = take(session, analyst, trial, fit, ExportKind.PROTOCOL, now)
    found = parse_protocol(file.content.encode()).specification

    assert found.decision.comparator in {"A", "B"}
    assert sorted(arm.burden for arm in found.arms) == [0.0, 0.3]
    assert found.priors == Specification(arms=found.arms, carryover=True).priors


def test_the_days_of_an_export_run_on_without_a_gap(
    session: Session, analyst: Actor, clinician: Actor, now: datetime
):
    trial = hard_trial(session, clinician, now)
    fit = make_fit(session, analyst, trial, now)
    rows = rows_of(take(session, analyst, trial, fit, ExportKind.DIARY, now))
    days = [int(row["day"]) for row in rows]

    assert days[0] == 1
    assert all(b == a + 1 for a, b in pairwise(days))
    assert [row["pain"] for row in rows if row["phase"] == "paused"] == ["", ""]


@pytest.mark.sampling
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_both_engines_give_the_released_numbers_again(
    session: Session, analyst: Actor, clinician: Actor, now: datetime, tmp_path: Path
):
    from models.confirm import confirm  # PyMC is loaded only here

    trial = make_completed(session, clinician, now)
    fit = request_fit(session, VAULT, analyst, trial, purpose="final", now=now)
    task = prepare_fit(session, VAULT, fit)
    analysis = confirm(task.data, task.specification, seed=task.seed)
    finish_fit(session, VAULT, fit, task, analysis, now)
    release(session, analyst, trial, fit, now)
    for kind in ExportKind:
        file = take(session, analyst, trial, fit, kind, now)
        (tmp_path / file.name.partition("-")[2]).write_text(file.content, encoding="utf-8")
    released = json.loads((tmp_path / "RESULT.json").read_text("utf-8"))
    command = [
        str(tmp_path / "DIARY.csv"),
        *("--protocol", str(tmp_path / "PROTOCOL.toml")),
        *("--out", str(tmp_path / "AGAIN.json")),
        *("--engine", "both"),
        *("--seed", released["provenance"]["seed"]),
    ]
    CliRunner().invoke(analyze_command, command)
    repeated = json.loads((tmp_path / "AGAIN.json").read_text("utf-8"))

    assert released["diagnostics"]["engine"] == "both"
    assert released["verdict"]["provisional"] is False
    for key in ("arms", "contrasts", "parameters", "outcome_alone"):
        assert repeated[key] == released[key]
    for key in ("data_hash", "specification_hash"):
        assert repeated["provenance"][key] == released["provenance"][key]
