"""What differs between Linux, macOS and Windows. Other rooms ask here, and name no system themselves.

Each function has its branches side by side. The branches for Linux are run by the whole test suite. Those for Windows
and macOS were never run on these systems: `tests/operating_system` runs them on Linux, with the functions of the other
system replaced.
"""
