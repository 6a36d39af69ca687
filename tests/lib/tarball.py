# SPDX-License-Identifier: BSD-3-Clause
"""Write archives header by header, the honest and the others. tarfile refuses to lie; this does not.

An archive is the concatenation of what the functions here return, and end(). Names and targets are bytes or
str. Every function takes header fields as keywords (mode, uid, gid, size, mtime, name ...), true or not.
"""

import struct

BLOCK = 512


def _bytes(s):
    return s if isinstance(s, bytes) else s.encode()


def _octal(value, width):
    """A number field: octal, or base 256 when it does not fit (or is negative)."""
    if isinstance(value, bytes):
        return value.ljust(width, b"\0")
    text = b"%0*o" % (width - 1, value) if value >= 0 else b""
    if value >= 0 and len(text) < width:
        return text + b"\0"
    top = 0x80 if value >= 0 else 0xFF
    return bytes([top]) + (value % (1 << (8 * (width - 1)))).to_bytes(width - 1, "big")


def pad(data):
    """DATA, filled up to whole blocks."""
    return data + b"\0" * (-len(data) % BLOCK)


def header(name, kind, size=0, mode=0o644, uid=0, gid=0, mtime=1, link=b"", magic=b"ustar\x0000", dev=(0, 0), **more):
    """One header block. MORE: prefix, checksum (None: leave the spaces), gnu (bytes of the GNU sparse part)."""
    name, link = _bytes(name), _bytes(link)
    block = bytearray(
        name[:100].ljust(100, b"\0")
        + _octal(mode, 8)
        + _octal(uid, 8)
        + _octal(gid, 8)
        + _octal(size, 12)
        + _octal(mtime, 12)
        + b" " * 8
        + _bytes(kind)
        + link[:100].ljust(100, b"\0")
        + magic
        + b"root".ljust(32, b"\0") * 2
        + _octal(dev[0], 8)
        + _octal(dev[1], 8)
        + _bytes(more.get("prefix", b"")).ljust(155, b"\0")
        + b"\0" * 12
    )
    if "gnu" in more:
        block[345:512] = more["gnu"].ljust(167, b"\0")
    total = sum(more.get("signed", False) and struct.unpack("512b", bytes(block)) or block)
    block[148:156] = more.get("checksum", b"%06o\0 " % total)
    return bytes(block)


def record(key, value):
    """One PAX record, its length counted into itself."""
    body = b" " + _bytes(key) + b"=" + _bytes(value) + b"\n"
    length = len(body)
    while len(b"%d" % length) + len(body) != length:
        length = len(b"%d" % length) + len(body)
    return b"%d" % length + body


def pax(records, kind="x", raw=None):
    """A PAX header that describes the next entry. RAW replaces the records' bytes."""
    data = raw if raw is not None else b"".join(record(k, v) for k, v in records.items())
    return header("PaxHeaders/x", kind, len(data)) + pad(data)


def entry(name, kind, data=b"", records=None, **fields):
    """An entry, with PAX records where the name, target or time does not fit a header."""
    records = dict(records or {})
    name, link = _bytes(name), _bytes(fields.get("link", b""))
    if len(name) > 100 and "path" not in records:
        records["path"] = name
    if len(link) > 100 and "linkpath" not in records:
        records["linkpath"] = link
    mtime = fields.get("mtime", 1)
    if isinstance(mtime, float):
        records["mtime"] = "%.9f" % mtime
        fields["mtime"] = max(int(mtime), 0)
    fields.setdefault("size", len(data))
    return (pax(records) if records else b"") + header(name, kind, **fields) + pad(data)


def file(name, data=b"", **fields):
    """A regular file."""
    return entry(name, "0", _bytes(data), **fields)


def dir(name, **fields):  # pylint: disable=redefined-builtin
    """A directory."""
    fields.setdefault("mode", 0o755)
    return entry(_bytes(name) + b"/", "5", **fields)


def symlink(name, target, **fields):
    """A symbolic link."""
    fields.setdefault("mode", 0o777)
    return entry(name, "2", link=target, **fields)


def hardlink(name, target, **fields):
    """A hard link to TARGET, a path of the archive."""
    return entry(name, "1", link=target, **fields)


def fifo(name, **fields):
    """A named pipe."""
    return entry(name, "6", **fields)


def device(name, kind="c", dev=(1, 3), **fields):
    """A device node."""
    return entry(name, "3" if kind == "c" else "4", dev=dev, **fields)


def whiteout(name):
    """What removes NAME of the layers below."""
    top, slash, last = _bytes(name).rpartition(b"/")
    return file(top + slash + b".wh." + last)


def opaque(name):
    """What hides all that the layers below have in directory NAME."""
    return file(_bytes(name) + b"/.wh..wh..opq")


def gnu_long(name, kind="L"):
    """A GNU long name (L) or long target (K) for the next entry."""
    data = _bytes(name) + b"\0"
    return header("././@LongLink", kind, len(data)) + pad(data)


def sparse_old(name, pieces, size, **fields):
    """An old GNU sparse file: PIECES are (offset, bytes), at most four."""
    gnu = b"\0" * 41
    for i in range(4):
        off, data = pieces[i] if i < len(pieces) else (0, b"")
        gnu += (_octal(off, 12) + _octal(len(data), 12)) if i < len(pieces) else b"\0" * 24
    gnu += b"\0" + _octal(size, 12)
    data = b"".join(d for _, d in pieces)
    return header(name, "S", len(data), magic=b"ustar  \0", gnu=gnu, **fields) + pad(data)


def sparse_pax01(name, pieces, size, **fields):
    """A sparse file as PAX format 0.1 has it: the map in one record."""
    data = b"".join(d for _, d in pieces)
    pieces_map = ",".join(f"{off},{len(d)}" for off, d in pieces)
    records = {
        "GNU.sparse.size": str(size),
        "GNU.sparse.numblocks": str(len(pieces)),
        "GNU.sparse.map": pieces_map,
        "GNU.sparse.name": _bytes(name),
    }
    return entry("GNUSparseFile.0/x", "0", data, records, **fields)


def sparse_pax10(name, pieces, size, **fields):
    """A sparse file as PAX format 1.0 has it: the map in front of the data."""
    head = f"{len(pieces)}\n" + "".join(f"{off}\n{len(d)}\n" for off, d in pieces)
    data = pad(head.encode()) + b"".join(d for _, d in pieces)
    records = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": _bytes(name),
        "GNU.sparse.realsize": str(size),
    }
    return entry("GNUSparseFile.0/x", "0", data, records, **fields)


def end():
    """The two empty blocks."""
    return b"\0" * 1024
