"""How fast another weight of side effects is answered in the page, end to end.

One request of a signed-in analyst through the whole web application: session, database,
sealed sequence, net burden, exact fit with three uncertain half-lives, verdict, page. The trial
has 84 days, 3 arms, 4 blocks and 10 % missing days. Beside it what waiting for PyMC would cost:
the sampler, warm, on the same series.
"""

import argparse
import logging
import os
import random
import statistics
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from benchmarks.engine import middle, ratio
from models.analysis import at_other_weights
from models.burden import net_burden
from models.data import TrialData
from models.evidence.table import Table, markdown
from models.specification import Specification
from tests.builders import (
    PROTOCOL,
    VAULT,
    actor_for,
    make_account,
    make_completed,
    make_site,
)
from tests.plugins.web import Visitor, close_app, make_app
from trials.domain.blinding import Role
from trials.domain.design import Design
from trials.domain.protocol import Candidate
from trials.services.allocation import sealed_arm_key
from trials.services.analysis import assemble_data, specify
from trials.store.database import open_engine, session_maker
from trials.store.schema import upgrade_schema

THREE = replace(
    PROTOCOL,
    candidates=(
        *PROTOCOL.candidates,
        Candidate("paracetamol", "Paracetamol", "1 g three times a day", 0.5),
    ),
    design=Design(("A", "B", "C"), blocks=4, period_days=7, washout_days=0),
)
RELIEF = {"ibuprofen": 0.0, "amitriptyline": -1.5, "paracetamol": -0.5}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--without-pymc", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = _measure(Path(folder), options.repeats, with_pymc=not options.without_pymc)
    table = Table(
        title="What-if at new weights: 84 days, 3 arms, 4 blocks, 10 % missing, 4,000 draws",
        headings=("work", "goal", "median", "beside it", "ratio"),
        rows=tuple(rows),
        notes=(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end.",),
    )
    print(markdown(table))


def _measure(folder: Path, repeats: int, *, with_pymc: bool) -> list[tuple[str, ...]]:
    url = f"sqlite:///{folder / 'lenitive.sqlite'}"
    engine = open_engine(url)
    upgrade_schema(engine)
    app = make_app(url, folder)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        cache_logger_on_first_use=False,
    )
    start = datetime.now(UTC) - timedelta(days=120)
    with session_maker(engine)() as session:
        site = make_site(session)
        clinician = actor_for(make_account(session, site, Role.CLINICIAN), Role.CLINICIAN)
        account = make_account(session, site, Role.ANALYST)
        missed = random.Random(1).sample(range(1, 85), 8)  # noqa: S311  # no secret
        trial = make_completed(session, clinician, start, THREE, RELIEF, missed=missed)
        session.commit()
        visitor: Visitor = app.test_client()  # type: ignore[assignment]
        visitor.sign_in(account)
        address = f"/analyst/trials/{trial.public_id}/what-if?weight="
        data = assemble_data(session, VAULT, trial)
        specification = specify(THREE, sealed_arm_key(session, VAULT, trial))
        session.commit()
    weights = [0.1 * (n % 50) for n in range(repeats + 3)]
    whole, busy, fit = [], [], []
    for n, weight in enumerate(weights):
        began, working = time.perf_counter(), time.process_time()
        response = visitor.get(f"{address}{weight:g}")
        whole.append(time.perf_counter() - began)
        busy.append(time.process_time() - working)
        if response.status_code != 200:
            raise SystemExit(f"The page said {response.status_code}.")
        began = time.perf_counter()
        at_other_weights(data, specification, {"bother": weight}, seed=n)
        fit.append(time.perf_counter() - began)
    whole, busy, fit = whole[3:], busy[3:], fit[3:]
    slow = statistics.quantiles(whole, n=20)[-1]
    rows: list[tuple[str, ...]] = [
        ("what-if in the page, end to end", "50 ms", middle(whole), "", ""),
        ("the same, processor time", "", middle(busy), "", ""),
        ("the same, 95 of 100 requests", "", middle([slow]), "", ""),
        ("its exact fit and verdict alone", "", middle(fit), "", ratio(fit, whole)),
    ]
    if with_pymc:
        rows.append(_beside_pymc(data, specification, whole))
    engine.dispose()
    close_app(app)
    return rows


def _beside_pymc(
    data: TrialData, specification: Specification, whole: list[float]
) -> tuple[str, ...]:
    from models.sampling import sample  # noqa: PLC0415 - memory without it first

    weighed = net_burden(data, specification)
    sample(weighed, specification, seed=0)
    seconds = []
    for n in range(4):
        began = time.perf_counter()
        sample(weighed, specification, seed=n)
        seconds.append(time.perf_counter() - began)
    beside = f"PyMC refit, warm: {middle(seconds)}"
    return ("the same answer", "", middle(whole), beside, ratio(whole[: len(seconds)], seconds))


if __name__ == "__main__":
    main()
