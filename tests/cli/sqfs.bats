#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Squashfs and SIF files run in place.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	scratch_make
	mkdir -p rootfs/{etc,data/deep/er,.singularity.d} && cd rootfs || return
	busybox_root . sh cat sha256sum ls stat find readlink true
	echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd
	seq 1 60000 >data/seq
	head -c 1500000 /dev/urandom >data/random
	for i in $(seq 1 40); do seq "$i" $((i * 20)) >"data/deep/er/$i"; done
	truncate -s 700000 data/hole
	printf end >>data/hole
	: >data/empty
	ln data/seq data/again
	ln -s ../seq data/deep/link
	printf '#!/bin/sh\necho runscript "$@"\n' >.singularity.d/runscript
	chmod 755 .singularity.d/runscript
	cd .. || return
	mksquashfs rootfs image.sqfs -quiet -no-progress -all-root -comp zstd >/dev/null
	"$TESTS_DIR/lib/mksif" image.sif image.sqfs "arch=$(sif_arch)"
}
teardown_file() {
	leftovers_end TERM
	scratch_remove
}
# sessions linger: each test has its own, and its own cache
setup() {
	cd "$SCRATCH" || return
	mkdir -m 700 "$BATS_TEST_TMPDIR/run"
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run HPCRUN_CACHE=$BATS_TEST_TMPDIR/cache
}

sif_arch() { case $(uname -m) in aarch64) echo 04 ;; *) echo 02 ;; esac; }

# same_files IMAGE: all files of the image are those of rootfs, by digest.
same_files() {
	(cd rootfs && find data -type f -exec sha256sum {} + | sort) >want
	"$HPCRUN" "$1" sh -c 'cd / && find data -type f -exec sha256sum {} + ' | sort >got
	diff want got
}

@test "squashfs: runs in place, whatever the compressor and the size of its blocks" { # D3
	local i=0
	for options in "gzip -b 4096" "xz -b 1048576" "lz4 -b 1048576" "lzo -b 1048576" "zstd -b 1048576 -no-fragments" \
		"gzip -noI -noD -noF -noX"; do
		# shellcheck disable=SC2086
		mksquashfs rootfs "c$((++i)).sqfs" -quiet -no-progress -comp $options >/dev/null
		same_files "./c$i.sqfs"
	done
}

@test "squashfs: names, types, links, modes and times are those of the file" {
	"$HPCRUN" ./image.sqfs sh -c 'cd / && find data bin | sort | while read f; do
		stat -c "%n %F %a %h %Y %s" $f; done' | sed 's/ [0-9]* \(directory\) .*/ \1/; /directory/s/ [0-9]* [0-9]* [0-9]*$//' >got
	(cd rootfs && find data bin | LC_ALL=C sort | while read -r f; do stat -c "%n %F %a %h %Y %s" "$f"; done) |
		sed '/directory/s/ [0-9]* [0-9]* [0-9]*$//' >want
	grep -v directory want >want-files
	grep -v directory got >got-files
	diff want-files got-files
	[ "$("$HPCRUN" ./image.sqfs readlink /data/deep/link)" = ../seq ]
}

# A tree with what squashfs has a form of its own for: listings of many blocks, long names, depth, holes, files around the
# size of a block, attributes that are shared and lie elsewhere. Times in whole seconds, as it keeps no others.
make_odd_tree() {
	/usr/bin/python3 - "$1" <<-'EOF'
		import os, sys
		root = sys.argv[1]
		os.makedirs(root + "/many")
		for i in range(1000):
		    with open("%s/many/%04d%s" % (root, i, "n" * (i % 240)), "w") as f:
		        f.write(str(i) * (i % 7))
		deep = root
		for i in range(60):
		    deep += "/" + "d" * (i % 50 + 1)
		    os.mkdir(deep)
		for size in (0, 1, 4095, 4096, 4097, 131071, 131072, 131073, 400000):
		    with open("%s/size%d" % (root, size), "wb") as f:
		        f.write(bytes(i * 7 % 251 for i in range(size)))
		with open(root + "/holes", "wb") as f:
		    for at in (0, 500000, 3 << 20):
		        f.seek(at)
		        f.write(b"not a hole")
		    f.truncate(5 << 20)
		os.symlink("t" * 4000, root + "/far")
		os.mkfifo(root + "/fifo")
		os.link(root + "/size4097", deep + "/again")
		for i, name in enumerate(("size1", "size4095", "many", "holes", deep[len(root) + 1:])):
		    os.setxattr(root + "/" + name, "user.shared", b"s" * 2000)
		    os.setxattr(root + "/" + name, "user.own%d" % i, bytes(range(i)))
		for where, dirs, files in os.walk(root, topdown=False):
		    for name in dirs + files:
		        os.utime(where + "/" + name, (5, 1000000000 + len(name)), follow_symlinks=False)
		os.utime(root, (5, 1000000000))
	EOF
}

