"""The draws of a fit as a file, sealed until the arms may be known.

A posterior holds the half-life of every masked arm, and a half-life names the treatment: in
the clear, the file would tell whoever can read the disk.
"""

from pathlib import Path

from sqlalchemy.orm import Session

from trials.domain.blinding import Role, may_see_allocation
from trials.domain.errors import AnalysisError, NotAllowedError, NotFoundError
from trials.domain.words import marked as _
from trials.keys import Vault
from trials.store.fit import find_fit
from trials.store.trial import TrialRow

DRAWS = "draws"
DRAWS_FOLDER = "draws"


def seal_draws(vault: Vault, fit: str, netcdf: bytes) -> bytes:
    """Return the netCDF file of a fit, sealed for this fit."""
    return vault.seal(DRAWS, netcdf, context=fit)


def open_draws(session: Session, vault: Vault, fit: str, data_dir: Path) -> bytes:
    """Return the netCDF file of a fit whose arms may be known.

    Args:
        session: the transaction.
        vault: of this installation.
        fit: public id.
        data_dir: of this installation.

    Raises:
        NotFoundError: there is no such analysis.
        NotAllowedError: its trial is blinded and not released.
        AnalysisError: it kept no draws, or the file is gone.
    """
    row = find_fit(session, fit)
    if row is None:
        raise NotFoundError(_("There is no such analysis."))
    trial = session.get_one(TrialRow, row.trial_id)
    if not may_see_allocation(Role.ANALYST, trial.how_blinded, trial.current_state):
        raise NotAllowedError(_("The draws would tell the arms apart; they open with the result."))
    path = data_dir / DRAWS_FOLDER / row.draws_file
    if not row.draws_file or not path.is_file():
        raise AnalysisError(_("This analysis kept no draws, or their file is gone."))
    return vault.open(DRAWS, path.read_bytes(), context=fit)
