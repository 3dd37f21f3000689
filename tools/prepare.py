"""Ready the environment in .venv: find a Python, get uv, install what uv.lock says.

Called by the Makefile with any Python from 3.8 on and nothing but the standard library,
because it runs before anything is installed:

    python3 tools/prepare.py for-run     what the product needs
    python3 tools/prepare.py for-work    and what its tests and documentation need

The stamp ``.venv/.ready-for-...`` tells make that it is done.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
UV_REQUIREMENT = "uv==0.13.*"
OLDEST = (3, 12)
NAMES = ("python3.14", "python3.13", "python3.12", "python3")
FETCHED = "3.13"
GROUPS = {"for-run": ["--no-default-groups"], "for-work": ["--all-groups"]}


def main() -> int:
    """Ready the environment and leave the stamp; return the exit status."""
    if len(sys.argv) != 2 or sys.argv[1] not in GROUPS:
        return fail(f"Say one of: {', '.join(GROUPS)}.")
    started = time.monotonic()
    uv = find_uv()
    if uv is None:
        return 1
    python = find_python() or find_python_of_uv(uv)
    if python is None:
        return fail(
            "No Python 3.12 or later was found: install one (https://www.python.org/downloads,"
            " or `apt-get install python3.13` where there is one) and run make again."
        )
    say(f"Python: {python}")
    say("Packages: installing what uv.lock names ...")
    command = [uv, "sync", "--frozen", "--python", python, *GROUPS[sys.argv[1]]]
    if run(command).returncode != 0:
        return fail("The packages could not be installed: see the lines above.")
    (VENV / f".ready-{sys.argv[1]}").touch()
    say(f"Ready in {time.monotonic() - started:.0f} s.")
    return 0


def find_uv() -> Optional[str]:
    """Return uv, installed into .tools by pip where it is not there yet.

    ``pip install --target`` works where pip refuses to change the system's Python and
    where the venv module is missing.
    """
    uv = ROOT / ".tools" / "bin" / "uv"
    if uv.exists():
        return str(uv)
    if run([sys.executable, "-m", "pip", "--version"], quiet=True).returncode != 0:
        installed = shutil.which("uv")
        if installed is None:
            fail(
                f"pip is missing for {sys.executable}: install it"
                " (Debian and Ubuntu: apt-get install python3-pip) and run make again."
            )
        return installed
    say("uv: installing into .tools ...")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if run([*pip, "--target", str(ROOT / ".tools"), UV_REQUIREMENT]).returncode != 0:
        fail("uv could not be installed by pip: see the lines above.")
        return None
    return str(uv)


def find_python() -> Optional[str]:
    """Return the newest suitable Python that really runs, or None."""
    for candidate in candidates():
        version = version_of(candidate)
        if version is not None and version >= OLDEST:
            return str(candidate)
    return None


def candidates() -> Iterator[Path]:
    """Yield places where a Python may be: what we use already, PATH, then pyenv.

    One name may stand on PATH several times, and the first may be a pyenv shim that only
    fails, so every place is offered.
    """
    yield VENV / "bin" / "python"
    folders = os.environ.get("PATH", "").split(os.pathsep)
    for name in NAMES:
        for folder in folders:
            if folder and os.access(str(Path(folder) / name), os.X_OK):
                yield Path(folder) / name
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = pyenv.glob("versions/3.1[2-9]*/bin/python")
    yield from sorted(found, key=release_of, reverse=True)


def release_of(python: Path) -> List[int]:
    """Return 3.13.1 of ``.../versions/3.13.1/bin/python`` as numbers that sort."""
    release = python.parent.parent.name.split("-")[0]
    return [int(part) for part in release.split(".") if part.isdigit()]


def version_of(python: Path) -> Optional[Tuple[int, ...]]:
    """Return (major, minor) as the interpreter itself says, or None when it does not run."""
    if not python.exists():
        return None
    question = "import sys; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [str(python), "-c", question],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if answer.returncode != 0:
        return None
    return tuple(int(part) for part in answer.stdout.split())


def find_python_of_uv(uv: str) -> Optional[str]:
    """Return a Python that uv has, or fetches; None where it may not or cannot."""
    find = [
        uv,
        "python",
        "find",
        "--no-project",
        "--no-python-downloads",
        f">={OLDEST[0]}.{OLDEST[1]}",
    ]
    if run(find, quiet=True).returncode != 0:
        if os.environ.get("UV_PYTHON_DOWNLOADS") == "never":
            return None
        say(f"Python: none from 3.12 on is installed; uv fetches {FETCHED} ...")
        if run([uv, "python", "install", FETCHED]).returncode != 0:
            return None
    answer = subprocess.run(find, cwd=str(ROOT), stdout=subprocess.PIPE, check=True)
    return answer.stdout.decode().strip()


def run(command: List[str], quiet: bool = False) -> "subprocess.CompletedProcess[bytes]":
    """Run a command in the repository, outside any environment that happens to be active."""
    left_out = ("VIRTUAL_ENV", "PIP_USER")
    outside = {key: value for key, value in os.environ.items() if key not in left_out}
    outside["PIP_ROOT_USER_ACTION"] = "ignore"  # nothing of the system's is changed
    where = subprocess.DEVNULL if quiet else None
    return subprocess.run(
        command, check=False, cwd=str(ROOT), env=outside, stdout=where, stderr=where
    )


def say(sentence: str) -> None:
    """Tell what is being done."""
    print(sentence, flush=True)


def fail(sentence: str) -> int:
    """Tell what went wrong and return the exit status of a failure."""
    print(sentence, file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
