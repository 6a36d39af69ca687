#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A registry that misbehaves on demand.

    mock_registry.py DIR [--layout OCI_LAYOUT] [--cert PEM --key PEM]

Three servers on free ports of 127.0.0.1: "registry", "cdn" (another origin, for redirects) and,
with a certificate, "tls" (the registry again, over https). DIR/env is written when they are ready:
shell variables PORT, CDN, TLS, BLOB, SIZE, CONFIG, MANIFEST of the image lab/app:1, whose one layer
is SIZE pseudo-random bytes. With --layout, blobs and tags come from there, too.

DIR/script is read at each request:

    {"auth": {"scheme": "Bearer" | "Basic", "user": U, "password": P,   # absent: no login wanted
              "anonymous": true,             # the token server serves strangers, too
              "challenge": [TEXT, ...],      # in place of the right WWW-Authenticate
              "reject": N,                   # so many good logins are refused all the same
              "lives": N,                    # a token serves for so many requests
              "scoped": true},               # a token serves the scope it was asked for, and no other
     "rules": [{"on": "registry", "method": "PUT", "path": REGEX, "skip": N, "times": N, ...ACTIONS}, ...]}

The first rule that matches, is past its skip and not used up, acts:

    status, headers, body   that reply, a header that is null left out; {port} {cdn} {tls} are filled in
    redirect                307 to this place
    token                   the reply document of the token server
    cut N                   close after N bytes of the body; reset true: with RST
    from N                  serve blobs as if the range began there; total N: lie about the size
    no_range                200 and everything, whatever was asked
    flip                    one wrong byte in the middle
    more N                  so many bytes too many, without a length
    encoding E              Content-Encoding: E
    hang S, drip S          wait before the reply; send one byte every S seconds
    flood N                 N bytes of headers
    early                   100 and 103 before the reply, with headers that are not its own
    http10                  HTTP/1.0, the end of the body is that of the connection
    chunked N               the body in chunks of N bytes, without a length
    lose N                  an upload: keep N bytes of what was sent, and close without a reply
    forget                  an upload: do as asked, and close without a reply
    location L              an upload: what Location says

Uploads go to any repository; a layer that one repository has can be mounted into another.

