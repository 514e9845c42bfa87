"""VirtualServices whose subsets nobody defines: what goes on instead, and what is proposed."""

import yaml

from meshwright.model.objects import MeshObjects
from meshwright.model.virtual_service import VirtualService
from meshwright.wiring.loading import load
from meshwright.wiring.object_book import ObjectBook
from meshwright.wiring.proposals import in_words, proposals
from meshwright.wiring.seeding import objects_of
from meshwright.wiring.withheld import InEffect, Past, Withheld

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-VERSION, namespace: default}
spec:
  selector: {matchLabels: {app: reviews, version: VERSION}}
  template:
    metadata: {labels: {app: reviews, version: VERSION}}
    spec: {containers: [{name: reviews, image: x, command: [sleep]}]}
"""
WORKLOADS = "---".join(DEPLOYMENT.replace("VERSION", version) for version in ("v1", "v2"))


def route(subset: str, gateways: str = "[mesh]") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: default}}
spec:
  hosts: [reviews]
  gateways: {gateways}
  http:
  - route: [{{destination: {{host: reviews{f", subset: {subset}" if subset else ""}}}}}]
"""


def subsets(*names: str, host: str = "reviews") -> str:
    listed = ", ".join(f"{{name: {name}, labels: {{version: {name}}}}}" for name in names)
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews, namespace: default, labels: {{mine: "true"}}}}
spec: {{host: {host}, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL}}}}, subsets: [{listed}]}}
"""


class Following:
    """A mesh's objects, document by document, and what is in effect after each step."""

    def __init__(self) -> None:
        self.book = ObjectBook()
        self.withheld = Withheld()

    def put(self, *texts: str) -> InEffect:
        for text in texts:
            for key, value in objects_of([("text", text)]).items():
                self.book.put(key, yaml.safe_dump(value).encode())
        return self.now()

    def remove(self, text: str) -> InEffect:
        for key in objects_of([("text", text)]):
            self.book.remove(key)
        return self.now()

    def now(self) -> InEffect:
        return self.withheld.in_effect(self.book.loaded.objects)


def named(found: InEffect) -> list[str | None]:
    """The subsets that the rules in effect name."""
    rules = found.objects.virtual_services
    return [entry.destination.subset for rule in rules for http in rule.http for entry in http.route]


def told(found: InEffect) -> list[str]:
    return [each.message for each in found.findings]


def test_without_a_version_before_it_the_services_own_route_goes_on_until_the_subset_comes() -> None:
    mesh = Following()
    found = mesh.put(SERVICE, route("v1"))
    assert named(found) == []
    assert told(found) == [
        "no DestinationRule defines subset v1 of reviews.default.svc.cluster.local",
        "not in effect: subset v1 of reviews is not defined; the service's own route goes on",
    ]
    found = mesh.put(subsets("v1"))
    assert named(found) == ["v1"]
    assert told(found) == []


def test_the_version_before_it_goes_on() -> None:
    mesh = Following()
    mesh.put(SERVICE, subsets("v1"), route("v1"))
    found = mesh.put(route("v2"))
    assert named(found) == ["v1"]
    assert told(found)[-1] == "not in effect: subset v2 of reviews is not defined; the route before it goes on"
    assert named(mesh.put(route("v3"))) == ["v1"]
    assert mesh.now().objects.virtual_services is mesh.now().objects.virtual_services
    assert named(mesh.put(subsets("v1", "v3"))) == ["v3"]


def test_gateways_take_it_as_it_is_for_they_have_nothing_else() -> None:
    found = Following().put(SERVICE, route("v1", "[mesh, front]"))
    assert [rule.gateways for rule in found.objects.virtual_services] == [("default/front",)]
    assert told(found)[-1].endswith("only gateways take it")


def test_other_rules_and_unknown_hosts_are_not_concerned() -> None:
    mesh = Following()
    assert named(mesh.put(route("v1"))) == ["v1"], "an unknown host is Istio's 503"
    assert named(mesh.put(SERVICE, subsets(host="'*.default.svc.cluster.local'"))) == ["v1"], "nobody can say"
    assert named(mesh.put(route(""))) == [None]


