#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun import: images that lie in files, of every kind.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	publish busybox whiteouts
	mkdir -p rootfs/{etc,data/deep} && cd rootfs || return
	busybox_root . sh cat sha256sum stat find sort
	seq 1 300000 >data/seq
	head -c 1500000 /dev/urandom >data/random
	truncate -s 3000000 data/hole
	printf end >>data/hole
	: >data/empty
	ln data/seq data/again
	ln -s ../seq data/deep/link
	mkdir "data/$(printf 'long%.0s' {1..40})" && echo x >"data/$(printf 'long%.0s' {1..40})/$(printf 'name%.0s' {1..40})"
	chmod 640 data/random
	cd .. || return
	tree_of_rootfs >want
	skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/test/whiteouts:1" oci:layout:one
}
teardown_file() { file_teardown; }
setup() {
	cd "$SCRATCH" || return
	mkdir -m 700 "$BATS_TEST_TMPDIR/run"
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
}

TREE='cd / && find data -type f -exec sha256sum {} + | sort; find data ! -type d -exec stat -c "%n %F %a %h %Y %s" {} + | sort'
tree_of_rootfs() { (cd rootfs && sh -c "${TREE#cd / && }" | LC_ALL=C sort); }
# is_rootfs NAME: the image is what rootfs is.
is_rootfs() {
	"$HPCRUN" "$1" sh -c "$TREE" | LC_ALL=C sort >got
	diff want got
}
# is_whiteouts NAME: the image is what the registry has under test/whiteouts:1, its environment too.
is_whiteouts() {
	local n=0 image
	"$HPCRUN" pull -q "$REGISTRY/test/whiteouts:1" >/dev/null
	for image in "$1" "$REGISTRY/test/whiteouts:1"; do
		n=$((n + 1))
		"$HPCRUN" inspect "$image" | jq -c '[.. | .Env? // .env? // empty]' >"$BATS_TEST_TMPDIR/env.$n"
		"$HPCRUN" "$image" sh -c 'cd / && find . -xdev -type f ! -path "./tmp/*" ! -path "./etc/*" | sort' >"$BATS_TEST_TMPDIR/files.$n" ||
			return
	done
	diff "$BATS_TEST_TMPDIR/files.1" "$BATS_TEST_TMPDIR/files.2"
	diff "$BATS_TEST_TMPDIR/env.1" "$BATS_TEST_TMPDIR/env.2"
}
# nothing_changed: the store has no image, and nothing unfinished.
nothing_changed() {
	[ -z "$(cd "$HPCRUN_STORE" 2>/dev/null && find refs images index docs tmp leases -type f 2>/dev/null)" ]
}

@test "import: a directory, and again with nothing stored twice" {
	"$HPCRUN" import rootfs tree:1
	is_rootfs tree:1
	before=$(find "$HPCRUN_STORE/packs" -type f | sort)
	"$HPCRUN" import dir:rootfs tree:2
	[ "$(find "$HPCRUN_STORE/packs" -type f | sort)" = "$before" ]
}

@test "import: a squashfs and a SIF file" {
	mksquashfs rootfs "$BATS_TEST_TMPDIR/a.sqfs" -quiet -no-progress -comp gzip >/dev/null
	case $(uname -m) in aarch64) arch=04 ;; *) arch=02 ;; esac
	"$TESTS_DIR/lib/mksif" "$BATS_TEST_TMPDIR/a.sif" "$BATS_TEST_TMPDIR/a.sqfs" arch=$arch
	"$HPCRUN" import "$BATS_TEST_TMPDIR/a.sqfs" lab/squash:1
	is_rootfs lab/squash:1
	before=$(find "$HPCRUN_STORE/packs" -type f | sort)
	"$HPCRUN" import "$BATS_TEST_TMPDIR/a.sif"
	[ "$(find "$HPCRUN_STORE/packs" -type f | sort)" = "$before" ]
	is_rootfs a:latest
}

@test "import: the archive of a root file system, as docker export writes it" {
	tar -C rootfs -cf "$BATS_TEST_TMPDIR/root.tar" .
	"$HPCRUN" import "$BATS_TEST_TMPDIR/root.tar" tree:tar
	is_rootfs tree:tar
}

@test "import: an OCI layout, by its tag, by pull, and as an archive" {
	"$HPCRUN" import oci:layout:one lab/layout:1
	is_whiteouts lab/layout:1
	run -0 "$HPCRUN" pull -q oci:layout:one
	"$HPCRUN" layout:one true
	skopeo copy -q oci:layout:one "oci-archive:$BATS_TEST_TMPDIR/oci.tar:two"
	"$HPCRUN" import "$BATS_TEST_TMPDIR/oci.tar" lab/archive:1
	"$HPCRUN" import "oci-archive:$BATS_TEST_TMPDIR/oci.tar:two" lab/archive:2
	"$HPCRUN" lab/archive:1 true
	fail_with 'no image .three' "$HPCRUN" import oci:layout:three lab/none
}

