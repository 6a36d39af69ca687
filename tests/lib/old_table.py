#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Give the only pack of a store the table that packs had before there were digests of frames.

    old_table.py STORE
"""
import glob
import hashlib
import os
import shutil
import struct
import sys

store = sys.argv[1]
[path] = (p for p in glob.glob(store + "/packs/*/*") if not p.endswith(".old"))
with open(path, "rb") as f:
    pack = f.read()
at = struct.unpack("<Q", pack[-16:-8])[0]
table = pack[at + 8 :]
(n,) = struct.unpack_from("<I", table, 8)
rows = b"".join(table[16 + 80 * i : 64 + 80 * i] for i in range(n))
old = b"hpcrPAK1" + table[8:16] + rows + table[-16:]
name = hashlib.sha256(old).hexdigest()
os.makedirs(f"{store}/packs/{name[:2]}", exist_ok=True)
with open(f"{store}/packs/{name[:2]}/{name}", "wb") as f:
    f.write(pack[:at] + struct.pack("<II", 0x184D2A5A, len(old)) + old)
os.unlink(path)
[where] = glob.glob(store + "/index/*/*.loc")
with open(where, "rb") as f:
    loc = f.read()
with open(where, "wb") as f:
    f.write(loc.replace(bytes.fromhex(os.path.basename(path)), bytes.fromhex(name)))
shutil.rmtree(store + "/meta", ignore_errors=True)
