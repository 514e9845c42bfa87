"""VirtualService `http[].retries`, or the mesh's default, becomes a route's RetryPolicy.

The default retries only what cannot have been processed: connections that failed, streams that were refused.
"""

from meshwright.compiler.proto import duration, pack, uint
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import RetryPolicy
from meshwright.envoyapi.envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import (
    PreviousHostsPredicate,
)
from meshwright.envoyapi.envoy.extensions.retry.priority.previous_priorities.v3 import (
    previous_priorities_config_pb2 as priorities,
)
from meshwright.model.retry import Retry

DEFAULT_ATTEMPTS = 2
DEFAULT_CONDITIONS = ("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes")
HOST_SELECTION_ATTEMPTS = 5
PRIORITY_UPDATE = 2  # after this many attempts another priority (locality) is tried


def retry_policy(retry: Retry | None, *, hashed: bool) -> RetryPolicy | None:
    """None switches retries off. `hashed`: consistent hashing chooses the endpoint, so another must not be sought."""
    wanted = Retry(DEFAULT_ATTEMPTS) if retry is None else retry
    if wanted.attempts == 0:
        return None
    conditions = wanted.retry_on or DEFAULT_CONDITIONS
    made = RetryPolicy(
        num_retries=uint(wanted.attempts),
        retry_on=",".join(part for part in conditions if not part.isdigit()),
        retriable_status_codes=[int(part) for part in conditions if part.isdigit()],
    )
    if made.retriable_status_codes and "retriable-status-codes" not in conditions:
        made.retry_on = ",".join(filter(None, (made.retry_on, "retriable-status-codes")))
    if wanted.per_try_timeout:
        made.per_try_timeout.CopyFrom(duration(wanted.per_try_timeout))
    if wanted.backoff:
        made.retry_back_off.base_interval.CopyFrom(duration(wanted.backoff))
    _choose_other_hosts(made, wanted, hashed=hashed)
    return made


def _choose_other_hosts(made: RetryPolicy, wanted: Retry, *, hashed: bool) -> None:
    if wanted.ignore_previous_hosts is not False and not hashed:
        made.host_selection_retry_max_attempts = HOST_SELECTION_ATTEMPTS
        made.retry_host_predicate.add(
            name="envoy.retry_host_predicates.previous_hosts", typed_config=pack(PreviousHostsPredicate())
        )
    if wanted.remote_localities:
        made.retry_priority.name = "envoy.retry_priorities.previous_priorities"
        made.retry_priority.typed_config.CopyFrom(
            pack(priorities.PreviousPrioritiesConfig(update_frequency=PRIORITY_UPDATE))
        )
