"""Run every check that is not a test, two at a time, and show the output of those that fail.

python tools/checks.py quick    what `make check` runs
python tools/checks.py all      and the documentation: what `make test` runs
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Check:
    """One command and what it looks after."""

    subject: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check said and how long it took, in seconds."""

    check: Check
    passed: bool
    output: str
    seconds: float


QUICK = (
    Check("types", ("mypy",)),
    Check("format", ("ruff", "format", "--check", "--quiet", ".")),
    Check("lint", ("ruff", "check", "--quiet", ".")),
    Check("imports", ("lint-imports",)),
    Check("dependencies", ("deptry", "--no-ansi", ".")),
    Check("templates", ("djlint", "--lint", "--quiet", "templates")),
)
SLOW = (
    Check(
        "docs",
        (
            "sphinx-build",
            "--fail-on-warning",
            "--keep-going",
            "--quiet",
            "docs",
            "docs/_build/html",
        ),
    ),
)


def main() -> int:
    """Run the checks asked for; return 1 when one fails."""
    checks = QUICK if sys.argv[1:] == ["quick"] else SLOW + QUICK
    failed: list[Outcome] = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for future in as_completed([pool.submit(carry_out, check) for check in checks]):
            outcome = future.result()
            verdict = "ok" if outcome.passed else "FAILED"
            print(f"  {outcome.check.subject:<14}{verdict:<8}{outcome.seconds:6.1f} s", flush=True)
            if not outcome.passed:
                failed.append(outcome)
    for outcome in failed:
        print(f"\n$ {' '.join(outcome.check.command)}\n{outcome.output}", flush=True)
    return 1 if failed else 0


def carry_out(check: Check) -> Outcome:
    """Run one check in the repository with the programs beside this Python."""
    started = time.monotonic()
    beside = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{beside}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        check.command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - started
    return Outcome(check, done.returncode == 0, done.stdout + done.stderr, seconds)


if __name__ == "__main__":
    sys.exit(main())
