"""What the server runs when a job has failed: notes it in a file. A pager or a ticket would go here.

A notification that could not be confirmed comes again with the same `id`.
"""

import json
import sys

told = json.load(sys.stdin)
noted = {key: told[key] for key in ("id", "name", "class", "attempts", "message")}
with open(sys.argv[1], "a") as file:
    print(json.dumps(noted | {"team": told["tags"].get("team")}), file=file)
