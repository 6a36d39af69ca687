#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Be the kernel to hpcrun-serve: FUSE requests over a socket pair in place of /dev/fuse, in any order and number.

usage: raw_fuse.py [-n COUNT] [-s SEED] SERVE [OPTION]... IMAGE

Forgets nodes that it never looked up, more often than it did, and all at once; asks for nodes that there are none of;
sends COUNT requests of all kinds. After each round the root, and what is in it, must be as before. Prints the numbers
of all nodes at the end, to be compared with those of another server. util/serve_proto.h has the server's other side.
"""
import argparse
import array
import os
import random
import select
import socket
import stat
import struct
import subprocess

MAGIC = 0x31767372
HELLO, START, READY, ERROR = 1, 2, 3, 5
MESSAGE = struct.Struct('6I256s128s1032s')
IN = struct.Struct('IIQQIIIHH')  # len opcode unique nodeid uid gid pid extlen pad
OUT = struct.Struct('IiQ')
LOOKUP, FORGET, GETATTR, READLINK, READ, BATCH_FORGET, READDIRPLUS = 1, 2, 3, 5, 15, 42, 44
ENOSYS, EROFS = 38, 30
# opcode: a body that is well formed; a number is a body of zeros
MUTATING = {4: 88, 6: b'a\0b\0', 8: bytes(16) + b'n\0', 9: bytes(8) + b'd\0', 10: b'u\0', 11: b'r\0',
            12: bytes(8) + b'a\0b\0', 13: bytes(8) + b'l\0', 21: struct.pack('II', 1, 0) + b'user.x\0y', 24: b'user.x\0',
            35: bytes(16) + b'c\0', 43: 32, 45: bytes(16) + b'a\0b\0', 47: 56}
HARMLESS = {5: 0, 14: 8, 17: 0, 18: 24, 22: struct.pack('II', 64, 0) + b'user.x\0', 23: struct.pack('II', 64, 0), 25: 24,
            26: 0, 27: 8, 29: 24, 30: 16, 34: 8, 37: 16, 39: 32, 40: 24, 46: 24}


class Server:
    def __init__(self, argv):
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.fuse, fuse = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for s in (self.fuse, fuse):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
        self.process = subprocess.Popen([argv[0], f'--control-fd={theirs.fileno()}', *argv[1:]],
                                        pass_fds=[theirs.fileno()])
        theirs.close()
        targets = os.memfd_create('targets')
        assert self.message(control)[1] == HELLO
        start = MESSAGE.pack(MAGIC, START, os.getuid(), os.getgid(), 0, 0, b'', b'', b'')
        control.sendmsg([start], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fuse.fileno(), targets]))])
        fuse.close()
        assert self.message(control)[1] == READY
        self.control = control
        self.unique = 1
        # 7.38, every capability
        error, _ = self.ask(26, 1, struct.pack('4I', 7, 38, 1 << 20, 0xffffffff & ~(1 << 30)) + bytes(48))
        assert error == 0, error

    @staticmethod
    def message(control):
        data, fds, _, _ = socket.recv_fds(control, MESSAGE.size, 2)
        for fd in fds:
            os.close(fd)
        assert len(data) == MESSAGE.size, 'the server has gone'
        m = MESSAGE.unpack(data)
        assert m[1] != ERROR, m[8].rstrip(b'\0')
        return m

    def send(self, opcode, node, body):
        self.unique += 2
        self.fuse.send(IN.pack(IN.size + len(body), opcode, self.unique, node, os.getuid(), os.getgid(), 1, 0, 0) + body)
        return self.unique

    def ask(self, opcode, node, body=b''):
        """(errno, reply)"""
        unique = self.send(opcode, node, body)
        while True:
            ready, _, _ = select.select([self.fuse], [], [], 30)
            assert ready, f'no answer to request {opcode} for node {node:#x}'
            data = self.fuse.recv(1 << 21)
            assert data, 'the server has gone'
            length, error, of = OUT.unpack_from(data)
            assert length == len(data), (opcode, length, len(data))
            if of == unique:
                return -error, data[OUT.size:]
            assert of == 0, f'an answer to {of}, which nobody asked'  # a notification

    def lookup(self, parent, name):
        """(node, attr.ino, mode) or errno"""
        error, reply = self.ask(LOOKUP, parent, name + b'\0')
        if error:
            return error
        node, generation = struct.unpack_from('QQ', reply)
        assert generation == 0
        return node, struct.unpack_from('Q', reply, 40)[0], struct.unpack_from('I', reply, 40 + 60)[0]

    def names(self, node):
        at = 0
        while True:
            error, reply = self.ask(READDIRPLUS, node, struct.pack('QQIIQII', 0, at, 65536, 0, 0, 0, 0))
            assert error == 0, error
            if not reply:
                return
            p = 0
            while p < len(reply):
                _, at, length, _ = struct.unpack_from('QQII', reply, p + 128)
                name = reply[p + 152:p + 152 + length]
                p += 152 + (length + 7) // 8 * 8
                if name not in (b'.', b'..'):
                    yield name

    def tree(self, node=1, path=b''):
        found = {}
        for name in list(self.names(node)):
            found[path + b'/' + name] = entry = self.lookup(node, name)
            if stat.S_ISDIR(entry[2]):
                found.update(self.tree(entry[0], path + b'/' + name))
        return found


def storm(s, r, nodes, count):
    odd = [0, 1, 2, len(nodes), 1 << 31, 1 << 32, (1 << 32) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
    counts = [0, 1, 2, 1 << 32, (1 << 63), (1 << 64) - 1]

    def node():
        return r.choice(odd) if r.random() < 0.3 else r.choice(nodes) if r.random() < 0.9 else r.getrandbits(64)
    for _ in range(count):
        kind = r.random()
        n = node()
        if kind < 0.3:
            s.send(FORGET, n, struct.pack('Q', r.choice(counts)))
        elif kind < 0.4:
            some = [(node(), r.choice(counts)) for _ in range(r.choice([0, 1, 100, 2000]))]
            s.send(BATCH_FORGET, 0, struct.pack('II', len(some), 0) + b''.join(struct.pack('QQ', *x) for x in some))
        elif kind < 0.6:
            s.lookup(n, r.choice([b'etc', b'large', b'.', b'..', b'no such', b'x' * 255, b'x' * 1000, b'\xff']))
        elif kind < 0.7:
            off = r.choice([0, 1, 4096, (1 << 63) - 1, r.getrandbits(40)])
            error, reply = s.ask(READ, n, struct.pack('QQIIQII', 0, off, r.choice([0, 1, 4096, 65536]), 0, 0, 0, 0))
            assert error or len(reply) <= 65536
        elif kind < 0.8:
            s.ask(GETATTR, n, bytes(16))
        elif kind < 0.9:
            opcode = r.choice(list(HARMLESS))
            body = HARMLESS[opcode]
            if opcode != 26:
                s.ask(opcode, n, bytes(body) if isinstance(body, int) else body)
        else:
            opcode = r.choice(list(MUTATING))
            body = MUTATING[opcode]
            error, _ = s.ask(opcode, n, bytes(body) if isinstance(body, int) else body)
            assert error in (EROFS, ENOSYS), (opcode, error)


def main():
    a = argparse.ArgumentParser()
    a.add_argument('-n', type=int, default=20000)
    a.add_argument('-s', type=int, default=1)
    a.add_argument('serve', nargs=argparse.REMAINDER)
    a = a.parse_args()
    s = Server(a.serve)
    first = s.tree()
    nodes = [v[0] for v in first.values()]
    r = random.Random(a.s)
    for _ in range(4):
        storm(s, r, nodes, a.n // 4)
        assert s.ask(GETATTR, 1, bytes(16))[0] == 0
        again = s.tree()
        assert again == first, set(again.items()) ^ set(first.items())
    assert s.process.poll() is None, s.process.returncode
    s.process.kill()
    for path in sorted(first):
        print(path, *first[path])


if __name__ == '__main__':
    main()
