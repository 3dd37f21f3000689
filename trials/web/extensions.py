"""The extensions of the web application, made once and bound to an app by ``create_app``."""

from functools import cached_property

from babel.support import NullTranslations
from flask_babel import Babel, Domain, get_locale
from flask_sqlalchemy_lite import SQLAlchemy
from flask_wtf import CSRFProtect

from trials.services.language import SOURCE_LANGUAGE, translations_of


class Texts(Domain):  # type: ignore[misc]  # Flask-Babel has no types
    """Our catalogues, read by the same hand for pages as for messages."""

    def get_translations(self) -> NullTranslations:
        """Return the texts in the language of whoever is asking."""
        return translations_of(get_locale() or SOURCE_LANGUAGE)


class Languages(Babel):  # type: ignore[misc]
    """Flask-Babel with our catalogues."""

    @cached_property
    def domain_instance(self) -> Texts:
        """Where texts are looked up."""
        return Texts()


db = SQLAlchemy(
    engine_options={"hide_parameters": True},  # a logged error must not name a patient
    session_options={"expire_on_commit": False},
)
babel = Languages()
csrf = CSRFProtect()
