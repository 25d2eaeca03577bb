"""Requests signed ahead and sent over raw connections, so that a benchmark measures the server and not
the client's own Python."""

import json
import socket
import threading
import time
from urllib.parse import urlsplit

from botocore.auth import S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REGION = "us-east-1"


class Wire:
    """A server's address and an access key of it."""

    def __init__(self, address, key):
        self.address, self.key = address, Credentials(key["id"], key["secret"])
        where = urlsplit(address)
        self.place = (where.hostname, where.port)

    def sagemaker(self, operation, request):
        """The bytes of a signed call."""
        return self.json("sagemaker", "1.1", f"SageMaker.{operation}", request)

    def sqs(self, operation, request):
        """The same of a queue."""
        return self.json("sqs", "1.0", f"AmazonSQS.{operation}", request)

    def batch(self, operation, request):
        """The same of Batch."""
        return self.rest("batch", f"/v1/{operation.lower()}", request)

    def rest(self, service, path, request):
        """The same of a service whose operations have paths."""
        headers = {"Content-Type": "application/json"}
        return self.signed(service, path, headers, json.dumps(request).encode())

    def json(self, service, version, target, request):
        headers = {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": target}
        return self.signed(service, "/", headers, json.dumps(request).encode())

    def signed(self, service, path, headers, body):
        """A signed POST."""
        call = AWSRequest("POST", f"{self.address}{path}", headers, body)
        SigV4Auth(self.key, service, REGION).add_auth(call)
        call.headers["Content-Length"] = str(len(body))
        return self.head("POST", path, call.headers) + body

    def s3(self, method, path, length=0):
        """The head of a call by a presigned URL, whose body is not signed."""
        call = AWSRequest(method, f"{self.address}{path}")
        S3SigV4QueryAuth(self.key, "s3", REGION, expires=3600).add_auth(call)
        where = urlsplit(call.url)
        return self.head(method, f"{where.path}?{where.query}", {"Content-Length": str(length)})

    def head(self, method, target, headers):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.place[0]}:{self.place[1]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def connect(self):
        return Connection(self.place)


class Connection:
    """A connection that stays open."""

    def __init__(self, place):
        self.socket = socket.create_connection(place)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, request):
        """The answer's body; any but success is an error."""
        self.socket.sendall(request)
        return self.answer()

    def head(self):
        """The length of the body that follows, and what of it came with the head."""
        text = b""
        while b"\r\n\r\n" not in text:
            text += self.socket.recv(1 << 16) or _broken()
        head, _, rest = text.partition(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        lengths = [int(line.split(":")[1]) for line in lines if line.startswith("content-length:")]
        if not lines[0].split()[1].startswith("2"):
            raise RuntimeError(f"{lines[0]}: {rest!r}")
        return lengths[0], rest

    def answer(self):
        length, body = self.head()
        while len(body) < length:
            body += self.socket.recv(1 << 16) or _broken()
        return body

    def json(self, request):
        return json.loads(self.call(request))


def _broken():
    raise ConnectionError("the server closed the connection")


def rate(wire, requests, connections):
    """Sends all requests over some connections at once; answers a second."""
    waiting, errors = list(requests), []

    def work():
        try:
            line = wire.connect()
            while waiting:
                try:
                    request = waiting.pop()
                except IndexError:
                    return
                line.call(request)
        except Exception as error:  # told below, by the thread that waits
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(connections)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return len(requests) / (time.perf_counter() - begun)
