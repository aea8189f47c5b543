"""From a prompt to what the text encoder sees at every step.

`compile_prompt` turns the marks of `sfumato.recipe.syntax` into a `PromptPlan`: the few different readings a
prompt has over a run, and which of them holds at which step.
"""

import bisect
import math
from dataclasses import dataclass
from typing import Final

from sfumato.recipe.syntax import (
    MAX_WEIGHT,
    Alternate,
    And,
    Break,
    Close,
    Edit,
    Mark,
    Next,
    ParsedPrompt,
    Text,
    Weight,
    clean_text,
    escape,
    parse,
    render,
)

__all__ = [
    "Chunk",
    "Composite",
    "ParsedPrompt",
    "Prompt",
    "PromptPlan",
    "clean_text",
    "compile_prompt",
    "escape",
    "parse",
    "render",
]

Chunk = tuple[tuple[str, float], ...]
"""Texts with their attention weights, in order; `()` is the empty text."""
Prompt = tuple[Chunk, ...]
"""The blocks of tokens between BREAKs, at least one."""
Composite = tuple[tuple[float, Prompt], ...]
"""The parts between ANDs with their weights, at least one."""

# Characters and marks over all readings of a prompt. A megabyte that changes at each of a thousand steps
# would be a gigabyte; then every reading is cut to its share, which is still far more than a text encoder
# reads.
MAX_PLAN_SIZE: Final = 16_000_000


@dataclass(frozen=True)
class PromptPlan:
    """What a prompt says at each step of a run.

    `variants` are its different readings in order of first use, `order[i]` the reading of step `i`. A
    `Composite` asks for `uncond + guidance * sum(w * (cond - uncond))` over its parts (Liu et al. 2022, arXiv
    2206.01714, eq. 11); the weights are as written and need not sum to one.
    """

    variants: tuple[Composite, ...]
    order: tuple[int, ...]

    @property
    def num_steps(self) -> int:
        return len(self.order)

    def index_at(self, step: int) -> int:
        """Return the index into `variants` for `step` in [0, num_steps); raises IndexError outside."""
        if step < 0:
            raise IndexError(step)
        return self.order[step]


def compile_prompt(text: str, num_steps: int) -> PromptPlan:
    """Read a prompt for a run of `num_steps` steps.

    In ``[a:b:0.4]`` the first `floor(0.4 * num_steps)` steps see `a`; in ``[a:b:8]`` the first 8. Options of
    ``[a|b]`` take turns from step 0. Accepts every string, in time proportional to its length for each
    different reading. Raises ValueError when `num_steps` is below 1.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, not {num_steps}")
    parsed = parse(text)
    switches = sorted({_switch(mark, num_steps) for mark in parsed.marks if isinstance(mark, Edit)})
    counts = sorted({mark.count for mark in parsed.marks if isinstance(mark, Alternate)})
    # Steps between the same switches at the same turn of every alternation read the same text.
    turns = math.lcm(*(min(count, num_steps) for count in counts)) if len(counts) < 8 else num_steps
    keys = [(bisect.bisect_right(switches, step), step % turns) for step in range(num_steps)]
    budget = MAX_PLAN_SIZE // len(set(keys))
    readings: dict[tuple[int, int], int] = {}
    variants: dict[Composite, int] = {}
    for step, key in enumerate(keys):
        if key not in readings:
            composite = _reading(parsed, step, num_steps, budget)
            readings[key] = variants.setdefault(composite, len(variants))
    return PromptPlan(tuple(variants), tuple(readings[key] for key in keys))


def _switch(edit: Edit, num_steps: int) -> int:
    """Return the first step that sees the second option."""
    # 0.29 * 100 is 28.999..., and 0.142857 of 7 steps means the first: round before cutting off.
    steps = edit.at if edit.in_steps else round(edit.at * num_steps, 3)
    return min(int(steps), num_steps)


def _reading(parsed: ParsedPrompt, step: int, num_steps: int, budget: int) -> Composite:
    writer = _Writer()
    groups: list[tuple[float, bool, int, int]] = []  # outer weight and visibility; option now, chosen
    weight, visible = 1.0, True
    for mark in parsed.marks:
        budget -= 1
        match mark:
            case Text(text):
                if visible:
                    writer.text(text[: max(budget, 0)], weight)
                    budget -= len(text)
            case Weight(factor):
                groups.append((weight, visible, 0, 0))
                weight = min(max(weight * factor, -MAX_WEIGHT), MAX_WEIGHT)
            case Edit() | Alternate():
                chosen = _chosen(mark, step, num_steps)
                groups.append((weight, visible, 0, chosen))
                visible = visible and chosen == 0
            case Next():
                _, outside, option, chosen = groups[-1]
                groups[-1] = (weight, outside, option + 1, chosen)
                visible = outside and option + 1 == chosen
            case Close():
                weight, visible, _, _ = groups.pop()
            case Break():
                if visible:
                    writer.end_chunk()
            case And():
                writer.end_part()
        if budget <= 0:
            break
    return writer.composite(parsed.weights)


def _chosen(mark: Mark, step: int, num_steps: int) -> int:
    match mark:
        case Edit():
            return 0 if step < _switch(mark, num_steps) else 1
        case Alternate(count):
            return step % count
        case _:
            return 0


class _Writer:
    """Collects texts into chunks, joining neighbours of one weight."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.weight = 1.0
        self.chunk: list[tuple[str, float]] = []
        self.prompt: list[Chunk] = []
        self.prompts: list[Prompt] = []

    def text(self, text: str, weight: float) -> None:
        if weight != self.weight:
            self._end_texts()
            self.weight = weight
        self.pieces.append(text)

    def end_chunk(self) -> None:
        self._end_texts()
        self.prompt.append(tuple(self.chunk))
        self.chunk = []

    def end_part(self) -> None:
        self.end_chunk()
        self.prompts.append(tuple(self.prompt))
        self.prompt = []

    def composite(self, weights: tuple[float, ...]) -> Composite:
        self.end_part()
        return tuple(zip(weights, self.prompts, strict=False))  # a cut reading may lack its last parts

    def _end_texts(self) -> None:
        text = "".join(self.pieces)
        self.pieces = []
        if text:
            self.chunk.append((text, self.weight))
