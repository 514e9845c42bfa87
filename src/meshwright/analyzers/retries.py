"""Retries for which the timeout of the whole request leaves no time."""

from collections.abc import Iterator

from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import Scene
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.virtual_service import HttpRule


def _rules(scene: Scene) -> Iterator[HttpRule]:
    for rule in scene.snapshot.virtual_services:
        yield from rule.http


def _check(_: Scene, rule: HttpRule) -> Iterator[Diagnostic]:
    retry, timeout = rule.retry, rule.timeout
    if retry is None or timeout is None or not retry.attempts or retry.per_try_timeout is None:
        return
    if retry.per_try_timeout >= timeout:
        at = rule.origin.field("retries").field("perTryTimeout")
        yield Diagnostic(codes.NO_TIME_TO_RETRY, at, (_seconds(retry.per_try_timeout), _seconds(timeout)))


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:g}s"


ANALYZER = Analyzer((codes.NO_TIME_TO_RETRY,), _rules, _check)
