#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun stats: what sessions count, while they run, when they are over, and when they were killed; and what
# a session says on the standard error of its ranks.
# HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	need_mkstore
	scratch_make
	mkdir -p "$SCRATCH/root/data"
	busybox_root "$SCRATCH/root" sh cat sleep true test
	head -c 5000000 /dev/urandom >"$SCRATCH/root/data/large"
	"$MKSTORE" "$SCRATCH/site" lab/app:1 "$SCRATCH/root" >/dev/null
	site_start
}
teardown_file() { site_end; }

setup() {
	site_use
	URL=$HPCRUN_STORE
	DATA=/data/large
	export XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR/run"
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	conf
}
teardown() {
	local pid
	site_fault
	for pid in $(jobs -p); do
		kill "$pid" 2>/dev/null || :
	done
	wait_until 20 none_left
}

conf() { printf '%s\n' 'session_linger = 0' 'prefetch = none' 'upstream = no' "$@" >"$HPCRUN_CONF"; }
app() { timeout 60 "$HPCRUN" --no-home lab/app:1 "$@"; }
# The same in the background; teardown ends it.
start() {
	timeout 60 "$HPCRUN" --no-home lab/app:1 "$@" 3>&- &
}
files() { ls "$XDG_RUNTIME_DIR/hpcrun/stats"; }
# figure PYTHON-EXPRESSION: of s, the last session of this test; l are all of them. Others of the same user
# may have theirs in the other places that are looked into.
figure() {
	"$HPCRUN" stats --json | python3 -c "import json, os, sys
l = [x for x in json.load(sys.stdin) if os.path.exists('$XDG_RUNTIME_DIR/hpcrun/stats/' + x['session'])]
s = l[-1]
print($1)"
}
# holds PYTHON-EXPRESSION
holds() { [ "$(figure "$1")" = True ]; }

@test "stats: before anything was run there is a table, and no session" {
	run -0 "$HPCRUN" stats
	[[ $output == SESSION*IMAGE*STATE* ]]
	fail_with "no session '4710' of yours is known on this node" "$HPCRUN" stats 4710
	fail_with '--json and --prometheus exclude each other' "$HPCRUN" stats --json --prometheus
}

@test "stats: a cold run reads from the store, the next one from the cache" {
	app cat "$DATA" >/dev/null
	wait_until 20 none_left
	[ "$(figure 's["state"], s["image"], s["program"], s["ranks"]["joined"]')" = 'ended lab/app:1 cat 1' ]
	holds 's["reads"]["store"]["bytes"] >= 5000000 and s["reads"]["hit_rate"] < 0.2'
	holds "s['origins'][0]['origin'] == '$URL' and s['origins'][0]['requests'] > 0 and s['origins'][0]['bytes'] > 5000000"
	holds 's["reads"]["waited"] > 0 and 0 < s["reads"]["longest_wait_seconds"] <= s["reads"]["wait_seconds"]'
	holds 's["server"]["peak_memory_bytes"] > 1 << 20 and s["server"]["memory_bytes"] == 0'
	holds 's["ended"] >= s["began"] and s["digest"].startswith("sha256:")'
	app cat "$DATA" >/dev/null
	wait_until 20 none_left
	[ "$(figure 'len(l)')" = 2 ]
	holds 's["reads"]["cache"]["bytes"] >= 5000000 and s["reads"]["hit_rate"] > 0.99 and s["origins"][0]["bytes"] == 0'
}

@test "stats: the start is broken down by step" {
	HPCRUN_STORE=$SCRATCH/site app true
	wait_until 20 none_left
	holds '{"mount image", "attach binds", "change root"} <= {x["step"] for x in s["start"]["steps"]}'
	holds 'all(x["at_seconds"] <= s["start"]["ready_seconds"] for x in s["start"]["steps"])'
}

@test "stats: a session is shown while it runs, and by its job" {
	export SLURM_JOB_ID=4711 SLURM_STEP_ID=3 SLURM_NODEID=0 SLURM_STEP_TASKS_PER_NODE=2
	start sh -c "cat $DATA >/dev/null; exec sleep 60"
	wait_until 20 holds 's["reads"]["store"]["bytes"] >= 5000000'
	[ "$(figure 's["state"], s["job"], s["step"], s["ranks"]')" = "running 4711 3 {'expected': 2, 'joined': 1, 'running': 1}" ]
	holds 's["server"]["memory_bytes"] > 1 << 20'
	run -0 "$HPCRUN" stats 4711.3
	grep -q '^ranks *1 joined, 1 running, 2 expected' <<<"$output"
	grep -q "^origins *$URL: " <<<"$output"
	"$HPCRUN" stats 4711 >/dev/null
	fail_with "no session '4711.4'" "$HPCRUN" stats 4711.4
}

