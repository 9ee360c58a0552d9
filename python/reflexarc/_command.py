"""The `reflexarc` command of an installed wheel: the same program as the Rust binary."""

from __future__ import annotations

import signal
import sys

from . import _core


def main() -> int:
    """Run the command line in `sys.argv` and return its exit code."""
    # Python's handler for Ctrl-C only sets a flag until the call into Rust returns. The command
    # handles the signal itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _core.command(["reflexarc", *sys.argv[1:]])
