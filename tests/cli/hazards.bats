#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# What sessions bear: clients that do not behave, process ids that come again, a node that crashes, broken terminals,
# users and places of odd kinds. HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it: no registry is needed.
# shellcheck disable=SC2016,SC2030,SC2031,SC2086,SC2154  # $ODD is words; each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	scratch_make
	export HPCRUN_CONF=$SCRATCH/conf VERSION
	echo 'session_linger = 1' >"$HPCRUN_CONF"
	need_mkstore
	VERSION=$("$HPCRUN" --version | awk '{ print $2 }')
	mkdir -p "$SCRATCH/tree/etc"
	busybox_root "$SCRATCH/tree" sh true false cat echo ls readlink sleep id grep env
	echo 'root:x:0:0:root:/root:/bin/sh' >"$SCRATCH/tree/etc/passwd"
	echo 'root:x:0:' >"$SCRATCH/tree/etc/group"
	echo 'inside the image' >"$SCRATCH/tree/etc/where"
	ln -s where "$SCRATCH/tree/etc/link"
	"$MKSTORE" "$HPCRUN_STORE" app:1 "$SCRATCH/tree" >/dev/null
}
teardown_file() {
	leftovers_end KILL
	scratch_remove
}

setup() {
	# a directory of its own for the sockets of each test
	export XDG_RUNTIME_DIR=$SCRATCH/run$BATS_TEST_NUMBER
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	cd "$BATS_TEST_TMPDIR" || return
	ODD="/usr/bin/python3 $TESTS_DIR/lib/odd_client.py"
}

teardown() { web_store_stop "$BATS_TEST_TMPDIR/web"; }

# ours PROGRAM: the pids of it that serve the sessions of this test
ours() { leftovers_with "XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR" | sed -n "s, .*/$1\$,,p"; }
none_of_ours() { [ -z "$(leftovers_with "XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR")" ]; }
# hold COMMAND...: a session that lasts until the file "go" is there; sets rank, holder and sock
hold() {
	"$HPCRUN" run "$@" --bind "$PWD" app:1 sh -c "echo >$PWD/here; until [ -e $PWD/go ]; do sleep 0.1; done" 3>&- &
	rank=$!
	wait_until 20 test -e here
	holder=$(ours hpcrun-session)
	sock=$(session_names "$holder")
}
let_go() {
	touch go
	wait "$rank"
}
join() { "$HPCRUN" run --bind "$PWD" app:1 "$@"; }
descriptors() { find "/proc/$1/fd" -mindepth 1 | wc -l; }
has_descriptors() { [ "$(descriptors "$1")" = "$2" ]; }

# -- who asks a session

@test "session: clients that talk nonsense, or another version, are turned away, and ranks are served" { # H7 H26
	local before
	hold
	before=$(descriptors "$holder")
	$ODD junk "$sock" "$VERSION"
	run -0 join echo well
	[ "$output" = well ]
	[ "$(ours hpcrun-session)" = "$holder" ]
	wait_until 10 has_descriptors "$holder" "$before"
	let_go
}

@test "session: a thousand clients that never ask are in nobody's way" { # H7
	local start crowd
	hold
	mkfifo end
	$ODD crowd "$sock" 1000 <end >there 3>&- &
	crowd=$!
	exec 9>end
	wait_until 20 grep -q there there
	start=$(date +%s%N)
	run -0 join echo well
	[ "$output" = well ]
	[ $((($(date +%s%N) - start) / 1000000)) -lt 3000 ]
	[ "$(ours hpcrun-session)" = "$holder" ]
	exec 9>&-
	wait "$crowd"
	let_go
}

