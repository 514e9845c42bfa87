"""Commands that a user runs inside pods."""

import shutil
import sys
from pathlib import Path

from meshwright.images import tools

MACHINE_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
DEFAULT_PATH = f"{MACHINE_PATH}:{tools.FOLDER}"
"""With programs of ours that the machine may lack at its end, for shells."""


def resolved(argv: tuple[str, ...], path: str = MACHINE_PATH) -> tuple[str, ...]:
    """Programs that the machine lacks (curl, say, or /usr/bin/fortio) are ours where a catalogue entry has one of
    that name.
    """
    machine = ":".join(each for each in path.split(":") if each != str(tools.FOLDER))
    if shutil.which(argv[0], path=machine):
        return argv
    from meshwright.wiring.loading import shipped_catalogue

    wanted = Path(argv[0]).name
    for entry in shipped_catalogue().entries:
        for name, stand_in in (*entry.programs, *entry.fallbacks):
            if Path(name).name == wanted:
                return (*(word.replace("{python}", sys.executable) for word in stand_in), *argv[1:])
    return argv
