"""The `reflexarc` command of an installed wheel: the same program as the Rust binary."""

from __future__ import annotations

import signal
import sys

from . import _core


def main() -> int:
    """Run the command line in `sys.argv` and return its exit code."""
    # The command handles Ctrl-C itself; Python's own handler would wait for it to end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _core.command(["reflexarc", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
