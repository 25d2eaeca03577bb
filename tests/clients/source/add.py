"""A training script of its own: its model is the sum of a channel's numbers."""

import pathlib

numbers = [int(word) for file in pathlib.Path("/opt/ml/input/data/clean").iterdir() for word in file.read_text().split()]
print(f"{len(numbers)} numbers", flush=True)
pathlib.Path("/opt/ml/model/sum.txt").write_text(str(sum(numbers)))
