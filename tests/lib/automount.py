#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""An automounter for one directory, as automount(8) has it for a direct map: for root, in a mount namespace.

usage: automount.py DIR SOURCE

Whoever enters DIR waits until SOURCE is bound there; a SOURCE that is missing is answered with a failure. Prints
"ready" when DIR is watched. Ends when DIR is unmounted.

Source: Linux, Documentation/filesystems/autofs.rst, include/uapi/linux/auto_fs.h (protocol 5).
"""
import ctypes
import fcntl
import os
import struct
import sys

READY, FAIL = 0x9360, 0x9361
MISSING_DIRECT = 5
PACKET = struct.Struct("=iiIIQIIIII256s4x")  # header, token, device, inode, ids, processes, length, name
MS_BIND = 4096


def mount(source, target, kind, flags, data):
    """mount(2)"""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()) < 0:
        raise OSError(ctypes.get_errno(), "cannot mount '%s'" % target)


def main():
    """See the top of this file."""
    where, source = sys.argv[1:]
    os.setsid()  # this group may enter the directory and is not made to wait for itself
    ours, kernels = os.pipe2(os.O_DIRECT)
    mount("automount", where, "autofs", 0, "fd=%d,pgrp=%d,minproto=5,maxproto=5,direct" % (kernels, os.getpgrp()))
    os.close(kernels)
    control = os.open(where, os.O_RDONLY)
    print("ready", flush=True)
    while packet := os.read(ours, PACKET.size):
        _, kind, token = PACKET.unpack(packet)[:3]
        assert kind == MISSING_DIRECT, kind
        try:
            mount(source, where, "", MS_BIND, "")
            fcntl.ioctl(control, READY, token)
        except OSError:
            fcntl.ioctl(control, FAIL, token)


main()
