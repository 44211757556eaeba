from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from bench.errors import BenchError
from bench.plan import Load, Plan, Prompts
from bench.plot import check_plot
from bench.progress import ProgressLine
from bench.records import Sample
from bench.report import as_json, render
from bench.result import summarize
from fleet import bench_command
from fleet.cli import fleet

KEY = "key-made-up-for-tests"
PLAN = Plan("http://h:1/v1", "tiny", Load(requests=3), Prompts())
SAMPLES = [Sample(0, 2, 0.0351, 0.0064, 1000, 22, 500), Sample(1, 3, error="503 Service Unavailable")]


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(fleet, ["bench", *arguments], env={"OPENAI_API_KEY": KEY, "OPENAI_API_BASE": None})
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert KEY not in done.output
    return done.exit_code, " ".join(done.output.split())


def test_a_missing_generator_says_how_to_make_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench_command, "REPOSITORY", tmp_path)
    code, output = run("--base-url", "http://127.0.0.1:9/v1")
    assert code == 2
    assert "the load generator is not installed; run `make setup-bench`" in output


def test_bad_input_is_one_sentence_and_comes_before_the_generator(tmp_path: Path) -> None:
    assert run("--requests", "1", "--duration", "2") == (
        2,
        "--requests: 1 is given together with --duration; one of them ends the run",
    )
    code, output = run("--plot", str(tmp_path / "a.pdf"))
    assert (code, output.endswith("ends neither in .png nor in .html; rename it")) == (2, True)


def test_a_picture_needs_a_folder(tmp_path: Path) -> None:
    assert check_plot(tmp_path / "a.HTML") == tmp_path / "a.HTML"
    with pytest.raises(BenchError, match="there is no folder"):
        check_plot(tmp_path / "missing" / "a.png")


def test_the_table_shows_milliseconds_shares_and_errors() -> None:
    console = Console(file=StringIO(), width=120)
    console.print(render(PLAN, summarize(SAMPLES)))
    shown = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert "│ from the prefix cache │ 50.0% │" in shown
    assert "│ time to first token │ 35.1 │ 35.1 │ 35.1 │ 35.1 │ 35.1 │" in shown
    assert "1 x 503 Service Unavailable" in shown


def test_what_was_not_told_is_said_to_be_so_in_the_table_and_null_in_json() -> None:
    result = summarize([Sample(0, 1, 0.1)])
    console = Console(file=StringIO(), width=120)
    console.print(render(PLAN, result))
    assert console.file.getvalue().count("not told") == 6  # type: ignore[attr-defined]
    told = as_json(PLAN, result)
    assert (told["result"]["inter_token"], told["result"]["cached_share"]) == (None, None)
    assert (told["plan"]["load"]["requests"], told["plan"]["prompts"]["trace"]) == (3, None)


def test_progress_tells_how_far_it_is() -> None:
    line = ProgressLine(Console(file=StringIO()), 3, None)
    assert line.text() == "preparing prompts"
    line(SAMPLES)
    assert line.text() == "2 of 3 requests, 1 error, first token 35 ms"


@pytest.mark.parametrize(
    ("errors", "code", "sentence"),
    [
        (["401 Unauthorized"], 2, "the key is refused (401); set OPENAI_API_KEY to a valid one"),
        (["503 busy", "401 Unauthorized"], 1, "no request was answered (503 busy); look at the endpoint"),
        ([], 1, "no request was answered (none was sent); look at the endpoint"),
    ],
)
def test_a_run_without_an_answer_has_failed(errors: list[str], code: int, sentence: str) -> None:
    with pytest.raises(BenchError) as told:
        bench_command._status(summarize([Sample(0, 1, error=error) for error in errors]))
    assert (told.value.code, str(told.value).startswith(sentence)) == (code, True)


def test_some_errors_are_a_measurement_and_an_interrupted_run_is_told_apart() -> None:
    assert bench_command._status(summarize(SAMPLES)) == 0
    assert bench_command._status(summarize(SAMPLES, interrupted=True)) == 130
