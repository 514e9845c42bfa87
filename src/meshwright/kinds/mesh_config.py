"""Mesh-wide settings: the key `mesh` of the ConfigMap `istio` in `istio-system`, as Istio writes them."""

import json
from collections.abc import Iterable

from meshwright.documents import yaml_text
from meshwright.documents.document import Value
from meshwright.kinds import formats
from meshwright.kinds.fields import Fields
from meshwright.kinds.place import Place, origin_of
from meshwright.kinds.proxy_config import LEAF_LIFETIME, PROXY_CONFIG, read_matcher
from meshwright.kinds.schema import Duration, Enum, Flag, ListOf, Object, Run, Text
from meshwright.kinds.sound import refused
from meshwright.model import codes
from meshwright.model.config import ConfigMap
from meshwright.model.diagnostic import Checked, Diagnostic
from meshwright.model.settings import AccessLogEncoding, MeshSettings, OutboundMode

NAMESPACE = "istio-system"
NAME = "istio"
KEY = "mesh"
_PLACE: Place = ((None, "data"), KEY)
_DYNAMIC_DNS = "ALLOW_ANY_DYNAMIC_DNS"
_VERSIONS = ("TLS_AUTO", "TLSV1_2", "TLSV1_3")
_OTHERS = frozenset({
    "proxyListenPort", "proxyInboundListenPort", "proxyHttpPort", "hboneIdleTimeout", "protocolDetectionTimeout",
    "tcpKeepalive", "ingressClass", "ingressService", "ingressControllerMode", "ingressSelector", "enableTracing",
    "enableEnvoyAccessLogService", "disableEnvoyListenerLog", "inboundTrafficPolicy",
    "configSources", "caCertificates", "defaultServiceExportTo", "defaultVirtualServiceExportTo",
    "defaultDestinationRuleExportTo", "localityLbSetting", "zoneAwareLbSetting", "h2UpgradePolicy",
    "inboundClusterStatName", "outboundClusterStatName", "certificates", "serviceSettings", "serviceScopeConfigs",
    "enablePrometheusMerge", "verifyCertificateAtClient", "ca", "extensionProviders",
    "discoverySelectors", "pathNormalization", "defaultHttpRetryPolicy", "defaultInboundHttpRetryPolicy",
    "tlsDefaults", "defaultTrafficPolicy", "serviceEntryVisibility",
})  # fmt: skip

SCHEMA = Object(
    fields={
        "accessLogFile": Text(),
        "accessLogFormat": Text(),
        "accessLogEncoding": Enum(tuple(AccessLogEncoding)),
        "trustDomain": Text(formats.HOST),
        "trustDomainAliases": ListOf(Text(formats.HOST, empty=False)),
        "rootNamespace": Text(formats.LABEL),
        "outboundTrafficPolicy": Object(
            fields={"mode": Enum(tuple(OutboundMode), (_DYNAMIC_DNS,))}, others=frozenset({"tls"})
        ),
        "enableAutoMtls": Flag(),
        "connectTimeout": Duration(),
        "defaultConfig": PROXY_CONFIG,
        "defaultProviders": Object(
            fields={"metrics": ListOf(Text(empty=False))}, others=frozenset({"tracing", "accessLogging"})
        ),
        "dnsRefreshRate": Duration(),
        "meshMTLS": Object(
            fields={"minProtocolVersion": Enum(_VERSIONS)}, others=frozenset({"ecdhCurves", "cipherSuites"})
        ),
    },
    others=_OTHERS,
)


def read_settings(config_maps: Iterable[ConfigMap]) -> Checked[MeshSettings]:
    """The settings; Istio's defaults where there is no such ConfigMap, and for each setting that is wrong."""
    for config in config_maps:
        text = dict(config.data).get(KEY)
        if (config.meta.namespace, config.meta.name) == (NAMESPACE, NAME) and text is not None:
            return _read(config, text)
    return Checked(MeshSettings())


