"""Where a report comes from, in words: the same on the clinician's and the analyst's page."""

from collections.abc import Iterator, Mapping

from flask_babel import gettext as _

from trials.domain.diary import Source
from trials.store.correction import ConfirmationRow
from trials.store.diary import DiaryEntryRow


def provenance(
    entry: DiaryEntryRow | None, confirmations: Mapping[int, ConfirmationRow]
) -> Iterator[str]:
    """Yield what is to be known of a report that the patient did not simply send in time.

    Args:
        entry: the report that counts, or None.
        confirmations: the patient's word on reports of others, by entry.
    """
    if entry is None:
        return
    if entry.source == Source.PHONE and not entry.corrects:
        yield str(_("by telephone"))
    elif entry.source == Source.PAPER:
        yield str(
            _("from paper, scan %(scan)s", scan=entry.scan) if entry.scan else _("from paper")
        )
    if entry.by_proxy:
        yield str(_("filled in by somebody else for the patient"))
    if entry.corrects:
        yield str(_("corrected later, with a reason"))
    elif entry.revision > 1:
        yield str(_("corrected"))
    told = confirmations.get(entry.id)
    if told is not None:
        yield str(_("confirmed by the patient") if told.is_right else _("the patient says no"))
    elif entry.source != Source.PATIENT and not entry.corrects:
        yield str(_("not confirmed yet"))
