#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Sessions: starts that race, processes that are killed anywhere, what is left afterwards, and what a
# program inherits. HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it: no registry is needed.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	scratch_make
	export HPCRUN_CONF=$SCRATCH/conf REAL_LIBEXEC
	echo 'session_linger = 1' >"$HPCRUN_CONF"
	unset HPCRUN_LIBEXECDIR
	need_mkstore
	REAL_LIBEXEC=$(dirname "$HPCRUN")/../libexec/hpcrun
	[ -x "$REAL_LIBEXEC/hpcrun-session" ] || REAL_LIBEXEC=$HPCRUN_BUILD
	tree_make "$SCRATCH/tree"
	"$MKSTORE" "$HPCRUN_STORE" app:1 "$SCRATCH/tree" >/dev/null
}
teardown_file() {
	leftovers_end KILL
	scratch_remove
}

setup() {
	cd "$SCRATCH" || return
	export HPCRUN_LIBEXECDIR=$REAL_LIBEXEC
}

# A root directory with nothing but busybox, and files that cannot be executed, each for its own reason.
tree_make() {
	mkdir -p "$1"/etc "$1"/opt "$1"/work
	busybox_root "$1" sh true false cat echo ls readlink sleep kill wc seq grep
	echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
	echo 'root:x:0:' >"$1/etc/group"
	echo 'inside the image' >"$1/etc/where"
	printf '#!/no/such/interpreter\n' >"$1/opt/script"
	printf 'just text\n' >"$1/opt/text"
	: >"$1/opt/empty"
	# the ELF header of an aarch64 program, or of an x86-64 one there
	printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\267\0\1\0\0\0' >"$1/opt/foreign"
	[ "$(uname -m)" != aarch64 ] || printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\076\0\1\0\0\0' >"$1/opt/foreign"
	truncate -s 4096 "$1/opt/foreign"
	chmod 755 "$1"/opt/*
	echo x >"$1/opt/plain"
	chmod 644 "$1/opt/plain"
}

# where COMMAND...: run it in a session of its own, apart from those of other tests.
own() { "$HPCRUN" run --bind "/usr:/session/$BATS_TEST_NUMBER${PART:-}" app:1 "$@"; }
mnt_ns() { own readlink /proc/self/ns/mnt; }
holders() { leftovers | sed -n 's/ .*hpcrun-session$//p'; }
in_step() { # RANKS: look like the only node of a Slurm step
	export SLURM_JOB_ID=7 SLURM_STEP_ID=$BATS_TEST_NUMBER SLURM_NODEID=0 SLURM_STEP_TASKS_PER_NODE=$1
}

# wrap [--once] PROGRAM STRACE-ARGUMENT...: put a libexec directory in force whose PROGRAM runs under strace, which
# writes the file "trace" there; with --once only the first time, which takes the file "once" away.
wrap() {
	local program dir=$BATS_TEST_TMPDIR/libexec condition=true
	mkdir -p "$dir"
	if [ "$1" = --once ]; then
		condition="rm '$dir/once' 2>/dev/null"
		: >"$dir/once"
		shift
	fi
	program=$1
	shift
	ln -sf "$REAL_LIBEXEC"/hpcrun-* "$dir/"
	rm "$dir/$program"
	cat >"$dir/$program" <<-WRAP
		#!/bin/sh
		if $condition; then
			exec strace -o '$dir/trace' $* '$REAL_LIBEXEC/$program' "\$@"
		fi
		exec '$REAL_LIBEXEC/$program' "\$@"
	WRAP
	chmod 755 "$dir/$program"
	export HPCRUN_LIBEXECDIR=$dir
}

# -- races

@test "session: 64 ranks at once join one container, 20 times" { # H1
	local round i
	for round in $(seq 20); do
		PART=-$round
		for i in $(seq 64); do
			mnt_ns >"$BATS_TEST_TMPDIR/$i" 3>&- &
		done
		wait
		[ "$(cat "$BATS_TEST_TMPDIR"/[0-9]* | wc -l)" = 64 ]
		[ "$(cat "$BATS_TEST_TMPDIR"/[0-9]* | sort -u | wc -l)" = 1 ]
	done
}

@test "session: ranks that come while it ends are served as well" { # H3
	local i
	echo 'session_linger = 0' >"$BATS_TEST_TMPDIR/conf"
	export HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	for i in $(seq 100); do
		own true 3>&- &
		[ $((i % 4)) != 0 ] || wait
	done
	wait
	for i in $(seq 20); do
		own true
	done
}

# -- killed

@test "session: waits for who started it, however slow that is" { # H23
	need strace
	printf 'session_linger = 0\nhooks_dir = %s/hooks.d\n' "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/conf"
	mkdir -m 755 "$BATS_TEST_TMPDIR/hooks.d"
	printf '#!/bin/sh\necho begun >>%s/log\n' "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/hook"
	chmod 755 "$BATS_TEST_TMPDIR/hook"
	printf '{"version": "1.0.0", "hook": {"path": "%s/hook"}, "when": {"always": true}, "stages": ["createRuntime"]}\n' \
		"$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/hooks.d/count.json"
	chmod 644 "$BATS_TEST_TMPDIR/hooks.d/count.json"
	HPCRUN_CONF=$BATS_TEST_TMPDIR/conf strace -qq -o /dev/null -e trace=connect -e inject=connect:delay_enter=500000 \
		"$HPCRUN" run --bind "/usr:/session/$BATS_TEST_NUMBER" app:1 true
	[ "$(cat "$BATS_TEST_TMPDIR/log")" = begun ]
}

@test "session: the rank that starts it may be killed at any system call" { # H2
	need strace
	local call
	killed_rank() { strace -o /dev/null -e inject="$call":signal=KILL:when=1 "$HPCRUN" run --bind "/usr:/session/$1" app:1 true; }
	for call in flock getrandom pwrite64 bind listen clone wait4 sendmsg recvmsg setns seccomp; do
		rm -f "$XDG_RUNTIME_DIR/hpcrun/secret" # that it is made
		PART=-$call
		run -137 killed_rank "$BATS_TEST_NUMBER$PART"
		run -0 own cat /etc/where
		[ "$output" = 'inside the image' ]
		# with another one beside it, which may be the first
		PART=-$call-beside
		killed_rank "$BATS_TEST_NUMBER$PART" 3>&- &
		run -0 own cat /etc/where
		[ "$output" = 'inside the image' ]
		wait $! || :
	done
}

@test "session: the holder may be killed at any system call before it is ready" { # H2
	need strace
	local call i
	for call in fcntl signalfd4 clone memfd_create accept4 recvmsg sendmsg; do
		wrap --once hpcrun-session -e inject="$call":signal=KILL:when=1
		PART=-$call
		for i in 1 2 3 4; do
			own echo well >"$BATS_TEST_TMPDIR/$i" 2>&1 3>&- &
		done
		wait
		[ "$(cat "$BATS_TEST_TMPDIR"/[1-4])" = $'well\nwell\nwell\nwell' ]
		[ ! -e "$HPCRUN_LIBEXECDIR/once" ]
	done
}

# killed: the program that wrap has run
killed() { grep -q 'killed by SIGKILL' "$HPCRUN_LIBEXECDIR/trace"; }

@test "session: the holder may be killed at each thing that it hears of the start" { # H2
	need strace
	local n=0
	# from the server, the builder with its steps, and the rank; until there is a container
	while [ $((++n)) -lt 100 ]; do
		PART=-$n
		wrap --once hpcrun-session -e trace=recvmsg -e inject=recvmsg:signal=KILL:when=$n
		run -0 own echo well
		[ "$output" = well ]
		killed || break
	done
	echo "killed $((n - 1)) times"
	[ "$n" -gt 22 ]
}

# What the builder tells, by number: the steps, /dev/fuse among them, and the end.
@test "session: a builder that is killed at any step has a successor, for all ranks" { # H2
	need strace
	local n i
	for n in 1 5 9 10 13 20; do
		PART=-$n
		wrap --once hpcrun-session -f -e trace=sendmsg -e inject=sendmsg:signal=KILL:when=$n
		for i in 1 2 3; do
			own readlink /proc/self/ns/mnt >"$BATS_TEST_TMPDIR/$i" 2>&1 3>&- &
		done
		wait
		killed
		[ "$(sort -u "$BATS_TEST_TMPDIR"/[1-3] | grep -cx 'mnt:\[[0-9]*]')" = 1 ]
		[ "$(cat "$BATS_TEST_TMPDIR"/[1-3] | wc -l)" = 3 ]
	done
}

@test "session: when the builder and its successor are killed there is one message, and nothing is left" { # H2
	need strace
	local n
	for n in 5 20; do
		PART=-$n
		wrap hpcrun-session -f -e trace=sendmsg -e inject=sendmsg:signal=KILL:when=$n
		fail_with 'hpcrun: the builder of the container was killed by signal 9 \(Killed\)' own true
		wait_until 10 none_left
	done
}

@test "session: a server that is killed at any step of the start has a successor" { # G1 H2
	need strace
	local at
	# it opens the image; says what it is; hears of /dev/fuse; is ready; wants lost requests; has the first request
	# and keeps it; answers that and others
	for at in openat=1 sendmsg=1 recvmsg=1 sendmsg=2 write=2 sendmsg=3 writev={1..5}; do
		wrap --once hpcrun-serve -f -e trace="${at%=*}" -e inject="${at%=*}":signal=KILL:when="${at#*=}"
		run -0 "$HPCRUN" run -vv --bind "/usr:/session/$at" app:1 cat /etc/where
		[ "${lines[-2]}" = 'inside the image' ] || [ "${lines[-1]}" = 'inside the image' ] # -v has a summary
		[[ $output == *'the server has died, another takes its place'* ]]
		killed
	done
}

@test "session: a holder that always dies is one message, not a hang" {
	need strace
	wrap hpcrun-session -e inject=signalfd4:signal=KILL
	fail_with 'died before they were ready' own true
}

@test "session: when its server and its successor die before it is ready, the message says how" {
	need strace
	wrap hpcrun-serve -e inject=recvmsg:signal=SEGV:when=1
	fail_with 'hpcrun: two servers of the image in turn have died: hpcrun-serve was killed by signal 11 ' own true
}

@test "session: a server that computes for ever on a request is replaced, and the request answered" { # G2
	command -v cc >/dev/null || skip 'no C compiler'
	local dir=$BATS_TEST_TMPDIR/libexec
	# in place of its first answer after there is the file "armed"
	cc -shared -fPIC -o hang.so -x c - <<-HANG
		#define _GNU_SOURCE
		#include <sys/syscall.h>
		#include <sys/uio.h>
		#include <unistd.h>
		ssize_t writev(int fd, const struct iovec *v, int n)
		{
			if (unlink("$BATS_TEST_TMPDIR/armed") == 0)
				for (volatile int i = 0;; i++)
					;
			return syscall(SYS_writev, fd, v, n);
		}
	HANG
	mkdir "$dir"
	ln -s "$REAL_LIBEXEC"/hpcrun-* "$dir/"
	rm "$dir/hpcrun-serve"
	printf '#!/bin/sh\nLD_PRELOAD=%s exec %s "$@"\n' "$PWD/hang.so" "$REAL_LIBEXEC/hpcrun-serve" >"$dir/hpcrun-serve"
	chmod 755 "$dir/hpcrun-serve"
	HPCRUN_LIBEXECDIR=$dir run -0 --separate-stderr timeout 50 \
		"$HPCRUN" run --bind "$BATS_TEST_TMPDIR" app:1 sh -c "touch '$BATS_TEST_TMPDIR/armed'; cat /etc/where"
	[ "$output" = 'inside the image' ]
	[[ $stderr == *'the server of the image hangs in a request: another takes its place'* ]]
	[ ! -e "$BATS_TEST_TMPDIR/armed" ]
}

@test "session: programs go on when the holder is killed, and new ranks start another" { # G4
	own sh -c 'sleep 2; cat /etc/where; ls /etc | wc -l' >"$BATS_TEST_TMPDIR/out" 3>&- &
	program=$!
	wait_until 10 test -n "$(holders)"
	sleep 0.5
	for pid in $(holders); do
		kill -KILL "$pid" || : # the child that built the container may have ended meanwhile
	done
	run -0 own echo another
	[ "$output" = another ]
	wait $program
	[ "$(head -n 1 "$BATS_TEST_TMPDIR/out")" = 'inside the image' ]
}

@test "session: a server that is killed under load is replaced within a second, and no read fails" { # G1
	local i holder pid up
	mkdir "$BATS_TEST_TMPDIR/tree"
	for i in $(seq 40); do
		head -c 500000 /dev/urandom >"$BATS_TEST_TMPDIR/tree/f$i" # smaller than what is mounted from the cache
	done
	HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	"$MKSTORE" "$HPCRUN_STORE" data:1 "$BATS_TEST_TMPDIR/tree" >/dev/null
	"$HPCRUN" run --bind /usr --bind /lib --bind /lib64 --bind "$TESTS_DIR/lib" --bind "$BATS_TEST_TMPDIR" --workdir / data:1 \
		/usr/bin/python3 "$TESTS_DIR/lib/slow_reads.py" / "$BATS_TEST_TMPDIR/tree" "$BATS_TEST_TMPDIR/stop" \
		>"$BATS_TEST_TMPDIR/slow" 3>&- &
	wait_until 20 test -s "$BATS_TEST_TMPDIR/slow"
	holder=$(leftovers | sed -n 's/ .*hpcrun-session$//p')
	for i in 1 2 3 4 5; do # more often in a minute it is not replaced
		sleep 0.5
		read -r pid _ <"/proc/$holder/task/$holder/children" || : # no end of line
		read -r up _ </proc/uptime
		kill -KILL "$pid"
		echo "$up $pid" >>"$BATS_TEST_TMPDIR/kills"
	done
	sleep 0.5
	[ "$(cut -d' ' -f2 "$BATS_TEST_TMPDIR/kills" | sort -u | wc -l)" = 5 ]
	: >"$BATS_TEST_TMPDIR/stop"
	wait $!
	# of each kill, the longest read that it met
	awk 'FNR == NR { at[NR] = $1; most[NR] = 0; next }
		NF == 2 { for (i in at) if ($1 < at[i] + 0.05 && $1 + $2 > at[i] && $2 > most[i]) most[i] = $2 }
		END { for (i in most) print most[i] * 1000 }' "$BATS_TEST_TMPDIR/kills" "$BATS_TEST_TMPDIR/slow" | sort -n \
		>"$BATS_TEST_TMPDIR/waits"
	echo "ms: $(paste -sd' ' "$BATS_TEST_TMPDIR/waits") of $(tail -n 1 "$BATS_TEST_TMPDIR/slow") reads"
	[ "$(tail -n 1 "$BATS_TEST_TMPDIR/slow")" -gt 500 ]
	[ "$(sed -n 3p "$BATS_TEST_TMPDIR/waits")" -lt 1000 ]
}

# -- places

@test "session: of a holder that is killed no name is left, and no file" { # H4
	local holder name
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	our_holder() { leftovers_with "XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR" | sed -n 's/ .*hpcrun-session$//p'; }
	listening() { [ "$(session_names "$(our_holder)" | wc -l)" = 1 ]; }
	"$HPCRUN" run --bind "$XDG_RUNTIME_DIR" app:1 \
		sh -c "cd '$XDG_RUNTIME_DIR'; touch there; until [ -e go ]; do sleep 0.1; done" 3>&- &
	wait_until 10 test -e "$XDG_RUNTIME_DIR/there"
	wait_until 10 listening
	holder=$(our_holder)
	name=$(session_names "$holder")
	[[ $name =~ ^@hpcrun-[0-9a-f]{32}$ ]]
	kill -STOP "$holder" # so that it cannot do anything about it
	kill -KILL "$holder"
	touch "$XDG_RUNTIME_DIR/go"
	wait $!
	our_end() { [ -z "$(leftovers_with "XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR")" ]; }
	wait_until 10 our_end
	run -1 grep -F "$name" /proc/net/unix
	[ -z "$(session_files)" ]
}

@test "session: a rank in another network namespace has a container of its own, the others share theirs" {
	unshare -Urn true 2>/dev/null || skip 'no network namespaces'
	# shellcheck disable=SC2016  # for the shell inside
	run -0 unshare -Ur sh -c 'cd "$1"
		"$0" run --bind "$1" app:1 sh -c "readlink /proc/self/ns/mnt; touch $1/there; until [ -e $1/go ]; do sleep 0.1; done" &
		until [ -e there ]; do sleep 0.1; done
		unshare -n "$0" run --bind "$1" app:1 readlink /proc/self/ns/mnt
		"$0" run --bind "$1" app:1 readlink /proc/self/ns/mnt
		touch go
		wait' "$HPCRUN" "$BATS_TEST_TMPDIR"
	echo "$output"
	[ "${#lines[@]}" = 3 ]
	[ "${lines[0]}" != "${lines[1]}" ]
	[ "${lines[0]}" = "${lines[2]}" ]
}

@test "session: a runtime directory that others can enter is passed over" { # H6
	mkdir -p open
	chmod 755 open
	XDG_RUNTIME_DIR=$PWD/open run -0 own echo well
	[ "$output" = well ]
	[ ! -e open/hpcrun ]
	XDG_RUNTIME_DIR=/no/such/directory run -0 own echo well
	mkdir -p closed/hpcrun
	chmod 700 closed
	chmod 777 closed/hpcrun
	XDG_RUNTIME_DIR=$PWD/closed run -0 own echo well
	[ -z "$(ls closed/hpcrun)" ]
	mkdir -p linked/there
	chmod 700 linked linked/there
	ln -s there linked/hpcrun
	XDG_RUNTIME_DIR=$PWD/linked run -0 own echo well
	[ -z "$(ls linked/there)" ]
}

@test "session: a runtime directory of another user is passed over" { # H6
	[ "$(id -u)" = 0 ] || skip 'only root can make one'
	mkdir -p alien/hpcrun half/hpcrun
	chmod 700 alien alien/hpcrun half half/hpcrun
	chown -R 65534 alien half/hpcrun
	XDG_RUNTIME_DIR=$PWD/alien run -0 own echo well
	[ "$output" = well ]
	XDG_RUNTIME_DIR=$PWD/half run -0 own echo well
	[ -z "$(find alien/hpcrun half/hpcrun -mindepth 1)" ]
}

@test "session: any umask will do, and the program has it" {
	local mask
	for mask in 0777 0000 0077; do
		PART=-$mask
		mkdir -m 700 "$SCRATCH/umask$mask"
		run -0 sh -c "umask $mask"'; XDG_RUNTIME_DIR=$1 exec "$0" run --bind "/usr:/session/umask" app:1 sh -c umask' \
			"$HPCRUN" "$SCRATCH/umask$mask"
		[ "$output" = "$mask" ]
		[ "$(stat -c %a "$SCRATCH/umask$mask/hpcrun")" = 700 ]
	done
}

@test "session: a long runtime directory is no obstacle" { # H6
	local long
	long=$PWD/$(printf 'x%.0s' $(seq 150))
	mkdir -p "$long"
	chmod 700 "$long"
	XDG_RUNTIME_DIR=$long run -0 own echo well
	[ "$output" = well ]
	[ -n "$(ls "$long/hpcrun")" ]
}

# -- the end

@test "session: in a Slurm step it ends when all ranks have come and gone" {
	echo 'session_linger = 600' >"$BATS_TEST_TMPDIR/conf"
	export HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	in_step '3(x1)'
	own true
	own true
	[ -n "$(leftovers)" ]
	own true
	wait_until 10 none_left
	[ -z "$(session_files)" ]
}

@test "session: in a Slurm step the same failure is printed once" {
	local i failed=0 ranks=()
	in_step 4
	for i in 1 2 3 4; do
		"$HPCRUN" run absent:1 true 2>"$BATS_TEST_TMPDIR/$i" 3>&- &
		ranks+=($!)
	done
	for i in "${ranks[@]}"; do
		wait "$i" || failed=$((failed + ($? == 125)))
	done
	[ $failed = 4 ]
	[ "$(cat "$BATS_TEST_TMPDIR"/[1-4] | grep -c "image 'absent:1'")" = 1 ]
	wait_until 5 none_left
}

# The mounts of this machine, but for those that tests beside this one make for themselves.
mounts() { awk '$5 !~ /bats-run-|hpcrun-test/' /proc/self/mountinfo; }

@test "session: nothing is left behind, neither process nor mount nor socket" { # G14
	local before
	before=$(mounts)
	own true
	wait_until 10 none_left
	[ -z "$(session_files)" ]
	[ "$(mounts)" = "$before" ]
}

@test "session: a program that stays in the background keeps its container" { # G14
	own sh -c 'sleep 3 && cat /etc/where >"$0" &' "$BATS_TEST_TMPDIR/out"
	wait_until 10 test -s "$BATS_TEST_TMPDIR/out"
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = 'inside the image' ]
	wait_until 10 none_left
}

@test "session: the pipe a rank writes to is closed when the rank ends" {
	# a holder or server that kept it would make this wait for the linger time, as srun would
	echo 'session_linger = 600' >"$BATS_TEST_TMPDIR/conf"
	HPCRUN_CONF=$BATS_TEST_TMPDIR/conf own echo out 2>&1 7>&1 | timeout 5 cat >"$BATS_TEST_TMPDIR/out"
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = out ]
	for pid in $(leftovers | cut -d' ' -f1); do
		kill "$pid" 2>/dev/null || :
	done
}

# -- what a program inherits

@test "session: a rank makes fewer than 60 system calls of its own" {
	need strace
	own true
	strace -o "$BATS_TEST_TMPDIR/trace" "$HPCRUN" run --bind "/usr:/session/$BATS_TEST_NUMBER" app:1 true
	calls=$(awk '/^execve/ && NR > 1 { print NR - 1; exit }' "$BATS_TEST_TMPDIR/trace")
	echo "$calls system calls"
	[ "$calls" -lt 60 ]
}

@test "session: descriptors are 0, 1, 2, the launcher's and the session's" {
	PMI_FD=9 run -0 own sh -c 'ls /proc/$$/fd' 8</dev/null 9</dev/null
	[ "$(grep -cxE '0|1|2|9' <<<"$output")" = 4 ]
	run -1 grep -x 8 <<<"$output"
	PMI_FD=9 run -0 own sh -c 'ls -l /proc/$$/fd' 8</dev/null 9</dev/null
	[ "$(grep -c socket: <<<"$output")" = 1 ]
	# of any launcher, in any order, twice the same, and nonsense
	PALS_FD=11 PMI_CONTROL_FD=7 FLUX_FD=9 PMI_FD=7 SLURM_X_FD=2 PMI_BAD_FD=x OTHER_FD=8 run -0 own sh -c 'ls /proc/$$/fd' \
		7</dev/null 8</dev/null 9</dev/null 11</dev/null
	[ "$(grep -cxE '0|1|2|7|9|11' <<<"$output")" = 6 ]
	run -1 grep -xE '4|5|6|8|10|12' <<<"$output" # 3 is that of ls
}

@test "session: the working directory is kept if it can be, else the image's root" { # H22
	mkdir -p "$SCRATCH/run:1"
	cd "$SCRATCH/run:1"
	run -0 own readlink /proc/self/cwd
	[ "$output" = "$SCRATCH/run:1" ]
	cd /usr/share
	run -0 own readlink /proc/self/cwd
	[ "$output" = / ]
	mkdir "$SCRATCH/gone"
	cd "$SCRATCH/gone"
	rmdir "$SCRATCH/gone"
	run -0 own readlink /proc/self/cwd
	[ "$output" = / ]
}

@test "session: signals that the caller ignores stay ignored, SIGCHLD too" { # H12
	run -0 env --ignore-signal=CHLD,USR1 "$HPCRUN" run --bind /usr:/session/ignored app:1 grep SigIgn /proc/self/status
	# bits of CHLD and USR1; what runs the tests may have others ignored, nohup has HUP
	[ "$((16#${output##*[[:space:]]} & 16#10200))" -eq $((16#10200)) ]
}

@test "session: signals that the caller blocks are in nobody's way, and stay blocked for the program" { # H12
	# a session that would not hear of its children would not start, nor end
	/usr/bin/python3 - "$HPCRUN" "$BATS_TEST_NUMBER" <<-'PY'
		import signal, subprocess, sys
		words = [sys.argv[1], 'run', '--bind', '/usr:/session/' + sys.argv[2], 'app:1', 'grep', 'SigBlk', '/proc/self/status']
		block = lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
		out = subprocess.run(words, preexec_fn=block, stdout=subprocess.PIPE, timeout=30, check=True).stdout
		for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGALRM):
		    assert int(out.split()[1], 16) >> number - 1 & 1, out
	PY
	wait_until 10 none_left
}

@test "session: why a command cannot be executed" {
	local file words
	while read -r file words; do
		run -126 --separate-stderr own "$file"
		[[ $stderr == *"$file"* && $stderr == *"$words"* ]]
	done <<-EOF
		/opt/script its interpreter '/no/such/interpreter' does not exist
		/opt/text neither a program nor a script
		/opt/empty the file is empty
		/opt/foreign is it built for another architecture
		/opt/plain no execute permission
		/opt it is a directory
	EOF
}

@test "session: the root is the image's, also where the host's root cannot be moved" { # H16
	need strace
	wrap hpcrun-session -f -e inject=pivot_root:error=EINVAL
	run -0 own cat /etc/where
	[ "$output" = 'inside the image' ]
}

@test "session: --fakeroot keeps the capabilities that are described, and no others" {
	run -0 "$HPCRUN" run --fakeroot app:1 grep '^Cap[EPIA]' /proc/self/status
	[ "$(grep -c 00000000800400fb <<<"$output")" = 2 ]
	[ "$(grep -c 0000000000000000 <<<"$output")" = 2 ]
}

# -- when the machine does not play along

@test "session: a failure names its step, its cause and the remedy" {
	need strace
	local inject words
	while read -r inject words; do
		wrap hpcrun-session -f -e inject="$inject"
		PART=-${inject//:/-}
		fail_with "$words" own true
	done <<-EOF
		unshare:error=EPERM step 'enter user namespace'.*cannot create a user namespace
		unshare:error=ENOSPC max_user_namespaces
		mount:error=EPERM:when=1 step 'make mounts private'
		open_tree:error=ENOSYS Linux 5.2
		mount:error=EPERM:when=3 step 'mount image'.*file system of type fuse
		move_mount:error=EINVAL step 'attach binds'.*cannot bind '/
		umount2:error=EINVAL step 'change root'
	EOF
}

@test "session: why /dev/fuse cannot be had, and what to do" { # H15
	need strace
	local error words
	while read -r error words; do
		wrap hpcrun-session -f -P /dev/fuse -e trace=openat -e inject=openat:error="$error"
		PART=-$error
		run -125 --separate-stderr own true
		[[ $stderr == "hpcrun: step 'mount image': cannot open '/dev/fuse': "*$'\nhpcrun: hint: '*"$words"* ]]
	done <<-EOF
		ENOENT load the kernel module: 'modprobe fuse'
		ENXIO the kernel has no FUSE
		EACCES 'chmod 666 /dev/fuse' by the administrator
		EPERM character device 10:229 must be allowed
	EOF
}

@test "session: a program that cannot be given its filter is not run" { # H21
	need strace
	own true
	fail_with 'seccomp' strace -o /dev/null -e inject=seccomp:error=EINVAL "$HPCRUN" run \
		--bind "/usr:/session/$BATS_TEST_NUMBER" app:1 touch "$BATS_TEST_TMPDIR/ran"
	[ ! -e "$BATS_TEST_TMPDIR/ran" ]
}

@test "session: paths of the image are found without openat2" { # H16
	need strace
	local error
	for error in ENOSYS EPERM; do
		wrap hpcrun-session -f -e inject=openat2:error=$error
		PART=-$error
		run -0 own cat /etc/where
		[ "$output" = 'inside the image' ]
	done
}

@test "session: a container whose root is covered by something is not handed out" {
	need strace
	# the host's root stays on top when one umount of two is lost
	wrap hpcrun-session -f -e inject=umount2:retval=0:when=2
	fail_with 'covers the root' own true
}

@test "session: a missing program of ours is named" {
	HPCRUN_LIBEXECDIR=/no/such fail_with '/no/such/hpcrun-session' own true
	mkdir -p "$BATS_TEST_TMPDIR/half"
	ln -s "$REAL_LIBEXEC/hpcrun-session" "$BATS_TEST_TMPDIR/half/"
	HPCRUN_LIBEXECDIR=$BATS_TEST_TMPDIR/half fail_with 'hpcrun-serve' own true
}

@test "session: an ill-formed configuration is reported" {
	echo 'session_lingr = 1' >"$BATS_TEST_TMPDIR/conf"
	HPCRUN_CONF=$BATS_TEST_TMPDIR/conf fail_with "line 1: unknown key 'session_lingr'" own true
}

# The holder's descriptors of mount namespaces: 0 when it has left that to the ranks.
holds_mounts() { [ "$(find "/proc/$1/fd" -lname 'mnt:*' 2>/dev/null | wc -l)" = "$2" ]; }

@test "step: when all ranks have come the mount is theirs, also to let others in" {
	local holder go=$BATS_TEST_TMPDIR/go out=$BATS_TEST_TMPDIR/out
	in_step 2
	own sh -c "readlink /proc/self/ns/mnt; until [ -e $go ]; do sleep 0.1; done" >"$out.1" 3>&- &
	wait_until 20 test -s "$out.1"
	holder=$(leftovers | sed -n 's, .*/hpcrun-session$,,p')
	holds_mounts "$holder" 1
	own sh -c "readlink /proc/self/ns/mnt; until [ -e $go ]; do sleep 0.1; done" >"$out.2" 3>&- &
	wait_until 20 test -s "$out.2"
	wait_until 20 holds_mounts "$holder" 0
	# a program that a rank starts, say
	own readlink /proc/self/ns/mnt >"$out.3"
	[ "$(sort -u "$out".? | wc -l)" = 1 ]
	wait_until 20 holds_mounts "$holder" 0
	touch "$go"
	wait
	wait_until 20 none_left
}
