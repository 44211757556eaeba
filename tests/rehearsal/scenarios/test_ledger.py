from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from rehearsal.scenarios.ledger import Contradiction, Ledger, LedgerError, Tally, account
from rehearsal.scenarios.record import Outcome
from tests.rehearsal.scenarios.support import WORKER, entry, lost, record, refused

RECORDS = [
    record("a"),
    record("b", streamed=False),
    refused("c"),
    refused("d", streamed=False),
    lost("e", completion_tokens=7),
    lost("f", worker=None),
]
ENTRIES = [entry("a"), entry("f"), entry(None), entry("of another client")]


def printed(ledger: Ledger) -> str:
    output = StringIO()
    Console(width=200, file=output).print(ledger.table())
    return output.getvalue()


def test_every_request_is_in_one_column() -> None:
    ledger = account(RECORDS, ENTRIES, {"e": "its worker was killed"})
    assert ledger.streamed == Tally(complete=1, refused=1, explained=1, lost=1)
    assert ledger.plain == Tally(complete=1, refused=1)
    assert ledger.total == Tally(complete=2, refused=2, explained=1, lost=1)
    assert ledger.total.sent == len(RECORDS)


def test_each_loss_is_listed_explained_or_not() -> None:
    ledger = account(RECORDS, ENTRIES, {"e": "its worker was killed"})
    explained, unexplained = ledger.losses
    assert (explained.id, explained.worker, explained.tokens, explained.expected_tokens) == ("e", WORKER, 7, 20)
    assert (explained.seconds, explained.explanation) == (10.0, "its worker was killed")
    assert explained.reason == "the stream ended without [DONE]"
    assert ledger.unexplained == (unexplained,)
    assert (unexplained.id, unexplained.explanation) == ("f", None)


def test_the_engine_that_wrote_a_request_down_stands_in_for_an_unknown_worker() -> None:
    assert account(RECORDS, ENTRIES, {}).losses[1].worker == "127.64.1.5:30000"
    assert account(RECORDS, [], {}).losses[1].worker is None


def test_refusals_are_counted_by_reason() -> None:
    records = [refused("a"), refused("b"), refused("c", "not connected: Connection refused")]
    assert account(records, [], {}).refusals == {"HTTP 503: no workers": 2, "not connected: Connection refused": 1}


def test_an_explanation_does_not_make_a_loss_of_what_is_complete() -> None:
    assert account([record("a")], [], {"a": "was on a killed worker"}).total == Tally(complete=1)


@pytest.mark.parametrize("changes", [{"sha256": "other"}, {"completion_tokens": 19}, {"finish": "aborted"}])
def test_a_complete_answer_that_the_engine_did_not_send_so_is_lost(changes: dict[str, object]) -> None:
    ledger = account([record("a")], [entry("a", **changes)], {})
    assert ledger.total == Tally(lost=1)
    assert ledger.losses[0].reason.startswith("not what the engine says it sent (127.64.1.5:30000: ")
    assert ledger.compared == 0


def test_one_of_several_engines_is_enough_and_none_is_no_fault() -> None:
    retried = [entry("a", finish="aborted", completion_tokens=0), entry("a", engine="127.64.1.6:30000")]
    assert account([record("a")], retried, {}).total == Tally(complete=1)
    assert account([record("a")], retried, {}).compared == 1
    assert account([record("a")], [], {}) == Ledger(Tally(complete=1), Tally(), (), {}, (), 0)


def test_an_answer_that_only_the_engine_calls_complete_is_a_contradiction() -> None:
    ledger = account([lost("a", "cut"), refused("b", "busy"), record("c")], [entry(name) for name in "abc"], {})
    assert ledger.contradictions == (
        Contradiction("a", "127.64.1.5:30000", Outcome.LOST, "cut"),
        Contradiction("b", "127.64.1.5:30000", Outcome.REFUSED, "busy"),
    )


def test_books_that_do_not_balance_are_no_ledger() -> None:
    with pytest.raises(LedgerError, match="requests accounted for more than once: a"):
        account([record("a"), lost("a"), record("b")], [], {})
    with pytest.raises(LedgerError, match="explanations of requests that are not in the records: z"):
        account([record("a")], [], {"z": "why not"})


def test_the_ledger_is_json_with_all_of_it() -> None:
    document = json.loads(json.dumps(account(RECORDS, ENTRIES, {"e": "killed"}).as_json()))
    assert document["total"] == {"sent": 6, "complete": 2, "refused": 2, "explained": 1, "lost": 1}
    assert document["streamed"]["sent"] == 4
    assert [loss["id"] for loss in document["losses"]] == ["e", "f"]
    assert document["refusals"] == {"HTTP 503: no workers": 2}
    assert document["contradictions"][0]["outcome"] == "lost"
    assert document["compared_with_engine"] == 1


def test_the_table_names_what_went_wrong() -> None:
    text = printed(account(RECORDS, ENTRIES, {"e": "its worker was killed"}))
    assert ["total", "6", "2", "2", "1", "1"] in [line.replace("│", " ").split() for line in text.splitlines()]
    for part in ("explained stream", "LOST stream", "7/20", "its worker was killed: the stream ended without [DONE]"):
        assert part in text
    assert "HTTP 503: no workers" in text
    assert "the engine sent all of it" in text


def test_the_table_of_a_clean_load_has_no_details() -> None:
    assert "why" not in printed(account([record("a")], [], {}))
