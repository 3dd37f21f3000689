"""What the patient agreed should happen to the answers after a withdrawal."""

from enum import StrEnum

from trials.domain.words import marked as _


class OnWithdrawal(StrEnum):
    """What becomes of the answers when the patient withdraws."""

    KEEP = "keep"
    REMOVE = "remove"


ON_WITHDRAWAL: dict[OnWithdrawal, str] = {
    OnWithdrawal.KEEP: _("Keep what was reported"),
    OnWithdrawal.REMOVE: _("Remove what was reported"),
}
