"""Draws are kept sealed and open with the result, not before."""

from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from tests.builders import VAULT, make_actor, make_completed, make_fit, make_site
from trials.domain.blinding import Role
from trials.domain.errors import AnalysisError, NotAllowedError, NotFoundError
from trials.services.analysis import release_result
from trials.services.draws import DRAWS_FOLDER, open_draws, seal_draws


@pytest.fixture
def analyst(session: Session):
    return make_actor(session, make_site(session), Role.ANALYST)


def test_draws_open_with_the_result(session: Session, analyst, now, tmp_path: Path):
    site_clinician = make_actor(session, analyst_site(session, analyst), Role.CLINICIAN)
    trial = make_completed(session, site_clinician, now)
    fit = make_fit(session, analyst, trial, now)
    (tmp_path / DRAWS_FOLDER).mkdir()
    sealed = seal_draws(VAULT, fit.public_id, b"CDF half_life[A]")
    (tmp_path / DRAWS_FOLDER / fit.draws_file).write_bytes(sealed)

    assert b"half_life" not in sealed
    with pytest.raises(NotAllowedError, match="tell the arms apart"):
        open_draws(session, VAULT, fit.public_id, tmp_path)
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
    assert open_draws(session, VAULT, fit.public_id, tmp_path) == b"CDF half_life[A]"
    (tmp_path / DRAWS_FOLDER / fit.draws_file).unlink()
    with pytest.raises(AnalysisError, match="gone"):
        open_draws(session, VAULT, fit.public_id, tmp_path)


def test_an_unknown_analysis_is_said_to_be_none(session: Session, tmp_path: Path):
    with pytest.raises(NotFoundError):
        open_draws(session, VAULT, "nosuchfit", tmp_path)


def analyst_site(session: Session, analyst):
    from trials.store.account import SiteRow

    return session.get_one(SiteRow, analyst.site_id)
