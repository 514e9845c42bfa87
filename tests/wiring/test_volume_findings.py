"""Which volumes are told not to be mounted."""

from meshwright.model.pod import KeyPath, RestartPolicy, VolumeType
from meshwright.wiring.loading import load
from meshwright.wiring.volume_findings import volume_findings

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: demo}
spec:
  restartPolicy: OnFailure
  containers:
  - name: app
    image: x
    volumeMounts:
    - {name: conf, mountPath: /conf/, readOnly: true}
    - {name: logs, mountPath: /logs, subPath: a/b}
    - {name: kube-api-access-x7, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}
  volumes:
  - {name: conf, configMap: {name: settings, items: [{key: k, path: a/b, mode: 0400}], optional: true}}
  - {name: logs, hostPath: {path: /var/log}}
  - {name: unused, nfs: {server: x, path: /}}
  - {name: scratch, emptyDir: {medium: Memory, sizeLimit: 1Gi}}
  - {name: token, secret: {secretName: word, defaultMode: 256}}
  - {name: kube-api-access-x7, projected: {sources: []}}
"""


def test_what_is_read() -> None:
    loaded = load([("a.yaml", POD)])
    assert not loaded.diagnostics
    template = loaded.objects.pods[0].template
    assert template.restart_policy is RestartPolicy.ON_FAILURE
    conf, logs, _, scratch, token, _ = template.volumes
    assert (conf.type, conf.source, conf.optional) == (VolumeType.CONFIG_MAP, "settings", True)
    assert conf.items == (KeyPath("k", "a/b", 0o400),)
    assert (logs.type, logs.source) == (VolumeType.OTHER, "hostPath")
    assert scratch.type is VolumeType.EMPTY_DIR
    assert (token.type, token.source, token.mode) == (VolumeType.SECRET, "word", 0o400)
    first, second, _ = template.containers[0].mounts
    assert (first.path, first.read_only) == ("/conf", True)
    assert second.sub_path == "a/b"


def test_what_is_told() -> None:
    objects = load([("a.yaml", POD)]).objects
    [only] = volume_findings(objects, "root")
    assert (only.origin.path, only.args[0]) == ("spec.volumes[1]", "logs")
    assert [each.args[0] for each in volume_findings(objects, "loopback")] == ["conf", "logs"]


def test_a_mistake_is_refused_with_its_place() -> None:
    broken = POD.replace("mountPath: /logs, ", "").replace("name: unused, nfs", "name: unused, nsf")
    paths = {each.origin.path for each in load([("a.yaml", broken)]).diagnostics}
    assert "spec.volumes[2].nsf" in paths
    assert any(path.startswith("spec.containers[0].volumeMounts[1]") for path in paths)
