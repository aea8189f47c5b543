"""The grammar of the prompt language: text to a flat list of marks, and back.

The notation is A1111's, so that prompts found anywhere mean here what their author meant:

==================  =========================================================================================
``(word)``          more attention: weight x 1.1; ``(word:1.3)`` any weight; nesting multiplies
``[word]``          less attention: weight / 1.1
``[a:b:0.4]``       `a` for the first 0.4 of the steps, then `b`; a number without a point counts steps
``[a:0.4]``         nothing, then `a`; ``[a::0.4]`` is `a`, then nothing
``[a|b|c]``         the options take turns, one step each
``a AND b :0.6``    two predictions, added with weights (1 unless given)
``BREAK``           the rest of the prompt starts a new block of tokens
``\\( \\) \\[ \\] \\\\``   the character itself; also ``\\:``, ``\\|``, ``\\AND`` and ``\\BREAK``
==================  =========================================================================================

Every string is a prompt: whatever does not fit the grammar is plain text. A bracket without its partner is a
character (A1111 lets an unclosed "(" stress the rest of the prompt; that is a typing error far more often
than a wish), and so is a number longer than 32 digits.

Marks are kept flat instead of as a tree, so that a hundred thousand nested brackets need no recursion here,
nor in comparing, hashing or freeing the result. Parsing takes time proportional to the text.
"""

import re
from dataclasses import dataclass
from typing import Final

STRESS: Final = 1.1  # what a bare "(word)" multiplies by, and "[word]" divides by
MAX_WEIGHT: Final = 1000.0  # keeps products of nested weights finite
MAX_PARTS: Final = 64  # each AND costs a network evaluation per step; later ANDs are words


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text, escapes resolved."""

    text: str


@dataclass(frozen=True, slots=True)
class Weight:
    """Opens a group whose attention is multiplied by `factor`."""

    factor: float


@dataclass(frozen=True, slots=True)
class Edit:
    """Opens a group of two options: the first before `at`, the second from there on.

    `at` is a fraction of the steps, or a number of steps when `in_steps`.
    """

    at: float
    in_steps: bool


@dataclass(frozen=True, slots=True)
class Alternate:
    """Opens a group of `count` options that take turns, one step each."""

    count: int


@dataclass(frozen=True, slots=True)
class Next:
    """Separates the options of the innermost `Edit` or `Alternate`."""


@dataclass(frozen=True, slots=True)
class Close:
    """Closes the innermost group."""


@dataclass(frozen=True, slots=True)
class Break:
    """Starts a new block of tokens."""


@dataclass(frozen=True, slots=True)
class And:
    """Starts the next part; only outside groups."""


Mark = Text | Weight | Edit | Alternate | Next | Close | Break | And

# One object each: a long prompt holds hundreds of thousands of them.
_NEXT, _CLOSE, _BREAK, _AND = Next(), Close(), Break(), And()
_MORE, _LESS = Weight(STRESS), Weight(1 / STRESS)


@dataclass(frozen=True, slots=True)
class ParsedPrompt:
    """A prompt as marks, groups balanced. `weights` has one entry per part: one more than there are ANDs."""

    marks: tuple[Mark, ...]
    weights: tuple[float, ...]


_SPECIAL = re.compile(r"\\(?:AND\b|BREAK\b|[()\[\]\\:|])|[()\[\]:|]|\b(?:AND|BREAK)\b")
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]{1,32}(?:\.[0-9]{0,32})?|\.[0-9]{1,32}))\s*")


def clean_text(text: str) -> str:
    """Return `text` as valid Unicode: a surrogate pair becomes its character, a lone surrogate U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def escape(text: str) -> str:
    """Return a prompt that stands for exactly `text`, whatever special characters or words it holds."""
    return _SPECIAL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    token = match.group()
    # The pattern also finds what is an escape already; its backslash and its character both need one.
    return "\\\\\\" + token[1:] if token[0] == "\\" else "\\" + token


def parse(text: str) -> ParsedPrompt:
    """Parse any string. Never raises; linear time and no recursion."""
    return _Parser(clean_text(text)).run()


def render(prompt: ParsedPrompt) -> str:
    """Write a parsed prompt in normal form: ``parse(render(p)) == p`` for every `p` that `parse` returned."""
    out: list[str] = []
    groups: list[tuple[str, str]] = []  # what to write at Next and at Close
    part = 0
    for mark in prompt.marks:
        match mark:
            case Text(text):
                out.append(escape(text))
            case Weight(factor):
                more, less = factor == STRESS, factor == 1 / STRESS
                out.append("[" if less else "(")
                groups.append(("", "]" if less else ")" if more else f":{_decimal(factor)})"))
            case Edit(at, in_steps):
                out.append("[")
                groups.append((":", f":{int(at)}]" if in_steps else f":{_decimal(at)}]"))
            case Alternate():
                out.append("[")
                groups.append(("|", "]"))
            case Next():
                out.append(groups[-1][0])
            case Close():
                out.append(groups.pop()[1])
            case Break():
                out.append(" BREAK ")
            case And():
                out.append(f"{_part_weight(prompt.weights[part])} AND ")
                part += 1
    out.append(_part_weight(prompt.weights[part]))
    return "".join(out)


def _part_weight(weight: float) -> str:
    return "" if weight == 1.0 else f" :{_decimal(weight)}"


def _decimal(number: float) -> str:
    # Numbers were rounded to six places when read, so this loses nothing; the point marks a fraction.
    whole, _, places = f"{number:.6f}".partition(".")
    return f"{whole}.{places.rstrip('0') or '0'}"