def _read(config: ConfigMap, text: str) -> Checked[MeshSettings]:
    raw = next(iter(yaml_text.documents_of(text)), None)
    origin = origin_of(config.meta.ref, _PLACE)
    if raw is not None and raw.problem is not None:
        args = (f"{raw.problem.sentence} (line {raw.problem.line} of the setting)", raw.problem.fix)
        return Checked(MeshSettings(), (Diagnostic(codes.NOT_YAML, origin, args),))
    value: Value = {} if raw is None or raw.value is None else raw.value
    run = Run(config.meta.ref)
    if not isinstance(value, dict):
        run.wrong_type(_PLACE, "an object", value, "write `name: value` lines below `mesh: |`")
        return Checked(MeshSettings(), tuple(run.findings))
    good: dict[str, Value] = {}
    for name, item in value.items():
        before = len(run.findings)
        SCHEMA.check({name: item}, _PLACE, run)
        if not refused(run.findings[before:]):
            good[name] = item
    _check_log_format(good, run)
    fields = Fields(good, config.meta.ref, _PLACE)
    mode = fields.child_or_empty("outboundTrafficPolicy").text("mode")
    if mode == _DYNAMIC_DNS:
        place: Place = ((_PLACE, "outboundTrafficPolicy"), "mode")
        run.report(codes.NOT_SUPPORTED, place, _DYNAMIC_DNS, "ALLOW_ANY is used")
    return Checked(_settings(fields), tuple(run.findings))


def _check_log_format(good: dict[str, Value], run: Run) -> None:
    """With encoding JSON the format is the text of an object; another one is left out."""
    text = good.get("accessLogFormat")
    if good.get("accessLogEncoding") != AccessLogEncoding.JSON or not isinstance(text, str) or not text:
        return
    try:
        fine = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        fine = False
    if not fine:
        fix = 'with accessLogEncoding JSON write an object, e.g. {"code": "%RESPONSE_CODE%"}'
        run.wrong_type((_PLACE, "accessLogFormat"), "the text of a JSON object", text, fix)
        del good["accessLogFormat"]


def _counts(fields: Fields) -> bool:
    """An empty list of providers switches the standard metrics off; none named means Istio's default, on."""
    providers = fields.child_or_empty("defaultProviders")
    return not providers.has("metrics") or bool(providers.texts("metrics"))


def _settings(fields: Fields) -> MeshSettings:
    base = MeshSettings()
    mode = fields.child_or_empty("outboundTrafficPolicy").text("mode", base.outbound_mode)
    proxy = fields.child_or_empty("defaultConfig")
    version = fields.child_or_empty("meshMTLS").text("minProtocolVersion", base.min_tls_version)
    return MeshSettings(
        trust_domain=fields.text("trustDomain") or base.trust_domain,
        trust_domain_aliases=tuple(sorted(set(fields.texts("trustDomainAliases")))),
        root_namespace=fields.text("rootNamespace") or base.root_namespace,
        outbound_mode=OutboundMode(mode) if mode in tuple(OutboundMode) else base.outbound_mode,
        auto_mutual_tls=fields.flag("enableAutoMtls", default=base.auto_mutual_tls),
        connect_timeout=fields.duration("connectTimeout") or base.connect_timeout,
        dns_refresh_rate=fields.duration("dnsRefreshRate") or base.dns_refresh_rate,
        access_log_file=fields.text("accessLogFile"),
        access_log_format=fields.text("accessLogFormat"),
        access_log_encoding=AccessLogEncoding(fields.text("accessLogEncoding", base.access_log_encoding)),
        metrics=_counts(fields),
        leaf_lifetime=proxy.child_or_empty("proxyMetadata").duration(LEAF_LIFETIME),
        kept_stats=read_matcher(proxy),
        min_tls_version=base.min_tls_version if version == "TLS_AUTO" else version,
    )