@test "session: a session without descriptors serves ranks when it has some again" { # H7
	local crowd
	hold
	prlimit --pid "$holder" --nofile=64:64
	mkfifo end
	$ODD crowd "$sock" 60 <end >there 3>&- &
	crowd=$!
	exec 9>end
	wait_until 20 grep -q there there
	run -0 join echo well # after 5 s, when those who never asked are dropped
	[ "$output" = well ]
	[ "$(ours hpcrun-session)" = "$holder" ]
	# in which it has slept
	[ "$(awk '{ print $14 + $15 }' "/proc/$holder/stat")" -lt 50 ]
	exec 9>&-
	wait "$crowd"
	let_go
}

@test "session: another user gets no answer" { # H7
	[ "$(id -u)" = 0 ] && ! one_id || skip 'only root can be someone else'
	hold
	$ODD junk "$sock" "$VERSION"
	setpriv --reuid 65534 --inh-caps=-all $ODD alien "$sock" "$VERSION"
	let_go
}

@test "session: another user who connects without end is in nobody's way" { # H7
	[ "$(id -u)" = 0 ] && ! one_id || skip 'only root can be someone else'
	local start
	hold
	mkfifo end
	setpriv --reuid 65534 --inh-caps=-all $ODD flood "$sock" <end >said 3>&- &
	exec 9>end
	wait_until 20 grep -q there said
	start=$(date +%s%N)
	run -0 timeout 20 "$HPCRUN" run --bind "$PWD" app:1 echo well
	[ "$output" = well ]
	[ $((($(date +%s%N) - start) / 1000000)) -lt 3000 ]
	[ "$(ours hpcrun-session)" = "$holder" ]
	exec 9>&-
	wait $!
	let_go
}

@test "session: where another user has taken its name, it gets another, which all ranks find" { # H7
	[ "$(id -u)" = 0 ] && ! one_id || skip 'only root can be someone else'
	local how round taken others
	for how in squat mute; do
		rm -f here go
		hold
		taken=$sock
		kill -KILL "$holder"
		let_go
		[ -p "end.$how" ] || mkfifo "end.$how"
		setpriv --reuid 65534 --inh-caps=-all $ODD "$how" "$taken" <"end.$how" >said 3>&- &
		others=$!
		exec 9>"end.$how"
		wait_until 20 grep -qE 'listening|there' said
		for round in 1 2 3 4; do
			join readlink /proc/self/ns/mnt >"mnt.$round" 2>&1 3>&- &
		done
		rm -f here go
		hold
		[ "$sock" != "$taken" ]
		[[ $sock == @hpcrun-* ]]
		join readlink /proc/self/ns/mnt >mnt.5
		let_go
		wait_until 20 test -s mnt.4
		[ "$(sort -u mnt.[1-5])" = "$(cat mnt.5)" ]
		exec 9>&-
		wait "$others" # it was told nothing
		rm said mnt.[1-5]
	done
}

@test "session: a rank that is handed anything but the namespaces it asked for goes no further" { # H8
	local kinds coproc
	for kinds in 'm u' 'u u' 'u n' 'u o' 'u f' 'f m' 'n m'; do
		rm -f here go
		hold
		mkfifo words
		$ODD listen "$sock" "$VERSION" $kinds <words >said 3>&- &
		coproc=$!
		exec 9>words
		wait_until 20 grep -q joined said
		kill -KILL "$holder"
		let_go
		echo >&9
		wait_until 20 grep -q listening said
		fail_with 'cannot join the (user|mount) namespace of the session' join true
		exec 9>&-
		wait "$coproc"
		rm words said
	done
}

