"""Takes the server's webhooks, checks their signatures and prints what failed."""

import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

SECRET = os.environ["DASHBOARD_SECRET"].encode()


class Dashboard(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        stamp = self.headers.get("x-bessemer-timestamp", "0")
        wanted = "v1=" + hmac.new(SECRET, f"v1:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        known = hmac.compare_digest(self.headers.get("x-bessemer-signature", ""), wanted)
        if known and abs(time.time() - int(stamp)) < 300:
            told = json.loads(body)
            print(told["name"], told["class"], told["message"], flush=True)
            self.send_response(200)
        else:
            self.send_response(403)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", int(os.environ.get("DASHBOARD_PORT", "8787"))), Dashboard)
print(f"webhooks go to http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
