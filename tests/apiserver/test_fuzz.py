"""Bodies that nobody writes: whatever is sent, the answer is a refusal with a reason, never a failure of ours."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.apiserver.objects import deployment, deployments, service, services, virtual_service, virtual_services
from tests.apiserver.server import Client

WORDS = [
    "name", "spec", "metadata", "$patch", "$retainKeys", "$setElementOrder/ports", "ports", "containers",
    "template", "selector", "matchLabels", "replicas", "status", "conditions", "type", "labels", "managedFields",
    "fieldsV1", "operation", "manager", "http", "hosts", "route", "f:spec", "ownerReferences", "finalizers",
    "path", "op", "value", "k:{", "v:x", ".",
]  # fmt: skip
scalars = st.one_of(st.none(), st.booleans(), st.integers(-5, 2**70), st.floats(-1e300, 1e300),
                    st.sampled_from(["", "x", "a b", "100%", "delete", "replace", "Apply"]))  # fmt: skip
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)
bodies = st.dictionaries(st.sampled_from(WORDS), values, max_size=4)
PLACES = [(deployments, deployment("fuzz")), (services, service("fuzz")), (virtual_services, virtual_service("fuzz"))]


@pytest.mark.parametrize("place", range(len(PLACES)))
def test_any_body_has_an_answer(admin: Client, namespace: str, place: int) -> None:
    path, value = PLACES[place]

    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

    @settings(max_examples=40, deadline=None, suppress_health_check=quiet, derandomize=True)
    @given(bodies, values)
    def attempt(body: dict[str, Any], item: Any) -> None:
        admin.post(path(namespace), value)
        where = path(namespace, "fuzz")
        patched = {name: body.get(name, whole) for name, whole in value.items()}
        for answer in (
            admin.post(path(namespace), body | {"metadata": {"name": "fuzz"}}),
            admin.put(where, patched),
            admin.merge(where, {"spec": body, "metadata": {"labels": item}}),
            admin.strategic(where, {"spec": body}),
            admin.patch(where, [body | {"op": "add", "path": "/spec/x"}, {"op": item}]),
            admin.patch(where, [{"op": "add", "path": "/metadata/managedFields", "value": item}]),
            admin.apply(where, value | {"spec": body}, "a"),
            admin.apply(where, value, "b", "&force=true"),
            admin.merge(where + "/status", {"status": item}),
            admin.get(path(namespace), Accept="application/json;as=Table;v=v1;g=meta.k8s.io"),
        ):
            assert answer.status < 500, answer.text

    attempt()
