"""How far a change of TLS modes is outlives the control plane: a small file, written before it is published.

Proxies go on with what they have while no control plane runs. The next one has to begin with what was in effect, also
where something else is stored by now, and to take the steps that are left: whoever published all at once as it is
stored would have clients hear of it after their servers, or the other way round.
"""

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from meshwright.processes.state import replace_file
from meshwright.wiring.tls_steps import Stage, StepState

LOG = logging.getLogger(__name__)
FILE = "tls-steps.json"  # in the folder of what runs now: nothing of it outlives the mesh
FORMAT = 1  # another number where what is written means something else


@dataclass(frozen=True, slots=True)
class _Written:
    """The file."""

    format: int
    state: StepState


class KeptSteps:
    """`read` once, then `keep` each state. It fails closed: what cannot be read, or is not of this store, is as good
    as no file, and then everything is in effect as it is stored. What cannot be written is removed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: StepState | None = None

    def read(self, newest: int) -> StepState | None:
        """What was in effect; None where nobody knows. `newest` is the newest change of the store."""
        try:
            written = msgspec.json.decode(self._path.read_bytes(), type=_Written)
            self._last = _checked(written, newest)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            LOG.warning("how far TLS modes were is not known, so all is in effect as it is stored: %s", error)
            return None
        if self._last.stage is not None:
            LOG.info("TLS modes go on where they were: %s", self._last.stage)
        return self._last

    def keep(self, state: StepState) -> None:
        """Write it, unless the file says so already."""
        if state == self._last:
            return
        try:
            replace_file(self._path, msgspec.json.encode(_Written(FORMAT, state)))
            self._last = state
        except OSError as error:
            LOG.warning("%s cannot be written, so a restart would change TLS modes at once: %s", self._path, error)
            self._last = None
            with suppress(OSError):
                self._path.unlink()


def _checked(written: _Written, newest: int) -> StepState:
    """What the file says. Raises ValueError when it is not of this program, or not of this store."""
    state = written.state
    if written.format != FORMAT:
        raise ValueError(f"the file has format {written.format}, not {FORMAT}")
    if state.settled > newest:
        raise ValueError(f"the file knows change {state.settled}, the store only {newest}")
    if (state.also is None) != (state.stage is None):
        raise ValueError(f"the file says {state.stage or Stage.OPENING!r} without its policies")
    return state
