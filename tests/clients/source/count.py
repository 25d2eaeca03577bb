"""Writes the numbers below a count, a line each."""

import argparse
import pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--count", type=int)
folder = pathlib.Path("/opt/ml/processing/numbers")
folder.mkdir(parents=True, exist_ok=True)
(folder / "numbers.txt").write_text("\n".join(map(str, range(parser.parse_args().count))))
