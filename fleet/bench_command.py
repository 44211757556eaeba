"""`fleet bench`: load on an OpenAI-compatible endpoint, by a load generator in an environment of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import endpoint, generator
from bench.errors import BAD_INPUT, FAILED, INTERRUPTED, BenchError
from bench.generator_config import KEY_VARIABLE
from bench.plan import DatasetName, Load, Plan, Prompts, check_load, check_prompts
from bench.plot import check_plot, write_plot
from bench.progress import ProgressLine
from bench.records import Sample
from bench.report import as_json, render
from bench.result import Result, judged, summarize
from bench.traces import Arrival, read_trace
from rehearsal.places import REPOSITORY

PIPE_COLUMNS = 120
KEY_REFUSED = ("401 ", "403 ")
"""A router may list its models to anybody and want the key only where something is generated."""


@dataclass(frozen=True)
class Wanted:
    """What the command line says about the endpoint and the output."""

    base_url: str | None
    model: str | None
    plot: Path | None
    as_json: bool


def bench(  # noqa: PLR0913, PLR0917 - one parameter per option of the command
    base_url: Annotated[
        str | None,
        typer.Option(
            envvar=["OPENAI_API_BASE", "OPENAI_BASE_URL"], help="The endpoint, e.g. http://10.0.0.10:8000/v1."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model. [default: the only one that the endpoint lists]")] = None,
    dataset: Annotated[
        DatasetName | None, typer.Option(help="What is sent. [default: random, with --trace trace]")
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="Mooncake JSONL or Azure CSV file; its times are kept.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Most requests in flight. [default: 8; trace: 1000]")] = None,
    requests: Annotated[int | None, typer.Option(help="End after so many. [default: 100; trace: all of it]")] = None,
    duration: Annotated[float | None, typer.Option(help="End after so many seconds instead.")] = None,
    rate: Annotated[float | None, typer.Option(help="Mean requests per second. [default: as fast as answered]")] = None,
    prompt_tokens: Annotated[int, typer.Option(help="Mean prompt length, without a shared prefix.")] = 512,
    output_tokens: Annotated[int, typer.Option(help="Mean answer length.")] = 128,
    spread: Annotated[float, typer.Option(help="Standard deviation of both lengths, as a share.")] = 0.0,
    prefix_tokens: Annotated[int, typer.Option(help="shared-prefix: length of a prefix.")] = 1024,
    prefixes: Annotated[int, typer.Option(help="shared-prefix: how many different ones.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same prompts and arrivals.")] = 0,
    tokenizer: Annotated[
        str | None, typer.Option(help="Folder or hub name. [default: four characters are a token; no network]")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds after which a request is an error.")] = 300.0,
    ignore_eos: Annotated[
        bool, typer.Option(help="Ask for answers of exactly the length (SGLang, vLLM; OpenAI itself refuses it).")
    ] = True,
    plot: Annotated[Path | None, typer.Option(help="Write a picture: FILE.png or FILE.html.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")] = False,
) -> None:
    """Put load on an OpenAI-compatible endpoint and measure it; the key comes from OPENAI_API_KEY only.

    Exit status: 0 measured, 1 the endpoint failed (no request was answered), 2 bad input, 130 interrupted.
    """
    chosen: DatasetName = dataset or ("trace" if trace else "random")
    ceiling = concurrency if concurrency is not None else _concurrency(chosen)
    load = Load(ceiling, requests, duration, rate)
    prompts = Prompts(chosen, prompt_tokens, output_tokens, spread, prefix_tokens, prefixes, trace)
    rest = (seed, tokenizer, timeout, ignore_eos)
    wanted = Wanted(base_url, model, plot, as_json)
    console = Console(stderr=as_json, highlight=False, markup=False, width=None if _seen(as_json) else PIPE_COLUMNS)
    try:
        raise typer.Exit(_bench(wanted, load, prompts, rest, console))
    except BenchError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(error.code) from None
    except KeyboardInterrupt:
        typer.echo("interrupted before a request was sent", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _concurrency(dataset: DatasetName) -> int:
    """A trace brings its own arrivals, which a low ceiling would bend."""
    return 1000 if dataset == "trace" else 8


def _seen(as_json: bool) -> bool:
    return (sys.stderr if as_json else sys.stdout).isatty()


def _bench(
    wanted: Wanted, load: Load, prompts: Prompts, rest: tuple[int, str | None, float, bool], console: Console
) -> int:
    load, prompts = check_load(load, trace=prompts.dataset == "trace"), check_prompts(prompts)
    if wanted.plot:
        check_plot(wanted.plot)
    program = generator.find_generator(REPOSITORY)
    arrivals = _arrivals(load, prompts)
    api_key = os.environ.get(KEY_VARIABLE) or None
    base_url = endpoint.normal_base_url(_named(wanted.base_url))
    plan = Plan(base_url, endpoint.find_model(base_url, api_key, wanted.model), load, prompts, *rest)
    total = len(arrivals) or load.requests
    with ProgressLine(console, total, load.duration) as progress:
        done = generator.run(program, plan, arrivals, api_key, progress)
    samples = judged(done.samples)
    result = summarize(samples, interrupted=done.interrupted)
    _show(wanted, plan, result, console)
    if wanted.plot:
        _draw(wanted.plot, plan, samples, console)
    return _status(result)


def _named(base_url: str | None) -> str:
    if base_url is None:
        raise BenchError("--base-url: missing; give it or set OPENAI_API_BASE, e.g. http://10.0.0.10:8000/v1")
    return base_url


def _arrivals(load: Load, prompts: Prompts) -> list[Arrival]:
    if prompts.trace is None:
        return []
    return read_trace(prompts.trace, requests=load.requests, duration=load.duration, rate=load.rate)


def _show(wanted: Wanted, plan: Plan, result: Result, console: Console) -> None:
    if wanted.as_json:
        typer.echo(json.dumps(as_json(plan, result), indent=1))
    console.print(render(plan, result))


def _draw(path: Path, plan: Plan, samples: Sequence[Sample], console: Console) -> None:
    try:
        write_plot(path, plan, samples)
    except OSError as error:
        raise BenchError(f"--plot: cannot write {path}: {error.strerror}; name another file", BAD_INPUT) from None
    console.print(f"plot: {path}")


def _status(result: Result) -> int:
    if result.interrupted:
        return INTERRUPTED
    if result.requests > result.errors:
        return 0
    kinds = next(iter(result.error_kinds), "none was sent")
    if all(kind.startswith(KEY_REFUSED) for kind in result.error_kinds) and result.error_kinds:
        raise BenchError(f"the key is refused ({kinds[:3]}); set {KEY_VARIABLE} to a valid one")
    raise BenchError(f"no request was answered ({kinds}); look at the endpoint and at the lengths asked for", FAILED)
