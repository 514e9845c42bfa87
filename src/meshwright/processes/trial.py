"""Can this machine make a sandbox? Make a small one, use all that a real one needs, and let it go.

`python -m meshwright.processes trial root|user|user-single` exits 0 when everything works, else 1 with the reason on
stderr. It is a process of its own because entering namespaces cannot be undone.
"""

import os
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path

from meshwright.processes import identities, interception, launcher, network, sandbox

_SUBNET = network.Subnet(IPv4Network("10.244.0.0/24"))


def _run(argv: tuple[str, ...], text: str) -> None:
    env = {"PATH": launcher.DEFAULT_PATH}
    program = launcher.find_program(argv[0], env)
    finished = subprocess.run(
        [program, *argv[1:]], input=text.encode(), capture_output=True, check=False, env=env, timeout=5
    )
    if finished.returncode != 0:
        raise OSError(f"{argv[0]}: {finished.stderr.decode(errors='replace').strip()[:300]}")


def _exercise() -> None:
    """In the sandbox's process 1: a bridge, a pod's namespace with address, and its rules."""
    _run(("ip", "-batch", "-"), network.bridge_batch(_SUBNET) + network.attach_batch(0))
    launcher.enter_network(sandbox.NETNS_FOLDER / network.namespace_name(0))
    _run(("ip", "-batch", "-"), network.inside_batch(_SUBNET, "10.244.0.2"))
    exclusion = identities.current_plan().exclusion
    _run(("nft", "-f", "-"), interception.ruleset(interception.Interception(), exclusion, _SUBNET.gateway))


def attempt(what: str) -> str:
    """Try one kind of sandbox; the reason why it does not work, "" when it does."""
    ranges = identities.own_ranges() if what == "user" else None
    if what == "user" and ranges is None:
        return "no range for this user in /etc/subuid and /etc/subgid"
    said, say = os.pipe()
    try:
        pid = sandbox.start("root" if what == "root" else "user", ranges, keep=(Path.cwd(),))
    except OSError as error:
        return str(error)
    if pid == 0:
        try:
            _exercise()
        except (OSError, subprocess.SubprocessError) as error:
            os.write(say, str(error).encode()[:2000])
        os._exit(0)
    os.close(say)
    reason = os.read(said, 4096).decode(errors="replace")
    os.waitpid(pid, 0)
    return reason


def main(argv: list[str] | None = None) -> int:
    what = (sys.argv[1:] if argv is None else argv)[0]
    reason = attempt(what)
    if reason:
        sys.stderr.write(reason + "\n")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
