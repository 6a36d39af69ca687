#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# tests/cluster/scale on a few nodes: what each asks for does not grow with their number.
# shellcheck disable=SC2154  # bats sets output and status

bats_require_minimum_version 1.5.0
load ../lib/common

has_nginx() { PATH=$PATH:/usr/sbin command -v nginx >/dev/null; }
# of RUN NODES FIELD
of() { awk -F, -v run="$1" -v n="$2" -v field="$3" '$1 == n && $2 == run { print int($field) }' "$BATS_TEST_TMPDIR/scale.csv"; }

@test "scale: a node asks for the same, whether it starts alone or with others" { # E25
	need userns
	need fuse
	need nginx
	run -0 env MIB=2 "$BATS_TEST_DIRNAME/scale" -o "$BATS_TEST_TMPDIR" 1 6
	[ "$(of cold 1 7)" -ge 2000000 ]
	[ "$(of cold 6 7)" -le $((6 * $(of cold 1 7) + 6 * 65536)) ]
	[ "$(of cold 6 5)" -le $((6 * $(of cold 1 5) + 12)) ]
	# with all of it on the node, what the tag means and no content
	[ "$(of warm 6 6)" -le 3 ]
	[ "$(of warm 6 8)" -le 10000 ]
}
