"""The third-party front-end files are the ones that were fetched, and carry no foreign brand."""

import hashlib
import re

import pytest

from tools import vendor

FILES = sorted(p for p in vendor.TARGET.rglob("*") if p.is_file() and p.name != "SHA256SUMS")


def test_every_vendored_file_has_its_sum():
    sums = dict(
        reversed(line.split("  ", 1))
        for line in (vendor.TARGET / "SHA256SUMS").read_text("utf-8").splitlines()
    )

    found = {
        path.relative_to(vendor.TARGET).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in FILES
    }

    assert found == sums


def test_every_package_brings_its_licence():
    packages = [path for path in vendor.TARGET.iterdir() if path.is_dir()]

    assert len(packages) == 2
    for package in packages:
        assert (package / "LICENSE").stat().st_size > 500


def test_no_foreign_font_logo_or_address_is_served():
    for path in FILES:
        if path.suffix in {".css", ".mjs"}:
            text = path.read_text("utf-8")
            assert "Frutiger" not in text
            assert "assets.nhs.uk" not in text
            assert not re.search(r"\.nhsuk-(header|footer|logo|crest)\b", text)
            assert "sourceMappingURL" not in text


def test_page_frame_names_the_versions_that_are_there():
    base = (vendor.ROOT / "templates" / "base.html").read_text("utf-8")
    named = set(re.findall(r"vendor/[\w./-]+", base))

    assert named
    for name in named:
        assert (vendor.TARGET.parent / name).is_file()


def test_marker_colours_become_tokens():
    css = ".a{color:#c0de01}.b{color:rgba(192,222,15,.99)}.c{color:#000}"

    assert vendor.with_tokens(css) == (
        ".a{color:var(--brand)}.b{color:var(--on-brand)}.c{color:#000}"
    )


def test_a_colour_without_a_token_stops_the_build():
    with pytest.raises(ValueError, match="#005eb8"):
        vendor.with_tokens(".a{color:#005eb8}")
