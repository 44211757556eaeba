"""The ledger of a load: each request accounted for exactly once, each loss named, all held against the engines' own."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from rich.table import Table
from rich.text import Text

from rehearsal.engine.ledger import Entry
from rehearsal.scenarios.record import Outcome, Record

ENGINE_COMPLETE = "complete"


class LedgerError(Exception):
    """The books do not balance; no verdict can be given."""


@dataclass(frozen=True)
class Tally:
    """How many requests ended in which way."""

    complete: int = 0
    refused: int = 0
    explained: int = 0
    """Lost, and the scenario says why it must be so."""
    lost: int = 0
    """Lost without such an explanation."""

    @property
    def sent(self) -> int:
        """All of them."""
        return self.complete + self.refused + self.explained + self.lost


@dataclass(frozen=True)
class Loss:
    """One lost request."""

    id: str
    streamed: bool
    worker: str | None
    tokens: int
    expected_tokens: int
    seconds: float
    reason: str
    explanation: str | None


@dataclass(frozen=True)
class Contradiction:
    """The engine's ledger says complete, its client's says otherwise: the answer was cut between the two."""

    id: str
    engine: str
    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Ledger:
    """The account of one load."""

    streamed: Tally
    plain: Tally
    losses: tuple[Loss, ...]
    refusals: Mapping[str, int]
    """How many requests were refused for which reason."""
    contradictions: tuple[Contradiction, ...]
    compared: int
    """Complete answers whose text and length were compared with an engine's own entry."""

    @property
    def total(self) -> Tally:
        """Streams and whole answers together."""
        one, other = self.streamed, self.plain
        return Tally(
            one.complete + other.complete,
            one.refused + other.refused,
            one.explained + other.explained,
            one.lost + other.lost,
        )

    @property
    def unexplained(self) -> tuple[Loss, ...]:
        """The losses that should not be."""
        return tuple(loss for loss in self.losses if loss.explanation is None)

    def as_json(self) -> dict[str, object]:
        """For scripts: what json.dumps takes."""
        tallies = {"total": self.total, "streamed": self.streamed, "plain": self.plain}
        return {
            **{name: {"sent": tally.sent, **asdict(tally)} for name, tally in tallies.items()},
            "compared_with_engine": self.compared,
            "refusals": dict(self.refusals),
            "losses": [asdict(loss) for loss in self.losses],
            "contradictions": [asdict(item) | {"outcome": item.outcome.value} for item in self.contradictions],
        }

    def table(self) -> Table:
        """For people: the tallies; then each loss, each reason of refusal and each contradiction, if there are any."""
        whole = Table.grid()
        whole.add_row(self._tallies())
        details = self._details()
        if details.row_count:
            whole.add_row(details)
        return whole

    def _tallies(self) -> Table:
        table = Table(title=f"Requests ({self.compared} compared with the engines' ledgers)", title_justify="left")
        for name in ("", "sent", "complete", "refused", "explained", "LOST"):
            table.add_column(name, justify="right" if name else "left")
        for name, tally in (("streamed", self.streamed), ("plain", self.plain), ("total", self.total)):
            numbers = (tally.sent, tally.complete, tally.refused, tally.explained, tally.lost)
            table.add_row(name, *map(str, numbers))
        return table

    def _details(self) -> Table:
        table = Table("what", "request", "worker", "tokens", "seconds", "why")
        for reason, count in self.refusals.items():
            table.add_row("refused", f"{count} requests", "", "", "", Text(reason))
        for loss in self.losses:
            table.add_row(*_row(loss))
        for item in self.contradictions:
            why = Text(f"the engine sent all of it; {item.outcome.value} here: {item.reason}")
            table.add_row("contradiction", item.id, item.engine, "", "", why)
        return table


