"""VirtualServices: names, defaults and every part of an HTTP rule."""

import pytest

from meshwright.model.destination import Destination
from meshwright.model.fault import Delay, Fault, GrpcAbort, HttpAbort
from meshwright.model.names import Hostname, Milliseconds, PartsPerMillion, PortNumber, SubsetName
from meshwright.model.redirect import DerivePort, Redirect
from meshwright.model.rewrite import RegexRewrite, Rewrite
from meshwright.model.string_match import MatchType, StringMatch
from meshwright.model.virtual_service import HttpRule, VirtualService
from tests.kinds.loading import document, good, load

TO = "route: [{destination: {host: reviews}}]"


def service_of(spec: str, metadata: str = "{name: x, namespace: shop}") -> VirtualService:
    (service,) = good(document("VirtualService", spec, metadata=metadata)).objects.virtual_services
    return service


def rule_of(fields: str) -> HttpRule:
    (rule,) = service_of(f"{{hosts: [reviews], http: [{{{fields}}}]}}").http
    return rule


def test_names_become_full() -> None:
    service = service_of(
        '{hosts: [reviews, api.example.com, "*.example.org", 10.0.0.1, reviews.shop],'
        f" gateways: [mesh, public, other/public, ./own], exportTo: [., web], http: [{{{TO}}}]}}"
    )
    assert service.hosts == (
        "reviews.shop.svc.cluster.local", "api.example.com", "*.example.org", "10.0.0.1", "reviews.shop",
    )  # fmt: skip
    assert service.gateways == ("mesh", "shop/public", "other/public", "shop/own")
    assert service.export_to == ("shop", "web")
    assert service.http[0].route[0].destination.host == "reviews.shop.svc.cluster.local"


def test_defaults() -> None:
    service = service_of(f"{{hosts: [reviews], http: [{{{TO}}}]}}", "{name: x}")
    assert service.meta.namespace == "default"
    assert service.gateways == ("mesh",)
    assert service.export_to == ("*",)
    assert service.http[0].timeout is None
    assert service.http[0].retry is None


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_served_versions(version: str) -> None:
    text = document(
        "VirtualService", f"{{hosts: [a], http: [{{{TO}}}]}}", api_version=f"networking.istio.io/{version}"
    )
    assert len(good(text).objects.virtual_services) == 1


def test_weights() -> None:
    def weights(*entries: str) -> list[int]:
        route = ", ".join(f"{{destination: {{host: a}}{entry}}}" for entry in entries)
        return [one.weight for one in rule_of(f"route: [{route}]").route]

    assert weights("") == [100]
    assert weights(", weight: 0") == [100]
    assert weights(", weight: 3") == [3]
    assert weights(", weight: 80", ", weight: 20.0") == [80, 20]
    assert weights(", weight: 80", "") == [80, 0]


def test_destination_and_origin() -> None:
    route = rule_of("route: [{destination: {host: a.b, subset: v1, port: {number: 80}}}]").route[0]
    assert route.destination == Destination(Hostname("a.b"), SubsetName("v1"), PortNumber(80))
    assert route.origin.path == "spec.http[0].route[0]"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{exact: /a}", StringMatch(MatchType.EXACT, "/a")),
        ("{prefix: /a}", StringMatch(MatchType.PREFIX, "/a")),
        ("{regex: /a.*}", StringMatch(MatchType.REGEX, "/a.*")),
        ('{regex: "*"}', StringMatch(MatchType.PRESENT)),
        ('{exact: ""}', StringMatch(MatchType.PRESENT)),
        ("{}", StringMatch(MatchType.PRESENT)),
    ],
)
def test_string_matches(condition: str, expected: StringMatch) -> None:
    match = rule_of(f"{TO}, match: [{{headers: {{end-user: {condition}}}, uri: {condition}}}]").matches[0]
    assert match.headers == (("end-user", expected),)
    assert match.uri == expected


