"""What to do about an output that cannot be used: sentences for errors, without their full stops."""

from __future__ import annotations

OTHER_OUTPUT = "Select another output with -o OUT"
AGAIN = "The parts that are done are kept: run the same command again"
START_AGAIN = f"{OTHER_OUTPUT}, or delete its parts and start again with --overwrite"