def test_after_a_start_the_version_before_it_comes_from_the_history() -> None:
    objects = load([("all", "---".join([SERVICE, subsets("v1"), route("v2")]))]).objects
    [before] = load([("before", route("v1"))]).objects.virtual_services
    withheld = Withheld()
    [ref] = withheld.lacking(objects)
    assert ref == before.meta.ref
    withheld.remember(objects, Past(lambda _: [(2, objects.virtual_services[0]), (1, before)]))
    assert named(withheld.in_effect(objects)) == ["v1"]


def defined(found: InEffect) -> list[list[str]]:
    """The subsets of each DestinationRule in effect."""
    return [[subset.name for subset in rule.subsets] for rule in found.objects.destination_rules]


def test_a_subset_that_a_rule_in_effect_leads_to_does_not_go_before_that_rule() -> None:
    mesh = Following()
    mesh.put(SERVICE, subsets("v1", "v2"), route("v1"))
    found = mesh.remove(subsets("v1"))
    assert (named(found), defined(found)) == (["v1"], [["v1", "v2"]])
    assert told(found) == [
        "no DestinationRule defines subset v1 of reviews.default.svc.cluster.local",
        "subset v1 of reviews is not defined any more; as long as this route needs it, it stays as it was",
    ]
    assert mesh.now().objects.destination_rules is found.objects.destination_rules
    found = mesh.put(route(""))
    assert (named(found), defined(found), told(found)) == ([None], [], []), "nothing needs it any more"
    found = mesh.put(route("v1"))
    assert (named(found), defined(found)) == ([None], []), "and it does not come back for a new rule"


def test_of_a_rule_that_lost_a_subset_only_that_stays() -> None:
    mesh = Following()
    mesh.put(SERVICE, subsets("v1", "v2"), route("v1"))
    found = mesh.put(subsets("v2", "v3"))
    assert (named(found), defined(found)) == (["v1"], [["v2", "v3", "v1"]])
    found = mesh.put(subsets("v3"))
    assert (named(found), defined(found)) == (["v1"], [["v3", "v1"]])
    found = mesh.put(subsets("v1"))
    assert (defined(found), told(found)) == ([["v1"]], [])


def test_a_withheld_rule_and_then_the_subset_of_the_one_before_it_goes() -> None:
    mesh = Following()
    mesh.put(SERVICE, subsets("v1"), route("v1"))
    mesh.put(route("v2"))
    found = mesh.remove(subsets("v1"))
    assert (named(found), defined(found)) == (["v1"], [["v1"]])
    assert told(found)[-1].endswith("the route before it goes on")
    found = mesh.remove(route("v2"))
    assert (named(found), defined(found), told(found)) == ([], [], [])


def test_gateways_keep_the_subset_too() -> None:
    mesh = Following()
    mesh.put(SERVICE, subsets("v1"), route("v1", "[front]"))
    found = mesh.remove(subsets("v1"))
    assert (named(found), defined(found)) == (["v1"], [["v1"]])


def test_rule_and_definition_that_go_together_are_gone() -> None:
    mesh = Following()
    mesh.put(SERVICE, subsets("v1"), route("v1"))
    for text in (subsets("v1"), route("v1")):
        for key in objects_of([("text", text)]):
            mesh.book.remove(key)
    found = mesh.now()
    assert (named(found), defined(found), told(found)) == ([], [], [])


def after_a_start(stored: str, versions: list[tuple[int, str]], removed: list[tuple[int, str]]) -> InEffect:
    """With a history of these VirtualServices and DestinationRules, by the numbers of the changes."""
    objects = load([("all", f"{SERVICE}---{stored}")]).objects
    read = [(number, load([("v", text)]).objects) for number, text in versions]
    rules = [(number, load([("r", text)]).objects.destination_rules[0]) for number, text in removed]
    withheld = Withheld()
    past = Past(lambda _: [(number, each.virtual_services[0]) for number, each in read], tuple(rules))
    withheld.remember(objects, past)
    return withheld.in_effect(objects)


