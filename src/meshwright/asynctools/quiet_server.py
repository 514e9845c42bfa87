"""An HTTP server among the other things of a process."""

import contextlib
from collections.abc import Generator

import uvicorn


class QuietServer(uvicorn.Server):
    """Leaves signals to the process: it is not the only thing that runs there."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
