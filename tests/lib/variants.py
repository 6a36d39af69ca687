#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Publish images whose documents have other shapes than the usual manifest.

usage: variants.py STORAGE      (of a docker-registry, see mkimage)

    test/multi:1    an index: this machine's platform (file /platform says which), another, an attestation
    test/alien:1    an index without this machine's platform
    test/docker:1   Docker's media types
"""

import json
import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cases  # noqa: E402
import oci  # noqa: E402
import tarball as t  # noqa: E402

DOCKER = "application/vnd.docker."


def platform(layout, tag, arch, text):
    """The manifest digest of a small image whose /platform holds TEXT."""
    return layout.add_image(tag, cases.stack(layout, [t.file("platform", text)]), architecture=arch)


def index(layout, tag, entries):
    """An index as tag: (digest, platform) each."""
    doc = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": oci.MANIFEST,
                "digest": digest,
                "size": os.path.getsize(os.path.join(layout.blobs, digest[7:])),
                "platform": dict(zip(("os", "architecture"), where)),
            }
            for digest, where in entries
        ],
    }
    return layout.add_document(tag, doc, doc["mediaType"])


def main():
    """See the top of this file."""
    storage = sys.argv[1]
    with tempfile.TemporaryDirectory() as temp:
        layout = oci.Layout(temp)
        other = "s390x"
        here = platform(layout, "here", oci.ARCH, os.uname().machine)
        there = platform(layout, "there", other, other)
        index(layout, "multi", [(there, ("linux", other)), (there, ("unknown", "unknown")), (here, ("linux", oci.ARCH))])
        index(layout, "alien", [(there, ("linux", other))])
        layers = cases.stack(layout)
        for layer in layers:
            layer.media_type = DOCKER + "image.rootfs.diff.tar.gzip"
        with open(os.path.join(layout.blobs, layout.add_image("docker", layers)[7:]), encoding="utf-8") as f:
            doc = json.load(f)
        doc["mediaType"] = DOCKER + "distribution.manifest.v2+json"
        doc["config"]["mediaType"] = DOCKER + "container.image.v1+json"
        layout.add_document("docker", doc, doc["mediaType"])
        for tag in ("multi", "alien", "docker"):
            layout.publish(storage, "test/" + tag, tag, "1")


if __name__ == "__main__":
    main()