Each request is one line of DIR/log: {"on", "method", "path", "headers", "at"}, the time in seconds.
"""
import argparse
import base64
import hashlib
import http.server
import json
import os
import random
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Image:
    """The blobs and manifests that are served."""

    def __init__(self, layout):
        self.blobs, self.tags = {}, {}
        self.uploads = {}
        layer = random.Random(1).randbytes(300_000)
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                             "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}).encode()
        kind = "application/vnd.oci.image."
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
            "config": self.add(config, kind + "config.v1+json"),
            "layers": [self.add(layer, kind + "layer.v1.tar")]}).encode()
        self.add(manifest, "")
        self.tags["1"] = digest(manifest)
        self.names = {"BLOB": digest(layer), "SIZE": len(layer), "CONFIG": digest(config),
                      "MANIFEST": digest(manifest)}
        if layout:
            self.load(layout)

    def add(self, data, media_type):
        self.blobs[digest(data)] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def load(self, layout):
        where = os.path.join(layout, "blobs", "sha256")
        for name in os.listdir(where):
            with open(os.path.join(where, name), "rb") as f:
                self.blobs["sha256:" + name] = f.read()
        with open(os.path.join(layout, "index.json"), encoding="utf-8") as f:
            for entry in json.load(f)["manifests"]:
                tag = entry.get("annotations", {}).get("org.opencontainers.image.ref.name")
                if tag:
                    self.tags[tag] = entry["digest"]


class World:
    """What the handlers share."""

    def __init__(self, directory, image):
        self.directory, self.image = directory, image
        self.ports, self.lock = {}, threading.Lock()
        self.text, self.script, self.used, self.rejected, self.tokens = None, {}, {}, 0, 0
        self.scopes, self.served = {}, {}

    def fill(self, text):
        for name, port in self.ports.items():
            text = text.replace("{%s}" % name, str(port))
        return text

    def read_script(self):
        try:
            with open(os.path.join(self.directory, "script"), encoding="utf-8") as f:
                text = f.read()
        except FileNotFoundError:
            text = "{}"
        if text != self.text:
            self.text, self.script = text, json.loads(self.fill(text))
            self.used, self.rejected = {}, 0

    def rule_for(self, server, path, method):
        with self.lock:
            self.read_script()
            for i, rule in enumerate(self.script.get("rules", [])):
                if rule.get("on", server) != server or not re.search(rule.get("path", ""), path):
                    continue
                if rule.get("method", method) != method:
                    continue
                n = self.used[i] = self.used.get(i, 0) + 1
                skip = rule.get("skip", 0)
                if skip < n <= skip + rule.get("times", 10**9):
                    return rule
        return {}

    def log(self, handler):
        line = json.dumps({"on": handler.server.name, "method": handler.command,
                           "path": handler.path, "headers": dict(handler.headers), "at": time.time()})
        with self.lock:
            with open(os.path.join(self.directory, "log"), "a", encoding="utf-8") as f:
                f.write(line + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, headers, body, rule=None):
        rule = rule or {}
        headers = dict(headers)
        if rule.get("http10"):
            self.protocol_version, self.close_connection = "HTTP/1.0", True
        elif "chunked" in rule:
            headers["Transfer-Encoding"] = "chunked"
        elif "more" not in rule:
            headers.setdefault("Content-Length", str(len(body)))
        if "cut" in rule:
            body = body[:rule["cut"]]
        if "more" in rule:
            body += b"x" * rule["more"]
            headers["Connection"] = "close"
            headers.pop("Content-Length", None)
        if "encoding" in rule:
            headers["Content-Encoding"] = rule["encoding"]
        headers.update(rule.get("headers", {}))
        headers = {name: value for name, value in headers.items() if value is not None}
        if rule.get("early"):
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
                             b"Content-Range: bytes 7-8/9\r\nContent-Length: 1\r\n\r\n")
        self.send_response(status)
        for name, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name, one)
        if "flood" in rule:
            for _ in range(rule["flood"] // 1000):
                self.send_header("X-Flood", "x" * 990)
        self.end_headers()
        self.send_body(body, rule)

    def send_body(self, body, rule):
        if "drip" in rule:
            for i in range(len(body)):
                self.wfile.write(body[i:i + 1])
                self.wfile.flush()
                time.sleep(rule["drip"])
        elif "chunked" in rule:
            for i in range(0, len(body), rule["chunked"]):
                part = body[i:i + rule["chunked"]]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        elif self.command != "HEAD":
            self.wfile.write(body)
        if "cut" in rule or "more" in rule:
            self.wfile.flush()
            if rule.get("reset"):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                           struct.pack("ii", 1, 0))
            self.close_connection = True

    def error(self, status, code, headers=()):
        body = json.dumps({"errors": [{"code": code, "message": "secret \x1b[2J"}]}).encode()
        self.reply(status, headers, body)

    # ---- logins

    def basic_is_good(self, auth):
        want = "Basic " + base64.b64encode(
            (auth["user"] + ":" + auth["password"]).encode()).decode()
        return self.headers.get("Authorization") == want

    def is_allowed(self, auth):
        if not auth or self.server.name == "cdn":
            return True
        given = self.headers.get("Authorization", "")
        good = given.startswith("Bearer good") if auth["scheme"] == "Bearer" \
            else self.basic_is_good(auth)
        world = self.server.world
        if good and auth.get("scoped"):
            action = "pull" if self.command in ("GET", "HEAD") else "pull,push"
            repo = re.match(r"/v2/(.*?)/(?:blobs|manifests)/", self.path)
            good = not repo or "repository:%s:%s" % (repo[1], action) in world.scopes.get(given[7:], "")
        with world.lock:
            if good and "lives" in auth:
                world.served[given] = world.served.get(given, 0) + 1
                good = world.served[given] <= auth["lives"]
            if good and world.rejected < auth.get("reject", 0):
                world.rejected += 1
                return False
        return good

    def challenge(self, auth):
        world = self.server.world
        if "challenge" in auth:
            return auth["challenge"]
        if auth["scheme"] == "Basic":
            return ['Basic realm="mock"']
        scheme, port = ("https", "tls") if self.server.name == "tls" else ("http", "port")
        return ['Bearer realm="%s://127.0.0.1:%s/token",service="mock",scope="repository:lab/app:'
                'pull"' % (scheme, world.ports[port])]

    def token(self, auth, rule):
        form = {}
        if self.command == "POST":
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            form = dict(p.split("=", 1) for p in body.split("&"))
        if "token" in rule:
            return self.reply(200, {}, json.dumps(rule["token"]).encode(), rule)
        known = self.basic_is_good(auth) or form.get("refresh_token") == "refresh-me"
        if not known and (self.headers.get("Authorization") or not auth.get("anonymous")):
            return self.error(401, "UNAUTHORIZED")
        world = self.server.world
        with world.lock:
            world.tokens += 1
            name = "good%d" % world.tokens
            world.scopes[name] = urllib.parse.unquote(self.path)
        return self.reply(200, {}, json.dumps({"token": name, "expires_in": 300}).encode())

    # ---- content

    def blob(self, data, rule):
        if rule.get("flip"):
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked or rule.get("no_range"):
            return self.reply(200, {}, data, rule)
        first, total = int(asked[1]), rule.get("total", len(data))
        if first >= len(data):
            return self.reply(416, {"Content-Range": "bytes */%d" % len(data)}, b"", rule)
        first = rule.get("from", first)
        last = min(int(asked[2]), len(data) - 1) if asked[2] else len(data) - 1
        span = "bytes %d-%d/%d" % (first, last, total)
        return self.reply(206, {"Content-Range": span}, data[first:last + 1], rule)

    def content(self, rule):
        image = self.server.world.image
        found = re.fullmatch(r"/v2/lab/app/(manifests|blobs)/([^?]+)(\?.*)?", self.path)
        if not found:
            return self.error(404, "NAME_UNKNOWN")
        name = image.tags.get(found[2], found[2]) if found[1] == "manifests" else found[2]
        if name not in image.blobs:
            return self.error(404, "MANIFEST_UNKNOWN" if found[1] == "manifests" else "BLOB_UNKNOWN")
        return self.blob(image.blobs[name], rule)

    # ---- uploads

    def upload(self, rule):
        """What the request means when it is part of an upload or puts a manifest; False: it is none."""
        image = self.server.world.image
        repo, kind, rest = re.fullmatch(r"/v2/(.*?)/(blobs|manifests)/(.*)", self.path).groups()
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if kind == "manifests":
            if self.command != "PUT":
                return False
            image.blobs[digest(data)] = data
            image.tags[rest] = digest(data)
            return self.reply(201, {}, b"", rule)
        if not rest.startswith("uploads/"):
            return False
        query = dict(p.split("=", 1) for p in (rest + "?").split("?")[1].split("&") if p)
        if self.command == "POST" and query.get("mount") in image.blobs:
            return self.reply(201, {}, b"", rule)
        name = rest[len("uploads/"):].split("?")[0] or "u%d" % len(image.uploads)
        sent = image.uploads.setdefault(name, bytearray())
        if self.command == "PATCH" and self.headers["Content-Range"].split("-")[0] != str(len(sent)):
            return self.reply(416, {}, b"", rule)
        sent += data[:rule.get("lose", len(data))]
        if self.command == "PUT":
            if digest(sent) != query["digest"]:
                return self.error(400, "DIGEST_INVALID")
            image.blobs[digest(sent)] = bytes(sent)
        if "lose" in rule or "forget" in rule:
            self.close_connection = True
            return True
        place = rule.get("location", "/v2/%s/blobs/uploads/%s?state=%d" % (repo, name, len(sent)))
        headers = {"Location": place, "Range": "0-%d" % max(len(sent) - 1, 0)}
        return self.reply({"POST": 202, "PATCH": 202, "GET": 204, "PUT": 201}[self.command], headers, b"", rule)

    def answer(self):
        world = self.server.world
        world.log(self)
        self.path = re.sub("^http://[^/]*", "", self.path)  # as a proxy is asked
        rule = world.rule_for(self.server.name, self.path, self.command)
        auth = world.script.get("auth")
        time.sleep(rule.get("hang", 0))
        if "status" in rule:
            self.rfile.read(int(self.headers.get("Content-Length", 0)) if self.command in ("PUT", "PATCH") else 0)
            return self.reply(rule["status"], {}, rule.get("body", "").encode(), rule)
        if "redirect" in rule:
            return self.reply(307, {"Location": rule["redirect"]}, b"", rule)
        if self.path.startswith("/token"):
            return self.token(auth or {"user": "", "password": "", "anonymous": True}, rule)
        if not self.is_allowed(auth):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return self.error(401, "UNAUTHORIZED", {"WWW-Authenticate": self.challenge(auth)})
        if self.path == "/v2/":
            return self.reply(200, {}, b"{}", rule)
        if re.match("/v2/.*/(blobs|manifests)/", self.path) and self.upload(rule) is not False:
            return None
        return self.content(rule)

    def do_GET(self):
        try:
            self.answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_POST = do_HEAD = do_PUT = do_PATCH = do_GET


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name, world, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.name, self.world = name, world
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True,
                                              do_handshake_on_connect=False)
        world.ports[{"registry": "port"}.get(name, name)] = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # clients that go away are what this is for


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("--layout")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    args = parser.parse_args()
    image = Image(args.layout)
    world = World(args.directory, image)
    Server("registry", world)
    Server("cdn", world)
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
        Server("tls", world, context)
    values = {name.upper(): port for name, port in world.ports.items()} | image.names
    temp = os.path.join(args.directory, "env.tmp")
    with open(temp, "w", encoding="utf-8") as f:
        f.writelines("%s=%s\n" % item for item in values.items())
    os.rename(temp, os.path.join(args.directory, "env"))
    threading.Event().wait()


main()
