# SPDX-License-Identifier: BSD-3-Clause
"""The images of the tests: TREES to be shown as umoci unpacks them, and HOSTILE ones with what must happen.

Each is a function that adds its layers to an oci.Layout and returns them. The numbers in the comments are
kinds of trouble: B compression, C archives. The docstring of a HOSTILE case says what is expected:

    refuse: TEXT     pull exits 125 and stderr has TEXT (a regular expression); no image, nothing left
    accept           pull works, and the tree is the one that umoci unpacks
    tree: PATH TYPE  pull works, and PATH is of that type (as find -printf %y; "-": not there)
"""

import gzip
import hashlib
import itertools
import os
import random
import subprocess
import threading

import oci
import tarball as t

TREES, HOSTILE = {}, {}
NAME_MAX = 255
ZEROS = 300_000_000


def tree(function):
    """A valid image."""
    TREES[function.__name__.replace("_", "-")] = function
    return function


def hostile(function):
    """An image that somebody made for harm, or that is broken."""
    HOSTILE[function.__name__.replace("_", "-")] = function
    return function


def base():
    """A root, a shell, and where things get mounted: every image below can be run."""
    with open("/bin/busybox", "rb") as f:
        busybox = f.read()
    out = [t.dir(".", mtime=7), t.dir("bin"), t.file("bin/busybox", busybox, mode=0o755, mtime=1700000000)]
    for name in ("sh", "true", "false", "cat", "ls", "id", "env", "find", "stat", "echo", "sleep", "pwd", "touch", "mount", "grep", "rm"):
        out.append(t.symlink("bin/" + name, "busybox"))
    for name in ("dev", "proc", "sys", "tmp", "etc", "home", "root", "var"):
        out.append(t.dir(name, mode=0o1777 if name == "tmp" else 0o755))
    out.append(t.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"))
    out.append(t.file("etc/group", "root:x:0:\n"))
    return out


def stack(layout, *layers, compress="gzip"):
    """Layers from lists of entries, the base below them."""
    return [layout.add_layer(b"".join(x) + t.end(), compress) for x in (base(),) + layers]


# ---------------------------------------------------------------------------- trees


@tree
def busybox(layout):
    return stack(layout)


@tree
def whiteouts(layout):
    low = [t.dir("w"), t.file("w/gone", "1"), t.file("w/kept", "2"), t.dir("w/d"), t.file("w/d/x", "3"), t.dir("w/e")]
    low += [t.file("w/e/y", "4"), t.dir("w/f"), t.file("w/f/z", "5"), t.symlink("w/l", "kept")]
    # a whiteout hides what is below only, wherever it stands among the entries of its own layer
    top = [t.whiteout("w/gone"), t.whiteout("w/d"), t.dir("w"), t.whiteout("w/e"), t.dir("w/e"), t.file("w/e/new", "6")]
    top += [t.whiteout("w/absent"), t.whiteout("w/l")]
    return stack(layout, low, top)


@tree
def whiteout_and_again(layout):
    low = [t.dir("w"), t.file("w/a", "1")]
    return stack(layout, low, [t.dir("w", mtime=2), t.whiteout("w/a")], [t.dir("w", mtime=3), t.file("w/a", "again", mtime=5)])


@tree
def opaque_directories(layout):
    low = [t.dir("o"), t.file("o/a", "1"), t.dir("o/s"), t.file("o/s/b", "2"), t.dir("p"), t.file("p/a", "3"), t.dir("q")]
    low += [t.file("q/a", "4"), t.dir("q/s"), t.file("q/s/a", "5")]
    top = [t.dir("o", mtime=9), t.opaque("o"), t.file("o/new", "6"), t.dir("p", mode=0o700), t.file("p/new", "7"), t.opaque("p")]
    top += [t.dir("q"), t.opaque("q"), t.dir("q/s", mtime=11), t.file("q/s/b", "8")]
    return stack(layout, low, top)


@tree
def hardlinks(layout):
    low = [t.file("h1", "content", mtime=3), t.hardlink("h2", "h1", mtime=3), t.dir("d"), t.hardlink("d/h3", "h2", mtime=3)]
    low += [t.file("single", "s"), t.symlink("s1", "h1", mtime=4)]
    return stack(layout, low)


@tree
def hardlinks_across_layers(layout):
    low = [t.file("h1", "content", mtime=3), t.file("r", "old", mtime=3), t.file("gone", "kept by its other name", mtime=3)]
    mid = [t.hardlink("h2", "h1", mtime=3), t.hardlink("r2", "r", mtime=3), t.hardlink("stays", "gone", mtime=3)]
    top = [t.file("r", "new", mtime=5), t.whiteout("gone")]
    return stack(layout, low, mid, top)


@tree
def replaced_types(layout):
    low = [t.file("file-dir", "1"), t.dir("dir-file"), t.file("dir-file/x", "2"), t.symlink("link-dir", "etc"), t.dir("dir-link")]
    low += [t.file("dir-link/x", "3"), t.file("file-link", "4"), t.symlink("link-file", "nowhere"), t.dir("dir-dir", mode=0o700)]
    low += [t.file("dir-dir/x", "5"), t.file("file-file", "long content", mode=0o600)]
    top = [t.dir("file-dir"), t.file("file-dir/y", "6"), t.file("dir-file", "7"), t.dir("link-dir"), t.file("link-dir/z", "8")]
    top += [t.symlink("dir-link", "etc/passwd"), t.symlink("file-link", "/etc"), t.file("link-file", "9")]
    top += [t.dir("dir-dir", mode=0o755, mtime=99), t.file("file-file", "short")]
    return stack(layout, low, top)


@tree
def parent_is_a_symlink(layout):
    low = [t.dir("real"), t.file("real/a", "1"), t.symlink("way", "real"), t.symlink("abs", "/real"), t.dir("real/sub")]
    top = [t.file("way/b", "2"), t.file("abs/c", "3"), t.file("way/sub/d", "4"), t.dir("real/sub", mtime=5), t.dir("real", mtime=6)]
    return stack(layout, low, top)


@tree
def long_names(layout):
    name = "n" * NAME_MAX
    deep = "/".join(["d" * 250] * 15)  # 3764 bytes
    tail = "f" * (4095 - len(deep) - 1 - len("/r/") - 3)
    parts = deep.split("/")
    low = [t.file(name, "1"), t.dir("r")]
    low += [t.dir("r/" + "/".join(parts[: i + 1])) for i in range(len(parts))]
    low += [t.file("r/" + deep + "/" + tail[:250], "2"), t.symlink("target", "t" * 4000)]
    low += [t.gnu_long("g" * 200), t.file("g" * 100, "3"), t.gnu_long("k" * 300, "K"), t.symlink("gnu-target", "k")]
    low += [t.file("u" * 60, "4", prefix="r")]
    return stack(layout, low)


@tree
def odd_names(layout):
    names = [b"new\nline", b"tab\there", b"esc\x1b[2J", b"\x9b", b"\xff\xfe", b"-rf", b"*", b"sp ace", b"back\\slash", "é".encode()]
    names += ["e\u0301".encode(), b"A", b"a", b".hidden", b"...", b".whx", b"q\"'`$x"]
    return stack(layout, [t.dir("odd")] + [t.file(b"odd/" + n, n) for n in names])


@tree
def sparse_files(layout):
    # as GNU tar writes them: pieces of whole blocks, and an empty one where a hole ends the file
    size = (5 << 20) + 4096
    pieces = [(0, b"start678" * 64), (1 << 20, b"x" * 70144), (5 << 20, b"tail" * 256), (size, b"")]
    low = [t.sparse_old("old", pieces, size), t.sparse_pax01("pax01", pieces, size), t.sparse_pax10("pax10", pieces, size)]
    low += [t.sparse_pax10("hole", [(3 << 20, b"")], 3 << 20), t.file("zeros", b"\0" * (3 << 20))]
    low += [t.file("mixed", b"a" * 10 + b"\0" * (2 << 20) + b"b")]
    return stack(layout, low)


@tree
def attributes(layout):
    low = [t.file("x", "1", records={"SCHILY.xattr.user.one": b"v1", "SCHILY.xattr.user.two": b"\x00\x01=bin\n"})]
    low += [t.dir("d", records={"SCHILY.xattr.user.dir": b"yes"}), t.file("many", "2", records={f"SCHILY.xattr.user.n{i}": b"v" for i in range(50)})]
    low += [t.file("empty", "3", records={"SCHILY.xattr.user.empty": b""}), t.file("lost", "4", records={"SCHILY.xattr.user.a": b"1"})]
    return stack(layout, low, [t.file("lost", "5")])


@tree
def modes_and_times(layout):
    low = [t.file(f"m{mode:04o}", "x", mode=mode) for mode in (0o000, 0o400, 0o755, 0o777, 0o4755, 0o2755, 0o6711, 0o1644)]
    low += [t.dir("dm0700", mode=0o700), t.dir("dm1777", mode=0o1777), t.dir("dm2755", mode=0o2755), t.file("t0", mtime=0)]
    low += [t.file("tfuture", mtime=1 << 33), t.file("tns", mtime=1234567890.125), t.dir("tdir", mtime=987654321), t.file("t32", mtime=(1 << 32) - 1)]
    return stack(layout, low)


@tree
def five_hundred_layers(layout):
    layers = [[t.dir("l", mtime=n), t.file(f"l/f{n}", str(n)), t.file("l/same", str(n), mtime=n)] for n in range(498)]
    layers[250].append(t.whiteout("l/f100"))
    return stack(layout, *layers)


@tree
def empty_layers(layout):
    layers = stack(layout, [t.file("x", "1")])
    empty = layout.add_layer(t.end())
    return [empty, layers[0], empty, layers[1], layout.add_layer(b"\0" * 10240), empty]


@tree
def same_layer_twice(layout):
    layers = stack(layout, [t.dir("s"), t.file("s/a", "1")], [t.whiteout("s/a"), t.dir("s", mtime=4)])
    return layers + [layers[1]]


@tree
def duplicate_entries(layout):
    low = [t.file("f", "first"), t.file("f", "second", mtime=9), t.dir("d"), t.file("d/x", "1"), t.dir("d", mode=0o700, mtime=8)]
    low += [t.symlink("l", "one"), t.symlink("l", "two")]
    return stack(layout, low)


@tree
def paths_in_many_spellings(layout):
    low = [t.dir("./dot"), t.file("./dot/a", "1"), t.file("/absolute", "2"), t.file("dot//double", "3"), t.file("dot/./inner", "4")]
    return stack(layout, low)


@tree
def gzip_of_several_members(layout):
    tar = b"".join(base() + [t.file("x", os.urandom(100000)), t.file("y", b"y" * 300000)]) + t.end()
    blob = b"".join(oci.gz(tar[i : i + 65536]) for i in range(0, len(tar), 65536)) + oci.gz(b"")
    return [layout.add_raw_layer(blob, oci.sha256(tar))]


@tree
def gzip_with_names_and_extras(layout):
    tar = b"".join(base()) + t.end()
    plain = oci.gz(tar)
    # FEXTRA | FNAME | FCOMMENT
    head = plain[:3] + b"\x1c" + plain[4:10] + b"\x04\x00abcd" + b"name\0" + b"comment\0"
    return [layout.add_raw_layer(head + plain[10:], oci.sha256(tar))]


@tree
def zstd_layers(layout):
    return stack(layout, [t.file("x", b"x" * 3000000)], compress="zstd")


@tree
def zstd_of_several_frames(layout):
    tar = b"".join(base() + [t.file("y", b"y" * 300000)]) + t.end()
    skip = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"
    blob = skip
    for i in range(0, len(tar), 400000):
        blob += subprocess.run(["zstd", "-q", "-c"], input=tar[i : i + 400000], stdout=subprocess.PIPE, check=True).stdout + skip
    return [layout.add_raw_layer(blob, oci.sha256(tar), oci.LAYER + "+zstd")]


@tree
def plain_layers(layout):
    return stack(layout, [t.file("x", "1")], compress="")


@tree
def fifos(layout):
    return stack(layout, [t.dir("p"), t.fifo("p/fifo", mode=0o600, mtime=5)])


@tree
def no_end_of_archive(layout):
    return [layout.add_layer(b"".join(base() + [t.file("x", "1")]))]


@tree
def junk_after_the_end(layout):
    return [layout.add_layer(b"".join(base()) + t.end() + b"\0" * 9216 + b"junk" * 128)]


@tree
def large_and_many_files(layout):
    rand = random.Random(3)
    low = [t.dir("many")] + [t.file(f"many/{i}", rand.randbytes(rand.randrange(0, 3000))) for i in range(3000)]
    low += [t.file("large", rand.randbytes(9 << 20)), t.file("exact", rand.randbytes(1 << 20)), t.file("more", rand.randbytes((1 << 20) + 1))]
    low += [t.file("limit", rand.randbytes(256 << 10)), t.file("over", rand.randbytes((256 << 10) + 1))]
    return stack(layout, low)


@tree
def deep_directories(layout):
    path, low = "deep", [t.dir("deep")]
    for _ in range(600):
        path += "/d"
        low.append(t.dir(path))
    return stack(layout, low + [t.file(path + "/end", "here")])


# ---------------------------------------------------------------------------- hostile


def one(layout, *entries, **fields):
    """The base and one more layer of ENTRIES."""
    return stack(layout, [x for x in entries], **fields)


@hostile
def dotdot_in_a_name(layout):
    """refuse: \\.\\."""
    return one(layout, t.file("../escaped", "x"))


@hostile
def dotdot_inside_a_name(layout):
    """refuse: \\.\\."""
    return one(layout, t.dir("a"), t.file("a/../../escaped", "x"))


@hostile
def dotdot_as_hardlink_target(layout):
    """refuse: \\.\\."""
    return one(layout, t.hardlink("x", "../../etc/passwd"))


@hostile
def root_is_a_symlink(layout):
    """refuse: root"""
    return one(layout, t.symlink(".", "/etc"))


@hostile
def root_is_a_file(layout):
    """refuse: root"""
    return one(layout, t.file("./", "x"))


@hostile
def symlink_out_and_file_through_it(layout):
    """tree: etc/hpcrun-escaped f"""
    return one(layout, t.symlink("out", "/etc"), t.file("out/hpcrun-escaped", "x"))


@hostile
def symlink_up_and_out_and_file_through_it(layout):
    """tree: etc/hpcrun-escaped f"""
    return one(layout, t.symlink("out", "../../../../../../etc"), t.file("out/hpcrun-escaped", "x"))


@hostile
def symlink_loop_as_parent(layout):
    """refuse: symbolic links|symlinks|loop"""
    return one(layout, t.symlink("a", "b"), t.symlink("b", "a"), t.file("a/x", "x"))


@hostile
def hardlink_to_missing(layout):
    """refuse: nowhere"""
    return one(layout, t.hardlink("x", "nowhere"))


@hostile
def hardlink_to_itself(layout):
    """refuse: "?'?self"""
    return one(layout, t.hardlink("self", "self"))


@hostile
def hardlink_to_later(layout):
    """refuse: later"""
    return one(layout, t.hardlink("x", "later"), t.file("later", "x"))


@hostile
def hardlink_to_directory(layout):
    """refuse: directory"""
    return one(layout, t.dir("d"), t.hardlink("x", "d"))


@hostile
def hardlink_with_data(layout):
    """tree: after f"""
    return one(layout, t.file("f", "x"), t.hardlink("x", "f", size=0) + b"", t.file("after", "y"))


@hostile
def symlink_with_empty_target(layout):
    """refuse: target"""
    return one(layout, t.symlink("x", ""))


@hostile
def symlink_target_of_nul(layout):
    """refuse: NUL|target|malformed"""
    return one(layout, t.pax({"linkpath": b"a\0b"}), t.symlink("x", "y"))


@hostile
def name_with_nul(layout):
    """refuse: NUL|name|malformed"""
    return one(layout, t.pax({"path": b"a\0b"}), t.file("y", "x"))


@hostile
def name_too_long(layout):
    """refuse: long|255"""
    return one(layout, t.file("n" * 256, "x"))


@hostile
def path_too_long(layout):
    """refuse: long|4095|4096"""
    return one(layout, t.file("/".join(["d" * 250] * 17), "x"))


@hostile
def device_nodes(layout):
    """tree: safe f"""
    return one(layout, t.device("null"), t.device("disk", "b", (8, 0), mode=0o666), t.file("safe", "x"))


@hostile
def dev_is_a_symlink(layout):
    """accept-run"""
    return [layout.add_layer(b"".join(x for x in base() if not x.startswith(b"dev/")) + t.symlink("dev", "/etc") + t.end())]


@hostile
def proc_is_a_file(layout):
    """accept-run"""
    return [layout.add_layer(b"".join(x for x in base() if not x.startswith(b"proc/")) + t.file("proc", "x") + t.end())]


@hostile
def etc_passwd_is_a_symlink_to_a_host_file(layout):
    """accept-run"""
    return one(layout, t.symlink("etc/passwd", "/proc/1/environ"), t.symlink("etc/hosts", "../../../../../../dev/sda"))


@hostile
def tmp_is_a_fifo(layout):
    """accept-run"""
    return [layout.add_layer(b"".join(x for x in base() if not x.startswith(b"tmp/")) + t.fifo("tmp") + t.end())]


@hostile
def attributes_of_the_system(layout):
    """tree: x f"""
    records = {"SCHILY.xattr.security.capability": b"\x01\x00\x00\x02" + b"\xff" * 16, "SCHILY.xattr.trusted.overlay.opaque": b"y"}
    return one(layout, t.file("x", "x", mode=0o4755, records=records))


@hostile
def attribute_value_too_large(layout):
    """refuse: xattr|attribute"""
    return one(layout, t.file("x", "x", records={"SCHILY.xattr.user.big": b"v" * 65537}))


@hostile
def attribute_name_too_long(layout):
    """refuse: xattr|attribute"""
    return one(layout, t.file("x", "x", records={"SCHILY.xattr.user." + "n" * 300: b"v"}))


@hostile
def pax_size_lies(layout):
    """tree: smuggled -"""
    # the header says 0 bytes, PAX says 1024: what follows is content, not an entry
    inner = t.file("smuggled", b"x" * 10)
    return one(layout, t.pax({"size": str(len(inner))}), t.header("outer", "0", 0) + inner, t.file("after", "y"))


@hostile
def pax_record_length_lies(layout):
    """refuse: pax|PAX"""
    return one(layout, t.pax({}, raw=b"99 path=short\n"), t.file("x", "x"))


@hostile
def pax_record_length_of_zero(layout):
    """refuse: pax|PAX"""
    return one(layout, t.pax({}, raw=b"0 path=x\n"), t.file("x", "x"))


@hostile
def pax_header_of_a_gigabyte(layout):
    """refuse: pax|PAX|large|MiB"""
    return one(layout, t.header("PaxHeaders/x", "x", 1 << 30))


@hostile
def pax_header_without_entry(layout):
    """refuse: pax|PAX|end|truncated"""
    return one(layout, t.pax({"path": "x"}))


@hostile
def pax_mtime_absurd(layout):
    """tree: x f"""
    return one(layout, t.file("x", "x", records={"mtime": "99999999999999999999999999999999"}))


@hostile
def size_negative(layout):
    """refuse: size|negative"""
    return one(layout, t.file("x", b"", size=-1))


@hostile
def size_of_two_to_the_63(layout):
    """refuse: size|large"""
    return one(layout, t.file("x", b"", size=1 << 63))


@hostile
def checksum_wrong(layout):
    """refuse: checksum|check sum|damaged"""
    return one(layout, t.file("x", "x", checksum=b"000123\0 "))


@hostile
def checksum_signed(layout):
    """tree: caf\u00e9 f"""
    return one(layout, t.file("caf\u00e9", "x", signed=True))


@hostile
def sparse_map_out_of_order(layout):
    """refuse: sparse"""
    return one(layout, t.sparse_pax10("x", [(8192, b"a" * 512), (0, b"b" * 512)], 16384))


@hostile
def sparse_map_past_the_end(layout):
    """refuse: sparse"""
    return one(layout, t.sparse_pax10("x", [(8192, b"a" * 512)], 4096))


@hostile
def sparse_terabyte(layout):
    """tree: x f"""
    return one(layout, t.sparse_pax10("x", [(1 << 39, b"a" * 512)], (1 << 39) + 512))


@hostile
def truncated_in_a_header(layout):
    """refuse: truncated|end|short"""
    return [layout.add_layer(b"".join(base()) + t.file("x", "x")[:300])]


@hostile
def truncated_in_data(layout):
    """refuse: truncated|end|short"""
    return [layout.add_layer(b"".join(base()) + t.file("x", b"x" * 5000)[:2000])]


@hostile
def type_unknown(layout):
    """tree: after f"""
    return one(layout, t.entry("odd", "Z", b"data"), t.file("after", "y"))


@hostile
def hardlinks_by_the_thousand(layout):  # C6
    """tree: l65999 f"""
    return one(layout, t.file("target", "x"), *(t.hardlink("l%d" % i, "target") for i in range(66000)))


@hostile
def attributes_by_the_thousand(layout):  # C10
    """refuse: xattr|attribute"""
    records = {"SCHILY.xattr.user.a%d" % i: "v" * 100 for i in range(10000)}
    return one(layout, t.file("x", "x", records=records))


@hostile
def sparse_holes_by_the_million(layout):  # C14
    """tree: x f"""
    lines = b"1000000\n" + b"".join(b"%d\n1\n" % (2 * i) for i in range(1_000_000))
    head = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x", "GNU.sparse.realsize": "2000000"}
    return one(layout, t.pax(head) + t.file("GNUSparseFile.0/x", t.pad(lines) + b"x" * 1_000_000))


@hostile
def sizes_around_eight_gibibytes(layout):  # C15
    """tree: above f"""
    sizes = {"below": (8 << 30) - 1, "at": 8 << 30, "above": (8 << 30) + 1}
    return one(layout, *(t.sparse_pax10(n, [(s - 512, b"e" * 512)], s) for n, s in sizes.items()))


@hostile
def files_and_directories_by_turns(layout):  # C16
    """tree: x/in f"""
    turns = [t.file("x", "1"), t.dir("x"), t.file("x/gone", "2"), t.file("x", "3"), t.dir("x"), t.file("x/in", "4")]
    return one(layout, *turns, t.dir("x", mode=0o700))


@hostile
def whiteout_of_nothing(layout):
    """tree: etc/passwd f"""
    return one(layout, t.file(".wh."), t.file("etc/.wh."), t.file(".wh..wh.plnk"), t.file("etc/.wh...", "x"))


@hostile
def whiteout_of_dotdot(layout):
    """tree: etc/passwd f"""
    return one(layout, t.file("home/.wh..."), t.file("home/.wh.."))


@hostile
def gzip_truncated(layout):
    """refuse: gzip|truncated|ends"""
    tar = b"".join(base()) + t.end()
    return [layout.add_raw_layer(oci.gz(tar)[:-20], oci.sha256(tar))]


@hostile
def gzip_bit_flipped(layout):
    """refuse: gzip|corrupt|damaged|DiffID|sum"""
    tar = b"".join(base()) + t.end()
    blob = bytearray(oci.gz(tar))
    blob[len(blob) // 2] ^= 4
    return [layout.add_raw_layer(bytes(blob), oci.sha256(tar))]


@hostile
def gzip_junk_behind(layout):
    """refuse: gzip|DiffID|behind|trailing"""
    tar = b"".join(base()) + t.end()
    return [layout.add_raw_layer(oci.gz(tar) + b"junk" * 100, oci.sha256(tar))]


@hostile
def zstd_truncated(layout):
    """refuse: zstd|truncated|ends"""
    tar = b"".join(base()) + t.end()
    blob = subprocess.run(["zstd", "-q", "-c"], input=tar, stdout=subprocess.PIPE, check=True).stdout
    return [layout.add_raw_layer(blob[:-20], oci.sha256(tar), oci.LAYER + "+zstd")]


@hostile
def zstd_window_of_two_gigabytes(layout):
    """refuse: window"""
    tar = b"".join(base()) + t.end()
    # a frame header: no single segment, no checksum, no size; window exponent 21 (2 GiB)
    blob = b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x01\x00\x00"
    return [layout.add_raw_layer(blob, oci.sha256(tar), oci.LAYER + "+zstd")]


@hostile
def media_type_lies(layout):
    """refuse: gzip|media type|xz"""
    tar = b"".join(base()) + t.end()
    blob = subprocess.run(["xz", "-0", "-c"], input=tar, stdout=subprocess.PIPE, check=True).stdout
    return [layout.add_raw_layer(blob, oci.sha256(tar))]


@hostile
def diff_id_wrong(layout):
    """refuse: DiffID"""
    return [layout.add_raw_layer(oci.gz(b"".join(base()) + t.end()), oci.sha256(b"something else"))]


@hostile
def blob_digest_wrong(layout):
    """refuse: sha256|digest"""
    layer = layout.add_layer(b"".join(base()) + t.end())
    wrong = hashlib.sha256(b"wrong").hexdigest()
    with open(os.path.join(layout.blobs, layer.digest[7:]), "rb") as f, open(os.path.join(layout.blobs, wrong), "wb") as out:
        out.write(f.read())
    layer.digest = "sha256:" + wrong
    return [layer]


@hostile
def blob_longer_than_said(layout):
    """refuse: bytes|size|longer"""
    layer = layout.add_layer(b"".join(base()) + t.end())
    layer.size -= 100
    return [layer]


@hostile
def blob_shorter_than_said(layout):
    """refuse: bytes|size|short"""
    layer = layout.add_layer(b"".join(base()) + t.end())
    layer.size += 100
    return [layer]


@hostile
def blob_missing(layout):
    """refuse: not found|404|unknown"""
    layer = layout.add_layer(b"".join(base()) + t.end())
    layer.digest = oci.sha256(b"not there")
    return [layer]


@hostile
def zeros_a_thousandfold(layout):
    """tree: zeros f"""
    # 300 MB of zeros in less than 2 MB: no memory, no space
    with subprocess.Popen(["head", "-c", str(ZEROS), "/dev/zero"], stdout=subprocess.PIPE) as head:
        packed = subprocess.Popen(["gzip", "-1nc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return [stack(layout)[0], _zeros(layout, head, packed)]


def _zeros(layout, head, packed):
    total, blob = hashlib.sha256(), []
    reader = threading.Thread(target=lambda: blob.append(packed.stdout.read()))
    reader.start()
    zeros = iter(lambda: head.stdout.read(1 << 20), b"")
    for part in itertools.chain([t.header("zeros", "0", ZEROS)], zeros, [b"\0" * (-ZEROS % 512) + t.end()]):
        total.update(part)
        packed.stdin.write(part)
    packed.stdin.close()
    reader.join()
    packed.wait()
    return layout.add_raw_layer(blob[0], "sha256:" + total.hexdigest())


@hostile
def counts_of_layers_differ(layout):
    """refuse: layers|diff_ids"""
    return stack(layout), {"config_fields": {"rootfs": {"type": "layers", "diff_ids": []}}}


@hostile
def manifest_and_index_in_one(layout):
    """refuse: manifests|layers|both"""
    return stack(layout), {"manifest": {"manifests": []}}


@hostile
def layer_size_negative(layout):
    """refuse: size"""
    layers = stack(layout)
    layers[0].size = -1
    return layers


@hostile
def layer_digest_of_dots(layout):
    """refuse: digest"""
    layers = stack(layout)
    layers[0].digest = "sha256:../../../../../../../../etc/passwd"
    return layers


@hostile
def three_thousand_empty_layers(layout):
    """refuse: layers"""
    return stack(layout) + [layout.add_layer(t.end())] * 5000
