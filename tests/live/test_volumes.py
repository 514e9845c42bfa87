"""Volumes and restartPolicy in real pods: files where they are mounted, kept up to date, gone with the pod."""

from tests.live.kubectl import kubectl
from tests.live.mesh import Mesh, apply

OBJECTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: volume-settings, namespace: live}
data: {app.conf: "colour=COLOUR", run.sh: "#!/bin/sh\\necho script ran\\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: volume-token, namespace: live}
stringData: {word: hush-hush}
---
apiVersion: v1
kind: Pod
metadata: {name: volumes, namespace: live, labels: {app: volumes}}
spec:
  containers:
  - name: app
    image: python
    command: [sh, -c, "/scripts/go; cat /etc/mw-tokens/word /settings/app.conf; cat /etc/mw-one.conf; sleep 1000"]
    volumeMounts:
    - {name: settings, mountPath: /settings}
    - {name: scripts, mountPath: /scripts/}
    - {name: token, mountPath: /etc/mw-tokens}
    - {name: scratch, mountPath: /opt/nowhere/yet}
    - {name: scratch, mountPath: /srv/scratch, readOnly: true}
    - {name: settings, mountPath: /etc/mw-one.conf, subPath: app.conf}
    - {name: host, mountPath: /hostlogs}
  volumes:
  - {name: settings, configMap: {name: volume-settings}}
  - {name: scripts, configMap: {name: volume-settings, defaultMode: 0755, items: [{key: run.sh, path: go}]}}
  - {name: token, secret: {secretName: volume-token}}
  - {name: scratch, emptyDir: {}}
  - {name: host, hostPath: {path: /var/log}}
"""
ENDING = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: live}
spec:
  restartPolicy: POLICY
  containers:
  - {name: app, image: python, command: [sh, -c, "echo ran; exit CODE"]}
"""


def inside(mesh: Mesh, script: str) -> str:
    """What a shell in the container says: with kubectl, which shares the container's file systems."""
    return kubectl(mesh, "exec", "-n", "live", "volumes", "-c", "app", "--", "sh", "-c", script)


def pod(mesh: Mesh, name: str, field: str) -> str:
    return kubectl(mesh, "get", "pod", name, "-n", "live", "-o", f"jsonpath={{{field}}}")


def test_volumes(mesh: Mesh) -> None:
    done = mesh.run("apply", "-f", "-", stdin=OBJECTS.replace("COLOUR", "blue"))
    assert "volume host is not mounted: hostPath is not known here" in done.stderr
    try:
        mesh.eventually(lambda: pod(mesh, "volumes", ".status.phase") == "Running", "the pod runs")
        mesh.eventually(
            lambda: mesh.run("logs", "volumes.live").stdout == "script ran\nhush-hushcolour=bluecolour=blue", "files"
        )
        written = (
            "echo x > /opt/nowhere/yet/file && cat /srv/scratch/file && ! touch /srv/scratch/no && ls -d /usr/bin"
        )
        assert inside(mesh, written) == "x\n/usr/bin\n"
        assert inside(mesh, "! touch /settings/no && ! touch /etc/mw-tokens/no && echo refused") == "refused\n"
        apply(mesh, OBJECTS.partition("---")[0].replace("COLOUR", "green"))
        mesh.eventually(lambda: inside(mesh, "cat /settings/app.conf") == "colour=green", "the file follows")
        assert inside(mesh, "ls /settings") == "app.conf\nrun.sh\n"
    finally:
        kubectl(mesh, "delete", "pod", "volumes", "-n", "live")
    mesh.eventually(lambda: not (mesh.data / "volumes" / "volumes.live").exists(), "nothing is left of them")


def test_containers_that_end_for_good(mesh: Mesh) -> None:
    cases = {
        ("once", "Never", "0"): "Succeeded",
        ("failed", "Never", "3"): "Failed",
        ("done", "OnFailure", "0"): "Succeeded",
    }
    for (name, policy, code), phase in cases.items():
        apply(mesh, ENDING.replace("NAME", name).replace("POLICY", policy).replace("CODE", code))
        mesh.eventually(
            lambda name=name, phase=phase: pod(mesh, name, ".status.phase") == phase, f"{name} is {phase}"
        )
        assert pod(mesh, name, ".status.containerStatuses[0].restartCount") == "0"
        assert pod(mesh, name, ".status.containerStatuses[0].state.terminated.exitCode") == code
        assert mesh.run("logs", f"{name}.live").stdout == "ran\n"
    apply(mesh, ENDING.replace("NAME", "again").replace("POLICY", "OnFailure").replace("CODE", "3"))
    mesh.eventually(lambda: int(pod(mesh, "again", ".status.containerStatuses[0].restartCount") or 0) > 0, "restarts")
    kubectl(mesh, "delete", "pod", "once", "failed", "done", "again", "-n", "live")
