"""A thousand kills in the middle of writing; a few hundred are in tests/store."""

from pathlib import Path

import pytest

from tests.store.test_crash import killed

POINTS = 1_000


@pytest.mark.timeout(600)
def test_a_thousand_kills_lose_nothing(tmp_path: Path) -> None:
    killed(tmp_path / "store", POINTS, seed=1_000)
