"""Pods of a running mesh, as root, as an ordinary user with one uid, and with subordinate uids."""

from typing import Any

from meshwright.processes.network import hardware_address
from tests.processes.machines import Machine


def test_the_sandbox_says_what_it_is(mesh: Machine) -> None:
    found = mesh.scenario("hello")
    assert found["rung"] == mesh.person.rung
    assert found["exclusion"] == ("mark" if mesh.person.single_uid else "uid")
    assert (found["uids"] == 1) == mesh.person.single_uid
    assert found["nameserver"] == "10.244.0.1"


def test_pods_reach_each_other(mesh: Machine) -> None:
    found = mesh.scenario("traffic")
    expected = f"app 80 meant  from {found['from']}"
    assert (found["by_name"], found["by_address"], found["hosts"]) == (expected, expected, expected)


def test_neighbours_stay_where_they_are(mesh: Machine) -> None:
    """A new pod must not change how others reach the bridge (DNS), nor be found where its predecessor was."""
    found = mesh.scenario("neighbours")
    assert len(set(found["known"])) == 1, found
    rows = found["known"][0]
    for address in (found["bridge"], found["pod"]):
        assert f"{address} {hardware_address(address)}" in rows


def test_names(mesh: Machine) -> None:
    found: dict[str, Any] = mesh.scenario("names")
    assert all(answer["same"] for key, answer in found.items() if key != "libc")
    short = {key: (answer["code"], answer["addresses"]) for key, answer in found.items() if key != "libc"}
    for key in ("a", "case", "tcp", "other_server", "after_rubbish"):
        assert short[key] == (0, ["240.240.0.7"]), key
    for key in ("nodata", "srv", "above"):
        assert short[key] == (0, []), f"{key}: the name exists, so it must not be denied"
    assert short["two"] == (0, ["10.0.0.1", "10.0.0.2"])
    assert short["aaaa"] == (0, ["fd00::5"])
    assert short["unknown"] == (3, [])
    assert short["wildcard"] == (0, ["240.240.1.1"])
    assert short["outside"][0] in {2, 3}, "the host's resolver denies it, or there is none: never an answer"
    assert found["cut"]["cut"]
    assert not found["whole"]["cut"]
    assert len(found["whole"]["addresses"]) == 100
    assert "240.240.0.7" in found["libc"]
    assert "none" in found["libc"]


def test_interception(mesh: Machine) -> None:
    found: dict[str, str] = mesh.scenario("interception")
    own, ext = found["own"], found["ext"]
    through = {key: value.split() for key, value in found.items() if key not in {"own", "ext"}}

    def seen(key: str) -> tuple[str, str, str]:
        words = through[key]
        meant = words[words.index("meant") + 1]
        return words[0], words[1], "" if meant == "from" else meant

    # What the application opens goes to its Envoy, which learns where it was meant to go.
    assert seen("app_to_vip") == ("proxy", "15001", "240.240.0.9:80")
    assert seen("app_to_ext") == ("proxy", "15001", f"{ext}:9000")
    assert seen("app_excluded_port")[:2] == ("app", "9200")
    assert seen("app_to_self")[:2] == ("app", "8080")
    assert seen("app_to_loopback")[:2] == ("app", "8080")
    # What Envoy opens leaves, except to its own pod's address: that comes in by the front door.
    assert seen("envoy_to_ext")[:2] == ("app", "9000")
    assert seen("envoy_to_own_pod") == ("proxy", "15006", f"{own}:8080")
    assert seen("envoy_to_app")[:2] == ("app", "8080")
    assert seen("envoy_to_app_by_pod_ip")[:2] == ("app", "8080")
    # What comes from outside meets Envoy, except where it was told not to and on Envoy's own ports.
    assert seen("ext_to_pod") == ("proxy", "15006", f"{own}:8080")
    assert through["ext_to_pod"][-1] == ext
    assert seen("ext_excluded")[:2] == ("app", "9100")
    assert seen("ext_to_ready")[:2] == ("proxy", "15021")
    assert seen("probe")[:2] == ("app", "8080")
    assert seen("from_bridge") == ("proxy", "15006", f"{own}:8080")


