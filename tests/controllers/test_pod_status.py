"""What machines say of pods becomes their status and Events, and ends are final."""

from dataclasses import replace

from meshwright.controllers.pod_status import Report
from meshwright.controllers.resources import EVENTS, NODES, PODS
from meshwright.controllers.values import timestamp
from meshwright.model.names import Milliseconds
from meshwright.model.planned_pod import ContainerStatus, Occurrence, PodPhase, PodStatus
from meshwright.store.names import EpochMilliseconds, Json, Key, Owner, is_of_controller
from tests.controllers.cluster import START, Cluster, reasons, scenario, template

LONE = Key(PODS, "default", "lone")
RUNNING = ContainerStatus("app", ready=True, restarts=0, reason="Running", pid=7)


async def lone(world: Cluster) -> Json:
    await world.put(LONE, {"apiVersion": "v1", "kind": "Pod", **template()})
    await world.settle()
    return (await world.there(LONE)).value


async def say(world: Cluster, container: ContainerStatus, phase: PodPhase = PodPhase.RUNNING) -> Json:
    world.clock.pass_seconds(10)
    status = PodStatus(phase, container.ready, proxy_ready=False, containers=(container,))
    world.statuses.set("default", "lone", Report(status, "10.1.0.9", "10.0.0.1"))
    await world.statuses.flush()
    return (await world.there(LONE)).status


def container(status: Json) -> Json:
    return status["containerStatuses"][0]


def since(status: Json, kind: str) -> tuple[str, str]:
    found = next(each for each in status["conditions"] if each["type"] == kind)
    return found["status"], found["lastTransitionTime"][-9:-1]


@scenario("memory")
async def test_what_a_person_must_change_is_an_event_once(world: Cluster) -> None:
    """Events are what `kubectl describe` shows; of containers that wait it shows no message."""
    await lone(world)

    async def told() -> list[tuple[str, int, str]]:
        events = [event.value for event in await world.all(EVENTS) if event.value["reason"] == "Failed"]
        return [(each["type"], each["count"], each["message"]) for each in events]

    waiting = ContainerStatus("app", ready=False, restarts=0, reason="NoImageEntry", message="add an entry")
    for _ in range(2):
        await say(world, waiting, PodPhase.PENDING)
        assert await told() == [("Warning", 1, "Container app cannot start: NoImageEntry: add an entry")]
    await say(world, replace(waiting, reason="ContainerCreating", message="soon"), PodPhase.PENDING)
    assert len(await told()) == 1


@scenario()
async def test_a_status_has_what_people_look_for_and_times_move_only_when_something_does(world: Cluster) -> None:
    await lone(world)
    waiting = ContainerStatus("app", ready=False, restarts=0, reason="NoImageEntry", message="add an entry")
    status = await say(world, waiting, PodPhase.PENDING)
    assert (status["phase"], status["podIP"], status["hostIP"]) == ("Pending", "10.1.0.9", "10.0.0.1")
    assert container(status)["state"] == {"waiting": {"reason": "NoImageEntry", "message": "add an entry"}}
    assert since(status, "Ready") == ("False", "08:00:10")
    status = await say(world, RUNNING)
    assert status["phase"] == "Running"
    assert {each["type"] for each in status["conditions"]} == {
        "PodScheduled",
        "Initialized",
        "ContainersReady",
        "Ready",
    }
    assert since(status, "Ready") == ("True", "08:00:20")
    assert since(status, "PodScheduled") == ("True", "08:00:10")
    assert container(status)["state"]["running"]["startedAt"].endswith("08:00:20Z")
    head = (await world.store.head()).revision
    assert await say(world, RUNNING) == status
    assert (await world.store.head()).revision == head, "nothing is written where nothing moved"
    await world.store.set_condition(LONE, Owner("mesh"), {"type": "Live", "status": "True"})
    status = await say(world, replace(RUNNING, ready=False, message="probe failed"))
    assert since(status, "Ready") == ("False", "08:00:40")
    assert "Live" in {each["type"] for each in status["conditions"]}, "conditions of others stay"
    assert await reasons(world, "lone") == {"Scheduled", "Failed", "Started"}


@scenario("memory")
async def test_a_container_that_ends_again_and_again_is_counted(world: Cluster) -> None:
    await lone(world)
    await say(world, RUNNING)
    for count in (1, 2):
        crash = ContainerStatus("app", ready=False, restarts=count, reason="CrashLoopBackOff", exit_code=3)
        status = await say(world, crash)
        assert container(status)["state"] == {"waiting": {"reason": "CrashLoopBackOff"}}
        assert container(status)["lastState"]["terminated"]["exitCode"] == 3
        status = await say(world, replace(RUNNING, restarts=count, pid=7 + count))
        assert container(status)["restartCount"] == count
        assert container(status)["lastState"]["terminated"]["exitCode"] == 3
    events = {event.value["reason"]: event.value for event in await world.all(EVENTS)}
    assert (events["BackOff"]["count"], events["BackOff"]["type"]) == (2, "Warning")
    assert events["Started"]["count"] == 3
    assert events["Started"]["firstTimestamp"] < events["Started"]["lastTimestamp"]


