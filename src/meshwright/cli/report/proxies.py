"""What each Envoy says of itself, asked on its own socket: also while neither agent nor control plane runs."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshwright.agent.paths import PodFolder
from meshwright.cli.report.draft import Draft
from meshwright.telemetry.scraping import ScrapeError, scrape

AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the file that its answer becomes; `json` says that it is a JSON value."""

    target: str
    file: str
    about: str
    json: bool = True


QUESTIONS = (
    Question("/config_dump?include_eds", "config_dump.json", "all it runs; keys are not in it"),
    Question("/clusters?format=json", "clusters.json", "its clusters and endpoints as it sees them"),
    Question("/certs", "certs.json", "its certificates: names and times"),
    Question("/server_info", "server_info.json", "version, state, how it was started"),
    Question("/listeners?format=json", "listeners.json", "its listeners"),
    Question("/runtime", "runtime.json", "its runtime values"),
    Question("/stats?usedonly", "stats.txt", "its counters", json=False),
    Question("/memory", "memory.json", "its memory"),
)
BULK = ("node", "extensions")
"""A list of all that is compiled in, the same for every Envoy of a version."""


def collect(report: Draft) -> str:
    """A folder for each Envoy."""
    sockets = {
        folder.name: path
        for folder in sorted(report.mesh.data.pods.glob("*"))
        if (path := PodFolder(folder).admin_socket).exists()
        and report.selection.pod(*_namespace_and_name(folder.name))
    }
    if not sockets:
        report.miss("proxies", "there is no Envoy that fits")
    answered = 0
    for name, answers in asyncio.run(_ask_all(sockets)).items():
        said = {question: answer for question, answer in answers.items() if not isinstance(answer, ScrapeError)}
        answered += bool(said)
        for question, answer in said.items():
            _keep(report, f"proxies/{name}/{question.file}", question, answer)
        for question, answer in answers.items():
            if isinstance(answer, ScrapeError):
                report.miss(f"{question.file} of proxy {name}", str(answer))
                break
    return f"{answered} of {len(sockets)} proxies answered"


async def _ask_all(sockets: Mapping[str, Path]) -> dict[str, dict[Question, str | ScrapeError]]:
    gate = asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as tasks:
        asked = {name: tasks.create_task(_ask(gate, path)) for name, path in sockets.items()}
    return {name: task.result() for name, task in asked.items()}


async def _ask(gate: asyncio.Semaphore, path: Path) -> dict[Question, str | ScrapeError]:
    answers: dict[Question, str | ScrapeError] = {}
    async with gate:
        for question in QUESTIONS:
            try:
                answers[question] = await scrape(path, question.target)
            except ScrapeError as error:
                answers[question] = error
                break  # it would not answer the others either
    return answers


def _keep(report: Draft, path: str, question: Question, answer: str) -> None:
    if not question.json:
        report.text(path, answer, question.about)
        return
    value: Any = json.loads(answer)
    if question.file == "server_info.json":
        value[BULK[0]].pop(BULK[1], None)
    report.value(path, value, question.about)


def _namespace_and_name(pod: str) -> tuple[str, str]:
    name, _, namespace = pod.partition(".")
    return namespace, name