def test_after_a_start_a_subset_that_was_taken_away_from_a_rule_stays() -> None:
    found = after_a_start(route("v1"), [(3, route("v1")), (1, route("v2"))], [(5, subsets("v1")), (4, subsets("v2"))])
    assert (named(found), defined(found)) == (["v1"], [["v1"]])
    assert told(found)[-1].endswith("it stays as it was")


def test_after_a_start_a_rule_that_came_after_its_subset_had_gone_still_waits() -> None:
    found = after_a_start(route("v1"), [(6, route("v1"))], [(5, subsets("v1"))])
    assert (named(found), defined(found)) == ([], [])
    found = after_a_start(route("v1"), [(6, route("v1")), (2, route("v2"))], [(5, subsets("v1")), (4, subsets("v2"))])
    assert (named(found), defined(found)) == (["v2"], [["v2"]]), "it was in effect when its subset went"


def rules(*texts: str) -> tuple[tuple[VirtualService, ...], MeshObjects]:
    objects = load([("all", "---".join([SERVICE, WORKLOADS, *texts]))]).objects
    return objects.virtual_services, objects


def test_the_rule_to_add_has_the_versions_of_the_pods() -> None:
    [found] = proposals(*rules(route("v1")), {})
    assert found.value == yaml.safe_load(found.text)
    assert found.value == {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "reviews", "namespace": "default"},
        "spec": {
            "host": "reviews",
            "subsets": [
                {"name": "v1", "labels": {"version": "v1"}},
                {"name": "v2", "labels": {"version": "v2"}},
            ],
        },
    }
    [line] = in_words(*rules(route("v1")))
    assert yaml.safe_load(line.removeprefix("add: ")) == found.value


def test_a_rule_that_is_there_gets_the_subset_and_keeps_everything_else() -> None:
    written = yaml.safe_load(subsets("v1"))
    [found] = proposals(*rules(subsets("v1"), route("v2")), {("default", "reviews"): written})
    assert found.value is not None
    assert found.value["metadata"] == written["metadata"]
    assert found.value["spec"]["trafficPolicy"] == written["spec"]["trafficPolicy"]
    assert [each["name"] for each in found.value["spec"]["subsets"]] == ["v1", "v2"]
    [line] = in_words(*rules(subsets("v1"), route("v2")))
    assert line == "add to spec.subsets of DestinationRule default/reviews: [{name: v2, labels: {version: v2}}]"


def test_what_nobody_can_guess_is_said() -> None:
    [found] = proposals(*rules(route("canary")), {})
    assert found.value is None
    assert found.why == "subset canary of reviews cannot be guessed: its pods have the versions v1, v2"


def test_lines_of_what_is_not_in_effect_are_not_told_as_those_of_what_is() -> None:
    mesh = Following()
    mesh.put(SERVICE, subsets("v1"), route("v1"))
    assert mesh.withheld.replaced == frozenset()
    found = mesh.put(route("v2"))
    assert mesh.withheld.replaced == {found.objects.virtual_services[0].meta.ref}
    mesh.put(subsets("v1", "v2"))
    assert mesh.withheld.replaced == frozenset()


def test_an_object_that_was_deleted_is_no_version_before_its_namesake() -> None:
    mesh = Following()
    mesh.put(SERVICE, subsets("v1"), route("v1"))
    mesh.remove(route("v1"))
    assert named(mesh.put(route("v2"))) == []


def test_many_changes_in_a_row_leave_the_last_usable_one() -> None:
    mesh = Following()
    mesh.put(SERVICE, subsets("v1", "v2"), route("v1"))
    for subset in ("v2", "v1", "v2"):
        assert named(mesh.put(route(subset))) == [subset]
    assert named(mesh.put(route("v9"))) == ["v2"]
