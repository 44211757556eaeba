"""How much of what its answers bear a pool computes prompts: a load that means the same for any length of request.

While an engine computes a prompt, none of its answers goes on. An answer of n tokens takes n times `token_seconds` when
nothing comes between, and may take n times `limit_seconds` for its mean inter-token time to be within the limit; the
rest is room for prompts. If prompts come by chance, each as long as the mean, then those within that time L take
share x L on average, with a standard deviation of sqrt(share x L x prompt). The share is bearable when nine answers of
ten find room. Long answers even out what comes between, for short ones a single prompt may be too much.

Arithmetic only, with nothing but the standard library: hosts run it, and the simulator does.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

NINE_OF_TEN: Final = 1.2816
"""Standard deviations of a normal distribution below which 90 % lie."""
LOAD_SECONDS: Final = 90.0
"""Over how long prompts are counted: in 10 s a steady load varies by a half, and a minute later is late for a burst."""
LENGTH_SECONDS: Final = 900.0
"""Over how long the mean lengths are taken. They change slowly, and a pause must not forget them."""
LEAST_BEARABLE: Final = 0.01
"""A limit that decoding alone fills bears nothing; the load then is high, but finite."""
PERCENT: Final = 100.0


@dataclass(frozen=True)
class Speeds:
    """One worker alone, and what its answers must keep.

    Attributes:
        prompt_tokens_per_second: prompt tokens that it computes.
        token_seconds: from one token to the next while it computes no prompt.
        limit_seconds: the mean inter-token time that an answer may have.
    """

    prompt_tokens_per_second: float
    token_seconds: float
    limit_seconds: float


@dataclass(frozen=True)
class Counted:
    """What the workers of a pool did in some seconds.

    Attributes:
        seconds: how long.
        computed: prompt tokens that no cache held.
        answers: answers that ended.
        prompts: prompt tokens of these answers that no cache held.
        tokens: tokens of these answers, without each one's first.
    """

    seconds: float
    computed: float
    answers: float
    prompts: float
    tokens: float


def bearable(prompt_seconds: float, answer_seconds: float, speeds: Speeds) -> float:
    """Return the share of a worker's time (0 to 1) that prompts of this length may take from answers of this length.

    `answer_seconds` is the time of a mean answer without any prompt in between.
    """
    longest = answer_seconds * speeds.limit_seconds / speeds.token_seconds
    room, spread = max(longest - answer_seconds, 0.0), NINE_OF_TEN * sqrt(prompt_seconds)
    root = (sqrt(spread**2 + 4 * room) - spread) / 2  # of root^2 + spread x root = room, with root^2 = share x longest
    return max(root**2 / longest, LEAST_BEARABLE) if longest else LEAST_BEARABLE


def prompt_load(counted: Sequence[Counted], workers: int, speeds: Speeds) -> float | None:
    """Return the load of each of `workers` in percent: 100 is what its answers just bear.

    `counted` is the latest first, up to LENGTH_SECONDS of it. 0 without prompts; None when there were prompts, and no
    answer in all the time that says how long answers are.
    """
    recent = _latest(counted, LOAD_SECONDS)
    if not recent.computed:
        return 0.0
    known = _latest(counted, LENGTH_SECONDS)
    if known.answers <= 0:
        return None
    rate = speeds.prompt_tokens_per_second
    share = recent.computed / recent.seconds / rate / max(workers, 1)
    prompt = known.prompts / known.answers / rate
    answer = known.tokens / known.answers * speeds.token_seconds
    return PERCENT * share / bearable(prompt, answer, speeds)


def _latest(counted: Sequence[Counted], seconds: float) -> Counted:
    """The sum of the latest, up to so many seconds."""
    past = computed = answers = prompts = tokens = 0.0
    for one in counted:
        if past + one.seconds / 2 > seconds:  # readings are not to the second
            break
        past += one.seconds
        computed += one.computed
        answers += one.answers
        prompts += one.prompts
        tokens += one.tokens
    return Counted(past, computed, answers, prompts, tokens)
