"""`exec -t`: the command in the pod has a terminal of its own, joined to the one that the user sits at."""

import os
import pty
import signal

from tests.live.mesh import HANG, Mesh


def sleeping(mesh: Mesh) -> bool:
    """Whether the sleep runs in the client's pod."""
    script = "for each in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $each; echo; done 2>/dev/null"
    lines = mesh.exec("deploy/client.live", "sh", "-c", script, check=False).stdout.splitlines()
    return any(line.startswith("sleep 900") for line in lines)


def test_a_shell_in_a_pod_has_a_terminal_and_job_control(mesh: Mesh) -> None:
    words = [*mesh.program, "exec", "-t", "--data", str(mesh.data), "deploy/client.live", "--", "sh"]
    pid, outer = pty.fork()
    if pid == 0:
        os.execvpe(words[0], words, {**os.environ, **mesh.environment})
    signal.alarm(HANG)
    try:
        said = b""
        for typed, awaited in (
            (b"", b"$ "),
            (b"echo $((6*7)) > /dev/tty\r", b"\n42\r"),
            (b"sleep 900\r", b"900\r\n"),
        ):
            os.write(outer, typed)
            while awaited not in said:
                said += os.read(outer, 65536)
        mesh.eventually(lambda: sleeping(mesh), "the sleep has begun")
        os.write(outer, b"\x03")  # ^C ends the sleep, not the shell
        mesh.eventually(lambda: not sleeping(mesh), "the sleep has ended")
        os.write(outer, b"exit 5\r")
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 5
    finally:
        signal.alarm(0)
        os.close(outer)


def test_without_a_terminal_it_says_so(mesh: Mesh) -> None:
    done = mesh.run("exec", "-t", "deploy/client.live", "--", "true", check=False)
    assert done.returncode == 2
    assert "leave -t out" in done.stderr
