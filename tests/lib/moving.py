#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Make a tag mean another image: each NUMBER is an image of its own.

usage: moving.py STORAGE NAME NUMBER [FILES [CHANGED]]      (of a docker-registry, see mkimage)

test/NAME:1 is then two layers: one that all numbers share, and one of FILES (4) files of 280 KiB, of which CHANGED
(all) are the number's own.
"""

import os
import random
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cases  # noqa: E402
import oci  # noqa: E402
import tarball as t  # noqa: E402


def content(number, i):
    """280 KiB that compress to half: a file of more than 256 KiB shares no chunk with others."""
    half = random.Random(f"{number}.{i}").randbytes(143360)
    return half + half


def main():
    """See the top of this file."""
    storage, name, number = sys.argv[1:4]
    files = int(sys.argv[4]) if len(sys.argv) > 4 else 4
    changed = int(sys.argv[5]) if len(sys.argv) > 5 else files
    with tempfile.TemporaryDirectory() as temp:
        layout = oci.Layout(temp)
        top = [t.file("number", number)]
        for i in range(files):
            top.append(t.file(f"data/{i:05}", content(number if i < changed else "all", i)))
        layout.add_image(name, cases.stack(layout, top))
        layout.publish(storage, "test/" + name, name, "1")


if __name__ == "__main__":
    main()
