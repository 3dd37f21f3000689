"""Fetch the third-party front-end files that Lenitive serves, with their licences and sums.

Run by a maintainer when a version changes (``python tools/vendor.py``); it needs npm and writes
below ``trials/web/static/vendor``. The result is committed, so nobody else needs npm, and
``tests/test_vendor.py`` checks the committed bytes against ``SHA256SUMS``.

``nhsuk-frontend`` is compiled from its Sass sources without the NHS font, logo, header and
footer; its colours become custom properties (see ``tools/nhsuk/lenitive-base.scss``), and a
second style sheet is mirrored for right-to-left languages.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "tools" / "nhsuk"
TARGET = ROOT / "trials" / "web" / "static" / "vendor"

NHSUK = "10.6.1"
ATKINSON = "5.3.0"
PACKAGES = (
    f"nhsuk-frontend@{NHSUK}",
    f"@fontsource/atkinson-hyperlegible@{ATKINSON}",
    "sass@1.108.2",
    "esbuild@0.28.2",
    "rtlcss@4.3.0",
)
FONTS = ("latin-400-normal", "latin-700-normal", "latin-ext-400-normal", "latin-ext-700-normal")

# Marker colours of the Sass recipe -> tokens defined in static/lenitive.css.
TOKENS = {
    "#c0de01": "--brand",
    "#c0de02": "--surface",
    "#c0de03": "--ink",
    "#c0de04": "--good",
    "#c0de05": "--link-visited",
    "#c0de06": "--link-hover",
    "#c0de07": "--danger",
    "#c0de08": "--focus",
    "#c0de09": "--warn-tint",
    "#c0de0a": "--ink-soft",
    "#c0de0b": "--line-strong",
    "#c0de0c": "--line-hover",
    "#c0de0d": "--line",
    "#c0de0e": "--sunken",
    "#c0de0f": "--on-brand",
    "#c0de10": "--on-focus",
    "#c0de11": "--button",
    "#c0de12": "--on-button",
    "#c0de13": "--button-hover",
    "#c0de14": "--brand-tint",
    "#c0de15": "--danger-button",
    "#c0de16": "--danger-button-hover",
    # A shade that nhsuk-frontend derives from the error colour for links.
    "#869b05": "--danger",
}
# Colours that may stay as they are: ink on paper in print, and nothing at all.
PLAIN_COLOURS = frozenset({"#000", "#000000", "#fff", "#ffffff"})
TRANSPARENT = re.compile(r"rgba\(0,\s*0,\s*0,\s*(?:0|\.99)\)")


def with_tokens(css: str) -> str:
    """Return the style sheet with its marker colours replaced by custom properties.

    Raises:
        ValueError: a colour is left that is no marker: nhsuk-frontend derived it, and the recipe
            must name it.
    """
    for marker, token in TOKENS.items():
        red, green, blue = bytes.fromhex(marker.removeprefix("#"))
        # Nearly opaque copies of a marker only force Safari to repaint links; the token serves.
        css = re.sub(rf"rgba\({red},{green},{blue},[0-9.]+\)", f"var({token})", css)
        css = css.replace(marker, f"var({token})")
    rules_only = TRANSPARENT.sub("", re.sub(r"url\([^)]*\)", "", css))
    left = set(re.findall(r"#[0-9a-f]{3,8}\b(?=[;}\s,)!])", rules_only)) - PLAIN_COLOURS
    left |= set(re.findall(r"(?:rgb|hsl)a?\([^)]*\)", rules_only))
    if left:
        raise ValueError(f"Colours without a token in the compiled style sheet: {sorted(left)}")
    return css


def run(*command: str, cwd: Path) -> None:
    """Run a command of the maintainer's machine and stop when it fails."""
    subprocess.run(command, cwd=cwd, check=True)


def build_nhsuk(work: Path) -> None:
    """Compile the style sheets and the small script bundle of nhsuk-frontend."""
    out = TARGET / f"nhsuk-frontend-{NHSUK}"
    out.mkdir(parents=True)
    for source in RECIPE.iterdir():
        shutil.copy(source, work)
    binaries = work / "node_modules" / ".bin"
    run(
        str(binaries / "sass"),
        "--load-path=node_modules",
        "--style=compressed",
        "--no-source-map",
        "--quiet-deps",
        "lenitive-base.scss",
        "base.css",
        cwd=work,
    )
    (out / "base.css").write_text(with_tokens((work / "base.css").read_text("utf-8")), "utf-8")
    run(str(binaries / "rtlcss"), str(out / "base.css"), str(out / "base.rtl.css"), cwd=work)
    run(
        str(binaries / "esbuild"),
        "entry.mjs",
        "--bundle",
        "--minify",
        "--format=esm",
        "--target=es2018",
        "--legal-comments=none",
        f"--outfile={out / 'nhsuk.mjs'}",
        cwd=work,
    )
    shutil.copy(RECIPE / "LICENSE", out / "LICENSE")


def copy_fonts(work: Path) -> None:
    """Copy the four font files in use and their licence."""
    package = work / "node_modules" / "@fontsource" / "atkinson-hyperlegible"
    out = TARGET / f"atkinson-hyperlegible-{ATKINSON}"
    out.mkdir(parents=True)
    for name in FONTS:
        shutil.copy(package / "files" / f"atkinson-hyperlegible-{name}.woff2", out)
    shutil.copy(package / "LICENSE", out / "LICENSE")


def write_sums() -> None:
    """Write the SHA-256 of every vendored file, sorted by path, as ``sha256sum -c`` reads it."""
    files = sorted(p for p in TARGET.rglob("*") if p.is_file() and p.name != "SHA256SUMS")
    lines = (
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(TARGET).as_posix()}\n"
        for p in files
    )
    (TARGET / "SHA256SUMS").write_text("".join(lines), "utf-8")


def main() -> int:
    """Rebuild the vendor folder from the npm registry."""
    npm = shutil.which("npm")
    if npm is None:
        print("npm is needed to fetch the front-end files; install Node.js 20 or later.")
        return 2
    with tempfile.TemporaryDirectory(prefix="lenitive-vendor-") as folder:
        work = Path(folder)
        (work / "package.json").write_text('{"private": true}\n', "utf-8")
        run(npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES, cwd=work)
        if TARGET.exists():
            shutil.rmtree(TARGET)
        build_nhsuk(work)
        copy_fonts(work)
    write_sums()
    print((TARGET / "SHA256SUMS").read_text("utf-8"), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
