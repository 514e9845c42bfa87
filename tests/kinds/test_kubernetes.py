"""Kubernetes documents, as people write them and as `kubectl get -o yaml` prints them."""

from pathlib import Path

import pytest

from meshwright.model.config import SecretUse
from meshwright.model.names import Milliseconds
from meshwright.model.pod import Hook, Probe, ProbeType
from meshwright.model.protocol import Protocol
from meshwright.model.service import Resolution, Service
from tests.kinds.loading import document, good, load

SAMPLES = Path(__file__).parent / "documents"


def service_of(spec: str, metadata: str = "{name: a, namespace: shop}") -> Service:
    (service,) = good(document("Service", spec, api_version="v1", metadata=metadata)).objects.services
    return service


@pytest.mark.parametrize(
    ("port", "protocol"),
    [
        ("{port: 80, name: http}", Protocol.HTTP),
        ("{port: 80, name: http2-web}", Protocol.HTTP2),
        ("{port: 80, name: grpc-web}", Protocol.GRPC_WEB),
        ("{port: 80, name: grpc-web-ui}", Protocol.GRPC_WEB),
        ("{port: 80, name: grpc-api}", Protocol.GRPC),
        ("{port: 80, name: tcp-x}", Protocol.TCP),
        ("{port: 80, name: mongo}", Protocol.TCP),
        ("{port: 80, name: web}", Protocol.AUTO),
        ("{port: 3306}", Protocol.TCP),
        ("{port: 80}", Protocol.AUTO),
        ("{port: 80, name: http, protocol: UDP}", Protocol.UDP),
        ("{port: 80, name: http, appProtocol: grpc}", Protocol.GRPC),
        ("{port: 80, name: tcp, appProtocol: kubernetes.io/h2c}", Protocol.HTTP2),
        ("{port: 80, name: tcp, appProtocol: kubernetes.io/wss}", Protocol.HTTPS),
        ("{port: 80, name: https, appProtocol: my.company/thing}", Protocol.HTTPS),
    ],
)
def test_port_protocols(port: str, protocol: Protocol) -> None:
    assert service_of(f"{{ports: [{port}]}}").ports[0].protocol is protocol


def test_services() -> None:
    service = service_of(
        "{clusterIP: 10.0.0.9, selector: {app: a}, type: NodePort,"
        " ports: [{port: 80, targetPort: web, nodePort: 30080}]}",
        "{name: a, namespace: shop, annotations: {networking.istio.io/exportTo: '., web', other: x}}",
    )
    assert service.host == "a.shop.svc.cluster.local"
    assert service.addresses == ("10.0.0.9",)
    assert service.ports[0].target == "web"
    assert service.export_to == ("shop", "web")
    assert service.meta.annotations.pairs == (("networking.istio.io/exportTo", "., web"),)


def test_headless_and_external() -> None:
    headless = service_of("{clusterIP: None, selector: {app: a}}")
    assert (headless.headless, headless.resolution, headless.addresses) == (True, Resolution.NONE, ())
    external = service_of("{type: ExternalName, externalName: api.example.com}")
    assert external.alias_of == "api.example.com"


def test_documents_of_a_cluster_read_without_a_word() -> None:
    loaded = good((SAMPLES / "from-a-cluster.yaml").read_text())
    (deployment,) = loaded.objects.deployments
    container = deployment.template.containers[0]
    assert deployment.template.service_account == "bookinfo-reviews"
    assert deployment.meta.created == "2026-11-02T08:15:00Z"
    assert [(variable.name, variable.field_path, variable.secret, variable.key) for variable in container.env] == [
        ("LOG_DIR", "", "", ""),
        ("POD_NAME", "metadata.name", "", ""),
        ("TOKEN", "", "reviews-token", "token"),
    ]
    assert container.readiness is not None
    assert (container.readiness.type, container.readiness.port, container.readiness.path) == (
        ProbeType.HTTP,
        "http",
        "/health",
    )
    assert container.readiness.period == 5000
    assert container.pre_stop == Hook(Probe(ProbeType.EXEC, command=("sleep", "5")))
    (pod,) = loaded.objects.pods
    assert (pod.address, pod.ready) == ("10.244.0.17", True)
    assert pod.template.labels.get("pod-template-hash") == "7d4f9"


def test_secrets() -> None:
    loaded = good(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/tls\n"
        "data: {tls.crt: Y2VydA==, tls.key: a2V5}\nstringData: {ca.crt: authority}\n"
    )
    (secret,) = loaded.objects.secrets
    (content,) = loaded.objects.secret_contents
    assert (secret.use, secret.has_ca) == (SecretUse.TLS, True)
    assert dict(content.data) == {"tls.crt": b"cert", "tls.key": b"key", "ca.crt": b"authority"}
    assert "cert" not in repr(secret).replace("secret", "")
    other = good("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {tls.crt: Y2VydA==}\n").objects.secrets[0]
    assert other.use is SecretUse.OTHER
    assert other.fingerprint != secret.fingerprint