@scenario("memory")
async def test_a_pod_ends_once_and_another_one_with_its_name_is_not_touched(world: Cluster) -> None:
    value = await lone(world)
    await say(world, RUNNING)
    world.statuses.finish("default", "lone")
    await world.statuses.flush()
    assert await world.get(LONE) is not None, "nobody has asked it to end"
    await world.delete(LONE, grace_seconds=30)
    status = await say(world, replace(RUNNING, ready=False), PodPhase.TERMINATING)
    assert status["phase"] == "Running"
    await say(world, replace(RUNNING, ready=False), PodPhase.TERMINATING)
    assert {event.value["count"] for event in await world.all(EVENTS) if event.value["reason"] == "Killing"} == {1}
    world.statuses.finish("default", "lone", value["metadata"]["uid"])
    await world.statuses.flush()
    assert await world.get(LONE) is None
    assert is_of_controller((await world.store.changes(1))[0].author), "no person took it away"
    again = await lone(world)
    old = Report(PodStatus(PodPhase.RUNNING, True, False, (RUNNING,)), "10.1.0.9")  # noqa: FBT003
    world.statuses.set("default", "lone", old, value["metadata"]["uid"])
    world.statuses.finish("default", "other")
    await world.statuses.flush()
    assert (await world.there(LONE)).value == again


# ------------------------------------------------------------ what the machine counts


def unhealthy(world: Cluster, count: int, why: str, began: int = 0) -> tuple[Occurrence, ...]:
    """Failures of a readiness probe up to now, counted since `began` seconds after the test's start."""
    now = Milliseconds(world.clock.now)
    first = Milliseconds(START + began * 1000)
    return (Occurrence("Unhealthy", "readiness", f"Readiness probe failed: {why}", True, count, first, now),)  # noqa: FBT003


@scenario()
async def test_what_a_probe_says_again_and_again_is_one_event_with_a_count(world: Cluster) -> None:
    """Also when it says something else each time."""
    await lone(world)
    await say(world, RUNNING)

    async def told() -> list[tuple[str, int, str, str]]:
        events = [event.value for event in await world.all(EVENTS) if event.value["reason"] == "Unhealthy"]
        return [(each["type"], each["count"], each["message"], each["firstTimestamp"]) for each in events]

    for count in (1, 7):
        status = replace(RUNNING, ready=False, told=unhealthy(world, count, f"number {count}"))
        await say(world, status)
        message = f"Readiness probe failed: number {count}"
        assert await told() == [("Warning", count, message, timestamp(EpochMilliseconds(START)))]
        [event] = [each for each in await world.all(EVENTS) if each.value["reason"] == "Unhealthy"]
        assert event.value["involvedObject"]["fieldPath"] == "spec.containers{app}"
        head = (await world.store.head()).revision
        await say(world, status)
        assert (await world.store.head()).revision == head, "nothing is written where nothing moved"
    again = unhealthy(world, 1, "an agent that counts anew", began=60)
    await say(world, replace(RUNNING, ready=False, told=again))
    assert sorted(count for _, count, _, _ in await told()) == [1, 7]


@scenario("memory")
async def test_an_event_that_was_forgotten_does_not_come_back_with_the_next_status(world: Cluster) -> None:
    await lone(world)
    old = unhealthy(world, 3, "long ago")
    await say(world, replace(RUNNING, ready=False, told=old))
    world.clock.pass_seconds(3_700)
    await world.controllers.settle()
    await say(world, replace(RUNNING, told=old))
    assert not [event for event in await world.all(EVENTS) if event.value["reason"] == "Unhealthy"]


@scenario("memory")
async def test_what_was_told_last_of_a_pod_that_has_gone_is_kept(world: Cluster) -> None:
    """A preStop hook fails shortly before the end; both may come at once."""
    await lone(world)
    await say(world, RUNNING)
    await world.delete(LONE, grace_seconds=30)
    now = Milliseconds(world.clock.now)
    failed = Occurrence("FailedPreStopHook", "", "PreStopHook failed: exit code 3: ", True, 1, now, now)  # noqa: FBT003
    status = PodStatus(
        PodPhase.TERMINATING, ready=False, proxy_ready=False, containers=(replace(RUNNING, told=(failed,)),)
    )
    world.statuses.set("default", "lone", Report(status, ""))
    world.statuses.finish("default", "lone")
    world.statuses.finish("default", "lone")
    await world.statuses.flush()
    assert await world.get(LONE) is None
    assert "FailedPreStopHook" in await reasons(world, "lone")


@scenario("memory")
async def test_a_pod_that_leaves_keeps_the_address_it_was_told_with(world: Cluster) -> None:
    await lone(world)
    await say(world, RUNNING)
    status = PodStatus(PodPhase.TERMINATING, ready=False, proxy_ready=False, containers=(RUNNING,))
    world.statuses.set("default", "lone", Report(status, ""))
    await world.statuses.flush()
    assert (await world.there(LONE)).status["podIP"] == "10.1.0.9"


