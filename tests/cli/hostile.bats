#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Images that are broken, or that somebody made for harm: refused with a message that says why, or shown
# as a harmless tree. What is expected of each stands beside its bytes, in lib/cases.py.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	publish busybox
	export HPCRUN_STORE=$SCRATCH/store
	"$TESTS_DIR/lib/mkimage" --list hostile >"$SCRATCH/cases"
	# shellcheck disable=SC2046  # names
	publish $(cut -f1 "$SCRATCH/cases")
}
teardown_file() { file_teardown; }

# hostile CASE: pull it, and see that what lib/cases.py says comes true
hostile() {
	local case=$1 image=$REGISTRY/test/$1:1 expect
	expect=$(awk -F'\t' -v c="$case" '$1 == c { print $2 }' "$SCRATCH/cases")
	[ -n "$expect" ]
	case $expect in
	"refuse: "*)
		fail_with "${expect#refuse: }" timeout 60 "$HPCRUN" pull "$image"
		run -0 "$HPCRUN" images
		[[ $output != *"$case"* ]]
		;;
	"tree: "*)
		local path type found
		read -r _ path type <<<"$expect"
		timeout 60 "$HPCRUN" pull "$image"
		found=$("$HPCRUN" run --workdir / "$image" sh -c \
			'for t in l f d p c b; do [ -$t "$1" ] && { [ $t = l ] || [ ! -L "$1" ]; } && echo $t && exit; done; echo -' \
			sh "/$path" | sed 's/^L/l/')
		[ "$found" = "$type" ] || { echo "/$path is $found, not $type"; return 1; }
		;;
	accept-run)
		timeout 60 "$HPCRUN" pull "$image"
		run -0 "$HPCRUN" "$image" sh -c 'echo fine >/dev/null && ls -d /dev/zero /proc/self /sys /tmp >/dev/null && echo fine'
		[ "$output" = fine ]
		;;
	esac
	# whatever it was, nothing half-made is left and nothing came out
	[ -z "$(find "$HPCRUN_STORE/tmp" "$HPCRUN_STORE/leases" -type f 2>/dev/null)" ]
	[ ! -e /etc/hpcrun-escaped ] && [ ! -e /escaped ]
}