@test "squashfs: an odd tree is, entry by entry, what went into it" {
	make_odd_tree odd
	set -- -x dev -x proc -x sys -x tmp -x etc -x var -x run -x treedump # what every container has
	"$HPCRUN_TREEDUMP" "$@" odd >want
	[ "$(wc -l <want)" -gt 1070 ]
	[ "$(grep -c user.shared= want)" = 5 ]
	for options in "gzip" "zstd -b 4096 -noI -noX"; do
		# shellcheck disable=SC2086
		mksquashfs odd odd.sqfs -quiet -no-progress -noappend -comp $options >/dev/null
		"$HPCRUN" run --no-home --workdir / --bind "$HPCRUN_TREEDUMP:/treedump" ./odd.sqfs /treedump "$@" / >got
		diff want got | cut -c1-300 | head -n 20
		cmp want got
	done
	chmod -R u+rwX odd
	rm -rf odd
}

@test "squashfs: a second session does not read the metadata again" {
	run -0 "$HPCRUN" ./image.sqfs true
	index=$(find "$HPCRUN_CACHE" -name '*.index')
	[ -n "$index" ]
	before=$(stat -c %i "$index")
	mkdir -m 700 "$BATS_TEST_TMPDIR/run2"
	XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run2 "$HPCRUN" ./image.sqfs true
	[ "$(stat -c %i "$index")" = "$before" ]
}

