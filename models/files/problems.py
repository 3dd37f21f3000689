"""What is wrong with a file, and where: every problem, not only the first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with a file.

    Attributes:
        line: counted from 1.
        column: character of the line, counted from 1.
        sentence: what is wrong and what to do.
    """

    line: int
    column: int
    sentence: str


class FileProblems(Exception):  # noqa: N818 - it is a list of problems, read by a person
    """A file that cannot be read as what it should be, with all its problems."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.name = name
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """Return one line a problem, as compilers write them."""
        return [f"{self.name}:{p.line}:{p.column}: {p.sentence}" for p in self.problems]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` when a known word is near, else nothing."""
    close = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else ""


def decoded(content: bytes, name: str) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark.

    Raises:
        FileProblems: naming the first byte that is not UTF-8.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileProblems(name, [Problem(1, 1, "The file is UTF-16; save it as UTF-8.")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", errors="replace")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        sentence = "The text is not UTF-8 from here on; save the file as UTF-8."
        raise FileProblems(name, [Problem(line, column, sentence)]) from error
    if "\x00" in text:
        at = text.index("\x00")
        line, column = text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1
        raise FileProblems(name, [Problem(line, column, "There is a zero byte here.")])
    return text