@pytest.mark.parametrize(
    "body",
    ["data: {a: 12345678}", "data: 's3cr3t'", "data: {a: {b: s3cr3t}}", "data: {a: [s3cr3t]}", "dta: {a: s3cr3t}",
     "stringData: {a: 12345678}", "data: {a: 's3cr3t!'}", "type: 12345678", "immutable: s3cr3t", "data: [s3cr3t]"],
)  # fmt: skip
def test_no_value_of_a_secret_is_told(body: str) -> None:
    findings = load(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\n{body}\n").diagnostics
    assert findings
    told = " ".join(f"{finding.message} {finding.fix}" for finding in findings)
    assert "s3cr3t" not in told
    assert "12345678" not in told


def test_namespaces_accounts_and_config_maps() -> None:
    objects = good(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n",
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, namespace: shop}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {b: '2', a: '1'}\n",
    ).objects
    assert objects.namespaces[0].meta.ref.namespace == ""
    assert objects.service_accounts[0].meta.namespace == "shop"
    assert objects.config_maps[0].data == (("a", "1"), ("b", "2"))


@pytest.mark.parametrize("kind", ["Job", "ReplicaSet", "CronJob"])
def test_other_kinds_are_noted(kind: str) -> None:
    (finding,) = load(f"apiVersion: batch/v1\nkind: {kind}\nmetadata: {{name: a}}\n").diagnostics
    assert (finding.code.id, finding.fix) == ("MW0004", "nothing to do: the mesh works without it")


def test_gateways_of_other_groups_are_other_kinds() -> None:
    (finding,) = load("apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: a}\n").diagnostics
    assert (finding.code.id, finding.fix) == ("MW0004", "the mesh reads Gateway of networking.istio.io/v1")


def test_security_that_is_not_enforced_is_said() -> None:
    (finding,) = load(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\n"
    ).diagnostics
    assert finding.fix == "take care: what it asks for is not enforced yet"


def test_kinds_that_are_not_used_are_told_once() -> None:
    one = "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: NAME}\n"
    assert len(load(one.replace("NAME", "a"), one.replace("NAME", "b")).diagnostics) == 1


INIT_POD = """{restartPolicy: OnFailure, containers: [{name: app, image: x}], initContainers: [
  {name: istio-proxy, image: any, restartPolicy: Always}, {name: first, image: x, command: [sh]},
  {name: beside, image: x, restartPolicy: Always, ports: [{containerPort: 9090, name: http}]}]}"""


def test_init_containers_but_for_what_injection_adds() -> None:
    [pod] = good(document("Pod", INIT_POD, api_version="v1")).objects.pods
    assert [(each.name, each.stays) for each in pod.template.init_containers] == [("first", False), ("beside", True)]
    assert [each.name for each in pod.template.serving] == ["app", "beside"]


def test_containers_and_init_containers_share_their_names() -> None:
    [found] = load(document("Pod", INIT_POD.replace("name: first", "name: app"), api_version="v1")).diagnostics
    assert (found.origin.path, found.code.id) == ("spec.initContainers[1].name", "MW0010")
    [found] = load(document("Pod", INIT_POD.replace("Always, ports", "Never, ports"), api_version="v1")).diagnostics
    assert found.origin.path == "spec.initContainers[2].restartPolicy"


def hooks_of(lifecycle: str) -> tuple[Hook | None, Hook | None]:
    [pod] = good(
        document("Pod", f"{{containers: [{{name: a, image: x, lifecycle: {lifecycle}}}]}}", api_version="v1")
    ).objects.pods
    [container] = pod.template.containers
    return container.post_start, container.pre_stop


def test_hooks_are_read_as_probes_are() -> None:
    header = "[{name: X-Why, value: stop}]"
    start, stop = hooks_of(
        f"{{postStart: {{httpGet: {{port: http, path: /warm, scheme: HTTPS, httpHeaders: {header}}}}}, "
        "preStop: {exec: {command: [sh, -c, sync]}}}"
    )
    assert start == Hook(Probe(ProbeType.HTTP, "http", "/warm", "HTTPS", (("X-Why", "stop"),)))
    assert stop == Hook(Probe(ProbeType.EXEC, command=("sh", "-c", "sync")))
    assert hooks_of("{preStop: {sleep: {seconds: 30}}}") == (None, Hook(sleep=Milliseconds(30_000)))
    assert hooks_of("{preStop: {sleep: {seconds: 0}}}") == (None, Hook())
    assert hooks_of("{}") == (None, None)


def test_a_hook_of_which_nothing_is_left_is_none() -> None:
    spec = "{containers: [{name: a, image: x, lifecycle: {preStop: {tcpSocket: {port: 1}}}}]}"
    loaded = load(document("Pod", spec, api_version="v1"))
    [pod] = loaded.objects.pods
    assert pod.template.containers[0].pre_stop is None
    assert [each.code.id for each in loaded.diagnostics] == ["MW0012"]
