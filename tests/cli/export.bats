#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun export: what comes out of the store is what went in, for the programs that read such files.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	scratch_make
	mkdir -p rootfs/data/deep && cd rootfs || return
	busybox_root . sh
	seq 1 300000 >data/seq
	truncate -s 3000000 data/hole
	printf end >>data/hole
	: >data/empty
	ln data/seq data/again
	ln -s ../seq data/deep/link
	chmod 640 data/empty
	cd .. || return
	chmod 750 rootfs
	tree_of rootfs >want
	"$HPCRUN" import rootfs lab/tree:1
}
teardown_file() { scratch_remove; }
setup() { cd "$SCRATCH" || return; }

tree_of() {
	(cd "$1" && find . ! -type d -exec stat -c '%n %F %a %h %Y %s' {} + | sort && find . -type f -exec sha256sum {} + | sort)
}
# is_rootfs DIR
is_rootfs() { diff want <(tree_of "$1"); }

@test "export: a tar file that tar unpacks" {
	"$HPCRUN" export --json lab/tree:1 out.tar >"$BATS_TEST_TMPDIR/json" 2>err
	[ ! -s err ]
	jq -e --argjson bytes "$(stat -c %s out.tar)" \
		'. == {image: "lab/tree:1", file: "out.tar", format: "tar", bytes: $bytes, digest: null}' "$BATS_TEST_TMPDIR/json"
	mkdir "$BATS_TEST_TMPDIR/x" && tar -C "$BATS_TEST_TMPDIR/x" -xpf out.tar
	is_rootfs "$BATS_TEST_TMPDIR/x"
}

@test "export: a squashfs that unsquashfs unpacks, and that is run in place" {
	run -0 "$HPCRUN" export lab/tree:1 out.sqfs
	[ -z "$output" ]
	unsquashfs -lln out.sqfs | grep -E "^drwxr-x--- $(id -u)/$(id -g) .* squashfs-root$"
	unsquashfs -q -n -d "$BATS_TEST_TMPDIR/x" out.sqfs >/dev/null
	is_rootfs "$BATS_TEST_TMPDIR/x"
	run -0 "$HPCRUN" ./out.sqfs busybox wc -l /data/again
}

@test "export: a SIF file with the squashfs inside, which is run in place and imported" {
	"$HPCRUN" export lab/tree:1 out.sif
	[ "$(head -n 1 out.sif | tr -d '\0')" = '#!/usr/bin/env run-singularity' ]
	unsquashfs -q -n -o 32768 -d "$BATS_TEST_TMPDIR/x" out.sif >/dev/null
	is_rootfs "$BATS_TEST_TMPDIR/x"
	run -0 "$HPCRUN" ./out.sif busybox wc -l /data/again
	"$HPCRUN" import out.sif lab/again:1
	[ -z "$(find . -maxdepth 1 -name '*.new-*')" ]
}

@test "export: an OCI layout that skopeo copies and umoci unpacks" {
	"$HPCRUN" export --json lab/tree:1 out.oci >"$BATS_TEST_TMPDIR/json"
	[ "$(skopeo inspect --raw oci:out.oci:latest | sha256sum)" = "$(jq -r '.digest[7:]' "$BATS_TEST_TMPDIR/json")  -" ]
	skopeo copy -q oci:out.oci:latest "oci-archive:$BATS_TEST_TMPDIR/copy.tar"
	if [ "$(id -u)" = 0 ]; then
		umoci unpack --image out.oci:latest "$BATS_TEST_TMPDIR/x"
	else
		umoci unpack --rootless --image out.oci:latest "$BATS_TEST_TMPDIR/x"
	fi
	is_rootfs "$BATS_TEST_TMPDIR/x/rootfs"
	"$HPCRUN" import "$BATS_TEST_TMPDIR/copy.tar" lab/copy:1
}

@test "export: a squashfs file becomes a tar file without the store" {
	mksquashfs rootfs in.sqfs -quiet -no-progress >/dev/null
	"$HPCRUN" export --format tar ./in.sqfs again
	mkdir "$BATS_TEST_TMPDIR/x" && tar -C "$BATS_TEST_TMPDIR/x" -xpf again
	is_rootfs "$BATS_TEST_TMPDIR/x"
}

@test "export: what is wrong is one message, and nothing is left" {
	fail_with 'hpcrun pull' "$HPCRUN" export lab/none:1 none.tar
	fail_with 'ends in none of' "$HPCRUN" export lab/tree:1 file
	fail_with 'none of: tar' "$HPCRUN" export --format zip lab/tree:1 file
	echo precious >there.tar
	fail_with 'is there already' "$HPCRUN" export lab/tree:1 there.tar
	[ "$(cat there.tar)" = precious ]
	"$HPCRUN" export --force lab/tree:1 there.tar
	[ "$(head -c 8 there.tar)" != precious ]
	fail_with "make the directory 'no/such/dir/' first" "$HPCRUN" export lab/tree:1 no/such/dir/x.sif
	fail_with "make the directory 'there.tar/' first" "$HPCRUN" export lab/tree:1 there.tar/x.oci
	mkdir -p bin && ln -s "$(command -v cat)" "$(command -v grep)" bin/
	PATH=$PWD/bin fail_with 'mksquashfs' "$HPCRUN" export lab/tree:1 x.sqfs
	[ -z "$(find . -maxdepth 1 -name '*.new-*')" ]
	[ ! -e x.sqfs ]
}
