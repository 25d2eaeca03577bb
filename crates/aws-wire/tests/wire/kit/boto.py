"""Boto3 for the tests: takes a call a line, prints its HTTP request, reads the answer, prints the result.

Nothing leaves the process: the test plays the server.
"""

import base64
import datetime
import io
import json
import sys
from urllib.parse import urlsplit

import boto3
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError


def say(message):
    print(json.dumps(message, default=plain), flush=True)


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    value = value if isinstance(value, bytes) else value.read()
    return {"base64": base64.b64encode(value).decode()}


def described(method, url, headers, body):
    headers = [[name, value] for name, value in headers.items()]
    parts = urlsplit(url)
    if not any(name.lower() == "host" for name, _ in headers):
        headers.append(["Host", parts.netloc])
    return {
        "method": method,
        "path": parts.path,
        "query": parts.query,
        "headers": headers,
        "body": base64.b64encode(body).decode(),
    }


class Body(io.BytesIO):
    def stream(self, *_, **__):
        yield self.read()


def exchange(request, **_):
    body = request.body or b""
    body = body.read() if hasattr(body, "read") else body
    body = body.encode() if isinstance(body, str) else body
    headers = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in request.headers.items()
    }
    say({"request": described(request.method, request.url, headers, body)})
    answer = json.loads(sys.stdin.readline())
    raw = Body(base64.b64decode(answer["body"]))
    return AWSResponse(request.url, answer["status"], dict(answer["headers"]), raw)


def client(call):
    signature = call.get("signature_version")
    made = boto3.client(
        call["service"],
        region_name="us-west-2",
        endpoint_url=call.get("endpoint", "http://127.0.0.1:1856"),
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        aws_session_token=call.get("token"),
        verify=False,
        config=Config(
            parameter_validation=call.get("validate", True),
            retries={"total_max_attempts": 1},
            **({"signature_version": signature} if signature else {}),
        ),
    )
    made.meta.events.register("before-send", exchange)
    return made


def bytes_of(parameters):
    """`{"base64": ...}` stands for bytes."""
    if isinstance(parameters, dict):
        if set(parameters) == {"base64"}:
            return base64.b64decode(parameters["base64"])
        return {name: bytes_of(value) for name, value in parameters.items()}
    if isinstance(parameters, list):
        return [bytes_of(value) for value in parameters]
    return parameters


def main():
    for line in sys.stdin:
        call = json.loads(line)
        made = client(call)
        method = xform_name(call["operation"])
        parameters = bytes_of(call["parameters"])
        if call.get("presign"):
            url = made.generate_presigned_url(method, parameters, ExpiresIn=call["presign"])
            say({"request": described(call["method"], url, {}, b"")})
            continue
        try:
            result = getattr(made, method)(**parameters)
            say({"result": result})
        except ClientError as error:
            say({"error": error.response, "exception": type(error).__name__})
        except ResponseParserError as error:
            say({"unreadable": str(error)})


main()
