"""The extensions of the web application, made once and bound to an app by ``create_app``."""

from flask_babel import Babel
from flask_sqlalchemy_lite import SQLAlchemy
from flask_wtf import CSRFProtect

db = SQLAlchemy(
    engine_options={"hide_parameters": True},  # a logged error must not name a patient
    session_options={"expire_on_commit": False},
)
babel = Babel()
csrf = CSRFProtect()
