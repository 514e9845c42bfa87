"""`python -m meshwright.processes NAME ...` starts one of the small processes with as little memory as possible."""

import importlib
import sys

_NAMES = ("holder", "dns", "forwarder", "supervisor", "preflight", "trial", "sweep")


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in _NAMES:
        sys.stderr.write(f"usage: python -m meshwright.processes {{{','.join(_NAMES)}}} ...\n")
        return 2
    # asyncio does without TLS where `ssl` cannot be imported, which saves 4 MiB in each of these processes.
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
    module = importlib.import_module(f"meshwright.processes.{sys.argv[1]}")
    return int(module.main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
