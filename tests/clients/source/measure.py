"""Reports the sum of numbers."""

import json
import pathlib

numbers = pathlib.Path("/opt/ml/processing/numbers/numbers.txt").read_text().split()
report = pathlib.Path("/opt/ml/processing/report")
report.mkdir(parents=True, exist_ok=True)
(report / "report.json").write_text(json.dumps({"total": {"value": sum(map(int, numbers))}}))
