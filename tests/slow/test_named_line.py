"""Two hundred deletions of fields that explain names; tests/evaluator makes some of them."""

import pytest

from tests.evaluator.test_named_line import check_deletions


@pytest.mark.timeout(600)
def test_without_any_of_two_hundred_fields_the_answer_is_another() -> None:
    check_deletions(200)
