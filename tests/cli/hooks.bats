#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Hooks of the site: when and where they run, what they are told, what a failing one does, and which files are
# refused. HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	scratch_make
	umask 022
	need_mkstore
	mkdir -p "$SCRATCH"/tree/{etc,work}
	busybox_root "$SCRATCH/tree" sh true cat readlink grep ls touch
	echo 'inside the image' >"$SCRATCH/tree/etc/where"
	"$MKSTORE" "$HPCRUN_STORE" app:1 "$SCRATCH/tree" >/dev/null
}
teardown_file() {
	leftovers_end KILL
	scratch_remove
}

setup() {
	umask 022
	HOOKS=$BATS_TEST_TMPDIR/hooks.d LOG=$BATS_TEST_TMPDIR/log
	mkdir "$HOOKS"
	export HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	printf 'session_linger = 0\nhooks_dir = %s\n' "$HOOKS" >"$HPCRUN_CONF"
}

# hook NAME STAGES SCRIPT [MEMBERS OF hook [CONDITIONS]]: STAGES like '"poststop"'; the script finds LOG.
hook() {
	local name=$1 stages=$2 script=$3 more=${4:-} when=${5:-\"always\": true}
	printf '#!/bin/sh\nLOG=%s\n%s\n' "$LOG" "$script" >"$BATS_TEST_TMPDIR/$name"
	chmod 755 "$BATS_TEST_TMPDIR/$name"
	cat >"$HOOKS/$name.json" <<-EOT
		{ "version": "1.0.0",
		  "hook": { "path": "$BATS_TEST_TMPDIR/$name"$more },
		  "when": { $when },
		  "stages": [ $stages ] }
	EOT
}
# run a command in a container that shows this test's files
own() { "$HPCRUN" run --bind "$BATS_TEST_TMPDIR" app:1 "$@"; }
has_ended() { ! grep -q '^State:.[^Z]' "/proc/$1/status" 2>/dev/null; } # a zombie has
log_has() { grep -q "$1" "$LOG" 2>/dev/null; }

@test "hooks: run once per session, in the order of their names, each at its stage" {
	mkfifo "$BATS_TEST_TMPDIR/gate"
	hook 20-b '"createRuntime", "createContainer", "poststop"' \
		'grep -o "\"status\":\"[a-z]*\"" | sed "s/^/b /" >>"$LOG"'
	hook 10-a '"poststop", "createContainer", "createRuntime"' \
		'grep -o "\"status\":\"[a-z]*\"" | sed "s/^/a /" >>"$LOG"'
	own sh -c "touch $BATS_TEST_TMPDIR/up; cat $BATS_TEST_TMPDIR/gate" 3>&- &
	wait_until 30 test -e "$BATS_TEST_TMPDIR/up"
	own true
	echo >"$BATS_TEST_TMPDIR/gate"
	wait
	wait_until 30 log_has 'b.*stopped'
	[ "$(sed 's/"status"://' "$LOG" | paste -sd' ')" = \
		'a "creating" b "creating" a "creating" b "creating" a "stopped" b "stopped"' ]
}

@test "hooks: are told of the container, and of nothing else" {
	need python3
	hook told '"createRuntime"' 'cat >"$LOG"; exec >>"$LOG.more"; env; pwd; echo "$*"; umask; ls /proc/self/fd | wc -l
		grep "^Sig[BI]" /proc/self/status' \
		', "env": ["A=1", "PATH=/bin:/usr/bin"], "args": ["told", "one", "two words"]'
	hook untold '"createRuntime"' 'env | grep -v "^_=\|^PWD=" >"$LOG.default"'
	SECRET=user LD_PRELOAD='' own true
	python3 -c '
import json, sys
s = json.load(open(sys.argv[1]))
assert s["ociVersion"] and len(s["id"]) == 32 and s["status"] == "creating" and s["pid"] > 1, s
assert s["annotations"] == {"org.hpcrun.image": "app:1"}, s
' "$LOG"
	run -0 cat "$LOG.more"
	[[ $output = *A=1* && $output = *PATH=/bin:/usr/bin* && $output = *'one two words'* ]]
	[[ $output != *SECRET* && $output != *HOME* && $output != *SLURM* ]]
	grep -qx / "$LOG.more"
	grep -qx 0022 "$LOG.more"
	[ "$(grep -c '^Sig.*:.0000000000000000$' "$LOG.more")" = 2 ]
	grep -qx 4 "$LOG.more" # stdio, and the directory that ls reads
	[ "$(cat "$LOG.default")" = PATH=/usr/sbin:/usr/bin:/sbin:/bin ]
}

@test "hooks: createRuntime sees the host's mounts, createContainer the container's" {
	hook runtime '"createRuntime"' 'readlink /proc/self/ns/mnt >"$LOG.runtime"
		pid=$(sed "s/.*\"pid\":\([0-9]*\).*/\1/"); readlink "/proc/$pid/ns/mnt" >"$LOG.pid"'
	hook container '"createContainer"' 'readlink /proc/self/ns/mnt >"$LOG.container"
		root=$(sed "s/.*\"root\":\"\([^\"]*\)\".*/\1/"); cat "$root/etc/where" >"$LOG.tree"'
	own readlink /proc/self/ns/mnt >"$LOG"
	[ "$(cat "$LOG.runtime")" = "$(readlink /proc/self/ns/mnt)" ]
	[ "$(cat "$LOG.pid")" = "$(cat "$LOG")" ]
	[ "$(cat "$LOG.container")" = "$(cat "$LOG")" ]
	[ "$(cat "$LOG.tree")" = 'inside the image' ]
}

@test "hooks: createContainer can mount into the container" {
	hook mounts '"createContainer"' 'set -e
		root=$(sed "s/.*\"root\":\"\([^\"]*\)\".*/\1/")
		busybox mount -t tmpfs none "$root/work"
		echo mounted >"$root/work/file"'
	run -0 own cat /work/file
	[ "$output" = mounted ]
}

@test "hooks: startContainer runs inside, with no more rights than a program" {
	hook inside '"startContainer"' ':'
	cat >"$BATS_TEST_TMPDIR/inside" <<-EOT
		#!/bin/sh
		{ cat /etc/where; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; } >$LOG
	EOT
	chmod 777 "$BATS_TEST_TMPDIR/inside" # the container's: nobody asks who could write it
	echo '{ "defaultAction": "SCMP_ACT_ALLOW" }' >"$BATS_TEST_TMPDIR/profile"
	for option in --gpu=none "--seccomp=$BATS_TEST_TMPDIR/profile"; do
		"$HPCRUN" run "$option" --bind "$BATS_TEST_TMPDIR" app:1 true
		grep -qx 'inside the image' "$LOG"
		grep -q 'CapEff:.0000000000000000$' "$LOG"
		grep -q 'NoNewPrivs:.1$' "$LOG"
		grep -q 'Seccomp:.2$' "$LOG"
		rm "$LOG"
	done
}

@test "hooks: one that fails stops the start, with its name, its status and the end of its output" {
	hook 10-good '"createRuntime"' 'echo "not to be seen"'
	hook 20-bad '"createRuntime"' 'head -c 100000 /dev/zero | tr "\0" x; echo "no licence"; echo "on this node" >&2; exit 3'
	hook 30-after '"createRuntime", "poststop"' 'echo "$(cat)" >>"$LOG"'
	run -125 own touch "$BATS_TEST_TMPDIR/ran"
	[[ $output = *"hook '20-bad.json' (createRuntime): failed with status 3: "*"xno licence|on this node"* ]]
	[ "${#output}" -lt 1200 ]
	[[ $output != *'not to be seen'* ]]
	[ ! -e "$BATS_TEST_TMPDIR/ran" ]
	# what was begun is ended: poststop runs all the same
	wait_until 30 log_has stopped
	[ "$(grep -c creating "$LOG")" = 0 ]
	wait_until 30 none_left "HPCRUN_CONF=$HPCRUN_CONF"
}

@test "hooks: in each stage a failure is one of the start, but in poststop" {
	local stage
	for stage in createContainer startContainer; do
		hook bad "\"$stage\"" 'echo went wrong; kill -9 $$'
		run -125 own true
		[[ $output = *"hook 'bad.json' ($stage): was killed by signal 9: went wrong"* ]]
	done
	hook bad '"poststop"' 'exit 1'
	hook good '"poststop"' 'echo good >>"$LOG"'
	run -0 own true
	wait_until 30 log_has good
}

@test "hooks: one that takes too long is killed with all that it started" {
	hook slow '"createRuntime"' 'echo before; sleep 300 & echo $! >"$LOG"; wait' ', "timeout": 1'
	run -125 own true
	[[ $output = *"hook 'slow.json' (createRuntime): was killed after 1 s: before"* ]]
	wait_until 20 has_ended "$(cat "$LOG")"
}

@test "hooks: one that runs ends with the session that is killed" {
	hook slow '"createRuntime"' 'echo $$ >"$LOG"; exec sleep 300'
	own true 2>/dev/null 3>&- &
	wait_until 30 test -s "$LOG"
	rm "$HOOKS/slow.json" # the next session, which the rank starts, has no hook
	for pid in $(leftovers_with "HPCRUN_CONF=$HPCRUN_CONF" | sed -n 's/ .*hpcrun-session$//p'); do
		kill -KILL "$pid"
	done
	wait $!
	wait_until 20 has_ended "$(cat "$LOG")"
}

@test "hooks: one that cannot be executed says why" {
	hook gone '"createContainer"' ':'
	printf '#!/no/such/interpreter\n' >"$BATS_TEST_TMPDIR/gone"
	run -125 own true
	[[ $output = *"gone.json"*"cannot execute"*"No such file"* ]]
	rm "$BATS_TEST_TMPDIR/gone"
	fail_with "hook '.*gone.json': cannot look at program" own true
}

@test "hooks: conditions decide: commands, binds, annotations" {
	hook commands '"createRuntime"' 'echo commands >>"$LOG"' '' '"commands": ["^/bin/true$", "/cat$"]'
	hook binds '"createRuntime"' 'echo binds >>"$LOG"' '' '"hasBindMounts": true, "always": true'
	hook nobinds '"createRuntime"' 'echo nobinds >>"$LOG"' '' '"hasBindMounts": false'
	hook image '"createRuntime"' 'echo image >>"$LOG"' '' '"annotations": {"image$": "^app:"}'
	hook never '"createRuntime"' 'echo never >>"$LOG"' '' '"always": false'
	hook other '"createRuntime"' 'echo other >>"$LOG"' '' '"always": true, "annotations": {"image$": "^other"}'
	"$HPCRUN" app:1 /bin/true
	[ "$(paste -sd' ' "$LOG")" = 'commands image nobinds' ]
	rm "$LOG"
	own true
	[ "$(paste -sd' ' "$LOG")" = 'binds image' ]
}

@test "hooks: files that others could have written are refused" {
	hook mine '"createRuntime"' ':'
	chmod g+w "$HOOKS/mine.json"
	fail_with "hook '.*mine.json': .*mine.json' may be written by others .mode 0664." own true
	chmod 644 "$HOOKS/mine.json"
	chmod o+w "$BATS_TEST_TMPDIR/mine"
	fail_with "hook '.*mine.json': .*/mine' may be written by others" own true
	chmod 755 "$BATS_TEST_TMPDIR/mine"
	chmod 1777 "$HOOKS"
	fail_with "hooks.d' may be written by others" own true
	chmod 755 "$HOOKS"
	own true
	if [ "$(id -u)" = 0 ]; then
		chown "$TEST_USER" "$HOOKS/mine.json"
		fail_with "mine.json' belongs to user [0-9]*, neither to root nor to you" own true
	fi
}

@test "hooks: a directory that is not there, and files that are no hooks, stop the start" {
	fail_bad() { # TEXT-OF-FILE MESSAGE
		echo "$1" >"$HOOKS/bad.json"
		fail_with "hook '.*bad.json': $2" own true
	}
	fail_bad '{"version": "1.0.0", "hook": {"path": "/bin/true"}, "when": {"always": true}, "stages": ["prestart"]}' \
		"stage 'prestart' is not known"
	fail_bad '{"version": "0.1.0"}' "version '0.1.0' is not known"
	fail_bad '{"version": "1.0.0", "version": "1.0.0"}' 'no JSON.*duplicate'
	fail_bad 'stages' 'no JSON'
	echo 'not looked at' >"$HOOKS/README"
	rm "$HOOKS/bad.json"
	own true
	wait_until 30 none_left "HPCRUN_CONF=$HPCRUN_CONF" # a run that still meets that session reads no configuration
	echo "hooks_dir = $BATS_TEST_TMPDIR/nowhere" >>"$HPCRUN_CONF"
	fail_with "cannot open directory '.*nowhere'" own true
}
