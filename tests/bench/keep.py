# SPDX-License-Identifier: BSD-3-Clause
"""Figures about keeping a store: many images in it, its check, what sharing of chunks saves. For bench/run alone."""

import hashlib
import os
import random
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import oci  # noqa: E402  pylint: disable=wrong-import-position
import tarball as t  # noqa: E402  pylint: disable=wrong-import-position


def files_of(store, kind):
    """The paths of the objects of a kind."""
    for where, _, names in os.walk(os.path.join(store, kind)):
        for name in names:
            yield os.path.join(where, name)


def place(store, kind, name):
    """The path of an object, its directory made."""
    where = os.path.join(store, kind, name[:2])
    os.makedirs(where, exist_ok=True)
    return os.path.join(where, name)


def multiply(store, times):
    """Hard links of the objects of the one image of a store, with records and references, for TIMES images."""
    ref = next(p for p in files_of(store, "refs") if "/_tags/" in p)
    with open(ref, encoding="ascii") as f:
        text = f.read()
    manifest = text.split("sha256:")[1][:64]
    big = {k: [p for p in files_of(store, k)] for k in ("packs", "index", "layers", "meta", "docs", "blobs")}
    record = os.path.join(store, "images", manifest[:2], manifest)
    for i in range(times):
        fresh = hashlib.sha256(b"%d" % i).hexdigest()
        for kind, paths in big.items():
            for path in paths:
                name = hashlib.sha256((os.path.basename(path)[:64] + fresh).encode()).hexdigest()
                os.link(path, place(store, kind, name + (".loc" if path.endswith(".loc") else "")))
        shutil.copy(record, place(store, "images", fresh))
        where = f"{store}/refs/many.example/group{i % 10}/image{i}/_tags"
        os.makedirs(where)
        with open(where + "/1", "w", encoding="ascii") as f:
            f.write(text.replace(manifest, fresh))


def many(b, hpcrun, figure):
    """Verbs on a store of a thousand images."""
    times = 100 if b.opt.small else 1000
    store = b.work + "/many"
    shared = b.ref("shared")
    env = dict(b.env, HPCRUN_STORE=store)
    b.timed([hpcrun, "pull", shared], env)
    multiply(store, times)
    for name, argv in (
        ("images", ["images"]),
        ("images_json", ["images", "--json"]),
        ("images_quiet", ["images", "-q"]),
        ("inspect", ["inspect", shared]),
        ("complete", ["completion", "words", "run", "many"]),
        ("plan", ["plan", shared]),
    ):
        took = sorted(b.timed([hpcrun, *argv], env)[0] for _ in range(5))[2]
        figure(f"many_{name}", took * 1e3, "ms", "wanted", 100.0, 1)
    shutil.rmtree(store)


def fsck(b, hpcrun, figure):
    """Checking a store against sha256sum of its files, which looks at the compressed bytes alone."""
    b.pulled()
    paths = [p for kind in ("packs", "index", "layers", "docs", "meta", "images") for p in files_of(b.store, kind)]
    total = sum(os.path.getsize(p) for p in paths)
    with open(b.work + "/paths", "w", encoding="ascii") as f:
        f.write("\0".join(paths))
    ours = sorted(b.timed([hpcrun, "store", "fsck"])[0] for _ in range(3))[1]
    one = sorted(b.timed([hpcrun, "store", "fsck", "-t", "1"])[0] for _ in range(3))[1]
    peer = sorted(b.timed(["xargs", "-0", "-a", b.work + "/paths", "sha256sum"])[0] for _ in range(3))[1]
    figure("fsck_rate", total / ours / 1e6, "MB/s", "sha256sum", total / peer / 1e6, 0)
    figure("fsck_rate_1_thread", total / one / 1e6, "MB/s", "sha256sum", total / peer / 1e6, 0)


def software(seed, megabytes, rebuilt):
    """Files of a layer as package managers leave them: many small ones, some large. REBUILT: how often it was built
    anew, each time with one package of another version and three files that tell the time of the build."""
    sizes, out, left, i = random.Random(seed), [], megabytes << 20, 0
    changed = random.Random(f"{seed}.{rebuilt}")
    package = changed.randrange(50)
    while left > 0:
        size = min(left, int(sizes.lognormvariate(9.2, 1.6)) + 1)
        # a file in three changes of its package
        version = rebuilt if rebuilt and i // 20 % 50 == package and i % 3 == 0 or i in (7, 333, 611) else 0
        half = random.Random(f"{seed}.{i}.{version}").randbytes(size // 2 + 1)
        out.append(t.file(f"opt/{seed}/package{i // 20:04}/file{i:05}", (half + half)[:size]))
        left -= size
        i += 1
    return out


def frames(path):
    """Bytes of the frames that a location file names, each once."""
    with open(path, "rb") as f:
        data = f.read()
    packs, chunks = struct.unpack_from("<II", data, 8)
    seen = {}
    for i in range(chunks):
        _, _, size, pack, frame, _ = struct.unpack_from("<QQIIII", data, 16 + 40 * packs + 32 * i)
        seen[pack, frame] = size
    return sum(seen.values())


def dedup(b, hpcrun, figure):
    """Ten images on one base, each rebuilt five times: what the store holds, against each different layer in full."""
    images, builds, size = (3, 3, 2) if b.opt.small else (10, 5, 16)
    store, storage = b.work + "/dedup", b.work + "/registry"
    env = dict(b.env, HPCRUN_STORE=store)
    registry = b.ref("shared").split("/")[0]
    layout = oci.Layout(b.work + "/dedup-oci")
    base = layout.add_layer(b"".join(software("base", 2 * size, 0)) + t.end())
    for i in range(images):
        for k in range(builds):
            tag = f"image{i}-{k}"
            top = layout.add_layer(b"".join(software(f"app{i}", size, k)) + t.end())
            layout.add_image(tag, [base, top])
            layout.publish(storage, f"bench/dedup{i}", tag, str(k))
            b.timed([hpcrun, "pull", "-q", f"{registry}/bench/dedup{i}:{k}"], env)
    ours = sum(os.path.getsize(p) for p in files_of(store, "packs"))
    layers = sum(frames(p) for p in files_of(store, "layers") if p.endswith(".loc"))
    figure("dedup_packs", ours / 1e6, "MB", "by_layer", layers / 1e6, 1)
    subprocess.run(["rm", "-rf", store, b.work + "/dedup-oci"], check=True)
