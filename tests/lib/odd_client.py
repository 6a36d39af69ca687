#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Clients and servers of a session's socket that do not behave; see runtime/msg.h.

usage: odd_client.py junk SOCKET VERSION     say everything but what is expected; each must be turned away
       odd_client.py crowd SOCKET COUNT      COUNT that never ask; prints "there", ends when its input does
       odd_client.py alien SOCKET VERSION    be turned away without an answer, as another user
       odd_client.py listen SOCKET VERSION FD...
                             join the session; when a line comes on standard input take its place, and give one rank
                             what the FDs say: u (user namespace), m (mount namespace), n (network namespace),
                             o (one that belongs to u), f (file)
       odd_client.py squat SOCKET           take the place of a session that died, and wait for one rank
       odd_client.py mute SOCKET            the same, but do not listen; ends when its input does
       odd_client.py flood SOCKET           connect without end; prints "there", ends when its input does

SOCKET is an abstract name, written "@name".
"""
import array
import ctypes
import os
import socket
import struct
import sys
import tempfile
import threading

MAGIC = 0x31747268
ASK = struct.Struct('II24s')
ANSWER = struct.Struct('5I256sii768s256s')
JOIN = 2


def address(name):
    assert name[0] == '@'
    return '\0' + name[1:]


def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(30)
    s.connect(address(path))
    return s


def turned_away(s):
    """Whether the other side closes without a word."""
    try:
        return s.recv(4096) == b''
    except ConnectionResetError:
        return True


def junk(path, version):
    ask = ASK.pack(MAGIC, 0, version)
    null = os.open('/dev/null', os.O_RDONLY)

    def fds(n):
        return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [null] * n))]
    packets = {
        'one byte': (b'x', []),
        'a byte short': (ask[:-1], []),
        'a byte long': (ask + b'x', []),
        'large': (b'x' * 100000, []),
        'another magic': (ASK.pack(MAGIC + 1, 0, version), []),
        'another version': (ASK.pack(MAGIC, 0, b'0.0.0'), []),
        'a version without end': (ASK.pack(MAGIC, 0, b'9' * 24), []),
        'descriptors too many': (ask, fds(253)),
        'two descriptors': (ask, fds(2)),
        'junk with descriptors': (b'x', fds(253)),
    }
    for what, (packet, ancillary) in packets.items():
        s = connect(path)
        s.sendmsg([packet], ancillary)
        assert turned_away(s), what
    connect(path).close()  # not a word


def crowd(path, count):
    there = [connect(path) for _ in range(int(count))]
    print('there', flush=True)
    sys.stdin.read()
    del there


def owned_network(user):
    """A network namespace that belongs to the user namespace USER: who is in that may join it."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        libc = ctypes.CDLL(None)
        made = libc.setns(user, 0x10000000) == 0 and libc.unshare(0x40000000) == 0
        if made:
            socket.send_fds(theirs, [b'x'], [os.open('/proc/self/ns/net', os.O_RDONLY)])
        os._exit(not made)
    theirs.close()
    return socket.recv_fds(ours, 1, 1)[1][0]


def take_place(path):
    """A rank that connects to PATH, which belongs to us."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind(address(path))
    server.listen()
    print('listening', flush=True)
    rank, _ = server.accept()
    return rank


def mute(path):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind(address(path))
    print('there', flush=True)
    sys.stdin.read()


def flood(path):
    def without_end():
        while True:
            try:
                connect(path).close()
            except OSError:
                pass  # it is over
    for _ in range(4):
        threading.Thread(target=without_end, daemon=True).start()
    print('there', flush=True)
    sys.stdin.read()


def listen(path, version, *kinds):
    s = connect(path)
    s.send(ASK.pack(MAGIC, 0, version))
    while True:
        data, fds, _, _ = socket.recv_fds(s, 4096, 16)
        fields = ANSWER.unpack(data)
        if fields[1] == JOIN:
            break
    with tempfile.TemporaryFile() as plain:
        have = {'u': fds[0], 'm': fds[1], 'n': os.open('/proc/self/ns/net', os.O_RDONLY), 'f': plain.fileno(),
                'o': owned_network(fds[0])}
        print('joined', flush=True)
        sys.stdin.readline()
        rank = take_place(path)
        rank.recv(4096)
        socket.send_fds(rank, [data], [have[k] for k in kinds] + [fds[2]])
        rank.settimeout(30)
        turned_away(rank)


if __name__ == '__main__':
    if sys.argv[1] == 'junk':
        junk(sys.argv[2], sys.argv[3].encode())
    elif sys.argv[1] == 'crowd':
        crowd(*sys.argv[2:4])
    elif sys.argv[1] == 'alien':
        client = connect(sys.argv[2])
        try:
            client.send(ASK.pack(MAGIC, 0, sys.argv[3].encode()))
            assert turned_away(client), 'an alien got an answer'
        except BrokenPipeError:
            pass  # closed already
    elif sys.argv[1] == 'squat':
        assert turned_away(take_place(sys.argv[2])), 'it was told something'
    elif sys.argv[1] in ('mute', 'flood'):
        {'mute': mute, 'flood': flood}[sys.argv[1]](sys.argv[2])
    else:
        listen(sys.argv[2], sys.argv[3].encode(), *sys.argv[4:])
