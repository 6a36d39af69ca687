#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a mounted image answers to operations that change files, and to rare ones that do not.

usage: readonly_ops.py MNT TREE

MNT shows the image of TREE, which has the files suid, sparse, hardlink, link and fifo, and directories large and many.
Says what is not as it should be; the exit status is 1 then.
"""
import ctypes
import errno
import fcntl
import mmap
import os
import select
import sys
import tempfile

M = 1 << 20
top, tree = sys.argv[1:]
wrong = []


def check(what, right):
    """Note WHAT when it is not RIGHT."""
    if not right:
        wrong.append(what)


def fails(what, want, call, *args):
    """CALL fails with the errno WANT."""
    try:
        got = call(*args)
        wrong.append("%s: %r, not %s" % (what, got, errno.errorcode[want]))
    except OSError as e:
        check("%s: %s, not %s" % (what, e, errno.errorcode[want]), e.errno == want)


def access(path, mode):
    """access(2), with its errno"""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.access(path.encode(), mode) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return 0


def refused():
    """Whatever would change something."""
    file, new, many = top + "/suid", top + "/new", top + "/many"
    for what, call, args in (
            ("open for writing", os.open, (file, os.O_WRONLY)), ("open both ways", os.open, (file, os.O_RDWR)),
            ("create", os.open, (new, os.O_CREAT | os.O_RDONLY)), ("truncate", os.truncate, (file, 0)),
            ("open to truncate", os.open, (file, os.O_RDONLY | os.O_TRUNC)), ("mkdir", os.mkdir, (new,)),
            ("rmdir", os.rmdir, (many,)), ("unlink", os.unlink, (file,)), ("rename", os.rename, (file, new)),
            ("rename over", os.rename, (file, top + "/hardlink")), ("link", os.link, (file, new)),
            ("symlink", os.symlink, ("x", new)), ("mkfifo", os.mkfifo, (new,)), ("chmod", os.chmod, (file, 0o600)),
            ("chown", os.chown, (file, os.getuid(), os.getgid())), ("utime", os.utime, (file, (1, 1))),
            ("setxattr", os.setxattr, (file, "user.x", b"y")), ("removexattr", os.removexattr, (file, "user.x")),
            ("temporary file", os.open, (many, os.O_TMPFILE | os.O_RDWR)),
            ("access for writing", access, (file, os.W_OK)), ("of a directory", access, (many, os.W_OK))):
        fails(what, errno.EROFS, call, *args)
    check("access for reading", access(file, os.R_OK) == 0)
    # a FIFO is none of the file system's business once it is open
    fails("a FIFO nobody reads", errno.ENXIO, os.open, top + "/fifo", os.O_WRONLY | os.O_NONBLOCK)


def answered():
    """Rare questions have an answer, and it is that of a local file."""
    fd, other = (os.open(top + "/sparse", os.O_RDONLY) for _ in range(2))
    for what, request in (("unknown ioctl", 0x5a5a), ("with a buffer", 0x80085a5a), ("FS_IOC_GETFLAGS", 0x80086601)):
        for number in (fd, os.open(top + "/many", os.O_RDONLY)):
            fails(what, errno.ENOTTY, fcntl.ioctl, number, request, bytearray(8))
    fails("fallocate", errno.EBADF, os.posix_fallocate, fd, 0, 1)
    fails("write", errno.EBADF, os.write, fd, b"x")
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLOUT)
    check("poll", poll.poll(0) == [(fd, select.POLLIN | select.POLLOUT)])
    os.fsync(fd)
    fcntl.flock(fd, fcntl.LOCK_EX)
    fails("a lock that another has", errno.EWOULDBLOCK, fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(fd, fcntl.LOCK_UN)
    fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    fails("a write lock on what cannot be written", errno.EBADF, fcntl.lockf, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with tempfile.TemporaryFile() as copy:
        # since Linux 5.19 between file systems of one type alone, whichever these are
        fails("copy_file_range", errno.EXDEV, os.copy_file_range, fd, copy.fileno(), 5000, M - 2500)
        check("sendfile", os.sendfile(copy.fileno(), fd, M - 2500, 5000) == 5000)
        copy.seek(0)
        check("what it copied", copy.read(2500) == b"a" * 2500)


def reads():
    """Sizes and places around the borders of chunks and pages, through the page cache and past it."""
    name = "/large/%d" % (3 * M + 17)
    with open(tree + name, "rb") as f:
        want = f.read()
    fd, direct = os.open(top + name, os.O_RDONLY), os.open(top + name, os.O_RDONLY | os.O_DIRECT)
    for at in (0, 1, 4095, M - 4096, M - 1, M, M + 1, 2 * M - 7, 3 * M - 1, 3 * M, 3 * M + 16, 3 * M + 17, 2 ** 63 - 2 * M - 1):
        for size in (0, 1, 4096, M, M + 1, 2 * M):
            check("pread %d at %d" % (size, at), os.pread(fd, size, at) == want[at:at + size])
    for at in (0, M - 4096, M, 3 * M):
        buf = mmap.mmap(-1, M)
        n = os.preadv(direct, [buf], at)
        check("direct read at %d" % at, buf[:n] == want[at:at + M])
    fails("a position beyond all", errno.EINVAL, os.lseek, fd, -1, os.SEEK_SET)


refused()
answered()
reads()
print("\n".join(wrong))
sys.exit(1 if wrong else 0)
