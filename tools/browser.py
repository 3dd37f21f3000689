"""Find Chromium for the browser tests, or install it.

The one on PATH is taken where there is one; else Debian's through apt when we are root;
else Playwright's own. Without any, the browser tests are skipped on a developer's machine
and fail in CI, where a skipped test would look like a passed one.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def main() -> int:
    """Ready a browser; return the exit status."""
    if find_chromium() is not None:
        return 0
    if shutil.which("apt-get") and os.geteuid() == 0:
        install_with_apt()
    if find_chromium() is None:
        install_with_playwright()
    if find_chromium() is not None:
        return 0
    print(
        "No Chromium could be installed, so the browser tests cannot run:"
        " install chromium or Google Chrome and run make again.",
        file=sys.stderr,
    )
    return 1 if os.environ.get("CI") else 0


def find_chromium() -> Path | None:
    """Return a Chromium that really starts, or None.

    On Ubuntu the package is a stub that asks for snap, hence the trial run.
    """
    on_path = [Path(found) for name in NAMES if (found := shutil.which(name))]
    return next((path for path in [*on_path, *playwright_chromium()] if starts(path)), None)


def playwright_chromium() -> list[Path]:
    """Return where Playwright keeps its own Chromium, whether it is there or not."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (slow, and seldom needed)

    with sync_playwright() as playwright:
        return [Path(playwright.chromium.executable_path)]


def starts(path: Path) -> bool:
    """Tell whether the program runs at all."""
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def install_with_apt() -> None:
    """Install Debian's Chromium (about half a minute)."""
    print("Chromium: installing Debian's with apt-get ...", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "chromium"]):
        done = subprocess.run(
            ["apt-get", "-qq", *command],
            env=quiet,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode != 0:
            print(f"apt-get {command[0]} failed: see the lines above.", flush=True)


def install_with_playwright() -> None:
    """Let Playwright fetch its own Chromium."""
    print("Chromium: Playwright fetches its own ...", flush=True)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


if __name__ == "__main__":
    sys.exit(main())