@test "stats: what was counted outlives a server and a session that are killed" {
	local pid
	start sh -c "cat $DATA >/dev/null; exec sleep 60"
	wait_until 20 holds 's["reads"]["store"]["bytes"] >= 5000000'
	for pid in $(leftovers | grep -- '-serve-net' | cut -d' ' -f1); do
		kill -KILL "$pid"
	done
	wait_until 20 holds 's["server"]["starts"] == 2 and s["server"]["peak_memory_bytes"] > 1 << 20'
	holds 's["reads"]["store"]["bytes"] >= 5000000'
	# the server alone keeps the session "running", as it is for the program
	for pid in $(leftovers | grep -- '-session' | cut -d' ' -f1); do
		kill -KILL "$pid" 2>/dev/null || :
	done
	[ "$(figure 's["state"]')" = running ]
	for pid in $(leftovers | cut -d' ' -f1); do
		kill -KILL "$pid" 2>/dev/null || :
	done
	wait_until 20 holds 's["state"] == "killed"'
	holds 's["reads"]["store"]["bytes"] >= 5000000 and s["ended"] is None and s["ranks"]["running"] == 0'
}

@test "stats: a start that failed is known, too" {
	HPCRUN_STORE=$SCRATCH/site run "$HPCRUN" --no-home absent:1 true
	wait_until 20 holds 's["state"] == "failed" and s["image"] == "absent:1"'
}

@test "stats: the last hundred are kept, of a week, and those of others are left alone" {
	local i one dir=$XDG_RUNTIME_DIR/hpcrun/stats
	app true
	wait_until 20 none_left
	[ "$(files | wc -l)" = 1 ]
	one=$(files)
	for i in $(seq 100 250); do
		cp "$dir/$one" "$dir/20200101-000$i-1"
	done
	app true
	wait_until 20 none_left
	[ "$(files | wc -l)" = 100 ]
	[ "$(figure 'len(l)')" = 100 ]
	touch -d '8 days ago' "$dir"/2020*
	app true
	wait_until 20 none_left
	[ "$(files | wc -l)" = 3 ]
	echo damaged >"$dir/20200101-000000-1"
	[ "$(figure 'len(l)')" = 3 ]
}

@test "stats: where no file can be made, programs run" {
	mkdir -m 700 "$XDG_RUNTIME_DIR/hpcrun"
	: >"$XDG_RUNTIME_DIR/hpcrun/stats"
	run -0 --separate-stderr "$HPCRUN" -vv --no-home lab/app:1 true
	grep -q "nothing is counted: cannot make the file 'stats/" <<<"$stderr"
}

@test "stats: metrics are in the text form of Prometheus" {
	app cat "$DATA" >/dev/null
	wait_until 20 none_left
	"$HPCRUN" stats --prometheus | python3 -c '
import re, sys
kind, help, seen = {}, set(), {}
for line in sys.stdin.read().splitlines():
    m = re.fullmatch(r"# HELP (\w+) \S.*", line)
    if m:
        assert m[1] not in help, line
        help.add(m[1])
        continue
    m = re.fullmatch(r"# TYPE (\w+) (counter|gauge)", line)
    if m:
        assert m[1] in help
        kind[m[1]] = m[2]
        last = m[1]
        continue
    m = re.fullmatch(r"(\w+)\{((?:\w+=\"(?:[^\"\\\\]|\\\\.)*\",?)*)\} ([0-9.]+)", line)
    assert m and m[1] == last, line
    assert line not in seen
    seen[m[1], m[2]] = float(m[3])
assert all(n.endswith("_total") == (k == "counter") and n.startswith("hpcrun_") for n, k in kind.items())
assert any(n == "hpcrun_read_bytes_total" and "from=\"store\"" in l and v >= 5000000 for (n, l), v in seen.items())
assert any(n == "hpcrun_session_info" and "image=\"lab/app:1\"" in l for (n, l), v in seen.items())
'
}

