"""Istio's ProxyConfig: `defaultConfig` of the mesh's settings, and the annotation proxy.istio.io/config of pods."""

from collections.abc import Iterable, Iterator
from typing import cast

from meshwright.documents import yaml_text
from meshwright.documents.document import Value
from meshwright.kinds.fields import Fields
from meshwright.kinds.place import Place
from meshwright.kinds.regex import problem_of
from meshwright.kinds.schema import Duration, ListOf, MapOf, Object, Run, Text
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.labels import Labels
from meshwright.model.origin import Origin
from meshwright.model.settings import StatsMatcher

ANNOTATION = "proxy.istio.io/config"
MATCHER = "proxyStatsMatcher"
LISTS = ("inclusionPrefixes", "inclusionSuffixes", "inclusionRegexps")
OLD = tuple(f"sidecar.istio.io/stats{name[0].upper()}{name[1:]}" for name in LISTS)
"""The lists as annotations of their own, with commas: where one is there it is taken instead."""
LEAF_LIFETIME = "SECRET_TTL"
_SHORTEST_LEAF = 2_000
_OTHERS = frozenset({
    "configPath", "binaryPath", "serviceCluster", "tracingServiceName", "drainDuration", "discoveryAddress",
    "discoveryRefreshDelay", "zipkinAddress", "statsdUdpAddress", "envoyMetricsServiceAddress", "proxyAdminPort",
    "availabilityZone", "controlPlaneAuthPolicy", "customConfigFile", "statNameLength", "concurrency",
    "proxyBootstrapTemplatePath", "interceptionMode", "tracing", "sds", "envoyAccessLogService",
    "envoyMetricsService", "runtimeValues", "statusPort", "extraStatTags", "gatewayTopology",
    "terminationDrainDuration", "meshId", "readinessProbe", "holdApplicationUntilProxyStarts",
    "caCertificatesPem", "image", "privateKeyProvider", "proxyHeaders", "fileFlushInterval", "fileFlushMinSizeKb",
    "statsCompression", "connectionSettings",
})  # fmt: skip


class _ProxyMetadata:
    """Free names and texts; one of them means something here."""

    def check(self, value: Value, place: Place, run: Run) -> None:
        MapOf(Text()).check(value, place, run)
        if isinstance(value, dict) and value.get(LEAF_LIFETIME) is not None:
            Duration(_SHORTEST_LEAF).check(value[LEAF_LIFETIME], (place, LEAF_LIFETIME), run)


_WORDS = ListOf(Text(empty=False))
PROXY_CONFIG = Object(
    fields={
        "proxyMetadata": _ProxyMetadata(),
        MATCHER: Object(
            fields={LISTS[0]: _WORDS, LISTS[1]: _WORDS, LISTS[2]: ListOf(Text(empty=False, problem=problem_of))}
        ),
    },
    others=_OTHERS,
)


def read_matcher(config: Fields) -> StatsMatcher:
    """What a ProxyConfig that has passed its schema says about Envoy's own statistics."""
    matcher = config.child_or_empty(MATCHER)
    return StatsMatcher(*(matcher.texts(name) for name in LISTS))


def kept_stats(annotations: Labels, default: StatsMatcher) -> StatsMatcher:
    """Which of Envoy's own statistics a pod's proxy keeps beside Istio's: each list is the pod's, else the mesh's.

    What is wrong in an annotation is left out, as if it were not there; `problems` says so.
    """
    pairs = dict(annotations.pairs)
    config = _value(pairs.get(ANNOTATION, ""))
    matcher = config.get(MATCHER) if isinstance(config, dict) else None
    own = matcher if isinstance(matcher, dict) else {}
    lists = [
        _words(pairs[old].split(",")) if old in pairs else _words(own[name]) if name in own else of_mesh
        for name, old, of_mesh in zip(LISTS, OLD, (default.prefixes, default.suffixes, default.regexps), strict=True)
    ]
    prefixes, suffixes, regexps = lists
    return StatsMatcher(prefixes, suffixes, tuple(each for each in regexps if problem_of(each) is None))


def problems(name: str, text: str, at: Origin) -> Iterator[Diagnostic]:
    """What is wrong with the value of the annotation `name`, which is one of those that `kept_stats` reads."""
    run = Run(at.object)
    if name == ANNOTATION:
        raw = next(iter(yaml_text.documents_of(text)), None)
        if raw is not None and raw.problem is not None:
            yield Diagnostic(codes.ANNOTATION_VALUE, at, (name, "this text", f"YAML: {raw.problem.sentence}"))
            return
        PROXY_CONFIG.check(_value(text), None, run)
    else:
        ListOf(Text(problem=problem_of if name == OLD[2] else None)).check(list(_words(text.split(","))), None, run)
    for found in run.findings:
        where = f"{found.origin.path}: " if found.origin.path else ""
        yield Diagnostic(codes.ANNOTATION_VALUE, at, (name, "this text", f"{where}{found.message}. {found.fix}"))


def _value(text: str) -> Value:
    """The value of a YAML text; an empty object where there is none, or it cannot be read."""
    raw = next(iter(yaml_text.documents_of(text)), None)
    return {} if raw is None or raw.problem is not None or raw.value is None else raw.value


def _words(value: object) -> tuple[str, ...]:
    """The texts of a list, without those that are empty."""
    listed = cast("Iterable[object]", value) if isinstance(value, list) else ()
    return tuple(each.strip() for each in listed if isinstance(each, str) and each.strip())
