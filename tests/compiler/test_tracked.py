"""Tables that note what was read compute what changed, stop where nothing did, and agree with plain functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshwright.compiler.tracked import Derived, ImpureError, Ledger, Source


class Item:
    """Something with a group and a number, compared by identity as snapshots' objects are."""

    def __init__(self, group: str, number: int) -> None:
        self.group = group
        self.number = number


class Sums:
    """Sums by group, whether a sum is even, and all that is even."""

    def __init__(self, *, audit: bool = False) -> None:
        self.ledger = Ledger(audit=audit)
        self.items = Source[str, Item](self.ledger, lambda item: (item.group, "all"))
        self.sum = Derived[str, int](self.ledger, lambda group: sum(one.number for one in self.items.get(group)))
        self.even = Derived[str, bool](self.ledger, lambda group: self.sum(group) % 2 == 0)
        self.evens = Derived[int, tuple[str, ...]](
            self.ledger, lambda _: tuple(group for group in "abc" if self.even(group))
        )

    def feed(self, *items: Item) -> None:
        self.ledger.begin()
        self.items.feed(items)


def test_a_change_computes_what_reads_it_and_stops_where_nothing_changed() -> None:
    sums = Sums()
    one, two = Item("a", 1), Item("b", 2)
    sums.feed(one, two)
    assert sums.evens(0) == ("b", "c")
    sums.feed(one, two)
    assert (sums.evens(0), sums.ledger.computed) == (("b", "c"), 0)
    sums.feed(Item("a", 3), two)
    assert (sums.evens(0), sums.ledger.computed) == (("b", "c"), 2)  # the sum of a, and that it is still odd
    sums.feed(Item("a", 4), two)
    assert (sums.evens(0), sums.ledger.computed) == (("a", "b", "c"), 3)


def test_what_is_not_asked_for_is_not_computed() -> None:
    sums = Sums()
    sums.feed(Item("a", 1))
    assert (sums.sum("a"), sums.ledger.computed) == (1, 1)
    sums.feed(Item("a", 2))
    assert sums.ledger.computed == 0


def test_an_equal_value_stays_the_same_object() -> None:
    sums = Sums()
    names = Derived[str, tuple[str, ...]](
        sums.ledger, lambda group: tuple(one.group for one in sums.items.get(group))
    )
    sums.feed(Item("a", 1))
    before = names("a")
    sums.feed(Item("a", 2))
    assert names("a") is before


def test_what_is_kept_is_forgotten_on_demand() -> None:
    sums = Sums()
    sums.feed(Item("a", 1), Item("b", 1))
    sums.evens(0)
    sums.sum.keep(lambda group: group == "a")
    assert len(sums.sum) == 1
    sums.feed(Item("a", 2))
    assert sums.evens(0) == ("a", "b", "c")


def test_audit_finds_a_function_that_reads_what_is_not_tracked() -> None:
    hidden = [1]
    ledger = Ledger(audit=True)
    bad = Derived[str, int](ledger, lambda _: hidden[0])
    ledger.begin()
    assert bad("x") == 1
    hidden[0] = 2
    ledger.begin()
    with pytest.raises(ImpureError):
        bad("x")


def test_groups_are_in_order() -> None:
    ledger = Ledger()
    items = Source[str, Item](ledger, lambda item: (item.group,), lambda item: item.number)
    many = tuple(Item("a", number) for number in (5, 3, 8, *range(20, 60)))
    ledger.begin()
    items.feed(many)
    ledger.begin()
    items.feed((*many[1:], Item("a", 4)))
    numbers = [one.number for one in items.get("a")]
    assert numbers == sorted(numbers)
    assert 5 not in numbers


@given(some.lists(some.lists(some.tuples(some.sampled_from("abc"), some.integers(0, 3)), max_size=4), max_size=5))
def test_any_history_gives_what_a_fresh_start_gives(rounds: list[list[tuple[str, int]]]) -> None:
    pool: dict[tuple[str, int], Item] = {}
    sums = Sums(audit=True)
    for wanted in rounds:
        items = [pool.setdefault(one, Item(*one)) for one in dict.fromkeys(wanted)]
        sums.feed(*items)
        fresh = Sums()
        fresh.feed(*items)
        assert sums.evens(0) == fresh.evens(0)