@test "session: a process that has got the number of a rank is not taken for it" { # H5
	unshare -Urpf --mount-proc sh -c 'echo 100 >/proc/sys/kernel/ns_last_pid' 2>/dev/null ||
		skip 'process ids cannot be chosen here'
	export SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_NODEID=0 SLURM_STEP_TASKS_PER_NODE=1
	# the rank leaves a program behind that has its socket; another process gets its number; who comes then must
	# not be let into the namespaces of that
	run -0 unshare -Urpf --mount-proc --kill-child sh -c '
		"$0" run --bind "$PWD" app:1 sh -c "echo \$\$ >rank; readlink /proc/self/ns/mnt >container; sleep 60 >/dev/null 2>&1 &"
		rank=$(cat rank)
		echo $((rank - 1)) >/proc/sys/kernel/ns_last_pid
		sleep 60 >/dev/null 2>&1 &
		[ $! = "$rank" ] || { echo "the number was not to be had: $! is not $rank"; exit 3; }
		readlink /proc/self/ns/mnt
		"$0" run --bind "$PWD" app:1 sh -c "readlink /proc/self/ns/mnt; cat /etc/where"' "$HPCRUN"
	[ "${lines[2]}" = 'inside the image' ]
	[ "${lines[1]}" != "${lines[0]}" ]
}

# -- the node

@test "session: after a crash of the node nothing is left, and the next start is as quick as any" { # H24
	local start
	join true # all is cached
	wait_until 10 none_of_ours
	echo >"$XDG_RUNTIME_DIR/hpcrun/not-ours"
	# everything ends at once, as when a node loses power
	unshare -Urpf --mount-proc --kill-child sh -c 'echo $$ >init; exec "$0" run --scratch=/scratch --bind "$PWD" app:1 \
		sh -c "echo >/scratch/file; echo >here; sleep 60"' "$HPCRUN" 3>&- &
	node=$!
	wait_until 20 test -e here
	kill -KILL "$node"
	wait "$node" || :
	[ "$(session_files)" = "$XDG_RUNTIME_DIR/hpcrun/not-ours" ]
	start=$(date +%s%N)
	run -0 join echo well
	[ $((($(date +%s%N) - start) / 1000000)) -lt 2000 ]
	[ "$output" = well ]
	[ -e "$XDG_RUNTIME_DIR/hpcrun/not-ours" ]
}

@test "session: a store that takes long is waited for, and who asks is told" { # H23
	mkdir libexec
	ln -s "$(cd "$(dirname "$(readlink -f "$HPCRUN")")/../libexec/hpcrun" && pwd)"/hpcrun-* libexec/
	slow=$(readlink -f libexec/hpcrun-serve)
	rm libexec/hpcrun-serve
	printf '#!/bin/sh\nsleep 12\nexec "%s" "$@"\n' "$slow" >libexec/hpcrun-serve
	chmod 755 libexec/hpcrun-serve
	HPCRUN_LIBEXECDIR=$PWD/libexec run -0 --separate-stderr "$HPCRUN" run -v app:1 cat /etc/where
	[ "$output" = 'inside the image' ]
	[ "$(grep -c "the container of 'app:1' is still being prepared" <<<"$stderr")" = 1 ]
}

# -- the terminal

@test "session: standard error that nobody reads, or that is full, stops no program" { # H27
	local status
	{ "$HPCRUN" run -vv app:1 sh -c 'exit 7' || echo $? >status; } 2> >(exec true)
	[ "$(cat status)" = 7 ]
	# closed before the first line is written, and the program has the signal as it was
	/usr/bin/python3 - "$HPCRUN" <<-'PY'
		import os, subprocess, sys
		r, w = os.pipe()
		os.close(r)
		p = subprocess.run([sys.argv[1], 'run', '-vv', 'app:1', 'grep', 'SigIgn', '/proc/self/status'], stderr=w,
		                   stdout=subprocess.PIPE, restore_signals=True)
		assert p.returncode == 0, p.returncode
		assert int(p.stdout.split()[1], 16) & 1 << 12 == 0, p.stdout
	PY
	run -7 sh -c 'exec "$0" run -vv app:1 sh -c "exit 7" 2>/dev/full' "$HPCRUN"
	run -7 sh -c 'exec "$0" run -vv app:1 sh -c "exit 7" 2>&-' "$HPCRUN"
	# messages that are all there is
	run -125 sh -c 'exec "$0" run absent:1 true 2>/dev/full' "$HPCRUN"
	/usr/bin/python3 - "$HPCRUN" <<-'PY'
		import os, subprocess, sys
		r, w = os.pipe()
		os.close(r)
		for words in (['run', 'absent:1', 'true'], ['pull', 'no such thing'], ['imagse']):
		    p = subprocess.run([sys.argv[1], *words], stderr=w, stdout=subprocess.DEVNULL)
		    assert p.returncode == 125, (words, p.returncode)
	PY
}

