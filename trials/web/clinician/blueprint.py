"""The address book and the menu of the clinician's pages."""

from flask import Blueprint
from flask_babel import lazy_gettext

from trials.domain.blinding import Role
from trials.web.menu import MenuItem

bp = Blueprint("clinician", __name__, url_prefix="/clinician")


MENU = (
    MenuItem(
        Role.CLINICIAN,
        lazy_gettext("Trials"),
        "clinician.list_trials",
        also=(
            "clinician.show_trial",
            "setup.new_trial",
            "setup.create_trial",
            "setup.change_draft",
            "setup.keep_draft",
            "calibration.ask_again",
            "deeds.ask",
            "deeds.do",
            "reports.write_down",
            "reports.keep_written",
            "reports.paper",
            "reports.words",
            "adverse_events.new_event",
            "adverse_events.add_event",
            "adverse_events.show_event",
            "adverse_events.write_more",
            "result.show_result",
            "result.ask_decision",
            "result.sign_decision",
        ),
    ),
    MenuItem(
        Role.CLINICIAN,
        lazy_gettext("Patients"),
        "patients.list_patients",
        also=(
            "patients.new_patient",
            "patients.add_patient",
            "patients.show_patient",
            "patients.change_patient",
            "patients.keep_patient",
            "patients.invite",
            "patients.ask_to_revoke",
            "patients.revoke",
        ),
    ),
)
