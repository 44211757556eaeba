"""What a load asks: every request follows from the plan's seed, so a run can be repeated and each answer checked."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import cache

from rehearsal.engine.requests import read_chat
from rehearsal.engine.text import answer_to
from rehearsal.engine.tokens import CHARACTERS_PER_TOKEN

RULE = "Rule {number} of group {group}: say what is asked, in plain words, and nothing else. "


@dataclass(frozen=True)
class LoadPlan:
    """A closed loop: `concurrency` slots, each sending its next request when its last one has ended.

    A slot sends only streams or only whole answers, so that `streamed_share` holds for what is in flight at any moment
    and not only for what is sent (streams last longer).
    """

    name: str
    """Begins every request id; two loads that reach the same engines need two names."""
    models: tuple[str, ...]
    concurrency: int = 200
    streamed_share: float = 2 / 3
    """Rounded up to whole slots."""
    stream_seconds: tuple[float, float] = (5.0, 60.0)
    """Shortest and longest stream at `tokens_per_second`; a busier engine takes longer."""
    plain_seconds: tuple[float, float] = (1.0, 5.0)
    tokens_per_second: float = 15.0
    """What one request gets from the engine; turns the seconds above into max_tokens."""
    prefix_groups: int = 40
    """So many system prompts are shared by all requests; each question after them is asked once."""
    prefix_tokens: int = 512
    """Length of each system prompt, in the emulator's tokens of four characters."""
    seed: int = 1
    timeout_seconds: float = 240.0
    """For a whole request, from connecting to its last byte."""
    ramp_seconds: float = 5.0
    """The slots begin spread over so long: a burst of cold prefills says nothing about a fleet at work."""
    pause_seconds: float = 1.0
    """After a request that is not complete its slot waits so long, as a client that retries would."""
    text_known: bool = True
    """Whether the emulator answers, whose text is known beforehand; of a real engine only the length is."""

    @property
    def streaming_slots(self) -> int:
        """How many of the slots send streams."""
        return -int(-self.concurrency * self.streamed_share // 1)


@dataclass(frozen=True)
class Ask:
    """One request. `prompt_key` names the system prompt that it shares with others."""

    id: str
    model: str
    streamed: bool
    prompt_key: str
    system: str
    question: str
    max_tokens: int

    def body(self) -> bytes:
        """The JSON of POST /v1/chat/completions; `ignore_eos` makes an answer exactly `max_tokens` long."""
        document: dict[str, object] = {
            "model": self.model,
            "messages": [{"role": "system", "content": self.system}, {"role": "user", "content": self.question}],
            "max_tokens": self.max_tokens,
            "temperature": 0,
            "ignore_eos": True,
        }
        if self.streamed:
            document |= {"stream": True, "stream_options": {"include_usage": True}}
        return json.dumps(document).encode()


def ask_of(plan: LoadPlan, slot: int, turn: int) -> Ask:
    """The request that a slot sends in its turn (both from 0): the same for the same plan, whatever happened before."""
    number = turn * plan.concurrency + slot
    dice = random.Random(f"{plan.seed}/{number}")  # noqa: S311  (repeatable is the point)
    group = dice.randrange(plan.prefix_groups)
    streamed = _streams(plan, slot)
    seconds = dice.uniform(*(plan.stream_seconds if streamed else plan.plain_seconds))
    return Ask(
        id=f"{plan.name}-{number:06d}",
        model=plan.models[number % len(plan.models)],
        streamed=streamed,
        prompt_key=f"group {group}",
        system=system_prompt(plan.seed, group, plan.prefix_tokens),
        question=f"Question {number} of series {plan.seed}: what is {dice.randrange(10**9)} about?",
        max_tokens=max(1, round(seconds * plan.tokens_per_second)),
    )


@cache
def system_prompt(seed: int, group: int, length: int) -> str:
    """A system prompt of `length` emulator tokens that differs from those of other groups from its first words on."""
    text = f"Group {group} of series {seed}. "
    size, number = length * CHARACTERS_PER_TOKEN, 1
    while len(text) < size:
        text += RULE.format(number=number, group=group)
        number += 1
    return text[:size]


def expected_text(ask: Ask) -> str:
    """What the emulator answers when nothing goes wrong: read as the emulator reads it, template included."""
    understood = read_chat(json.loads(ask.body()), ask.model)
    return answer_to(understood.prompts[0], understood.seed).text(0, ask.max_tokens)


def _streams(plan: LoadPlan, slot: int) -> bool:
    """Spread the streaming slots evenly over all, so that any run of slots has its share."""
    count, total = plan.streaming_slots, plan.concurrency
    return (slot + 1) * count // total > slot * count // total