def test_an_application_is_locked_in(mesh: Machine) -> None:
    found = mesh.scenario("isolation")
    results: dict[str, list[Any]] = found["app"]
    codes = {key: code for key, (code, _) in results.items()}
    caps = results["caps"][1]
    assert caps.count("0000000000000000") == 5, caps
    assert "NoNewPrivs:\t1" in caps
    assert results["data"][1].strip().endswith("No such file or directory") or results["data"] == [0, ""]
    words = results["tmp"][1].replace("/tmp:", "").replace("/dev/shm:", "").split()
    assert [word for word in words if not word.startswith("mwp")] == [], "only the way to its own program is there"
    refused = {"key", "socket", "memory", "root", "namespaces", "netns", "rules", "link", "mount", "raw", "mark"}
    if not mesh.person.single_uid:
        refused |= {"signal", "environment"}
    else:
        refused -= {"memory", "root"}
    assert [key for key in sorted(refused) if codes[key] == 0] == []
    assert found["proxy_sees"] == "private key of the victim", "its own Envoy must see the pod's folder"
    assert found["who"][0] == "victim"
    kept = found["proxy_caps"].count("0000000000001000")
    assert kept == (5 if mesh.person.single_uid else 0), "Envoy has one right where packets need a mark, else none"


def test_spawning(mesh: Machine) -> None:
    found = mesh.scenario("spawning")
    assert found["missing"][0] == "not-started"
    assert "/no/such/program" in found["missing"][1]
    assert "not found in PATH" in found["not_in_path"][1]
    assert found["exit"] == ["app", 7]
    assert found["output"] == ["from a volume", "hi", "oops", "/usr", ""]
    assert found["twice"] == "exists"
    assert found["outside"], "a pidfd leads to the process as counted outside"
    assert found["killed"] == 15
    assert found["left"] == []


def test_exposed_paths(mesh: Machine) -> None:
    found = mesh.scenario("exposing")
    if mesh.person.single_uid:
        assert found["real"][0] == found["link"][0] == 0
    else:
        assert found == {"real": [0, ["tool"]], "link": [0, ["link", "tool"]]}


def test_exec(mesh: Machine) -> None:
    found = mesh.scenario("executing")
    assert (found["code"], found["out"]) == (5, "HELLO FROM OUTSIDE\n")
    assert found["killed"] == 137
    assert found["tty"].split()[0] == "yes"
    assert found["tty"].split()[1] != "?", "the terminal is the program's controlling one"
    assert found["gone"], "a program ends when its client goes"


def test_exec_can_share_the_file_system_of_a_process(mesh: Machine) -> None:
    found = mesh.scenario("joining")
    assert found["code"] == found["shared"] == 0
    assert found["said"][0] == "kept"
    assert found["said"][1].startswith("joined")
    assert found["said"][3] == "more"
    assert "note" not in found["apart"][1].split(), "others have a /tmp of their own"
    assert found["refused"] == "not-found"


def test_a_restarted_agent_finds_everything(root_mesh: Machine) -> None:
    first = root_mesh.scenario("adoption", "start", "")
    assert root_mesh.scenario("adopted_exit", first["pod"]) == 4
    assert root_mesh.scenario("adoption", "again", first["pod"]) == first


def test_rude_clients(root_mesh: Machine) -> None:
    found = root_mesh.scenario("rude_clients")
    assert found["codes"] == [
        *("bad-request" for _ in range(3)),
        "unknown-operation",
        *("bad-request" for _ in range(7)),
    ]
    assert found["hung_up"]
    assert found["alive"] == 1


def test_many_pods_at_once(mesh: Machine) -> None:
    found = mesh.scenario("many", 20)
    assert found == {"same": True, "uids": 1 if mesh.person.single_uid else 20, "clash": "exists", "left": []}


def test_nothing_of_a_removed_pod_runs_on(root_mesh: Machine) -> None:
    assert root_mesh.scenario("strays") == [True, False]


def test_other_users_may_not_talk_to_the_holder(root_mesh: Machine) -> None:
    other = type(root_mesh.person)("other", 65_533, "user")
    stranger = Machine(other, root_mesh.folder, root_mesh.code, root_mesh.python)
    done = stranger.run(root_mesh.python, "-c", f"import os; os.listdir({str(root_mesh.data.root)!r})", check=False)
    assert "Permission" in done.stderr
