"""What a start has to tell: at once to people, and all of it once more at the end to programs."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import click

from meshwright.cli.progress import Step, step
from meshwright.documents.render import JsonFinding

_INDENT = " " * 11  # below the titles of the steps


@dataclass(slots=True)
class Notes:
    """`beside`: an answer in JSON follows, so that all of this goes to standard error."""

    beside: bool = False
    warnings: list[str] = field(default_factory=list[str])
    errors: list[str] = field(default_factory=list[str])
    findings: list[JsonFinding] = field(default_factory=list[JsonFinding])

    def say(self, sentence: str) -> None:
        """Say how it goes on."""
        click.echo(sentence, err=self.beside)

    def step(self, title: str) -> AbstractContextManager[Step]:
        """A step, told with its seconds when it is done."""
        return step(title, err=self.beside)

    def hint(self, sentence: str) -> None:
        """Something that could be better."""
        self.warnings.append(sentence)
        click.echo(f"{_INDENT}{sentence}", err=self.beside)

    def trouble(self, sentences: Sequence[str]) -> None:
        """Something that is not as it should be."""
        self.errors.extend(sentences)
        for sentence in sentences:
            click.echo(f"{_INDENT}{sentence}", err=True)
