"""A whole mesh for the live tests, driven as its user drives it: by the command line."""

import base64
import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
CONFIGS = HERE / "configs"
MESHWRIGHT = Path(sys.executable).parent / "meshwright"
PLACE = "/var/tmp"  # pods have a /tmp of their own; what a command names there is shown to it, certificates are not
HANG = 120  # seconds after which a command of ours is taken to hang


@dataclass(frozen=True)
class Answer:
    """One answer that a client in a pod got; status 0 = none."""

    status: int
    headers: dict[str, str]
    body: str
    seconds: float
    error: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def version(self) -> str:
        return self.json.get("version", "") if self.body.startswith("{") else ""


@dataclass
class Mesh:
    """A running mesh; made by `up`, ended by `down`."""

    data: Path
    host_port: int
    host_tls_port: int
    programs: Path
    api_port: int
    environment: dict[str, str] = field(default_factory=dict[str, str])
    wrapper: tuple[str, ...] = ()
    program: tuple[str, ...] = (str(MESHWRIGHT),)

    def run(self, *words: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run one meshwright command on this mesh."""
        command = [*self.wrapper, *self.program, words[0], "--data", str(self.data), *words[1:]]
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=HANG,
            check=False,
            env={**os.environ, **self.environment},
            cwd="/",
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command} exited with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def up(self, configs: Iterable[Path], profile: str = "default", rung: str = "", *, visitors: bool = False) -> str:
        """Start the mesh and return what `up` printed."""
        words = ["--detach", "--profile", profile, "--http-port", str(self.host_port)]
        words += ["--https-port", str(self.host_tls_port), "--api-port", str(self.api_port)]
        words += ["--rung", rung] if rung else []
        words += ["--no-visitors"] if profile == "demo" and not visitors else []
        for config in configs:
            words += ["-f", str(config)]
        return self.run("up", *words).stdout

    def down(self) -> str:
        """End everything; the data directory goes too."""
        return self.run("down", "--purge").stdout

    def status(self) -> dict[str, Any]:
        return json.loads(self.run("status", "-o", "json").stdout)

    def exec(self, pod: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command inside a pod (`name.namespace` or `deploy/name.namespace`)."""
        return self.run("exec", pod, "--", *words, check=check)

    def python(self, pod: str, program: str, *words: str) -> str:
        """Run one of the test programs inside a pod and return its output."""
        return self.exec(pod, sys.executable, str(self.programs / program), *words).stdout

    def ask(self, url: str, pod: str = "deploy/client.live", **spec: Any) -> list[Answer]:
        """Send requests from inside a pod; `spec` as tests/live/programs/client.py says."""
        answers = json.loads(self.python(pod, "client.py", json.dumps({"url": url, **spec})))
        return [Answer(**answer) for answer in answers]

    def one(self, url: str, pod: str = "deploy/client.live", **spec: Any) -> Answer:
        return self.ask(url, pod, **spec)[0]

    def versions(self, url: str, count: int, **spec: Any) -> Counter[str]:
        """How many of `count` requests each version of the backend answered."""
        return Counter(answer.version for answer in self.ask(url, count=count, **spec))

    def counts(self, deployment: str) -> dict[str, int]:
        """The backend's own counts, asked inside its pod, past every proxy."""
        return self.one("http://127.0.0.1:8000/counts", f"deploy/{deployment}.live").json

    def eventually(self, claim: Callable[[], bool], what: str, seconds: float = 30) -> None:
        """Wait until `claim` holds; a hang guard, not a measurement."""
        end = time.monotonic() + seconds
        while not claim():
            assert time.monotonic() < end, f"not within {seconds} s: {what}"
            time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def new_mesh(base: Path | None = None) -> Mesh:
    """A mesh that is not up yet, with its own data directory and ports. Programs are copied to where other
    users can read them.
    """
    folder = Path(tempfile.mkdtemp(prefix="mwl", dir=base or PLACE))
    folder.chmod(0o755)
    programs = folder / "programs"
    shutil.copytree(PROGRAMS, programs, ignore=shutil.ignore_patterns("__pycache__"))
    return Mesh(folder / "data", free_port(), free_port(), programs, free_port())


@contextmanager
def own_mesh() -> Generator[Mesh]:
    """A new mesh, of which nothing is left afterwards, whether or not it was up."""
    made = new_mesh()
    try:
        yield made
    finally:
        made.run("down", "--purge", check=False)
        shutil.rmtree(made.programs.parent, ignore_errors=True)


def apply(mesh: Mesh, text: str) -> dict[str, object]:
    """Apply objects with the command line and wait until every proxy runs them; its answer."""
    answer = json.loads(mesh.run("apply", "-f", "-", "--wait", "-o", "json", stdin=text).stdout)
    assert answer["change"] is None or answer["receipt"]["live"]
    return answer


def echo_service(name: str) -> str:
    """One more Service of the echo workload, for rules that no other test is to meet."""
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: live}}
spec:
  selector: {{app: echo}}
  ports: [{{name: http, port: 8000}}]
---"""


def certificates(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """A CA and a server certificate for `names` in `folder` (ca.pem, server.pem = chain and key); also base64."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "live test CA")])
    now = dt.datetime.now(dt.UTC)

    def start(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )

    ca = start(ca_name, ca_key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    ca_pem = ca.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    leaf = start(subject, key.public_key()).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
    )
    leaf_pem = leaf.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(ca_pem)
    (folder / "server.pem").write_bytes(leaf_pem + key_pem)
    return {
        "gateway_certificate": base64.b64encode(leaf_pem).decode(),
        "gateway_key": base64.b64encode(key_pem).decode(),
    }


def fill_in(mesh: Mesh, names: Iterable[str], values: dict[str, str] | None = None) -> list[Path]:
    """The named configurations with their placeholders filled in, as files of the mesh."""
    out = mesh.programs.parent / "configs"
    out.mkdir(exist_ok=True)
    known = {"python": sys.executable, "programs": str(mesh.programs), **(values or {})}
    files: list[Path] = []
    for name in names:
        text = (CONFIGS / f"{name}.yaml").read_text()
        for key, value in known.items():
            text = text.replace(f"{{{key}}}", value)
        file = out / f"{name}.yaml"
        file.write_text(text)
        files.append(file)
    return files
