"""Addresses follow from names alone."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshwright.wiring.addresses import POD_NETWORK, SERVICE_NETWORK, Network, allocate

NAMES = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=40)


@given(NAMES, st.randoms(use_true_random=False))
def test_order_has_no_influence(names: list[str], dice: object) -> None:
    shuffled = sorted(names, key=lambda name: hash((name, id(dice))))
    assert allocate(names, POD_NETWORK) == allocate(shuffled, POD_NETWORK)


@given(NAMES)
def test_addresses_are_distinct_and_inside(names: list[str]) -> None:
    given_out = allocate(names, SERVICE_NETWORK)
    assert set(given_out) == set(names)
    assert len(set(given_out.values())) == len(names)
    space = ipaddress.ip_network(SERVICE_NETWORK.cidr)
    assert all(ipaddress.ip_address(address) in space for address in given_out.values())


def test_taken_addresses_are_not_given_out() -> None:
    first = allocate(["a"], POD_NETWORK)["a"]
    assert allocate(["a"], POD_NETWORK, taken={first})["a"] != first


def test_a_full_network_says_so() -> None:
    with pytest.raises(OverflowError, match="no address left"):
        allocate([f"n{i}" for i in range(9)], Network("10.9.0.0/24", first=1, last=8))
