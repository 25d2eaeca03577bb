"""Ways to do a case's work, what they cost in each round, and the tables and goals made of that."""

import os
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass, field

from report import markdown, verdict


@dataclass
class Contender:
    """One way to do a case's work, as a process of its own."""

    name: str
    command: list
    rows: int
    output: str
    allowed: tuple = (0,)  # exit codes
    environment: dict = field(default_factory=dict)
    scoring_only: bool = False  # prints its rows a second, start and end left out
    figures: dict = field(default_factory=lambda: {"wall": [], "cpu": [], "peak": [], "rate": []})

    def measure(self):
        """Runs it once; peaks are those of the largest process."""
        shutil.rmtree(self.output, ignore_errors=True)
        os.sync()
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in self.command],
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        said, trouble = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in self.allowed:
            end = trouble.decode()[-2000:]
            raise SystemExit(f"{self.name} ended with {process.returncode}:\n{end}")
        rate = float(said) if self.scoring_only else self.rows / wall
        cpu = usage.ru_utime + usage.ru_stime
        for name, figure in zip(self.figures, (wall, cpu, usage.ru_maxrss * 1024, rate)):
            self.figures[name].append(figure)

    def median(self, figure):
        return statistics.median(self.figures[figure])

    def ratio(self, figure, base):
        """The median of the rounds' ratios: neighbours in time are compared."""
        pairs = zip(self.figures[figure], base.figures[figure])
        return statistics.median(mine / theirs for mine, theirs in pairs)


UNITS = {"wall": "{:.3f} s", "cpu": "{:.2f} s", "rate": "{:,.0f}", "peak": "{:.0f} MB"}
NAMES = {"wall": "wall", "rate": "rows/s", "peak": "peak memory"}


def shown(figure, value):
    return UNITS[figure].format(value / 1e6 if figure == "peak" else value)


@dataclass
class Goal:
    """A bound on a contender's figure, or on its ratio to another's: rates at least, others at most."""

    contender: Contender
    figure: str
    bound: float
    base: Contender = None

    def line(self):
        what, sign = f"{self.contender.name}: {NAMES[self.figure]}", "≥" if self.figure == "rate" else "≤"
        if self.base:
            found = self.contender.ratio(self.figure, self.base)
            what += f" / {self.base.name}"
            texts = f"{sign} {self.bound:.2f}", f"{found:.3f}" if self.bound < 1.1 else f"{found:.2f}"
        else:
            found = self.contender.median(self.figure)
            texts = f"{sign} {shown(self.figure, self.bound)}", shown(self.figure, found)
        met = found >= self.bound if self.figure == "rate" else found <= self.bound
        return [what, *texts, verdict(met)]


@dataclass
class Table:
    """A case's contenders, compared with `base`, and its goals."""

    title: str
    contenders: list
    base: Contender
    goals: list = ()
    repeats: int = 1  # in each round, where goals are finer than one run's noise

    def text(self):
        rows = []
        for one in self.contenders:
            rate, ratio = shown("rate", one.median("rate")), f"{one.ratio('rate', self.base):.2f}"
            wall, cpu, peak = (
                "" if one.scoring_only else shown(name, one.median(name)) for name in ("wall", "cpu", "peak")
            )
            rows.append([one.name, wall, cpu, rate, ratio, peak])
        text = f"**{self.title}**\n\n"
        text += markdown(["", "wall", "CPU", "rows/s", "ratio", "peak memory"], rows)
        if self.goals:
            text += "\n" + markdown(["goal", "", "found", ""], [goal.line() for goal in self.goals])
        return text
