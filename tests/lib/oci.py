# SPDX-License-Identifier: BSD-3-Clause
"""Write OCI image layouts with nothing but the standard library.

A layout is a directory (oci-layout, index.json, blobs/sha256/...), read by skopeo and umoci as oci:DIR:TAG.
Layers are given as ready blobs, so that a caller can write what no honest tool would: Layout.add_image takes
the descriptor fields as they are told, true or not.
"""

import functools
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import threading

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def sha256(data):
    """The digest of DATA as OCI spells it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@functools.lru_cache(maxsize=8)
def gz(data, level=1):
    """One gzip member without name or time, the same bytes every time; fast rather than small."""
    return gzip.compress(data, level, mtime=0)


class Layer:
    """A layer as a manifest describes it; every field may lie."""

    def __init__(self, digest, size, diff_id, media_type):
        self.digest, self.size, self.diff_id, self.media_type = digest, size, diff_id, media_type

    def descriptor(self):
        """The entry of the manifest."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


class Layout:
    """An OCI layout under PATH, made when missing; tags that are there already stay."""

    def __init__(self, path, read_only=False):
        self.path = path
        self.blobs = os.path.join(path, "blobs", "sha256")
        if read_only:
            with open(os.path.join(path, "index.json"), encoding="utf-8") as f:
                self.index = json.load(f)
            return
        os.makedirs(self.blobs, exist_ok=True)
        with open(os.path.join(path, "oci-layout"), "w", encoding="ascii") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')
        self.index = {"schemaVersion": 2, "manifests": []}
        try:
            with open(os.path.join(path, "index.json"), encoding="utf-8") as f:
                self.index = json.load(f)
        except FileNotFoundError:
            pass

    def add_blob(self, data):
        """Store DATA; its true digest."""
        digest = sha256(data)
        with open(os.path.join(self.blobs, digest[7:]), "wb") as f:
            f.write(data)
        return digest

    def add_layer(self, tar, compress="gzip", **lies):
        """A layer from the bytes of an archive. LIES replace fields of the descriptor."""
        if compress == "gzip":
            blob, kind = gz(tar), LAYER + "+gzip"
        elif compress == "zstd":
            blob = subprocess.run(["zstd", "-q", "-3", "-c"], input=tar, stdout=subprocess.PIPE, check=True).stdout
            kind = LAYER + "+zstd"
        else:
            blob, kind = tar, LAYER
        return self.add_raw_layer(blob, sha256(tar), kind, **lies)

    def add_raw_layer(self, blob, diff_id, media_type=LAYER + "+gzip", **lies):
        """A layer from the bytes of a blob, whatever they are."""
        layer = Layer(self.add_blob(blob), len(blob), diff_id, media_type)
        layer.__dict__.update(lies)
        return layer

    def add_stream_layer(self, stream, level=6):
        """A gzip layer from an open archive that may be larger than memory, compressed by gzip(1)."""
        temp = os.path.join(self.blobs, ".layer")
        plain, packed = hashlib.sha256(), hashlib.sha256()
        with open(temp, "wb") as out, subprocess.Popen(
            ["gzip", "-n", f"-{level}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as gzp:

            def drain():
                while block := gzp.stdout.read(1 << 20):
                    packed.update(block)
                    out.write(block)

            reader = threading.Thread(target=drain)
            reader.start()
            while block := stream.read(1 << 20):
                plain.update(block)
                gzp.stdin.write(block)
            gzp.stdin.close()
            reader.join()
        size = os.path.getsize(temp)
        os.rename(temp, os.path.join(self.blobs, packed.hexdigest()))
        return Layer("sha256:" + packed.hexdigest(), size, "sha256:" + plain.hexdigest(), LAYER + "+gzip")

    def add_image(self, tag, layers, config=None, manifest=None, **config_fields):
        """Name an image of LAYERS TAG. CONFIG: Env, Cmd ... of the image; MANIFEST: fields that replace ours."""
        doc = {
            "created": "2024-01-01T00:00:00Z",
            "architecture": ARCH,
            "os": "linux",
            "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": [x.diff_id for x in layers]},
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "test"} for _ in layers],
        }
        doc.update(config_fields)
        data = json.dumps(doc).encode()
        man = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": self.add_blob(data), "size": len(data)},
            "layers": [x.descriptor() for x in layers],
        }
        man.update(manifest or {})
        return self.add_document(tag, man, MANIFEST)

    def add_document(self, tag, doc, media_type):
        """Name DOC, a manifest or an index of manifests that are here, TAG."""
        data = json.dumps(doc).encode()
        digest = self.add_blob(data)
        self.index["manifests"] = [
            m for m in self.index["manifests"] if m["annotations"]["org.opencontainers.image.ref.name"] != tag
        ] + [
            {
                "mediaType": media_type,
                "digest": digest,
                "size": len(data),
                "annotations": {"org.opencontainers.image.ref.name": tag},
            }
        ]
        with open(os.path.join(self.path, "index.json"), "w", encoding="utf-8") as f:
            json.dump(self.index, f)
        return digest

    def _digest(self, tag):
        (digest,) = [
            m["digest"]
            for m in self.index["manifests"]
            if m["annotations"]["org.opencontainers.image.ref.name"] == tag
        ]
        return digest

    def manifest(self, tag):
        """The document that TAG names."""
        with open(os.path.join(self.blobs, self._digest(tag)[7:]), encoding="utf-8") as f:
            return json.load(f)

    def publish(self, storage, repo, tag, name=None):
        """Put TAG as REPO:NAME (default: TAG) into the file system STORAGE of a docker-registry, past its checks.

        The registry reads this tree afresh for each request, so it may be running; it serves what it finds.
        """
        top = os.path.join(storage, "docker/registry/v2")
        digest = self._digest(tag)
        repository = os.path.join(top, "repositories", repo)
        self._publish_document(top, repository, digest)
        name = name or tag
        _link(os.path.join(repository, "_manifests/tags", name, "current"), digest)
        _link(os.path.join(repository, "_manifests/tags", name, "index/sha256", digest[7:]), digest)
        return digest

    def _publish_document(self, top, repository, digest):
        with open(os.path.join(self.blobs, digest[7:]), encoding="utf-8") as f:
            doc = json.load(f)
        named = doc["manifests"] if "layers" not in doc else [doc["config"]] + doc["layers"]
        for one in [digest] + [d["digest"] for d in named]:
            if not re.fullmatch("sha256:[0-9a-f]{64}", one):
                continue  # a case about digests; it must not become a path here
            _link(os.path.join(repository, "_layers/sha256", one[7:]), one)
            data = os.path.join(top, "blobs/sha256", one[7:9], one[7:])
            os.makedirs(data, exist_ok=True)
            source = os.path.join(self.blobs, one[7:])
            if os.path.isfile(source) and not os.path.exists(data + "/data"):
                _copy(source, data + "/data")
        _link(os.path.join(repository, "_manifests/revisions/sha256", digest[7:]), digest)
        if "layers" not in doc:
            for one in named:
                self._publish_document(top, repository, one["digest"])


def _link(path, digest):
    os.makedirs(path, exist_ok=True)
    with open(path + "/link", "w", encoding="ascii") as f:
        f.write(digest)


def _copy(source, target):
    try:
        os.link(source, target)  # blobs are large, and nobody changes them
    except OSError:
        shutil.copyfile(source, target)
