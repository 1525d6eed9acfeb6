#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""agent-endpoint.py PORT FOLDER: an HTTP endpoint as bad as it gets. GET /NAME does what the file
FOLDER/NAME says: "file PATH" (answer with it), "status N", "hang", "drip" (a byte a second),
"endless", "close" (at once)."""
import http.server
import pathlib
import socket
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        order = pathlib.Path(sys.argv[2], self.path.strip("/")).read_text().split()
        if order[0] == "hang":
            time.sleep(60)
        elif order[0] == "close":
            return
        elif order[0] == "status":
            self.send_error(int(order[1]))
            return
        self.send_response(200)
        self.end_headers()
        if order[0] == "drip":
            for _ in range(60):
                self.wfile.write(b"x")
                time.sleep(1)
        elif order[0] == "endless":
            for _ in range(64):
                self.wfile.write(b"a 1\n" * (1 << 18))
        elif order[0] == "file":
            self.wfile.write(pathlib.Path(order[1]).read_bytes())

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET6  # and, mapped, IPv4


Server(("::", int(sys.argv[1])), Handler).serve_forever()