class _Parser:
    """One pass over the special tokens each: pair the brackets, give tokens their roles, write the marks."""

    def __init__(self, text: str) -> None:
        self.text = text
        found = list(_SPECIAL.finditer(text))
        self.kinds = [match.group() for match in found]
        self.starts = [match.start() for match in found] + [len(text)]
        self.ends = [match.end() for match in found]
        self.roles: list[tuple[Mark, ...] | None] = [None] * len(found)  # None: the token is plain text
        self.numbers: set[int] = set()  # colons whose following text is a number already read
        self.trims: set[int] = set()  # tokens that swallow the white space before them

    def run(self) -> ParsedPrompt:
        ands = self._assign_groups(self._paired())
        weights = self._assign_parts(ands)
        return ParsedPrompt(tuple(self._marks()), weights)

    def _paired(self) -> list[bool]:
        """Say for each token whether it is a bracket with a partner."""
        paired = [False] * len(self.kinds)
        opened: list[int] = []
        waiting = {"(": 0, "[": 0}
        partner = {")": "(", "]": "["}
        for i, kind in enumerate(self.kinds):
            if kind in waiting:
                waiting[kind] += 1
                opened.append(i)
            elif kind in partner and waiting[partner[kind]]:
                # An opening bracket of the other kind that is still open in between has no partner any more.
                while True:
                    start = opened.pop()
                    waiting[self.kinds[start]] -= 1
                    if self.kinds[start] == partner[kind]:
                        break
                paired[start] = paired[i] = True
        return paired

    def _assign_groups(self, paired: list[bool]) -> list[int]:
        """Give roles to everything but AND; return the ANDs outside all groups."""
        ands: list[int] = []
        groups: list[tuple[int, list[int]]] = []  # opening token, and the ":" and "|" directly inside
        for i, kind in enumerate(self.kinds):
            if kind in (":", "|"):
                if groups:
                    groups[-1][1].append(i)
            elif kind == "BREAK":
                self.roles[i] = (_BREAK,)
                self.trims.add(i)
            elif kind == "AND":
                if not groups and len(ands) < MAX_PARTS - 1:
                    ands.append(i)
            elif paired[i] and kind in ("(", "["):
                groups.append((i, []))
            elif paired[i]:
                start, separators = groups.pop()
                self.roles[i] = (_CLOSE,)
                if kind == ")":
                    self._round(start, i)
                else:
                    self._square(start, i, separators)
        return ands

    def _round(self, start: int, end: int) -> None:
        number = self._number_before(end)
        if number is None:
            self.roles[start] = (_MORE,)
        else:
            self.roles[start] = (Weight(_weight(number)),)
            self._drop_number(end - 1)

    def _square(self, start: int, end: int, separators: list[int]) -> None:
        bars = [i for i in separators if self.kinds[i] == "|"]
        if bars:
            self.roles[start] = (Alternate(len(bars) + 1),)
            for i in bars:
                self.roles[i] = (_NEXT,)
            return
        number = self._number_before(end) if len(separators) in (1, 2) else None
        if number is None:
            self.roles[start] = (_LESS,)
            return
        edit = _edit(number)
        if len(separators) == 2:
            self.roles[start] = (edit,)
            self.roles[separators[0]] = (_NEXT,)
        else:
            self.roles[start] = (edit, _NEXT)
        self._drop_number(end - 1)

    def _assign_parts(self, ands: list[int]) -> tuple[float, ...]:
        if not ands:
            return (1.0,)  # "at 12:30" alone is no weight
        weights: list[float] = []
        for end in (*ands, len(self.kinds)):
            number = self._number_before(end)
            weights.append(1.0 if number is None else _weight(number))
            if number is not None:
                self._drop_number(end - 1)
                self.trims.add(end - 1)
        for i in ands:
            self.roles[i] = (_AND,)
            self.trims.add(i)
        return tuple(weights)

    def _number_before(self, end: int) -> str | None:
        """Return the number between a colon and the token `end`, or None when something else stands there."""
        if end == 0 or self.kinds[end - 1] != ":":
            return None
        match = _NUMBER.fullmatch(self.text, self.ends[end - 1], self.starts[end])
        return match.group(1) if match else None

    def _drop_number(self, colon: int) -> None:
        self.roles[colon] = ()
        self.numbers.add(colon)

    def _marks(self) -> list[Mark]:
        marks: list[Mark] = []
        pieces: list[str] = []
        position, skip = 0, False
        for i, kind in enumerate(self.kinds):
            if position < self.starts[i] and not skip:
                pieces.append(self.text[position : self.starts[i]])
            position, skip = self.ends[i], i in self.numbers
            role = self.roles[i]
            if role is None:
                pieces.append(kind[1:] if kind[0] == "\\" else kind)
                continue
            if pieces:
                _write_text(marks, pieces, trim=i in self.trims)
            marks.extend(role)
        if not skip:
            pieces.append(self.text[position:])
        _write_text(marks, pieces, trim=False)
        return marks


def _write_text(marks: list[Mark], pieces: list[str], *, trim: bool) -> None:
    text = "".join(pieces)
    pieces.clear()
    if trim:
        text = text.rstrip()
    if marks and isinstance(marks[-1], Break | And):
        text = text.lstrip()
    if text:
        marks.append(Text(text))


def _weight(number: str) -> float:
    # Six places are more than attention can tell apart, and keep the normal form short. 0.0 + x: no minus
    # zero.
    return 0.0 + round(min(max(float(number), -MAX_WEIGHT), MAX_WEIGHT), 6)


def _edit(number: str) -> Edit:
    at = 0.0 + round(min(max(float(number), 0.0), 1e6), 6)
    return Edit(at, in_steps="." not in number)
