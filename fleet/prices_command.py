"""`fleet prices`: the prices that the cost of a plan is made of; with --write, read anew from AWS for a region."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from fleet.aws_errors import BAD_INPUT, explained_look
from fleet.options import EnvironmentOption, SetOption, choose
from fleet.price_list import AwsPrices, PriceListError
from rehearsal.places import REPOSITORY
from settings.catalogue import catalogue
from settings.costs.prices import FILE, price_list, rewritten

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleet.price_list import Reading
    from settings.costs.prices import Price
    from settings.model import Settings

PRICES_FILE = REPOSITORY / "settings" / FILE
PIPE_COLUMNS = 240
RegionOption = Annotated[str | None, typer.Option("--region", help="Region. [default: that of the settings]")]
WriteOption = Annotated[bool, typer.Option("--write", help="Read the prices from AWS and write them to the catalogue.")]
AllOption = Annotated[bool, typer.Option("--all-gpus", help="With --write: every GPU type, not only the settings'.")]
FileOption = Annotated[Path, typer.Option("--file", help="The catalogue.", show_default=False, hidden=True)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
command = typer.Typer(add_completion=False)


@command.command()
@explained_look
def prices(  # noqa: PLR0913 - one parameter per option of the command
    environment: EnvironmentOption = None,
    overrides: SetOption = None,
    region: RegionOption = None,
    *,
    write: WriteOption = False,
    all_gpus: AllOption = False,
    file: FileOption = PRICES_FILE,
    as_json: JsonOption = False,
) -> None:
    """Show the catalogue's prices of a region, each with unit, day and source.

    With --write they are read from the AWS price list and the spot market first (credentials are needed, nothing in
    the account is changed), for the settings' instance types. Exit code: 0 done, 2 it cannot be done.
    """
    settings = choose(environment, overrides).settings
    where = region or settings.region
    if write:
        reading = _read(where, _types(settings, all_gpus=all_gpus))
        file.write_text(rewritten(file.read_text(encoding="utf-8"), reading.prices), encoding="utf-8")
        _tell_written(reading, where, file)
        shown: Iterable[Price] = reading.prices
    else:
        shown = [price for price in price_list().prices.values() if price.region == where]
        if not shown:
            _end(f"no price of {where} in the catalogue; `fleet prices --region {where} --write` reads them from AWS")
    _show(sorted(shown, key=lambda price: price.item), as_json=as_json)


def _types(settings: Settings, *, all_gpus: bool) -> tuple[str, ...]:
    pools = [name for pool in settings.workers for name in (pool.instance_type, *pool.spot.other_instance_types)]
    return (settings.router.instance_type, *pools, *(catalogue().instances if all_gpus else ()))


def _read(region: str, types: tuple[str, ...]) -> Reading:
    try:
        return AwsPrices(region).read(types, datetime.now(UTC))
    except PriceListError as error:
        _end(f"{error}; nothing was written")


def _tell_written(reading: Reading, region: str, file: Path) -> None:
    console = Console(file=sys.stderr, highlight=False, markup=False, width=PIPE_COLUMNS)
    console.print(f"{len(reading.prices)} prices of {region} written to {file}.", soft_wrap=True)
    if reading.missing:
        console.print(f"The price list does not tell: {', '.join(reading.missing)}.", soft_wrap=True)


def _show(prices: list[Price], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(price) for price in prices], indent=1))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Item", "USD", "Unit", "Date", "Source"):
        table.add_column(heading, justify="right" if heading == "USD" else "left", no_wrap=heading != "Source")
    for price in prices:
        table.add_row(price.item, f"{price.usd:.8g}", price.unit, price.date, price.source)
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(table)


def _end(message: str) -> NoReturn:
    print(message, file=sys.stderr)  # noqa: T201 - a plain line, so that a shell can read it
    sys.exit(BAD_INPUT)
