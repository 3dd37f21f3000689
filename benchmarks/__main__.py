"""Run every benchmark here, or those named: ``python -m benchmarks [engine ...]``.

Each runs in a fresh process, so that its start-up time and peak memory are its own.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(wanted: list[str]) -> int:
    """Run the benchmarks one after the other; return 1 when one fails."""
    names = sorted(path.stem for path in HERE.glob("[a-z]*.py"))
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        print(f"No benchmark is called {', '.join(unknown)}; there are: {', '.join(names)}.")
        return 2
    system = f"{platform.system()} {platform.machine()}"
    print(f"Python {platform.python_version()}, {system}, {os.cpu_count()} cores", flush=True)
    failed = 0
    for name in wanted or names:
        print(f"\n== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        failed |= subprocess.run(command, check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