def test_match_conditions() -> None:
    match = rule_of(
        f"{TO}, match: [{{name: m, method: {{exact: GET}}, scheme: {{exact: https}}, authority: {{prefix: a}},"
        " port: 80,"
        " queryParams: {q: {exact: '1'}}, withoutHeaders: {b: {}, a: null}, ignoreUriCase: true,"
        " sourceLabels: {app: web}, sourceNamespace: shop, gateways: [public]}]"
    ).matches[0]
    assert (match.name, match.port, match.ignore_uri_case, match.source_namespace) == ("m", 80, True, "shop")
    assert [name for name, _ in match.without_headers] == ["a", "b"]
    assert match.source_labels.pairs == (("app", "web"),)
    assert match.gateways == ("shop/public",)
    assert match.origin.path == "spec.http[0].match[0]"


def test_timeouts_and_retries() -> None:
    rule = rule_of(f"{TO}, timeout: 1m1.5s, retries: {{attempts: 3, perTryTimeout: 250ms, retryOn: '5xx, 503'}}")
    assert rule.timeout == 61_500
    assert rule.retry is not None
    assert (rule.retry.attempts, rule.retry.per_try_timeout, rule.retry.retry_on) == (3, 250, ("5xx", "503"))
    none = rule_of(f"{TO}, retries: {{attempts: 0}}").retry
    assert none is not None
    assert none.attempts == 0


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            "{delay: {fixedDelay: 7s, percentage: {value: 12.5}}}",
            Fault(delay=Delay(Milliseconds(7000), PartsPerMillion(125_000))),
        ),
        ("{delay: {fixedDelay: 1s, percent: 5}}", Fault(delay=Delay(Milliseconds(1000), PartsPerMillion(50_000)))),
        (
            "{abort: {httpStatus: 555, percentage: {value: 100}}}",
            Fault(abort=HttpAbort(555, PartsPerMillion(1_000_000))),
        ),
        (
            "{abort: {grpcStatus: UNAVAILABLE, percentage: {value: 0}}}",
            Fault(abort=GrpcAbort(14, PartsPerMillion(0))),
        ),
        ("{abort: {grpcStatus: '7', percentage: {value: 0.0001}}}", Fault(abort=GrpcAbort(7, PartsPerMillion(1)))),
    ],
)
def test_faults(fault: str, expected: Fault) -> None:
    assert rule_of(f"{TO}, fault: {fault}").fault == expected


def test_mirrors() -> None:
    old = rule_of(f"{TO}, mirror: {{host: b}}, mirror_percent: 20").mirrors
    assert [(one.destination.host, one.share) for one in old] == [("b.shop.svc.cluster.local", 200_000)]
    assert rule_of(f"{TO}, mirror: {{host: b}}").mirrors[0].share == 1_000_000
    assert (
        rule_of(f"{TO}, mirror: {{host: b}}, mirrorPercentage: {{value: 1}}, mirrorPercent: 2").mirrors[0].share
        == 10_000
    )
    several = rule_of(
        f"{TO}, mirrors: [{{destination: {{host: b}}}}, {{destination: {{host: c}}, percentage: {{value: 5}}}}]"
    )
    assert [one.share for one in several.mirrors] == [1_000_000, 50_000]


def test_redirect_rewrite_and_answers() -> None:
    assert rule_of("redirect: {uri: /new, authority: a.b, redirectCode: 308}").redirect == Redirect(
        uri="/new", authority="a.b", code=308
    )
    port = rule_of("redirect: {scheme: https, derivePort: FROM_REQUEST_PORT, prefixRewrite: /x}").redirect
    assert port == Redirect(prefix_rewrite="/x", scheme="https", derive_port=DerivePort.FROM_REQUEST_PORT)
    assert rule_of(f"{TO}, rewrite: {{uri: /v1, authority: c}}").rewrite == Rewrite("/v1", "c")
    regex = rule_of(f"{TO}, rewrite: {{uriRegexRewrite: {{match: '^/(.*)$', rewrite: '/x/\\1'}}}}").rewrite
    assert regex == Rewrite(uri_regex=RegexRewrite("^/(.*)$", "/x/\\1"))
    answer = rule_of("directResponse: {status: 503, body: {string: busy}}").direct_response
    assert answer is not None
    assert (answer.status, answer.body) == (503, "busy")