# ------------------------------------------------------------ the node, and Events


@scenario()
async def test_the_machine_is_a_node(world: Cluster) -> None:
    node = await world.there(Key(NODES, "", "here"))
    assert node.status["allocatable"] == {"cpu": "2", "memory": "4096Ki", "pods": "500"}
    assert {each["type"]: each["status"] for each in node.status["conditions"]}["Ready"] == "True"
    assert node.labels["kubernetes.io/hostname"] == "here"
    assert node.status["nodeInfo"]["architecture"] == "amd64"
    head = (await world.store.head()).revision
    world.restart()
    await world.settle()
    assert (await world.store.head()).revision == head
    await world.delete(node.key)
    await world.settle()
    assert await world.get(node.key) is not None


@scenario("memory")
async def test_events_are_forgotten_after_an_hour(world: Cluster) -> None:
    await lone(world)
    await say(world, RUNNING)
    assert await world.all(EVENTS)
    world.clock.pass_seconds(3_500)
    told = unhealthy(world, 1, "HTTP status 503")
    await say(world, replace(RUNNING, ready=False, told=told))
    world.clock.pass_seconds(200)
    wake = await world.controllers.settle()
    assert {event.value["reason"] for event in await world.all(EVENTS)} == {"Unhealthy"}
    assert wake is not None
    assert wake > world.clock.now


@scenario()
async def test_what_runs_beside_the_containers_is_shown_as_injection_shows_it(world: Cluster) -> None:
    before = await lone(world)
    proxy = ContainerStatus("istio-proxy", ready=True, restarts=0, reason="Running", pid=8)
    status = PodStatus(PodPhase.RUNNING, ready=True, proxy_ready=True, containers=(RUNNING, proxy))
    world.statuses.set("default", "lone", Report(status, "10.1.0.9"))
    await world.statuses.flush()
    pod = await world.there(LONE)
    [beside] = pod.value["spec"]["initContainers"]
    assert (beside["name"], beside["restartPolicy"]) == ("istio-proxy", "Always")
    assert {**pod.value["spec"], "initContainers": None} == {**before["spec"], "initContainers": None}
    assert [each["name"] for each in pod.status["containerStatuses"]] == ["app"]
    assert [each["name"] for each in pod.status["initContainerStatuses"]] == ["istio-proxy"]
    head = (await world.store.head()).revision
    world.statuses.set("default", "lone", Report(status, "10.1.0.9"))
    await world.statuses.flush()
    assert (await world.store.head()).revision == head, "it is added once"


INIT = [{"name": "first", "image": "one:1"}, {"name": "beside", "image": "two:2", "restartPolicy": "Always"}]


@scenario()
async def test_init_containers_have_statuses_of_their_own(world: Cluster) -> None:
    made = template()
    await world.put(
        LONE, {"apiVersion": "v1", "kind": "Pod", **made, "spec": {**made["spec"], "initContainers": INIT}}
    )
    await world.settle()
    app = ContainerStatus("app", ready=False, restarts=0, reason="PodInitializing")
    first = ContainerStatus("first", ready=False, restarts=2, reason="Running", pid=7)
    beside = replace(app, name="beside")
    proxy = ContainerStatus("istio-proxy", ready=True, restarts=0, reason="Running", pid=8)

    async def told(*containers: ContainerStatus) -> Json:
        world.clock.pass_seconds(10)
        status = PodStatus(PodPhase.PENDING, ready=False, proxy_ready=True, containers=(*containers, proxy))
        world.statuses.set("default", "lone", Report(status, "10.1.0.9"))
        await world.statuses.flush()
        return (await world.there(LONE)).status

    def initialized(status: Json) -> Json:
        return next(each for each in status["conditions"] if each["type"] == "Initialized")

    status = await told(app, first, beside)
    assert [each["name"] for each in status["containerStatuses"]] == ["app"]
    shown = [(each["name"], each["image"]) for each in status["initContainerStatuses"]]
    assert shown == [("istio-proxy", "meshwright/envoy"), ("first", "one:1"), ("beside", "two:2")]
    assert initialized(status)["status"] == "False"
    assert initialized(status)["reason"] == "ContainersNotInitialized"
    assert initialized(status)["message"] == "containers with incomplete status: [first beside]"
    done = ContainerStatus("first", ready=True, restarts=2, reason="Completed", exit_code=0)
    status = await told(app, done, beside)
    assert initialized(status)["message"] == "containers with incomplete status: [beside]"
    [_, shown, _] = status["initContainerStatuses"]
    assert (shown["ready"], shown["started"], shown["restartCount"]) == (True, False, 2)
    assert shown["state"]["terminated"]["reason"] == "Completed"
    status = await told(app, done, replace(first, name="beside"))
    assert initialized(status)["status"] == "True"
    events = {event.value["involvedObject"].get("fieldPath") for event in await world.all(EVENTS)}
    assert "spec.initContainers{first}" in events
