"""What notifications are sent to: a web server and a mail server, each with what it got."""

import contextlib
import email
import http.server
import queue
import threading
from dataclasses import dataclass

from aiosmtpd.controller import Controller

from kit.servers import free_port


@dataclass
class Request:
    path: str
    headers: dict
    body: bytes


class Hooks(http.server.ThreadingHTTPServer):
    """Answers every POST with `answer`, a status; what came is in `got`."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.got = queue.Queue()
        self.answer = 200

    @property
    def host(self):
        return f"127.0.0.1:{self.server_port}"

    def next(self):
        return self.got.get(timeout=60)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.server.answer)
        if self.server.answer == 302:
            self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()
        self.server.got.put(Request(self.path, dict(self.headers), body))

    def do_GET(self):
        self.server.got.put(Request(self.path, dict(self.headers), b""))
        self.send_error(500)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def hooks():
    server = Hooks()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Mailbox:
    """Takes all mail."""

    def __init__(self):
        self.got = queue.Queue()

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content)
        self.got.put((envelope.mail_from, envelope.rcpt_tos, message))
        return "250 taken"

    def next(self):
        return self.got.get(timeout=60)


@contextlib.contextmanager
def mailbox():
    """A mail server; yields it and its address."""
    box = Mailbox()
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port, ready_timeout=60)
    controller.start()
    try:
        yield box, f"127.0.0.1:{port}"
    finally:
        controller.stop()