@test "hostile: dotdot in a name" { hostile dotdot-in-a-name; }
@test "hostile: dotdot inside a name" { hostile dotdot-inside-a-name; }
@test "hostile: dotdot as hardlink target" { hostile dotdot-as-hardlink-target; }
@test "hostile: root is a symlink" { hostile root-is-a-symlink; }
@test "hostile: root is a file" { hostile root-is-a-file; }
@test "hostile: symlink out and file through it" { hostile symlink-out-and-file-through-it; }
@test "hostile: symlink up and out and file through it" { hostile symlink-up-and-out-and-file-through-it; }
@test "hostile: symlink loop as parent" { hostile symlink-loop-as-parent; }
@test "hostile: hardlink to missing" { hostile hardlink-to-missing; }
@test "hostile: hardlink to itself" { hostile hardlink-to-itself; }
@test "hostile: hardlink to later" { hostile hardlink-to-later; }
@test "hostile: hardlink to directory" { hostile hardlink-to-directory; }
@test "hostile: hardlink with data" { hostile hardlink-with-data; }
@test "hostile: symlink with empty target" { hostile symlink-with-empty-target; }
@test "hostile: symlink target of nul" { hostile symlink-target-of-nul; }
@test "hostile: name with nul" { hostile name-with-nul; }
@test "hostile: name too long" { hostile name-too-long; }
@test "hostile: path too long" { hostile path-too-long; }
@test "hostile: device nodes" { hostile device-nodes; }
@test "hostile: dev is a symlink" { hostile dev-is-a-symlink; }
@test "hostile: proc is a file" { hostile proc-is-a-file; }
@test "hostile: etc passwd is a symlink to a host file" { hostile etc-passwd-is-a-symlink-to-a-host-file; }
@test "hostile: tmp is a fifo" { hostile tmp-is-a-fifo; }
@test "hostile: attributes of the system" { hostile attributes-of-the-system; }
@test "hostile: attribute value too large" { hostile attribute-value-too-large; }
@test "hostile: attribute name too long" { hostile attribute-name-too-long; }
@test "hostile: pax size lies" { hostile pax-size-lies; }
@test "hostile: pax record length lies" { hostile pax-record-length-lies; }
@test "hostile: pax record length of zero" { hostile pax-record-length-of-zero; }
@test "hostile: pax header of a gigabyte" { hostile pax-header-of-a-gigabyte; }
@test "hostile: pax header without entry" { hostile pax-header-without-entry; }
@test "hostile: pax mtime absurd" { hostile pax-mtime-absurd; }
@test "hostile: size negative" { hostile size-negative; }
@test "hostile: size of two to the 63" { hostile size-of-two-to-the-63; }
@test "hostile: checksum wrong" { hostile checksum-wrong; }
@test "hostile: checksum signed" { hostile checksum-signed; }
@test "hostile: sparse map out of order" { hostile sparse-map-out-of-order; }
@test "hostile: sparse map past the end" { hostile sparse-map-past-the-end; }
@test "hostile: sparse terabyte" { hostile sparse-terabyte; }
@test "hostile: truncated in a header" { hostile truncated-in-a-header; }
@test "hostile: truncated in data" { hostile truncated-in-data; }
@test "hostile: type unknown" { hostile type-unknown; }
@test "hostile: hardlinks by the thousand" { hostile hardlinks-by-the-thousand; }
@test "hostile: attributes by the thousand" { hostile attributes-by-the-thousand; }
@test "hostile: sparse holes by the million" { hostile sparse-holes-by-the-million; }
@test "hostile: sizes around eight gibibytes" { hostile sizes-around-eight-gibibytes; }
@test "hostile: files and directories by turns" { hostile files-and-directories-by-turns; }
@test "hostile: whiteout of nothing" { hostile whiteout-of-nothing; }
@test "hostile: whiteout of dotdot" { hostile whiteout-of-dotdot; }
@test "hostile: gzip truncated" { hostile gzip-truncated; }
@test "hostile: gzip bit flipped" { hostile gzip-bit-flipped; }
@test "hostile: gzip junk behind" { hostile gzip-junk-behind; }
@test "hostile: zstd truncated" { hostile zstd-truncated; }
@test "hostile: zstd window of two gigabytes" { hostile zstd-window-of-two-gigabytes; }
@test "hostile: media type lies" { hostile media-type-lies; }
@test "hostile: diff id wrong" { hostile diff-id-wrong; }
@test "hostile: blob digest wrong" { hostile blob-digest-wrong; }
@test "hostile: blob longer than said" { hostile blob-longer-than-said; }
@test "hostile: blob shorter than said" { hostile blob-shorter-than-said; }
@test "hostile: blob missing" { hostile blob-missing; }
@test "hostile: zeros a thousandfold" { hostile zeros-a-thousandfold; }
@test "hostile: counts of layers differ" { hostile counts-of-layers-differ; }
@test "hostile: manifest and index in one" { hostile manifest-and-index-in-one; }
@test "hostile: layer size negative" { hostile layer-size-negative; }
@test "hostile: layer digest of dots" { hostile layer-digest-of-dots; }
@test "hostile: three thousand empty layers" { hostile three-thousand-empty-layers; }

@test "hostile: every case of lib/cases.py has its line here" {
	while IFS=$'\t' read -r case _; do
		grep -q "{ hostile $case; }" "$BATS_TEST_FILENAME" || { echo "no test: $case"; return 1; }
	done <"$SCRATCH/cases"
}

@test "hostile: a layer cut at any byte is refused" { # B3 C21
	# in the header, the data and the trailer of gzip; every length would take minutes
	local lengths="0 1 5 9 10 11 20 50 100 150 200 250 300 -20 -9 -8 -7 -4 -1"
	publish --cut="${lengths// /,}"
	for n in $lengths; do
		fail_with . "$HPCRUN" pull "$REGISTRY/test/cut:n$n"
	done
}
