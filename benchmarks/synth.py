"""How long synth takes: with lazy and with eager import of the AWS provider, and with 1 and 20 pools.

    python benchmarks/synth.py [--repeat N] [--json]

Every figure is the median wall time in seconds of whole `python main.py` processes of this run; compare the ratios, the
seconds depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLE = REPOSITORY / "environments" / "example.toml"
LAZY = "import sys, main; sys.exit(main.main())"
EAGER = "import sys, cdktf_cdktf_provider_aws, main; sys.exit(main.main())"


@dataclass(frozen=True)
class Timings:
    """Median seconds of each case, and the two ratios the project keeps an eye on."""

    lazy_1_pool: float
    eager_1_pool: float
    lazy_20_pools: float

    @property
    def lazy_to_eager(self) -> float:
        """At most 0.35 is wanted."""
        return self.lazy_1_pool / self.eager_1_pool

    @property
    def twenty_to_one(self) -> float:
        """At most 2 is wanted."""
        return self.lazy_20_pools / self.lazy_1_pool


def synth_seconds(program: str, environment: Path) -> float:
    """Wall time of one synth in a process of its own."""
    with tempfile.TemporaryDirectory() as output:
        variables = {
            **os.environ,
            "CDKTF_OUTDIR": output,
            "CDKTF_CONTEXT_JSON": json.dumps({"environment": str(environment)}),
        }
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, env=variables, check=True)
        return time.perf_counter() - started


def with_pools(count: int, folder: Path) -> Path:
    """An environment file with this many pools."""
    path = folder / f"{count}-pools.toml"
    pools = (f'[[workers]]\nname = "pool-{index}"\n' for index in range(count))
    path.write_text('name = "bench"\n' + "".join(pools))
    return path


def measure(repeat: int) -> Timings:
    """Run the cases in turn, so that a slow moment of the machine hits all of them."""
    with tempfile.TemporaryDirectory() as folder:
        many = with_pools(20, Path(folder))
        cases = ((LAZY, EXAMPLE), (EAGER, EXAMPLE), (LAZY, many))
        rounds = []
        for index in range(repeat):
            print(f"round {index + 1} of {repeat} …", file=sys.stderr)
            rounds.append([synth_seconds(*case) for case in cases])
    return Timings(*(statistics.median(column) for column in zip(*rounds, strict=True)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    timings = measure(options.repeat)
    ratios = {"lazy_to_eager": timings.lazy_to_eager, "twenty_to_one": timings.twenty_to_one}
    if options.json:
        print(json.dumps(asdict(timings) | ratios))
        return
    print(f"1 pool, lazy provider import     {timings.lazy_1_pool:7.2f} s")
    print(f"1 pool, eager provider import    {timings.eager_1_pool:7.2f} s")
    print(f"20 pools, lazy provider import   {timings.lazy_20_pools:7.2f} s")
    print(f"lazy / eager                     {timings.lazy_to_eager:7.2f}   (wanted: ≤ 0.35)")
    print(f"20 pools / 1 pool                {timings.twenty_to_one:7.2f}   (wanted: ≤ 2)")


if __name__ == "__main__":
    main()
