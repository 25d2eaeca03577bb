"""Runs the Python file of a pipeline and writes down what its `pipeline` is: `FILE ANSWER`."""

import json
import os
import runpy
import sys

file, answer = sys.argv[1:]
sys.argv = [file]
sys.path[0] = os.path.dirname(os.path.abspath(file))
# Not as `__main__`: what a file does when it is run by itself is left to it.
found = runpy.run_path(file, run_name="pipeline").get("pipeline")
told = {}
if found is not None:
    is_text = isinstance(found, (dict, str))
    definition = found if is_text else found.definition()
    told["definition"] = definition if isinstance(definition, str) else json.dumps(definition)
    told["name"] = None if is_text else getattr(found, "name", None)
with open(answer, "w") as written:
    json.dump(told, written)
