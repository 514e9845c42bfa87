"""The ConfigMap `istio` of `istio-system`."""

from meshwright.kinds.mesh_config import read_settings
from meshwright.model.config import ConfigMap
from meshwright.model.diagnostic import Checked
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.origin import ObjectRef
from meshwright.model.settings import AccessLogEncoding, MeshSettings, OutboundMode, StatsMatcher


def settings_of(text: str, namespace: str = "istio-system") -> Checked[MeshSettings]:
    meta = Meta(ObjectRef("ConfigMap", namespace, "istio"), "", Labels())
    return read_settings([ConfigMap(meta, (("mesh", text), ("meshNetworks", "networks: {}")))])


def test_defaults() -> None:
    assert read_settings([]) == Checked(MeshSettings())
    assert settings_of("") == Checked(MeshSettings())
    assert settings_of("trustDomain: a.b", namespace="default") == Checked(MeshSettings())


def test_all_settings() -> None:
    read = settings_of(
        "accessLogFile: /dev/stdout\naccessLogEncoding: JSON\naccessLogFormat: '{}'\ntrustDomain: td.example\n"
        "trustDomainAliases: [b, a]\noutboundTrafficPolicy: {mode: REGISTRY_ONLY}\nenableAutoMtls: false\n"
        "connectTimeout: 3s\ndnsRefreshRate: 5s\nrootNamespace: mesh-root\nmeshMTLS: {minProtocolVersion: TLSV1_3}\n"
        "defaultConfig:\n  discoveryAddress: istiod.istio-system.svc:15012\n"
        "  proxyMetadata: {SECRET_TTL: 12h, OTHER: x}\n"
        "  proxyStatsMatcher: {inclusionPrefixes: [cluster.outbound], inclusionRegexps: ['a.*']}\n"
        "enablePrometheusMerge: true\n"
    )
    assert read.findings == ()
    value = read.value
    assert (value.access_log_file, value.access_log_encoding) == ("/dev/stdout", AccessLogEncoding.JSON)
    assert (value.trust_domain, value.trust_domain_aliases) == ("td.example", ("a", "b"))
    assert (value.outbound_mode, value.auto_mutual_tls) == (OutboundMode.REGISTRY_ONLY, False)
    assert (value.connect_timeout, value.dns_refresh_rate) == (3000, 5000)
    assert value.leaf_lifetime == 12 * 3_600_000
    assert value.kept_stats == StatsMatcher(("cluster.outbound",), (), ("a.*",))
    assert (value.root_namespace, value.min_tls_version) == ("mesh-root", "TLSV1_3")


def test_a_wrong_setting_keeps_its_default_and_the_others_count() -> None:
    read = settings_of(
        "conectTimeout: 3s\ndnsRefreshRate: 5\noutboundTrafficPolicy: {mode: DENY}\ntrustDomain: a.b\n"
        "defaultConfig: {proxyMetadata: {SECRET_TTL: 1s}}\n"
    )
    assert [(finding.code.id, finding.origin.path) for finding in read.findings] == [
        ("MW0003", "data.mesh.conectTimeout"),
        ("MW0002", "data.mesh.dnsRefreshRate"),
        ("MW0007", "data.mesh.outboundTrafficPolicy.mode"),
        ("MW0006", "data.mesh.defaultConfig.proxyMetadata.SECRET_TTL"),
    ]
    assert read.findings[0].fix == "did you mean `connectTimeout`?"
    assert read.value == MeshSettings(trust_domain="a.b")


def test_a_format_of_json_is_an_object() -> None:
    for text in ("x", "[1]", "'{'", "'%RESPONSE_CODE%'"):
        read = settings_of(f"accessLogFile: /dev/stdout\naccessLogEncoding: JSON\naccessLogFormat: {text}\n")
        found = [(finding.code.id, finding.origin.path) for finding in read.findings]
        assert found == [("MW0002", "data.mesh.accessLogFormat")]
        assert read.value.access_log_format == ""
    assert settings_of("accessLogFormat: x").value.access_log_format == "x"


def test_text_that_is_no_settings() -> None:
    assert [finding.code.id for finding in settings_of("a: b: c").findings] == ["MW0001"]
    assert [finding.code.id for finding in settings_of("- a").findings] == ["MW0002"]
    assert [
        finding.code.id for finding in settings_of("outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}").findings
    ] == ["MW0012"]
