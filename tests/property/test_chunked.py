"""A mapping in chunks is a mapping: whatever a dict of the same pairs answers, it answers."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from meshwright.model.chunked import ChunkedMapping, differing

CHUNKS = 4
NAMES = st.text(alphabet="abc", max_size=4)
PAIRS = st.dictionaries(NAMES, st.sampled_from(["one", "two", "three"]), max_size=12)


def place(name: str) -> int:
    return sum(map(ord, name)) % CHUNKS


def other_place(name: str) -> int:
    return len(name) % CHUNKS


def chunked(pairs: Mapping[str, str], rest: Mapping[str, str] | None = None) -> ChunkedMapping[str, str]:
    return ChunkedMapping(_divided(pairs), place, rest or {})


def _divided(pairs: Mapping[str, str]) -> tuple[dict[str, str], ...]:
    return tuple({name: value for name, value in pairs.items() if place(name) == number} for number in range(CHUNKS))


def truly_differing(old: Mapping[str, str], new: Mapping[str, str]) -> set[str]:
    return {name for name in {**old, **new} if old.get(name) is not new.get(name)}


@given(PAIRS, PAIRS, st.lists(NAMES))
def test_it_answers_as_a_dict(pairs: dict[str, str], rest: dict[str, str], asked: list[str]) -> None:
    plain, made = {**rest, **pairs}, chunked(pairs, rest)
    assert made == plain
    assert plain == made
    assert (len(made), set(made), set(made.keys())) == (len(plain), set(plain), set(plain.keys()))
    assert sorted(made.values()) == sorted(plain.values())
    assert sorted(made.items()) == sorted(plain.items())
    for name in (*asked, *plain):
        assert (name in made, made.get(name)) == (name in plain, plain.get(name))
    assert (made.keys() <= set(asked)) == (plain.keys() <= set(asked))
    assert (set(asked) >= made.keys()) == (set(asked) >= plain.keys())
    assert made.with_rest({"new": "one"}) == {"new": "one", **plain}


@given(PAIRS, PAIRS, PAIRS, PAIRS)
def test_differences_are_those_of_dicts(
    old: dict[str, str], old_rest: dict[str, str], new: dict[str, str], new_rest: dict[str, str]
) -> None:
    before, after = chunked(old, old_rest), chunked(new, new_rest)
    wanted = truly_differing({**old_rest, **old}, {**new_rest, **new})
    assert differing(before, after) == wanted
    assert differing(dict(before), after) == wanted
    assert differing(before, dict(after)) == wanted
    assert (before == after) == (not wanted)
    divided = tuple({n: v for n, v in new.items() if other_place(n) == number} for number in range(CHUNKS))
    assert differing(before, ChunkedMapping(divided, other_place, new_rest)) == wanted


@given(PAIRS, NAMES)
def test_shared_chunks_are_not_looked_at(pairs: dict[str, str], changed: str) -> None:
    chunks = _divided(pairs)
    before = ChunkedMapping(chunks, place)
    number = place(changed)
    after = ChunkedMapping((*chunks[:number], {**chunks[number], changed: "new"}, *chunks[number + 1 :]), place)
    assert [its for _, its in after.pairs_with(before)] == [chunks[number]]
    assert differing(before, after) == {changed}
