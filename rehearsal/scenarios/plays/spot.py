"""EC2 takes a Spot instance back: two minutes to drain, and its substitute is launched at once."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rehearsal import faults
from rehearsal.scenarios.checks import Check, after, at_most, told
from rehearsal.scenarios.play import Evidence, Played, Scenario
from rehearsal.scenarios.record import Record
from rehearsal.scenarios.stage import Stage
from rehearsal.scenarios.timeline import first_state, first_unrouted

NOTICE_SECONDS = 120.0  # EC2 user guide, spot-instance-termination-notices.html
UNROUTED_LIMIT = 10.0


def _play(stage: Stage) -> Played:
    taken, *_ = stage.serving
    stage.say(f"spot notice for {taken.id}")
    told_at = time.time()
    faults.spot_notice(taken.id)
    stage.wait("it is gone", lambda: taken.id not in stage.look().workers, NOTICE_SECONDS + 30)
    stage.wait("its substitute serves", lambda: len(stage.serving) == stage.pace.workers, 90)

    def explain(record: Record) -> str | None:
        """Had bytes, and could not end within the notice."""
        late = record.ended >= told_at + NOTICE_SECONDS - 15
        began = record.first_byte is not None and record.sent < told_at + UNROUTED_LIMIT
        return "cut by the deadline of the spot notice" if record.worker == taken.url and began and late else None

    def checks(evidence: Evidence) -> Iterator[Check]:
        unrouted = first_unrouted(evidence.samples, taken.url, told_at)
        yield at_most("out of routing after the notice", UNROUTED_LIMIT, after(unrouted, told_at))
        gone = after(first_state(evidence.samples, taken.id, "Terminating:Proceed"), told_at)
        yield told("let go after the notice", "at once" if gone is None else f"{gone:.1f} s")

    return Played(checks, explain)


SPOT = Scenario("spot-notice", "spot notice: two minutes", _play)