# -- memory

@test "session: in a step the ranks are to go before their server when memory is short" { # G3
	local before server
	before=$(cat /proc/self/oom_score_adj)
	[ "$before" -lt 100 ] || skip 'it is raised already'
	run -0 join cat /proc/self/oom_score_adj
	[ "$output" = "$before" ]
	wait_until 10 none_of_ours
	export SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_NODEID=0 SLURM_STEP_TASKS_PER_NODE=2
	hold
	server=$(ours hpcrun-serve)
	[ "$(cat "/proc/$server/oom_score_adj")" = "$before" ]
	[ "$(cat "/proc/$holder/oom_score_adj")" = "$before" ]
	run -0 join cat /proc/self/oom_score_adj
	[ "$output" = 100 ]
	# what is higher stays
	SLURM_STEP_ID=1 run -0 sh -c 'echo 500 >/proc/self/oom_score_adj && exec "$0" run app:1 cat /proc/self/oom_score_adj' \
		"$HPCRUN"
	[ "$output" = 500 ]
	let_go
}

core_limit() { awk '/^Max core file size/ { print $5, $6 }' "/proc/$1/limits"; }

@test "session: a server that may hold a token leaves no core file, programs may" { # H25
	local server
	[ "$(ulimit -Hc)" = unlimited ] || skip 'core files are limited already'
	ulimit -c unlimited
	web_store_start "$HPCRUN_STORE" web
	hold --store "http://127.0.0.1:$(cat web/port)"
	server=$(ours hpcrun-serve-net)
	[ "$(core_limit "$server")" = '1 1' ]
	[ "$(core_limit "$rank")" = 'unlimited unlimited' ]
	kill -SEGV "$server"
	let_go
	[ -z "$(find / -maxdepth 1 -name 'core*' -newer here)" ]
}

# -- where the server stands

@test "session: its processes stand outside of what they show" { # G17
	local pid own
	own=$(readlink /proc/self/ns/mnt)
	hold
	for pid in "$holder" "$(ours hpcrun-serve)"; do
		[ "$(readlink "/proc/$pid/cwd")" = / ]
		[ "$(readlink "/proc/$pid/root")" = / ]
		[ "$(readlink "/proc/$pid/ns/mnt")" = "$own" ]
		# the container's mount is none of ours
		run -1 grep fuse.hpcrun "/proc/$pid/mountinfo"
	done
	let_go
}

# -- users

@test "session: a user without a name, with ids beyond 2^31 and forty groups" { # H17
	[ "$(id -u)" = 0 ] && ! one_id || skip 'only root can be someone else'
	local theirs=$SCRATCH/theirs
	mkdir -m 700 "$theirs"
	chmod a+x "$SCRATCH"
	chmod -R a+rX "$SCRATCH/tree"
	chown 4000000000:4000000001 "$theirs"
	export HOME=$theirs XDG_RUNTIME_DIR=$theirs HPCRUN_CACHE=$theirs/cache HPCRUN_STORE=$theirs/store
	unset HPCRUN_CONF
	as_them() { setpriv --reuid 4000000000 --regid 4000000001 --groups "$1" --inh-caps=-all "${@:2}"; }
	cd "$theirs"
	as_them 0 cp -r "$SCRATCH/tree" tree
	as_them 0 "$MKSTORE" "$HPCRUN_STORE" app:1 tree >/dev/null
	run -0 as_them "$(seq -s, 5001 5040)" "$HPCRUN" run app:1 sh -c 'id -u; id -g; grep -c :4000000000:4000000001: /etc/passwd
		grep -c :4000000001: /etc/group; grep ^Groups /proc/self/status | tr " \t" "\n\n" | grep -c [0-9]'
	[ "$output" = $'4000000000\n4000000001\n1\n1\n40' ]
}

