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
    if is_ready():
        return 0
    if shutil.which("apt-get") and os.geteuid() == 0:
        install_with_apt()
    if find_chromium() is None:
        install_with_playwright()
    if is_ready():
        return 0
    print(
        "No Chromium could be installed, so the browser tests cannot run:"
        " install chromium or Google Chrome and run make again.",
        file=sys.stderr,
    )
    return 1 if os.environ.get("CI") else 0


def is_ready() -> bool:
    """Tell whether there is a Chromium and Playwright, which drives it, runs too."""
    return find_chromium() is not None and playwright_chromium() is not None


def find_chromium() -> Path | None:
    """Return a Chromium that really starts, or None.

    On Ubuntu the package is a stub that asks for snap, hence the trial run.
    """
    on_path = (Path(found) for name in NAMES if (found := shutil.which(name)))
    chromium = next((path for path in on_path if starts(path)), None) or playwright_chromium()
    return chromium if chromium is not None and starts(chromium) else None


def playwright_chromium() -> Path | None:
    """Return where Playwright keeps its own Chromium (there or not); None if it cannot run.

    Asked in a process of its own, because its driver may lack a library of the system.
    """
    question = (
        "from playwright.sync_api import sync_playwright as start\n"
        "with start() as playwright: print(playwright.chromium.executable_path)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", question], capture_output=True, text=True, check=False
    )
    return Path(answer.stdout.strip()) if answer.returncode == 0 else None


def starts(path: Path) -> bool:
    """Tell whether the program runs at all."""
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def install_with_apt() -> None:
    """Install Debian's Chromium, and the library that Playwright's driver needs."""
    print("Chromium: installing Debian's with apt-get ...", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "chromium", "libatomic1"]):
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
