#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Servers that go wrong before HTTP begins.

    odd_server.py DIR PORT CERT KEY

DIR/env is written when they are ready, shell variables with ports:

    OLD_TLS     of 127.0.0.1: speaks TLS 1.1 and nothing later
    CERT_TLS    of 127.0.0.1: shows CERT
    MUTE        of 127.0.0.1: accepts connections and says nothing
    RELAY       of 127.0.0.9: passes all on to PORT of 127.0.0.1. Of 127.0.0.7 the same port closes each connection at
                once, of ::1 it swallows what is sent to it, as a broken route does, of 127.0.0.1 nobody listens there
    HOLE        1 when there is such a hole: a machine without IPv6 has none

Each request that got through TLS, and each connection that was closed, is a line of DIR/requests.
"""
import os
import socket
import ssl
import sys
import threading

where, port, cert, key = sys.argv[1:]
kept = []  # sockets that stay open


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def relay(client):
    server = socket.create_connection(("127.0.0.1", int(port)))
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)


def log(line):
    with open(where + "/requests", "a") as f:
        f.write(line + "\n")


def close(client):
    log("closed")
    client.close()


def tls(client, context):
    with context.wrap_socket(client, server_side=True) as s:
        log(s.recv(65536).split(b"\r\n")[0].decode())
        s.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def each(s, serve, *args):
    def one(client):
        try:
            serve(client, *args)
        except OSError:
            pass  # clients that refuse us are what this is for

    while True:
        threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()


def server(host, serve, *args, number=0):
    s = socket.create_server((host, number))
    threading.Thread(target=each, args=(s, serve, *args), daemon=True).start()
    return s.getsockname()[1]


def context(old):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if old:
        c.set_ciphers("DEFAULT@SECLEVEL=0")
        c.minimum_version = c.maximum_version = ssl.TLSVersion.TLSv1_1
    c.load_cert_chain(cert, key)
    return c


def hole(number):
    """A queue of connections that is full: the kernel drops what comes."""
    try:
        s = socket.create_server(("::1", number), family=socket.AF_INET6, backlog=0)
        for _ in range(3):
            c = socket.socket(socket.AF_INET6)
            c.setblocking(False)
            c.connect_ex(("::1", number))
            kept.append(c)
        kept.append(s)
        return 1
    except OSError:
        return 0


ports = {"OLD_TLS": server("127.0.0.1", tls, context(True)), "CERT_TLS": server("127.0.0.1", tls, context(False)),
         "MUTE": server("127.0.0.1", kept.append), "RELAY": server("127.0.0.9", relay)}
server("127.0.0.7", close, number=ports["RELAY"])
ports["HOLE"] = hole(ports["RELAY"])
open(where + "/requests", "w").close()
with open(where + "/env.new", "w") as f:
    f.writelines("%s=%d\n" % item for item in ports.items())
os.rename(where + "/env.new", where + "/env")
threading.Event().wait()
