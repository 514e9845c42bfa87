"""Issuer and root are replaced while the mesh runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from meshwright.ca.authority import Authority

LOG = logging.getLogger(__name__)
LONGEST_SLEEP = 60.0  # seconds; a clock that is set forward must not keep a certificate past its end
RETRY = 5.0  # seconds until a step that failed (a full disk), or that somebody does not know of yet, is tried again
SETTLING = 1.0  # seconds; a proxy acknowledges a bundle shortly before all of its threads use it


class Rotation:
    """Brings about what is due in an authority. Make it, then `run` it."""

    def __init__(
        self,
        authority: Authority,
        clock: Callable[[], datetime],
        all_acknowledged: Callable[[float], Awaitable[bool]],
    ) -> None:
        """`clock` gives the time in UTC. `all_acknowledged` waits, at most so many seconds, until every proxy of the
        mesh, also those that are away, has acknowledged the newest `roots`; whether they have.
        """
        self._authority = authority
        self._clock = clock
        self._all_acknowledged = all_acknowledged

    async def run(self) -> None:
        """For ever; cancel it to stop."""
        while True:
            try:
                self._authority.renew(self._clock())
                if self._authority.is_introducing and await self._is_trusted():
                    continue
            except OSError as error:
                LOG.error("certificates of the authority cannot be renewed: %s", error)  # noqa: TRY400 - says enough
                await asyncio.sleep(RETRY)
                continue
            left = (self._authority.due() - self._clock()).total_seconds()
            longest = RETRY if self._authority.is_introducing else LONGEST_SLEEP
            await asyncio.sleep(min(longest, max(0.0, left)))

    async def _is_trusted(self) -> bool:
        """Let the next root sign as soon as everybody trusts it; whether it does."""
        asked = self._authority.roots_pem
        if not await self._all_acknowledged(RETRY):
            return False
        await asyncio.sleep(SETTLING)
        self._authority.renew(self._clock(), trusted=asked)
        return not self._authority.is_introducing
