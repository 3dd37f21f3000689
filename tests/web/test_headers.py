"""Every answer tells the browser to run only our files and to keep nothing."""

import re

from flask import Flask

from tests.plugins.web import Visitor


def test_the_policy_allows_no_inline_code(visitor: Visitor):
    policy = visitor.get("/").headers["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_the_nonce_is_another_one_each_time(app: Flask, visitor: Visitor):
    nonces = {
        re.search(r"'nonce-([^']+)'", visitor.get(path).headers["Content-Security-Policy"])[1]
        for path in ("/", "/login", "/nope")
    }

    assert len(nonces) == 3


def test_pages_and_errors_are_not_stored_but_files_are(visitor: Visitor):
    assert visitor.get("/login").headers["Cache-Control"] == "no-store"
    assert visitor.get("/nope").headers["Cache-Control"] == "no-store"
    with visitor.get("/static/lenitive.css") as file:
        assert "max-age=3600" in file.headers["Cache-Control"]


def test_the_other_guards_are_there(visitor: Visitor):
    headers = visitor.get("/").headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in headers  # plain http on one's own machine


def test_behind_https_cookies_and_headers_say_so(new_app, monkeypatch):
    monkeypatch.setenv("LENITIVE_PUBLIC_URL", "https://trials.clinic.example")

    response = new_app().test_client().get("/code", base_url="https://trials.clinic.example")

    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-lenitive=")
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
    assert response.headers["Strict-Transport-Security"].startswith("max-age=31536000")


def test_no_page_of_signing_in_has_inline_script_or_style(visitor: Visitor):
    for path in ("/", "/login", "/reset", "/code", "/help", "/wan-signin", "/i/unknown"):
        page = visitor.get(path).text
        assert not re.search(r"<script(?![^>]* src=)", page)
        assert not re.search(r"<style|\sstyle=|\son\w+=", page)
