#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# What ends jobs whose time is over; limits.bash has begun them before the first test.
# shellcheck disable=SC2034  # CLUSTER is for what is called

bats_require_minimum_version 1.5.0
load common

setup() {
	need_cluster
	load limits
	CLUSTER=$LIMITS_CLUSTER
}

# left_by WHAT HOW: by how many tasks
left_by() { find "$LIMITS" -name "$1.$2.*" | wc -l; }
begun() { [ "$(left_by started '*')" = 4 ]; }

@test "limit: --signal reaches the program as it would without hpcrun, and the time limit ends all" { # H11
	wait_until 40 begun || { cat "$SCRATCH/limits.log" && false; }
	wait_until 120 no_job
	for how in without inside; do
		[ "$(left_by started "$how")" = 2 ]
		[ "$(left_by signalled "$how")" = 2 ]
		grep 'DUE TO TIME LIMIT' "$LIMITS/out.$how"
	done
	assert_nothing_left
}