def account(records: Sequence[Record], engine_entries: Iterable[Entry], explained: Mapping[str, str]) -> Ledger:
    """Account for every request.

    A complete answer that differs from what an engine says it sent is lost. An engine may have no entry (a killed one
    writes none) or several engines may have one (the router sent the request again): any complete one may match.

    Args:
        records: One for each request that was sent.
        engine_entries: From the engines' ledgers; those of other clients do not matter.
        explained: Request id → why the scenario had to lose it.

    Raises:
        LedgerError: an id appears twice, or an explanation is of a request that nobody sent.
    """
    _check_ids(records, explained)
    entries = _by_request(engine_entries)
    checked = [_against_engine(record, entries[record.id]) for record in records]
    lost = [record for record in checked if record.outcome is Outcome.LOST]
    refused = (r.fault or "" for r in checked if r.outcome is Outcome.REFUSED)
    return Ledger(
        streamed=_tally([record for record in checked if record.streamed], explained),
        plain=_tally([record for record in checked if not record.streamed], explained),
        losses=tuple(_loss(record, entries[record.id], explained) for record in lost),
        refusals=dict(Counter(refused).most_common()),
        contradictions=tuple(item for record in checked for item in _contradictions(record, entries[record.id])),
        compared=sum(r.outcome is Outcome.COMPLETE and any(map(_is_complete, entries[r.id])) for r in checked),
    )


def _check_ids(records: Sequence[Record], explained: Mapping[str, str]) -> None:
    counts = Counter(record.id for record in records)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        raise LedgerError(f"requests accounted for more than once: {', '.join(twice)}")
    unknown = sorted(set(explained) - set(counts))
    if unknown:
        raise LedgerError(f"explanations of requests that are not in the records: {', '.join(unknown)}")


def _by_request(entries: Iterable[Entry]) -> defaultdict[str, list[Entry]]:
    found: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.request_id is not None:
            found[entry.request_id].append(entry)
    return found


def _is_complete(entry: Entry) -> bool:
    return entry.finish == ENGINE_COMPLETE


def _against_engine(record: Record, entries: Sequence[Entry]) -> Record:
    if record.outcome is not Outcome.COMPLETE or not entries:
        return record
    received = (record.sha256, record.completion_tokens)
    if any(_is_complete(entry) and (entry.sha256, entry.completion_tokens) == received for entry in entries):
        return record
    said = ", ".join(f"{entry.engine}: {entry.finish}, {entry.completion_tokens} tokens" for entry in entries)
    return replace(record, outcome=Outcome.LOST, fault=f"not what the engine says it sent ({said})")


def _tally(records: Sequence[Record], explained: Mapping[str, str]) -> Tally:
    counts = Counter(record.outcome for record in records)
    excused = sum(record.outcome is Outcome.LOST and record.id in explained for record in records)
    return Tally(counts[Outcome.COMPLETE], counts[Outcome.REFUSED], excused, counts[Outcome.LOST] - excused)


def _loss(record: Record, entries: Sequence[Entry], explained: Mapping[str, str]) -> Loss:
    return Loss(
        record.id,
        record.streamed,
        # The answer's head names the worker; without one, the engine that wrote the request down is the only witness.
        record.worker or ", ".join(entry.engine for entry in entries) or None,
        record.completion_tokens,
        record.expected_tokens,
        record.seconds,
        record.fault or "",
        explained.get(record.id),
    )


def _contradictions(record: Record, entries: Sequence[Entry]) -> list[Contradiction]:
    if record.outcome is Outcome.COMPLETE:
        return []
    return [
        Contradiction(record.id, entry.engine, record.outcome, record.fault or "")
        for entry in entries
        if _is_complete(entry)
    ]


def _row(loss: Loss) -> tuple[str | Text, ...]:
    kind = "stream" if loss.streamed else "plain"
    verdict = f"LOST {kind}" if loss.explanation is None else f"explained {kind}"
    why = loss.reason if loss.explanation is None else f"{loss.explanation}: {loss.reason}"
    # Text, because a reason may hold [DONE], which a plain str would lose as markup.
    progress = f"{loss.tokens}/{loss.expected_tokens}"
    return verdict, loss.id, loss.worker or "unknown", progress, f"{loss.seconds:.1f}", Text(why)
