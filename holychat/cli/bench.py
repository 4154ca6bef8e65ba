"""`holychat bench`: both roads to a model, measured with the same prompts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holychat.cli.arguments import DOLLARS, PROVIDER, TEXT, TOKENS

if TYPE_CHECKING:
    from holychat.cli.session import Session

MOST_REQUESTS = 100_000
MOST_AT_ONCE = 1_000
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Measure streaming against the desk's batch: latency, rate, price.")
@click.option("-p", "--provider", type=PROVIDER, metavar="NAME", help="Default: the provider of the settings.")
@click.option("-m", "--model", "models", type=TEXT, multiple=True, help="As often as needed; each gets a table.")
@click.option(
    "-n", "--count", type=click.IntRange(1, MOST_REQUESTS), default=200, metavar="N",
    help="Requests per model and road; default 200.",
)  # fmt: skip
@click.option(
    "--live-n", "live_count", type=click.IntRange(1, MOST_REQUESTS), metavar="N",
    help="Stream fewer: they go one after another, which takes its time.",
)  # fmt: skip
@click.option(
    "--concurrency", type=click.IntRange(1, MOST_AT_ONCE), metavar="N",
    help="Requests at once of the batch; default: found out while running, as jobs do.",
)  # fmt: skip
@click.option("--prompts", type=_FILE, metavar="FILE", help="One prompt per line, or a .jsonl file.")
@click.option("--max-tokens", type=TOKENS, default=128, metavar="N", help="Longest reply, in tokens; default 128.")
@click.option("--budget", type=DOLLARS, metavar="DOLLARS", help="Stop before more than that could be spent.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before spending.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--save", type=_FILE, metavar="FILE", help="Write the figures to a file, to be compared later.")
@click.option("--compare", type=_FILE, metavar="FILE", help="Show what changed since a file of --save.")
@click.option("--svg", type=_FILE, metavar="FILE", help="Draw a picture.")
@click.option("--overwrite", is_flag=True, help="Replace the files of --save and --svg.")
@click.pass_obj
def bench(
    session: Session,
    provider: str | None,
    models: tuple[str, ...],
    count: int,
    live_count: int | None,
    concurrency: int | None,
    prompts: Path | None,
    max_tokens: int,
    budget: int | None,
    yes: bool,
    as_json: bool,
    save: Path | None,
    compare: Path | None,
    svg: Path | None,
    overwrite: bool,
) -> int:
    """Send the same prompts to a model streamed one after another and as a batch of the desk, and set side by side
    what each took: time to first token, end to end, requests a minute, tokens a second, price.

    The price is shown first and nothing is spent before you agree. What is spent counts in `holychat cost`; the
    replies are not kept. After Ctrl+C what was measured so far is printed.
    """
    from holychat.cli.bench_run import Wish, carry_out

    wish = Wish(
        provider, models, count, min(count, live_count or count), concurrency, prompts, max_tokens, budget,
        yes, as_json, save, compare, svg, overwrite,
    )  # fmt: skip
    return carry_out(session, wish)