@test "squashfs: a cached index that was damaged is made again" {
	run -0 "$HPCRUN" ./image.sqfs true
	for file in "$HPCRUN_CACHE"/packs/*/*.index; do : >"$file"; done
	mkdir -m 700 "$BATS_TEST_TMPDIR/run2"
	XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run2 run -0 "$HPCRUN" ./image.sqfs cat /data/deep/er/1
	[ "$output" = "$(cat rootfs/data/deep/er/1)" ]
}

@test "squashfs: a file that was replaced is another image" {
	cp image.sqfs moving.sqfs
	run -0 "$HPCRUN" ./moving.sqfs cat /data/deep/er/1
	mkdir other && cp -a rootfs/bin other && echo new >other/new
	mksquashfs other other.sqfs -quiet -no-progress >/dev/null
	mv other.sqfs moving.sqfs
	run -0 "$HPCRUN" ./moving.sqfs cat /new
	[ "$output" = new ]
}

@test "squashfs: a name that ends like one needs no slash, and need not be readable for others" {
	chmod 400 image.sqfs
	run -0 "$HPCRUN" image.sqfs true
}

@test "squashfs: is run when there can be no cache" {
	: >"$BATS_TEST_TMPDIR/file"
	HPCRUN_CACHE=$BATS_TEST_TMPDIR/file/cache run -0 "$HPCRUN" ./image.sqfs cat /data/deep/er/2
	[ "$output" = "$(cat rootfs/data/deep/er/2)" ]
}

@test "squashfs: a file that is cut short while it is used gives EIO, never short data" { # D4
	install -m 600 image.sqfs shrinking.sqfs
	told "shrinking.sqfs' at .*: the file was changed while it is in use: " "$HPCRUN" --bind "$SCRATCH:/mnt" \
		./shrinking.sqfs sh -c ': >/mnt/shrinking.sqfs
		if cat /data/random; then echo read; else echo failed; fi >/mnt/out
		until [ -e /mnt/told ]; do /bin/busybox sleep 0.1; done'
	grep -q failed out
}

@test "squashfs: a file that is written to while it is used gives EIO, and says so" { # D4
	install -m 600 image.sqfs written.sqfs
	told "written.sqfs' at .*: the file was changed while it is in use; " "$HPCRUN" --bind "$SCRATCH:/mnt" \
		./written.sqfs sh -c '/bin/busybox cp /mnt/image.sqfs /mnt/written.sqfs
		if cat /data/random; then echo read; else echo failed; fi >/mnt/out
		until [ -e /mnt/told ]; do /bin/busybox sleep 0.1; done'
	grep -q failed out
}

@test "squashfs: a file that is removed, renamed or locked up while it is used stays there for who uses it" { # D4
	install -m 600 image.sqfs going.sqfs
	same_sum=$(sha256sum <rootfs/data/random)
	run -0 "$HPCRUN" --bind "$SCRATCH:/mnt" ./going.sqfs sh -c 'cd /mnt && /bin/busybox mv going.sqfs gone.sqfs &&
		/bin/busybox chmod 0 gone.sqfs && /bin/busybox rm -f gone.sqfs && sha256sum </data/random'
	[ "$output" = "$same_sum" ]
}

@test "sif: the primary partition is run, and its runscript without a command" {
	same_files ./image.sif
	run -0 "$HPCRUN" ./image.sif
	[ "$output" = runscript ]
}

@test "sif: what cannot be run is refused by name" { # D1
	for row in 'fs=5|encrypted' 'fs=2|ext3' 'part=3|no primary system partition' 'twice=1|two primary' \
		'arch=11|for s390x' 'off=0xffffffffffffff00|partition' 'len=0x7fffffffffffffff|partition' 'off=127|partition' 'off=128|no squashfs' \
		'total=0|descriptors' 'total=0xffffffffffffffff|descriptors' 'total=4096|descriptors' 'table_len=1|descriptors' \
		'table_off=0x7ffffffffffffff0|descriptors' 'table_off=0|descriptors' 'version=77|version'; do
		"$TESTS_DIR/lib/mksif" bad.sif image.sqfs "arch=$(sif_arch)" "${row%%|*}"
		fail_with "bad.sif.*${row#*|}" "$HPCRUN" ./bad.sif true
	done
}

@test "sif: a signed one is run, and inspect says what the signatures cover" { # D5
	for row in '2|2' '1|1' '0xf0000001|1 2' '7|' '0xf0000002|'; do
		"$TESTS_DIR/lib/mksif" signed.sif image.sqfs "arch=$(sif_arch)" "signs=${row%%|*}" hash=9
		run -0 "$HPCRUN" inspect ./signed.sif
		echo "$output" >out
		covered=$(jq -r '[.objects[] | select(.signatures != []) | .id] | join(" ")' out)
		[ "$covered" = "${row#*|}" ]
		[ "$(jq -c '[.format, .signatures_checked, (.objects[] | select(.run) | .id)]' out)" = '["sif",false,2]' ]
	done
	"$TESTS_DIR/lib/mksif" signed.sif image.sqfs "arch=$(sif_arch)" signs=2 hash=1
	run -0 "$HPCRUN" inspect ./signed.sif
	[ "$(jq -c '.objects[1].signatures' <<<"$output")" = \
		'[{"hash":"sha256","key":"000102030405060708090A0B0C0D0E0F10111213"}]' ]
	run -0 "$HPCRUN" ./signed.sif
	[ "$output" = runscript ]
	"$TESTS_DIR/lib/mksif" bad.sif image.sqfs "arch=$(sif_arch)" fs=5 # encrypted: told, not run
	run -0 "$HPCRUN" inspect ./bad.sif
	"$TESTS_DIR/lib/mksif" bad.sif image.sqfs "arch=$(sif_arch)" len=0x7fffffffffffffff
	fail_with 'object 2 of the SIF file.*outside' "$HPCRUN" inspect ./bad.sif
	run -0 "$HPCRUN" inspect ./image.sqfs
	[ "$(jq -c '[.format, .squashfs.compressor, .squashfs.block]' <<<"$output")" = '["squashfs","zstd",131072]' ]
}

@test "in place: what is no image is refused by name" { # D1
	fail_with "nothing.sqfs'.*No such file" "$HPCRUN" ./nothing.sqfs true
	echo text >text
	fail_with 'neither a squashfs nor a SIF' "$HPCRUN" ./text true
	: >empty.sqfs
	fail_with 'neither a squashfs nor a SIF' "$HPCRUN" ./empty.sqfs true
	fail_with 'is a directory' "$HPCRUN" ./rootfs true
	mkfifo fifo
	fail_with 'not a regular file' "$HPCRUN" ./fifo true
}

# patch OFFSET ESCAPES: image bad.sqfs is plain.sqfs, but for the bytes at OFFSET
patch() {
	install -m 600 plain.sqfs bad.sqfs
	printf '%b' "$2" | dd of=bad.sqfs bs=1 seek="$1" conv=notrunc status=none
}

@test "squashfs: a tree that lies is refused by name" { # D2
	mkdir -p lies/upper/LOWER && echo x >lies/upper/LOWER/file
	mksquashfs lies plain.sqfs -quiet -no-progress -all-root -noI -noX >/dev/null
	name=$(grep -abo LOWER plain.sqfs | tail -n 1 | cut -d: -f1)
	# before it a header (count, block, number) and the entry (place in the block, number, type, length)
	root=$(od -An -t u2 -j 32 -N 2 plain.sqfs)
	patch $((name - 8)) "\\x$(printf %02x $((root % 256)))\\x$(printf %02x $((root / 256)))"
	fail_with "bad.sqfs'.*'upper/LOWER': the directory is there twice" "$HPCRUN" ./bad.sqfs true
	patch $((name - 8)) '\xff\x1f'
	fail_with "'upper/LOWER': the table of inodes has no place 8191" "$HPCRUN" ./bad.sqfs true
	patch $((name - 2)) '\xff\xff'
	fail_with "'upper': its listing ends within an entry with a name of 65536 bytes" "$HPCRUN" ./bad.sqfs true
	patch "$name" '/'
	fail_with "'upper//OWER': that is no name" "$HPCRUN" ./bad.sqfs true
	patch $((name - 20)) '\xff\xff\xff\xff'
	fail_with "'upper': its listing has a header of 4294967296 entries" "$HPCRUN" ./bad.sqfs true
	patch 4 '\xff\xff\xff\x00'
	fail_with 'counts 16777215 inodes, the table of inodes has' "$HPCRUN" ./bad.sqfs true
	patch 26 '\x00\x00'
	fail_with 'its owners are numbers 0 and 0 of 0' "$HPCRUN" ./bad.sqfs true
	patch 48 '\x01\x00\x00'
	fail_with 'the table of owners is listed at' "$HPCRUN" ./bad.sqfs true
}

@test "squashfs: a compressor that cannot be had is refused by name" { # D3
	mksquashfs rootfs/etc plain.sqfs -quiet -no-progress -comp gzip >/dev/null
	patch 20 '\x02'
	fail_with "bad.sqfs.*lzma" "$HPCRUN" ./bad.sqfs true
	patch 20 '\x07'
	fail_with 'bad.sqfs.*unknown compressor 7' "$HPCRUN" ./bad.sqfs true
}

@test "in place: damaged squashfs metadata is one message, and nothing is left in the cache" {
	size=$(stat -c %s image.sqfs)
	head -c $((size / 2)) image.sqfs >half.sqfs
	fail_with 'half.sqfs.*there are' "$HPCRUN" ./half.sqfs true
	start=$(od -An -t u8 -j 64 -N 8 image.sqfs)
	for at in $((start + 1)) $((start + 20)) $((start + 400)); do
		install -m 600 image.sqfs bad.sqfs
		printf '\377\377\377\377\377\377\377\377' | dd of=bad.sqfs bs=1 seek="$at" conv=notrunc status=none
		fail_with 'bad.sqfs' "$HPCRUN" ./bad.sqfs true
	done
	for row in '12|\0001\0002\0003\0004|blocks of' '20|\0011\0000|compressor' '28|\0003\0000|version 3'; do
		IFS='|' read -r at bytes text <<<"$row"
		install -m 600 image.sqfs bad.sqfs
		printf '%b' "$bytes" | dd of=bad.sqfs bs=1 seek="$at" conv=notrunc status=none
		fail_with "bad.sqfs.*$text" "$HPCRUN" ./bad.sqfs true
	done
	[ -z "$(find "$HPCRUN_CACHE" -type f ! -name turns)" ] # who makes an index has a byte of it for his turn
}
