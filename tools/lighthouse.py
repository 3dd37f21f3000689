"""Measure the patient's pages as Lighthouse does on its slow telephone: `make lighthouse`.

Starts the product's own web server on a fresh database with one running trial, opens the pages
as that patient in a real Chromium, and prints the scores. Lighthouse is a program of Node.js:
npm fetches it into .tools/. Without Node.js nothing is measured, and that is said; in CI too.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.sync_api import sync_playwright

from benchmarks._web import running_web
from models.evidence.table import Table, markdown
from tests.builders import (
    VAULT,
    evening_zone,
    fill_day,
    make_actor,
    make_running,
    make_site,
    signed_device,
)
from tools.browser import find_chromium
from trials.domain.blinding import Role
from trials.domain.calendar import local_day, zone_of
from trials.services.invitations import open_device
from trials.store.database import open_engine, session_maker
from trials.store.schema import upgrade_schema

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".tools" / "lighthouse"
VERSION = "12.8.2"
"""The last one that runs on Node.js before 22."""
RUNS = 3
"""Of each page; the median counts: a busy machine makes one run slow."""
LEAST = {"accessibility": 100, "best-practices": 95, "performance": 90}


def main() -> int:
    """Print the table; return 1 if a page is not good enough."""
    chromium = find_chromium()
    if shutil.which("npm") is None or shutil.which("node") is None:
        print("Lighthouse was skipped: there is no Node.js with npm on this machine.")
        return 0
    if chromium is None:
        print("Lighthouse was skipped: there is no Chromium on this machine.")
        return 0
    program = install()
    with tempfile.TemporaryDirectory(prefix="lenitive-lighthouse-") as folder:
        url = f"sqlite:///{folder}/lenitive.sqlite"
        cookie, day = make_patient_of_today(url)
        home = Path(folder)
        with (
            running_web(url, home / "web") as address,
            browser_of(chromium, home / "browser", address, cookie) as port,
        ):
            pages = {"today": "/today", "diary": f"/diary/{day}", "entries": "/entries"}
            found = {n: measure(program, port, f"{address}{path}") for n, path in pages.items()}
    table = table_of(found)
    print(markdown(table))
    return 0 if table.passed else 1


def install() -> Path:
    """Let npm fetch Lighthouse, once; return its program."""
    program = HOME / "node_modules" / ".bin" / "lighthouse"
    marker = HOME / f".{VERSION}"
    if not marker.exists():
        print(f"Lighthouse: npm fetches version {VERSION} ...", flush=True)
        HOME.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", f"lighthouse@{VERSION}"],
            cwd=HOME,
            check=True,
        )
        marker.touch()
    return program


def make_patient_of_today(url: str) -> tuple[str, date]:
    """Begin a trial two days ago whose diary is open now; return the phone's cookie and the day."""
    engine = open_engine(url)
    upgrade_schema(engine)
    now = datetime.now(UTC)
    zone = evening_zone(now)
    today = local_day(now, zone_of(zone))
    with session_maker(engine).begin() as session:
        clinician = make_actor(session, make_site(session), Role.CLINICIAN)
        begun = now - timedelta(days=2)
        trial = make_running(session, clinician, begun, timezone=zone)
        for days in (2, 1):
            fill_day(session, trial, today - timedelta(days=days), at=now - timedelta(days=days))
        entry = open_device(session, VAULT, trial.patient, secret=uuid4().hex, now=now)
    engine.dispose()
    return signed_device(entry), today


@contextmanager
def browser_of(chromium: Path, folder: Path, address: str, cookie: str) -> Iterator[int]:
    """Run a browser that is the patient's phone already; give the port that Lighthouse uses."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder,
            executable_path=chromium,
            chromium_sandbox=os.geteuid() != 0,
            args=[f"--remote-debugging-port={port}"],
        )
        context.add_cookies([{"name": "lenitive-device", "value": cookie, "url": address}])
        yield port
        context.close()


def measure(program: Path, port: int, address: str) -> list[dict[str, Any]]:
    """Return the reports of several runs on one page, each as on a first visit."""
    command: list[str | Path] = [
        program,
        address,
        "--quiet",
        "--output=json",
        f"--only-categories={','.join(LEAST)}",
        f"--port={port}",
    ]
    reports = []
    for _run in range(RUNS):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"Lighthouse failed on {address}:\n{done.stderr[-2000:]}")
        reports.append(json.loads(done.stdout))
    return reports


def table_of(found: dict[str, list[dict[str, Any]]]) -> Table:
    """Return the scores of all pages, and what spoils them."""
    rows, notes, passed = [], [], True
    for page, reports in found.items():
        scores = {name: score(reports, name) for name in LEAST}
        passed &= all(scores[name] >= least for name, least in LEAST.items())
        paint = statistics.median(seconds(r, "largest-contentful-paint") for r in reports)
        shift = statistics.median(
            r["audits"]["cumulative-layout-shift"]["numericValue"] for r in reports
        )
        weight = statistics.median(
            r["audits"]["total-byte-weight"]["numericValue"] for r in reports
        )
        rows.append(
            (
                page,
                *(str(scores[name]) for name in LEAST),
                f"{paint:.1f} s",
                f"{shift:.2f}",
                f"{weight / 1000:.0f} kB",
            )
        )
        notes += [f"{page}: {title}" for title in spoilers(reports[0])]
    version = next(iter(found.values()))[0]["lighthouseVersion"]
    return Table(
        title=f"Lighthouse {version}, mobile preset, median of {RUNS}",
        headings=("page", *LEAST, "largest paint", "shift", "weight"),
        rows=(("needed", *(f"≥ {n}" for n in LEAST.values()), "", "", ""), *rows),
        passed=passed,
        notes=tuple(notes),
    )


def score(reports: list[dict[str, Any]], category: str) -> int:
    """Return the median score of a category, from 0 to 100."""
    scores = [float(r["categories"][category]["score"]) for r in reports]
    return round(100 * statistics.median(scores))


def seconds(report: dict[str, Any], audit: str) -> float:
    """Return what a timing audit measured."""
    return float(report["audits"][audit]["numericValue"]) / 1000


def spoilers(report: dict[str, Any]) -> list[str]:
    """Return the titles of the weighty audits that a page did not pass."""
    weighty = {
        ref["id"]
        for category in report["categories"].values()
        for ref in category["auditRefs"]
        if ref["weight"] > 0
    }
    audits = (report["audits"][name] for name in sorted(weighty))
    return [
        f"{a['title']} ({a['score']:.2f})"
        for a in audits
        if a["score"] is not None and a["score"] < 0.9
    ]


if __name__ == "__main__":
    sys.exit(main())
