#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A store as a bucket: answers as S3 does to who may get objects and may not list them.

    s3_mock.py STORE DIR

Serves STORE as /bucket/images on a free port of 127.0.0.1; DIR/port is written when it is ready. A key that is not there
is 403 AccessDenied, as for anyone without s3:ListBucket; so is everything that would be a listing. Each request is one
line of DIR/log: METHOD TARGET RANGE AUTHORIZATION.
"""
import hashlib
import http.server
import os
import re
import sys
import threading

root, where = sys.argv[1], sys.argv[2]
os.makedirs(where, exist_ok=True)
lock = threading.Lock()
PREFIX = "/bucket/images/"
DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message>'
    b"<RequestId>4442587FB7D0A2F9</RequestId><HostId>host</HostId></Error>"
)
BAD_RANGE = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InvalidRange</Code></Error>'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "AmazonS3"
    sys_version = ""

    def log_message(self, *args):
        pass

    def answer(self, status, body, kind="binary/octet-stream", **headers):
        self.send_response(status)
        self.send_header("x-amz-id-2", "vlR7PnpV2Ce81l0PRw6jlUpck7Jo5ZsQjryTjKlc5aLWGVHPZLj5NeC6qMa0emYBDXOo6QBU0Wo=")
        self.send_header("x-amz-request-id", "4442587FB7D0A2F9")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        words = (self.command, self.path, self.headers.get("Range", "-"), self.headers.get("Authorization", "-"))
        with lock, open(os.path.join(where, "log"), "a") as f:
            f.write("%s %s %s %s\n" % words)
        path = os.path.normpath(os.path.join(root, self.path[len(PREFIX):]))
        if not self.path.startswith(PREFIX) or not path.startswith(root + "/") or not os.path.isfile(path):
            return self.answer(403, DENIED, "application/xml")
        with open(path, "rb") as f:
            data = f.read()
        common = {
            "ETag": '"%s-3"' % hashlib.md5(data).hexdigest(),  # of an upload in parts: quoted, and no digest
            "Last_Modified": "Wed, 12 Oct 2022 17:50:00 GMT",
            "Accept_Ranges": "bytes",
            "x_amz_server_side_encryption": "AES256",
            "x_amz_version_id": "3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY",
        }
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not asked:
            return self.answer(200, data, **common)
        first, last = int(asked[1]), min(int(asked[2]), len(data) - 1)
        if first > last:
            return self.answer(416, BAD_RANGE, "application/xml")
        common["Content_Range"] = "bytes %d-%d/%d" % (first, last, len(data))
        return self.answer(206, data[first:last + 1], **common)

    do_HEAD = do_GET


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Handler)
with open(os.path.join(where, "port.new"), "w") as port:
    port.write(str(server.server_port))
os.rename(os.path.join(where, "port.new"), os.path.join(where, "port"))
server.serve_forever()
