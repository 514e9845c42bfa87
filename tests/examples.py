"""How many examples a property test tries: some at every change, many in `make test-all`."""

import os

from hypothesis import settings

THOROUGH = bool(os.environ.get("MESHWRIGHT_THOROUGH"))


def examples(quick: int, thorough: int) -> settings:
    """No deadline: how long one example takes is no matter of right and wrong."""
    return settings(max_examples=thorough if THOROUGH else quick, deadline=None)