# -- what a session says

@test "stats: -v of the last rank gives one line at its end" {
	export SLURM_JOB_ID=1 SLURM_STEP_ID=1 SLURM_NODEID=0 SLURM_STEP_TASKS_PER_NODE=3
	local i
	for i in 1 2 3; do
		timeout 60 "$HPCRUN" -v --no-home lab/app:1 cat "$DATA" 2>&1 >/dev/null 3>&- | cat >"$BATS_TEST_TMPDIR/$i" &
	done
	wait
	[ "$(cat "$BATS_TEST_TMPDIR"/[123] | grep -c "info: image 'lab/app:1': 3 ranks, ready in ")" = 1 ]
	grep -qh "MB from '$URL'" "$BATS_TEST_TMPDIR"/[123]
}

@test "stats: without -v there is no such line" {
	run -0 --separate-stderr app true
	[ -z "$stderr" ]
}

@test "stats: who waits for the end of a rank's standard error waits for the rank alone" {
	conf 'session_linger = 600'
	# a child of the program that has let go of it, but not of the session's socket
	SECONDS=0
	"$HPCRUN" -v --no-home lab/app:1 sh -c 'sleep 300 >/dev/null 2>&1 </dev/null &' 2>&1 3>&- | timeout 60 cat >"$BATS_TEST_TMPDIR/out"
	[ "$SECONDS" -lt 60 ]
	grep -q ': 1 rank,' "$BATS_TEST_TMPDIR/out"
	conf
	for pid in $(leftovers | cut -d' ' -f1); do
		kill -KILL "$pid" 2>/dev/null || :
	done
}

@test "stats: a rank's standard error that nobody reads does not stop the session" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	exec 8<>"$BATS_TEST_TMPDIR/fifo"
	dd if=/dev/zero of="$BATS_TEST_TMPDIR/fifo" bs=4096 oflag=nonblock 2>/dev/null || :
	conf 'session_linger = 600'
	# the session first: a rank that waits for it says so, itself, and may wait as long as it likes to be heard; so would
	# one that finds a variable much like one of its own
	timeout 60 "$HPCRUN" --no-home lab/app:1 true 8>&-
	timeout 60 env -u HPCRUN_BUILD "$HPCRUN" -v --no-home lab/app:1 true 2>"$BATS_TEST_TMPDIR/fifo" 8>&-
	timeout 20 "$HPCRUN" --no-home lab/app:1 true
	exec 8>&-
	for pid in $(leftovers | cut -d' ' -f1); do
		kill -KILL "$pid" 2>/dev/null || :
	done
}

@test "stats: an outage is two lines of one rank, whatever their number" {
	export SLURM_JOB_ID=1 SLURM_STEP_ID=2 SLURM_NODEID=0 SLURM_STEP_TASKS_PER_NODE=4
	local i
	conf 'outage_wait = 60'
	for i in 1 2 3 4; do
		app sh -c 'until test -e "$0"; do sleep 0.1; done; cat /data/large' "$BATS_TEST_TMPDIR/go" \
			2>"$BATS_TEST_TMPDIR/$i" >/dev/null 3>&- &
	done
	wait_until 20 holds 's["ranks"]["running"] == 4'
	site_fault status 503
	: >"$BATS_TEST_TMPDIR/go"
	said() { [ "$(cat "$BATS_TEST_TMPDIR"/[1-4] | grep -c "$1")" = 1 ]; }
	wait_until 30 said "warning: waiting for up to 60 s for data: .*$URL"
	holds 's["outages"]["now"]'
	run -0 "$HPCRUN" stats
	[[ $output == *" waiting "* ]]
	site_fault
	wait
	said "warning: '$URL' is back after "
	said 'waiting for up to'
	holds 's["outages"]["count"] == 1 and s["outages"]["seconds"] > 0 and not s["outages"]["now"]'
}

@test "stats: an outage that lasts too long is a third line, with the failure" {
	conf 'outage_wait = 3'
	app true
	wait_until 20 none_left
	site_fault status 503
	run app cat /data/large
	[ "$status" = 1 ]
	grep -aq 'warning: waiting for up to 3 s' <<<"$output"
	grep -aq 'warning: no data came for 3 s: reading it fails with an input/output error' <<<"$output"
}
