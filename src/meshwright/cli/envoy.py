"""What a pod's Envoy says of itself on its admin interface, which the agent asks for us."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, cast

from meshwright.agent import control_client
from meshwright.cli.failure import Failure, UnreachableFailure, UsageFailure
from meshwright.cli.pods import no_agent
from meshwright.cli.redaction import redacted
from meshwright.processes.client import Disconnected, RemoteError
from meshwright.wiring.local_mesh import LocalMesh

Json = dict[str, Any]
OK = 200


@dataclass(frozen=True, slots=True)
class Envoy:
    """The Envoy of one pod, `pod` is <pod>.<namespace>. All methods raise Failure or UnreachableFailure."""

    mesh: LocalMesh
    pod: str

    def dump(self) -> list[Json]:
        """The parts of its whole configuration; no key is in it, see `redaction`."""
        return cast("list[Json]", redacted(self._json("/config_dump?include_eds"))["configs"])

    def clusters(self) -> list[Json]:
        """Its clusters with their endpoints as it sees them now."""
        return cast("list[Json]", self._json("/clusters?format=json").get("cluster_statuses", []))

    def logging(self, query: str = "") -> dict[str, str]:
        """The levels of its loggers by name, after `query` (level=debug, or paths=http:debug,rbac:trace) was done."""
        status, body = self._ask(f"/logging?{query}" if query else "/logging")
        if status != OK:
            words = body.decode("utf-8", "replace").strip().partition("\n")[0]
            raise UsageFailure(f"the Envoy of {self.pod} refuses {query}: {words.removeprefix('error: ')}")
        lines = (line.partition(":") for line in body.decode().splitlines()[1:])
        return {name.strip(): level.strip() for name, _, level in lines if level}

    def _json(self, target: str) -> Json:
        status, body = self._ask(target)
        if status != OK:
            raise Failure(f"the Envoy of {self.pod} answers {status} to {target}")
        return cast("Json", json.loads(body))

    def _ask(self, target: str) -> tuple[int, bytes]:
        try:
            return asyncio.run(control_client.admin(self.mesh.data.root, self.pod, target))
        except RemoteError as error:
            raise Failure(f"{self.pod}: {error}") from None
        except (Disconnected, OSError):
            raise UnreachableFailure(no_agent(self.mesh)) from None
