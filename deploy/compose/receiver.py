"""A receiver of cardwatch's webhooks: verifies the signature, answers, and says in a line what it was told.

    receiver.py --secret FILE --listen HOST:PORT

By Standard Webhooks 1.0.0 with Python's own library alone; docs/webhooks.md has the same in other languages.
"""

import argparse
import base64
import hashlib
import hmac
import json
import pathlib
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY_BYTES_MAX = 4 << 20
CLOCKS_DIFFER_MAX = 300
# The ids of the last deliveries: a delivery may come twice, always under the same id.
KNOWN_MAX = 100_000


def fits(keys: list[bytes], headers, body: bytes) -> bool:
    """Whether one of the signatures is one of ours, and recent."""
    told, at, given = (headers.get(name, "") for name in ("webhook-id", "webhook-timestamp", "webhook-signature"))
    if not at.isascii() or not at.isdigit() or abs(time.time() - int(at)) > CLOCKS_DIFFER_MAX:
        return False
    signed = b".".join([told.encode(), at.encode(), body])
    wanted = ["v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys]
    return any([hmac.compare_digest(want.encode(), one.encode()) for want in wanted for one in given.split(" ")])


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to what is signed, 401 to what is not."""

    protocol_version = "HTTP/1.1"
    secret: pathlib.Path
    known: dict[str, None] = {}

    def do_GET(self):
        self.answer(200 if self.path == "/health" else 404)

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        if not 0 < length <= BODY_BYTES_MAX:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(length)
        # Read each time: a rotated key counts at once. A line is a key, and when it ends.
        lines = self.secret.read_text().split("\n")
        keys = [base64.b64decode(line.split()[0].removeprefix("whsec_")) for line in lines if line.startswith("whsec_")]
        if not fits(keys, self.headers, body):
            print(f"refused: the signature does not fit ({length} bytes)", flush=True)
            return self.answer(401)
        told = self.headers["webhook-id"]
        again = told in self.known
        self.known[told] = None
        if len(self.known) > KNOWN_MAX:
            self.known.pop(next(iter(self.known)), None)
        alert = json.loads(body)
        print(f"{told} {alert.get('kind')} {alert.get('severity')} {alert.get('state')}{' again' if again else ''}", flush=True)
        self.answer(204)

    def answer(self, status: int):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Nothing: what counts is printed above."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--secret", type=pathlib.Path, required=True)
    parser.add_argument("--listen", default="127.0.0.1:8080")
    arguments = parser.parse_args()
    Receiver.secret = arguments.secret
    host, _, port = arguments.listen.rpartition(":")
    ThreadingHTTPServer((host, int(port)), Receiver).serve_forever()
