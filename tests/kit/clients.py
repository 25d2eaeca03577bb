"""Scripts of clients that are not Bessemer's own, each with its interpreter, under `bessemer exec`."""

import json
import os
import re
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "clients"

# Variables that `cargo xtask test` sets: the interpreters of the clients' environments.
SDK_V2, SDK_V3, AIRFLOW = "BESSEMER_TEST_SDK_V2", "BESSEMER_TEST_SDK_V3", "BESSEMER_TEST_AIRFLOW"
# A boto3 that speaks the query protocol to SQS.
QUERY = "BESSEMER_TEST_QUERY"


def run(server, client, script, *arguments, **options):
    """Runs a script as a user would, with nothing set but what `bessemer exec` sets."""
    python = os.environ[client]
    script = script if isinstance(script, Path) else SCRIPTS / script
    return server.run("exec", "--", python, script, *arguments, timeout=570, **options)


def told(ran):
    """The JSON that a script that has run printed last; dots of the SDK's may stand before it."""
    line = ran.stdout.splitlines()[-1]
    return json.loads(line[line.index("{") :])


def read(server, uri):
    """The object at an S3 URI."""
    bucket, key = re.fullmatch(r"s3://([^/]+)/(.+)", uri).groups()
    return server.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
