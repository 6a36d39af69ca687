#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A store as static files from a web server that misbehaves on demand.

    web_store.py STORE DIR

Serves STORE on a free port of 127.0.0.1; DIR/port is written when it is ready. DIR/fault is read at each request and
names what is wrong with replies for packs: nothing when it is empty, else one of

    status N      that status, no content          silent       accept, and say nothing
    reset         close without a reply            short        close in the middle of the body
    flip [N]      one wrong byte, N times          whole        200 and everything, whatever was asked
    forge         other bytes with the same check sum (crc64), where a pack has them as they are
    elsewhere     a 206 that begins 7 bytes later  html         200 and a page in place of the bytes
    slow S        wait S seconds before the reply
    busy S        429, with Retry-After: S
    moved         another ETag, date and total size with each reply, the right bytes
    shrunk        a smaller total size with each reply, and nothing else
    dated         another date with each reply, and no ETag
    stale         as flip, unless a Cache-Control: no-cache asks for what is right
    other         frames that another writer could have made of the same chunks

and "all" before it applies it to metadata, too; "table", or "frames", only to the end of a pack, or to all before. Each request is one line of DIR/log: METHOD PATH RANGE.
"""
import http.server
import itertools
import os
import re
import sys
import threading
import time

root, where = sys.argv[1], sys.argv[2]
lock = threading.Lock()
flips = itertools.count()
replies = itertools.count(1)


def forged(data, first):
    """DATA, from FIRST on, with the generator polynomial of crc64 added here and there: no sum tells."""
    neutral = bytes.fromhex("851e0eaf2bafd89201")
    out = bytearray(data)
    for at in range(-first % 32768 + 77, len(data) - len(neutral), 32768):
        for i, b in enumerate(neutral):
            out[at + i] ^= b
    return bytes(out)


def other(data):
    """The bit of a frame's header that no reader looks at (RFC 8878, 3.1.1.1.1.3) is set."""
    return re.sub(rb"\x28\xb5\x2f\xfd.", lambda m: m[0][:4] + bytes([m[0][4] | 0x10]), data, flags=re.DOTALL)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def fault(self):
        with open(os.path.join(where, "fault")) as f:
            words = f.read().split()
        if words[:1] == ["all"]:
            return words[1:]
        if words[:1] in (["table"], ["frames"]):
            if "/packs/" not in self.path or (words[0] == "table") != self.at_end():
                return []
            return words[1:]
        return words if "/packs/" in self.path else []

    def at_end(self):
        last = self.headers.get("Range", "-").rpartition("-")[2]
        return last == str(os.path.getsize(root + self.path) - 1)

    def send(self, status, body, headers):
        self.send_response(status)
        if self.etag and "ETag" not in headers:
            self.send_header("ETag", self.etag)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    etag = None

    def do_GET(self):
        self.etag = None
        fault = self.fault() or [""]  # first: who sees a request in the log may set the fault of the next
        with lock, open(os.path.join(where, "log"), "a") as f:
            f.write("GET %s %s\n" % (self.path, self.headers.get("Range", "-")))
        path = os.path.normpath(root + "/" + self.path)
        if fault[0] == "status":
            return self.send(int(fault[1]), b"", {})
        if fault[0] == "busy":
            return self.send(429, b"", {"Retry-After": fault[1]})
        if fault[0] == "reset":
            self.close_connection = True
            return None
        if fault[0] == "silent":
            time.sleep(3600)
        if fault[0] == "slow":
            time.sleep(float(fault[1]))
        if fault[0] == "html":
            return self.send(200, b"<html>log in, please</html>" * 1000, {})
        if not path.startswith(root + "/") or not os.path.isfile(path):
            return self.send(404, b"", {})
        if fault[0] == "stale":
            fault = ["" if self.headers.get("Cache-Control") == "no-cache" else "flip"]
        if fault[0] == "flip" and len(fault) > 1 and next(flips) >= int(fault[1]):
            fault = [""]
        with open(path, "rb") as f:
            state = os.fstat(f.fileno())
            self.etag = '"%x-%x"' % (state.st_ino, state.st_mtime_ns)
            return self.content(f, state.st_size, fault[0])

    def read(self, f, first, last, fault):
        f.seek(first)
        data = f.read(last - first + 1)
        if fault == "forge":
            return forged(data, first)
        if fault == "other":
            return other(data)
        return bytes(b ^ (i % 997 == 5) for i, b in enumerate(data, first)) if fault == "flip" else data

    def content(self, f, size, fault):
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not asked or fault == "whole":
            return self.send(200, self.read(f, 0, size - 1, fault), {})
        first, last = int(asked[1]), min(int(asked[2]), size - 1)
        if fault == "elsewhere":
            first += 7
        body = self.read(f, first, last, fault)
        headers = {"Content-Range": "bytes %d-%d/%d" % (first, last, size)}
        if fault == "moved":
            age = next(replies)
            headers = {"Content-Range": "bytes %d-%d/%d" % (first, last, size + age), "ETag": '"%d"' % age,
                       "Last-Modified": self.date_time_string(1_600_000_000 + 60 * age)}
        if fault == "shrunk":
            headers = {"Content-Range": "bytes %d-%d/%d" % (first, last, size - next(replies))}
        if fault == "dated":
            self.etag = None
            headers["Last-Modified"] = self.date_time_string(1_600_000_000 + 60 * next(replies))
        if fault == "short":
            self.send_response(206)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Range", headers["Content-Range"])
            self.end_headers()
            self.wfile.write(body[:len(body) // 2])
            self.close_connection = True
            return None
        return self.send(206, body, headers)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Handler)
with open(os.path.join(where, "port.new"), "w") as port:
    port.write(str(server.server_port))
os.rename(os.path.join(where, "port.new"), os.path.join(where, "port"))
server.serve_forever()
