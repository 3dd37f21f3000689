"""How much memory a process of the web server needs when everybody's pages have been opened.

A demonstration is analysed by the scheduler first, so that results, charts and what-if pages are
among them.
"""

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks._crawl import open_everything
from models.evidence.table import Table, markdown
from trials.services.demo import STORIES

LENITIVE = [sys.executable, "-m", "trials.cli.main"]
PATIENCE_SECONDS = 900
_SHARED = (
    "{processes} processes and the one they were forked from share the code they have loaded; the "
    "first row counts each shared page once, divided among them."
)
FINISHED = sum(story.released for story in STORIES)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="of compiled models; a temporary one otherwise")
    parser.add_argument("--most", type=int, default=60, help="pages opened for each person")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        environment = {
            **os.environ,
            "LENITIVE_DATA_DIR": str(folder),
            "LENITIVE_LOG_LEVEL": "error",
            "LENITIVE_COMPILED_DIR": str(options.folder or folder / "compiled"),
            "LENITIVE_TICK_SECONDS": "2",
        }
        run = [*LENITIVE, "demo"]
        subprocess.run(run, check=True, env=environment, stdout=subprocess.DEVNULL)
        _analyse(folder, environment)
        pages, seen = _visit(environment, options.most)
    rows = [
        (what, goal, f"{max(memory[name] for memory in seen):.0f} MB")
        for what, goal, name in (
            ("its own and its part of what processes share", "150 MB", "Pss"),
            ("its own alone", "", "Private"),
            ("all that it can reach, shared or not, at the peak", "", "VmHWM"),
        )
    ]
    table = Table(
        title=f"Memory of a process of the web server after {pages} pages of everybody",
        headings=("memory", "goal", "largest process"),
        rows=tuple(rows),
        notes=(_SHARED.format(processes=len(seen)),),
    )
    print(markdown(table))


def _analyse(folder: Path, environment: dict[str, str]) -> None:
    """Run a scheduler until the finished trials are released."""
    print("Waiting until both engines have analysed the finished trials ...", file=sys.stderr)
    deadline = time.monotonic() + PATIENCE_SECONDS
    with subprocess.Popen([*LENITIVE, "scheduler"], env=environment) as scheduler:
        try:
            while _released(folder) < FINISHED:
                if time.monotonic() > deadline or scheduler.poll() is not None:
                    raise SystemExit("The finished trials were not analysed in time.")
                time.sleep(1)
        finally:
            scheduler.terminate()


def _released(folder: Path) -> int:
    with closing(sqlite3.connect(f"file:{folder}/lenitive.sqlite?mode=ro", uri=True)) as base:
        (count,) = base.execute("SELECT count(*) FROM trial WHERE state = 'released'").fetchone()
        return int(count)


def _visit(environment: dict[str, str], most: int) -> tuple[int, list[dict[str, float]]]:
    """Return the number of pages opened, and the memory of each worker in MB."""
    command = [*LENITIVE, "web", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = (server.stdout.readline() if server.stdout else "").split()[-1]
            pages = open_everything(address, most=most)
            return pages, [_memory(pid) for pid in _children(server.pid)]
        finally:
            server.terminate()


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()


def _memory(pid: str) -> dict[str, float]:
    """Return what /proc says of a process, in MB."""
    found: dict[str, float] = {}
    for name in ("status", "smaps_rollup"):
        for line in Path(f"/proc/{pid}/{name}").read_text("ascii").splitlines():
            parts = line.split()
            if parts[-1:] == ["kB"]:
                found[parts[0].rstrip(":")] = float(parts[1]) / 1024
    found["Private"] = found["Private_Clean"] + found["Private_Dirty"]
    return found


if __name__ == "__main__":
    main()
