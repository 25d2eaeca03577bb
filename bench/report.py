"""What both benchmarks print: the machine, tables, goals."""

import os
import platform
from pathlib import Path


def machine():
    """Such as `2 cores, AMD EPYC 7763, AVX2`."""
    names, instructions = [platform.machine()], ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        names += [line.partition(": ")[2] for line in lines if line.startswith("model name")]
        instructions = ", AVX-512" if has_avx512() else ", AVX2" if " avx2 " in info.read_text() else ""
    return f"{os.cpu_count()} cores, {names[-1]}{instructions}"


def has_avx512():
    info = Path("/proc/cpuinfo")
    return info.exists() and " avx512bw " in info.read_text()


def markdown(head, rows):
    """A table whose first column is text and whose others are figures."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def verdict(met):
    return "met" if met else "**missed**"
