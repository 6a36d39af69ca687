#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Take the examples out of a manual page.

usage: examples.py PAGE DIR

A block of lines in a page, .Bd -literal to .Ed, stands behind a comment that says what it is:

    .\\" example           shell commands, run in order, in one directory
    .\\" file NAME         a file; what is below uses it by this name
    .\\" shown: REASON     neither, and why

Writes DIR/01.sh, 02.sh ... and the files below DIR/files; prints the lines where blocks begin. A block without its
comment is an error.
"""

import os
import re
import sys

ESCAPES = {r"\&": "", r"\-": "-", r"\e": "\\", r"\(aq": "'", r"\(dq": '"'}


def text(lines):
    """The lines as a terminal shows them; what roff would do with them beyond that is refused."""
    out = "\n".join(lines) + "\n"
    for escape, plain in ESCAPES.items():
        out = out.replace(escape, plain)
    return out


def main():
    """See the top of this file."""
    page, directory = sys.argv[1:]
    with open(page, encoding="utf-8") as f:
        lines = f.read().split("\n")
    os.makedirs(os.path.join(directory, "files"), exist_ok=True)
    number = 0
    for i, line in enumerate(lines):
        if not line.startswith(".Bd"):
            continue
        what = lines[i - 1]
        block = text(lines[i + 1 : lines.index(".Ed", i)])
        if what == '.\\" example':
            number += 1
            with open(os.path.join(directory, "%02d.sh" % number), "w", encoding="utf-8") as f:
                f.write(block)
            print(i + 1)
        elif name := re.fullmatch(r'\.\\" file (\S+)', what):
            path = os.path.join(directory, "files", name[1].lstrip("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(block)
        elif not re.fullmatch(r'\.\\" shown: \S.*', what):
            sys.exit("%s:%d: a block that does not say what it is" % (page, i + 1))


main()