# -- the filter

@test "session: neither another call interface nor a wide number gets around the filter" { # H21
	[ "$(uname -m)" = x86_64 ] || skip 'there is one interface'
	# TIOCSTI by the numbers of i386 and of x32, and with bits that the kernel does not look at; add_key of i386
	cc -static -o calls -x c - <<-'CALLS'
		#include <errno.h>
		#include <stdio.h>
		#include <sys/syscall.h>
		#include <unistd.h>
		#define TIOCSTI 0x5412L
		static long i386(long nr, long a, long b)
		{
			long r;

			__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(a), "c"(b), "d"(0L) : "memory", "r8", "r9", "r10", "r11");
			return -(int)r;
		}
		static long now(long nr, long a, long b)
		{
			return syscall(nr, a, b, 0L) < 0 ? errno : 0;
		}
		int main(void)
		{
			printf("%ld %ld %ld %ld ", now(SYS_ioctl, 0, TIOCSTI), now(SYS_ioctl, 0, TIOCSTI | 1L << 32),
			       i386(54, 0, TIOCSTI), now(0x40000000 | 514, 0, TIOCSTI));
			printf("%ld %ld\n", now(SYS_add_key, 0, 0), i386(286, 0, 0));
			return 0;
		}
	CALLS
	./calls </dev/null >outside || skip 'this kernel has no calls of i386'
	[ "$(cut -d' ' -f1-3 outside)" = '25 25 25' ] # ENOTTY: whoever calls it gets as far as the kernel
	run -0 join "$PWD/calls" </dev/null
	[ "$output" = '1 1 1 1 38 38' ] # EPERM, ENOSYS
	run -0 "$HPCRUN" run --seccomp off --bind "$PWD" app:1 "$PWD/calls" </dev/null
	[ "$output" = "$(cat outside)" ]
}

# -- places

