"""Which container of a pod a request for logs, exec or attach means, and whether it can be served."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from meshwright.apiserver.failure import Failure, bad_request, raise_for_store
from meshwright.apiserver.options import Target
from meshwright.apiserver.pod_streams import ContainerRef
from meshwright.apiserver.reading import key_of
from meshwright.apiserver.values import dig, is_map, list_of, map_of
from meshwright.store.errors import StoreError
from meshwright.store.names import Json
from meshwright.store.store import Store

_LISTS = ("containers", "initContainers", "ephemeralContainers")
_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


@dataclass(frozen=True, slots=True)
class PodNow:
    """A pod as the store has it now."""

    namespace: str
    name: str
    uid: str
    value: Json

    def names(self, *lists: str) -> list[str]:
        """The containers of these lists of its spec."""
        return [str(each.get("name")) for field in lists for each in list_of(dig(self.value, "spec", field)) if each]

    def has(self, container: str) -> bool:
        return container in self.names(*_LISTS)

    def status(self, container: str) -> Json:
        """The container's status, empty where there is none."""
        listed = [each for field in _STATUSES for each in list_of(dig(self.value, "status", field))]
        return map_of(next((each for each in listed if is_map(each) and each.get("name") == container), None))

    @property
    def phase(self) -> str:
        return str(dig(self.value, "status", "phase") or "Pending")

    def container(self, wanted: str) -> ContainerRef:
        """The one that is meant; without a name the only one. Raises Failure 400, which names them all."""
        own, others = self.names("containers"), self.names(*_LISTS[1:])
        if not wanted:
            if len(own) != 1:
                more = f" or one of the init containers: [{' '.join(others)}]" if others else ""
                raise bad_request(
                    f"a container name must be specified for pod {self.name}, choose one of: [{' '.join(own)}]{more}"
                )
            wanted = own[0]
        if wanted not in own and wanted not in others:
            raise bad_request(
                f"container {wanted} is not valid for pod {self.name}, choose one of: [{' '.join([*own, *others])}]"
            )
        return ContainerRef(self.namespace, self.name, wanted)

    def running(self, wanted: str) -> ContainerRef:
        """The one that is meant, which must run (the first one without a name). Raises Failure 400."""
        own = self.names("containers")
        ref = self.container(wanted or (own[0] if own else ""))
        if self.phase in ("Succeeded", "Failed"):
            raise bad_request(f"cannot use a container in a completed pod; current phase is {self.phase}")
        state = map_of(self.status(ref.container).get("state"))
        if "running" not in state:
            reason = next((str(dig(said, "reason")) for said in state.values() if dig(said, "reason")), "it waits")
            raise bad_request(f'container "{ref.container}" in pod "{self.name}" does not run: {reason}')
        return ref

    def backwards(self, ref: ContainerRef, *, previous: bool) -> int:
        """How many programs back the logs of a container are. Raises Failure 400 when it has had none."""
        status = self.status(ref.container)
        state, ended = map_of(status.get("state")), dig(status, "lastState", "terminated")
        running, over = "running" in state, "terminated" in state
        if previous:
            if not ended:
                raise bad_request(f'previous terminated container "{ref.container}" in pod "{self.name}" not found')
            return 1 if running or over else 0
        if not running and not over and not ended:
            reason = dig(state, "waiting", "reason") or "PodInitializing"
            message = dig(state, "waiting", "message")
            why = f"{reason}: {message}" if message else reason
            raise bad_request(f'container "{ref.container}" in pod "{self.name}" is waiting to start: {why}')
        return 0


async def pod_of(store: Store, target: Target) -> PodNow:
    """Raises Failure 404."""
    try:
        version = await store.get(key_of(target))
    except StoreError as error:
        raise_for_store(error, target.about)
    return PodNow(target.namespace, target.name, str(version.uid), version.value())


def same_program(store: Store, target: Target, ref: ContainerRef, since: PodNow) -> Callable[[], Awaitable[bool]]:
    """A question for later: whether the container still runs the program that it ran then."""
    began = since.status(ref.container)

    async def ask() -> bool:
        try:
            now = await pod_of(store, target)
        except Failure:
            return False
        status = now.status(ref.container)
        return (
            now.uid == since.uid
            and "running" in map_of(status.get("state"))
            and status.get("restartCount") == began.get("restartCount")
        )

    return ask