@test "import: an OCI layout with several images wants one named" {
	skopeo copy -q oci:layout:one "oci:$BATS_TEST_TMPDIR/several:one"
	skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/test/busybox:1" "oci:$BATS_TEST_TMPDIR/several:two"
	fail_with 'several images' "$HPCRUN" import "$BATS_TEST_TMPDIR/several" lab/several
	nothing_changed
	"$HPCRUN" import "oci:$BATS_TEST_TMPDIR/several:two" lab/several
	run -0 "$HPCRUN" lab/several true
}

@test "import: an archive of docker save, whatever its layers look like inside" {
	skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/test/whiteouts:1" \
		"docker-archive:$BATS_TEST_TMPDIR/save.tar:lab/app:1"
	"$HPCRUN" import "$BATS_TEST_TMPDIR/save.tar" saved:1
	is_whiteouts saved:1
	mkdir "$BATS_TEST_TMPDIR/x" && tar -C "$BATS_TEST_TMPDIR/x" -xf "$BATS_TEST_TMPDIR/save.tar"
	# as it was before Docker 25: a directory for each layer, and symlinks to those that are there twice
	(cd "$BATS_TEST_TMPDIR/x" && i=0 && rm -f ./*/layer.tar && for layer in *.tar; do
		mkdir "d$((++i))" && mv "$layer" "d$i/layer.tar" && mkdir "e$i" && ln -s "../d$i/layer.tar" "e$i/layer.tar"
		sed -i "s,$layer,e$i/layer.tar," manifest.json
	done && tar -cf ../old.tar manifest.json ./*.json d* e*)
	"$HPCRUN" import "docker-archive:$BATS_TEST_TMPDIR/old.tar:1" saved:2
	run -0 "$HPCRUN" saved:2 true
}

@test "pull: docker:// in front of a reference means nothing" {
	"$HPCRUN" pull -q "docker://$REGISTRY/test/busybox:1"
	run -0 "$HPCRUN" "$REGISTRY/test/busybox:1" true
	run -0 "$HPCRUN" "docker://$REGISTRY/test/busybox:1" true
}

@test "import: what is wrong is one message, and nothing is changed" {
	cd "$BATS_TEST_TMPDIR" || return
	fail_with 'nothing.*No such file' "$HPCRUN" import nothing lab/none
	fail_with 'manifest' "$HPCRUN" pull "$REGISTRY/test/nothing:1"
	fail_with '404' "$HPCRUN" import "http://$REGISTRY/none.sqfs" lab/none
	echo text >text
	fail_with 'no archive, squashfs or SIF' "$HPCRUN" import text lab/none
	gzip -k text
	fail_with 'compressed with gzip' "$HPCRUN" import text.gz lab/none
	tar -cf empty.tar text
	fail_with 'no manifest.json' "$HPCRUN" import docker-archive:empty.tar lab/none
	fail_with 'no index.json' "$HPCRUN" import oci-archive:empty.tar lab/none
	fail_with 'is a file, expected a directory' "$HPCRUN" import oci:text lab/none
	cp -r "$SCRATCH/layout" damaged
	blob=$(find damaged/blobs -type f -size +20k | head -n 1)
	chmod u+w "$blob" && printf X | dd of="$blob" bs=1 seek=9000 conv=notrunc status=none
	[ ! -e "$HPCRUN_STORE" ] # nor is a store made for what is not there
	fail_with 'damaged|layer|digest|corrupt' "$HPCRUN" import damaged lab/none
	rm -f "$blob"
	fail_with 'blobs/sha256' "$HPCRUN" import damaged lab/none
	# documents that are as well formed as before, but not what their names say
	rm -r damaged && cp -r "$SCRATCH/layout" damaged && chmod -R u+w damaged
	blob=$(grep -rl diff_ids damaged/blobs) && sed -i 's/PATH=/path=/' "$blob"
	run -1 cmp "$blob" "$SCRATCH/layout/${blob#damaged/}"
	fail_with 'its content is not that of its digest' "$HPCRUN" import damaged lab/none
	rm -r damaged && cp -r "$SCRATCH/layout" damaged && chmod -R u+w damaged
	blob=$(grep -rl '"digest"' damaged/blobs) && echo >>"$blob"
	fail_with 'is not what its name says' "$HPCRUN" import damaged lab/none
	printf '[{"Config":"../../../etc/passwd","Layers":[]}]' >manifest.json
	tar -cf evil.tar manifest.json
	fail_with 'etc/passwd' "$HPCRUN" import evil.tar lab/none
	fail_with 'upper-case' "$HPCRUN" import text lab/None
	nothing_changed
}
