"""The administrator's pages: people, the site, the audit trail, and how the machine is doing."""

from flask import Blueprint

bp = Blueprint("administrator", __name__, url_prefix="/admin")
