"""What the agent says of pods reaches their objects; pods that are marked for deletion leave once they have ended."""

from collections.abc import Mapping

from meshwright.controllers.pod_status import Report
from meshwright.controllers.pod_status_writer import PodStatusWriter
from meshwright.model.names import ProxyName
from meshwright.model.planned_pod import DesiredState, PodStatus
from meshwright.store.names import Key


class PodReports:
    """Call `tell` when statuses, the wish, or the marked pods changed; it writes only what differs."""

    def __init__(self, writer: PodStatusWriter) -> None:
        self._writer = writer

    def tell(
        self, statuses: Mapping[ProxyName, PodStatus], desired: DesiredState, leaving: Mapping[Key, str]
    ) -> None:
        """`leaving` are the pods marked for deletion, with their uids."""
        for pod in desired.pods:
            status = statuses.get(pod.name)
            if status is not None:
                self._writer.set(pod.meta.namespace, pod.meta.name, Report(status, pod.address))
        for key, uid in leaving.items():
            status = statuses.get(ProxyName(f"{key.name}.{key.namespace}"))
            if status is None:
                self._writer.finish(key.namespace, key.name, uid)
            else:  # nobody wants it any more, so its address is told by what was said before
                self._writer.set(key.namespace, key.name, Report(status, ""), uid)
