"""A training script that fails and says why."""

import sys

print("what it says on the way", flush=True)
with open("/opt/ml/output/failure", "w") as file:
    file.write("the labels are all the same")
sys.exit(3)
