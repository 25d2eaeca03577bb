"""Functions of Lambda for the tests: their archives, and what they log."""

import base64
import io
import json
import zipfile

from kit import platform


def archive(files):
    """A zip archive of texts by their names."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, text in files.items():
            # Without a time, so that the same texts are the same archive.
            zipped.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def create(client, name, code, wait=True, **settings):
    """A function of the module `code`, which has `handler`; returns what Create answered."""
    files = code if isinstance(code, dict) else {"main.py": code}
    whole = {
        "Runtime": "python3.11", "Role": platform.ROLE, "Handler": "main.handler",
        "Code": {"ZipFile": archive(files)},
    }
    created = client.create_function(FunctionName=name, **(whole | settings))
    if wait:
        client.get_waiter("function_active_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 600}
        )
    return created


def invoke(client, name, event=None, **options):
    """The answer of an invocation with its payload decoded."""
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event), **options)
    text = answer["Payload"].read()
    answer["Payload"] = json.loads(text) if text else None
    return answer


def tail(answer):
    return base64.b64decode(answer["LogResult"]).decode()