@test "session: mounts of the host are neither changed nor seen to change, however they propagate" { # H18
	local kind
	for kind in shared slave; do
		run -0 unshare -Urm sh -c 'mount --make-rshared / && mount --make-r$1 / && cat /proc/self/mountinfo >before
			"$0" run --bind "$PWD" app:1 sh -c "cat /proc/self/mountinfo" >inside
			grep -c fuse.hpcrun inside
			grep -cE "(shared|master):" inside
			cat /proc/self/mountinfo | cmp - before' "$HPCRUN" $kind
		[ "${lines[0]}" -ge 1 ]
		[ "${lines[1]}" = 0 ]
		[ ${#lines[@]} = 2 ]
	done
}

@test "session: a directory that is mounted by whoever enters it is entered for the container" { # H18 H22
	[ "$(id -u)" = 0 ] && ! one_id || skip 'only root can be an automounter'
	grep -q autofs /proc/filesystems || skip 'no autofs'
	mkdir -p auto closed source/here
	echo well >source/here/file
	# with the automounter in a mount namespace that ends with the shell
	automounted() { # DIR SOURCE HPCRUN-ARGUMENT...
		timeout 60 unshare -m sh -c ': >said; "$0" "$1" "$2" >>said & shift 2
			until grep -q ready said; do sleep 0.02; done
			"$@"; r=$?; kill $!; exit $r' "$TESTS_DIR/lib/automount.py" "$1" "$2" "${@:3}" 3>&-
	}
	run -0 automounted "$PWD/auto" "$PWD/source" "$HPCRUN" run --bind "$PWD/auto:/a" app:1 cat /a/here/file
	[ "$output" = well ]
	run -0 automounted "$PWD/auto" "$PWD/source" "$HPCRUN" run --home "$PWD/auto" app:1 sh -c 'cat ~/here/file'
	[ "$output" = well ]
	# one whose server is away
	fail_with "cannot bind '$PWD/closed' at '/a': No such file" \
		automounted "$PWD/closed" /no/such/source "$HPCRUN" run --bind "$PWD/closed:/a" app:1 true
	run -125 automounted "$PWD/closed" /no/such/source "$HPCRUN" run --bind "$PWD/closed:/a" app:1 true
	[[ $output == *'hint: the directory is there, '*'did the automounter of this node fail to mount it?'* ]]
	# and that was not asked for
	run -0 automounted "$PWD/closed" /no/such/source env HOME="$PWD/closed" "$HPCRUN" run app:1 echo well
	[ "$output" = well ]
}

@test "session: what is bound onto what, and what cannot be" { # H18
	mkdir -p dir far
	echo here >dir/file
	ln -s "$PWD/dir" link
	ln -s file dir/other
	ln -s /no/such dangling
	# links of the host are followed; targets are made of the kind they need
	run -0 "$HPCRUN" run --bind "$PWD/link:/a/b" --bind "$PWD/dir/other:/c/d" app:1 cat /a/b/file /c/d
	[ "$output" = $'here\nhere' ]
	# onto a link of the image, in the place it leads to
	run -0 "$HPCRUN" run --bind "$PWD/dir/file:/etc/link" app:1 cat /etc/where
	[ "$output" = here ]
	fail_with "'$PWD/dangling'.*No such file" "$HPCRUN" run --bind "$PWD/dangling:/a" app:1 true
	fail_with "'$PWD/dir/file/x'.*Not a directory" "$HPCRUN" run --bind "$PWD/dir/file/x:/a" app:1 true
	# an export that was made anew under a node that has it mounted
	if has_strace; then
		fail_with "cannot bind '$PWD/far': .*Stale file handle" \
			strace -f -o trace -P "$PWD/far" -e inject=open_tree:error=ESTALE "$HPCRUN" run --bind "$PWD/far:/a" app:1 true
	fi
	if [ "$(id -u)" != 0 ]; then
		mkdir -m 0 closed
		fail_with "'$PWD/closed/x'.*Permission denied" "$HPCRUN" run --bind "$PWD/closed/x:/a" app:1 true
	fi
}

@test "session: the working directory is found where its parents may only be passed, and on any file system" { # H22
	mkdir -p narrow/here
	chmod 311 narrow
	cd narrow/here
	run -0 "$HPCRUN" run app:1 readlink /proc/self/cwd
	[ "$output" = "$PWD" ]
	cd ../..
	chmod 755 narrow
	HOME=/no/such/home run -0 "$HPCRUN" run app:1 cat /etc/where
	[ "$output" = 'inside the image' ]
	# one that cannot be shown is no failure, one that was asked for is
	fail_with "cannot start in '/no/such'" "$HPCRUN" run --workdir /no/such app:1 true
}

@test "session: a working directory on a FUSE file system of somebody else's making" { # H22
	command -v squashfuse >/dev/null && command -v mksquashfs >/dev/null || skip 'no squashfuse'
	mksquashfs "$SCRATCH/tree" image.sqfs -quiet -no-progress >/dev/null
	mkdir mnt
	squashfuse image.sqfs mnt 3>&- || skip 'squashfuse cannot mount here'
	cd mnt/etc
	status=0
	output=$("$HPCRUN" run app:1 sh -c 'readlink /proc/self/cwd; cat where') || status=$?
	cd ../..
	wait_until 10 none_of_ours
	fusermount3 -u mnt || fusermount -u mnt
	[ "$status" = 0 ]
	[ "$output" = "$PWD/mnt/etc"$'\ninside the image' ]
}
