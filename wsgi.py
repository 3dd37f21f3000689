"""What a WSGI server loads: ``gunicorn wsgi:app``."""

from trials.web.app import create_app

app = create_app()
