"""A processing script: doubles numbers, with a factor of its own."""

import pathlib
import sys

factor = int(sys.argv[sys.argv.index("--factor") + 1])
source, target = pathlib.Path("/opt/ml/processing/input/data"), pathlib.Path("/opt/ml/processing/output")
for file in sorted(source.iterdir()):
    numbers = [int(line) * factor for line in file.read_text().split()]
    (target / file.name).write_text("".join(f"{number}\n" for number in numbers))
    print(f"{file.name}: {len(numbers)} numbers", flush=True)