def test_headers_are_sorted() -> None:
    headers = rule_of(
        f"{TO}, headers: {{request: {{set: {{b: '2', a: '1'}}, remove: [z, x]}}, response: {{add: {{c: '3'}}}}}}"
    ).headers
    assert headers.request.set == (("a", "1"), ("b", "2"))
    assert headers.request.remove == ("x", "z")
    assert headers.response.add == (("c", "3"),)


def test_streams() -> None:
    service = service_of(
        "{hosts: [db],"
        " tcp: [{match: [{port: 27017, destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: db}}]}],"
        " tls: [{match: [{port: 443, sniHosts: [db.example.com]}], route: [{destination: {host: db}, weight: 5}]}]}"
    )
    assert service.tcp[0].matches[0].destination_subnets == ("10.0.0.0/8",)
    assert service.tls[0].matches[0].sni_hosts == ("db.example.com",)
    assert (service.tcp[0].route[0].weight, service.tls[0].route[0].weight) == (100, 5)


def test_rules_that_cannot_act_are_left_out() -> None:
    claim = f'{TO}, match: [{{headers: {{"@request.auth.claims.group": {{exact: a}}}}}}]'
    loaded = load(
        document("VirtualService", f"{{hosts: [a], http: [{{{claim}}}, {{delegate: {{name: b}}}}, {{{TO}}}]}}")
    )
    assert [rule.origin.path for rule in loaded.objects.virtual_services[0].http] == ["spec.http[2]"]
    assert {finding.code.id for finding in loaded.diagnostics} == {"MW0012"}


def test_all_errors_at_once() -> None:
    loaded = load(
        document(
            "VirtualService",
            "{hosts: 1, htp: [], http: [{route: [{weight: x}], timeout: 5, retries: {attempts: -1}}]}",
        )
    )
    assert len(loaded.diagnostics) == 6
    assert loaded.objects.virtual_services == ()


def told(spec: str) -> list[tuple[str, str]]:
    """Where which mistake is."""
    return [(each.origin.path, each.code.id) for each in load(document("VirtualService", spec)).diagnostics]


def test_rules_about_what_is_right_are_told_beside_what_is_wrong() -> None:
    assert told("{hosts: [a, a], http: [{timeout: x}]}") == [
        ("spec.http[0].timeout", "MW0008"),
        ("spec.http[0].route", "MW0005"),
        ("spec.hosts[1]", "MW0010"),
    ]
    weights = "[{destination: {host: a}, weight: 0}, {destination: {host: b}, weight: 0}]"
    assert told(f"{{hosts: [a], http: [{{timeout: x, route: {weights}}}]}}") == [
        ("spec.http[0].timeout", "MW0008"),
        ("spec.http[0].route", "MW0006"),
    ]


def test_a_rule_about_what_is_wrong_itself_says_nothing() -> None:
    assert told("{hosts: [1, a], http: [{route: [{destination: {host: a}, weight: x}]}]}") == [
        ("spec.hosts[0]", "MW0002"),
        ("spec.http[0].route[0].weight", "MW0002"),
    ]
    assert told("{hosts: a, http: 5}") == [("spec.hosts", "MW0002"), ("spec.http", "MW0002")]


def test_what_is_only_misspelt_is_not_missed_too() -> None:
    assert told("{hosts: [a], http: [{rout: []}]}") == [("spec.http[0].rout", "MW0003")]
    assert told("{hosts: [a], htp: []}") == [("spec.htp", "MW0003")]
