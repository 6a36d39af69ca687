#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Type a line into an interactive shell on a terminal, as a person does, and print what became of it.

usage: type_line.py bash|zsh SETUP LINE

SETUP is a command that the shell runs first. In LINE, \\t is the key that completes. The line is not run: "echo" is
put in front of it, and what that prints is printed.
"""

import os
import pty
import select
import sys
import time

SHELLS = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
MARK = "line-is"


def main():
    """See the top of this file."""
    shell, setup, line = sys.argv[1:]
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "dumb", "PS1": "", "PS2": ""})
        os.execvp(SHELLS[shell][0], SHELLS[shell])
    seen = b""
    end = time.monotonic() + 60

    def until(text):
        nonlocal seen
        while text not in seen:
            if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
                sys.exit("nothing more came: " + repr(seen))
            seen += os.read(fd, 4096)

    # the mark is put together by the shell, so that the echo of what is typed does not have it
    os.write(fd, (setup + "; echo set-''up\n").encode())
    until(b"set-up")
    seen = b""
    os.write(fd, (line.replace("\\t", "\t") + "\x01echo line''-is \n").encode())
    until(b"\n" + MARK.encode())
    seen = seen[seen.rindex(MARK.encode()) :]
    until(b"\n")
    print(seen.decode().split("\n")[0].strip()[len(MARK) + 1 :])
    os.write(fd, b"exit\n")


main()
