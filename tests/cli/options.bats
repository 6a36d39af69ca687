#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Options of run: where they can come from, and what those do that shape the container.
# HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it: no registry is needed.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	scratch_make
	export HPCRUN_CONF=$SCRATCH/conf
	echo 'session_linger = 1' >"$HPCRUN_CONF"
	unset "${!APPTAINER@}" "${!SINGULARITY@}" "${!HPCRUNENV_@}"
	need_mkstore
	mkdir -p tree/etc tree/data
	busybox_root tree sh true cat echo ls readlink sleep kill grep stat env id hostname touch rm mkdir awk ps mount wc test find
	echo 'inside the image' >tree/etc/where
	echo 'of the image' >tree/data/file
	"$MKSTORE" "$HPCRUN_STORE" app:1 tree >/dev/null
	mkdir host other
	echo 'of the host' >host/file
	echo other >other/file
}
teardown_file() {
	leftovers_end KILL
	web_store_stop "$SCRATCH/web"
	scratch_remove
}
setup() {
	cd "$SCRATCH" || return
}

# -- from elsewhere than the command line

@test "options: a file holds them as typed or as 'option = value'" {
	cat >team <<-EOF
		# what the team types every day
		--bind $PWD/host:/mnt/a:ro
		bind = $PWD/other:/mnt/b
		-e GREETING=from the file
		workdir = /mnt/a
	EOF
	run -0 "$HPCRUN" run --options team app:1 sh -c 'cat file /mnt/b/file; echo "$GREETING";  touch /mnt/b/new; ! touch /mnt/a/new'
	[ "${lines[0]}" = 'of the host' ]
	[ "${lines[1]}" = other ]
	[ "${lines[2]}" = 'from the file' ]
	HPCRUN_OPTIONS=team run -0 "$HPCRUN" app:1 cat file
	[ "$output" = 'of the host' ]
}

@test "options: the command line counts before variables, these before a file" {
	echo 'workdir = /etc' >file
	run -0 "$HPCRUN" run --options=file app:1 readlink /proc/self/cwd
	[ "$output" = /etc ]
	HPCRUN_WORKDIR=/data run -0 "$HPCRUN" run --options=file app:1 readlink /proc/self/cwd
	[ "$output" = /data ]
	HPCRUN_WORKDIR=/data run -0 "$HPCRUN" run --options=file -w /bin app:1 readlink /proc/self/cwd
	[ "$output" = /bin ]
	export LOST=yes HPCRUN_CLEANENV=yes
	run -0 "$HPCRUN" app:1 sh -c 'echo "$LOST"'
	[ "$output" = '' ]
	run -0 "$HPCRUN" run --cleanenv=no app:1 sh -c 'echo "$LOST"'
	[ "$output" = yes ]
}

@test "options: what is wrong with a file or a variable is said with its place" {
	printf '\n--bnid /a\n' >file
	fail_with "file, line 2: .*unknown option '--bnid'" "$HPCRUN" run --options file app:1 true
	run ! "$HPCRUN" run --options file app:1 true
	[[ $output == *"did you mean '--bind'?"* ]]
	fail_with "hint: did you mean '--clear'" "$HPCRUN" cache clear
	printf 'app:1 true\n' >file
	fail_with "file, line 1: .*neither an option" "$HPCRUN" run --options file app:1 true
	fail_with "cannot .*no-such-file" "$HPCRUN" run --options no-such-file app:1 true
	HPCRUN_NO_HOME=perhaps fail_with "HPCRUN_NO_HOME: 'perhaps' is neither yes nor no" "$HPCRUN" app:1 true
}

@test "options: a misspelt variable is worth a line of -v, and no failure" {
	HPCRUN_WROKDIR=/etc run -0 --separate-stderr "$HPCRUN" app:1 true
	[ "$stderr" = '' ]
	HPCRUN_WROKDIR=/etc run -0 --separate-stderr "$HPCRUN" run -v app:1 true
	[[ $stderr == *"'HPCRUN_WROKDIR' means nothing to hpcrun; was 'HPCRUN_WORKDIR' meant?"* ]]
}

@test "options: HPCRUNENV_NAME sets NAME inside, with --cleanenv too" {
	export HPCRUNENV_GREETING='well met' HPCRUNENV_EMPTY=
	run -0 "$HPCRUN" run --cleanenv app:1 sh -c 'echo "$GREETING,${EMPTY-unset}"; env | grep ^HPCRUNENV_ || :'
	[ "$output" = 'well met,' ]
	run -0 "$HPCRUN" run -e GREETING=typed app:1 sh -c 'echo "$GREETING"'
	[ "$output" = typed ]
	HPCRUNENV_SLURM_JOB_ID=1 fail_with 'HPCRUNENV_SLURM_JOB_ID: .*belongs to the launcher' "$HPCRUN" app:1 true
}

@test "options: the binds of Apptainer and Singularity are made, and one line says so" {
	local binds="$PWD/host:/mnt/a:ro,$PWD/other:/mnt/b"
	SINGULARITY_BIND=$binds run -0 --separate-stderr "$HPCRUN" app:1 cat /mnt/a/file /mnt/b/file
	[ "$output" = $'of the host\nother' ]
	[[ $stderr == *"SINGULARITY_BIND is honoured: $PWD/host:/mnt/a:ro,"* ]]
	[ "${#stderr_lines[@]}" = 1 ]
	SINGULARITY_BIND=/no/such APPTAINER_BINDPATH=$PWD/other:/mnt/a run -0 --separate-stderr "$HPCRUN" \
		run -b "$PWD/host:/mnt/a" app:1 cat /mnt/a/file
	[ "$output" = 'of the host' ]
	APPTAINER_BIND=/a:b fail_with "APPTAINER_BIND: .*'b' is not an absolute path" "$HPCRUN" app:1 true
}

# -- what the container shows

@test "options: --contain shows nothing of the user's but what is bound" {
	echo secret >"$HOME/mine"
	cd "$HOME"
	run -0 "$HPCRUN" run --contain --bind "$SCRATCH/host:/tmp/sub/host" app:1 sh -c '
		ls -A "$HOME" /tmp /var/tmp; cat /tmp/sub/host/file; echo "$PWD"
		touch "$HOME/new" /tmp/new /dev/shm/new && ls /dev; echo x >/dev/null && ls /dev/fd/ >/dev/null && cat /etc/where'
	[[ $output != *mine* && $output == *'of the host'* && $output == *'inside the image'* ]]
	[ "$(grep -cxE 'null|zero|full|random|urandom|tty|shm|fd|stdin|stdout|stderr' <<<"$output")" -ge 11 ]
	[ "$(grep -cxE 'fuse|kmsg|sda|mem' <<<"$output")" = 0 ]
	[ ! -e "$HOME/new" ] && [ ! -e /dev/shm/new ]
	run -0 "$HPCRUN" run --contain --home "$SCRATCH/home" app:1 sh -c 'cat "$HOME/mine"'
	[ "$output" = secret ]
	run -1 "$HPCRUN" app:1 cat /tmp/sub/host/file
}

@test "options: --containall keeps the environment out as well" {
	SECRET=1 run -0 "$HPCRUN" run --containall app:1 sh -c 'echo "$SECRET,"; ls -A "$HOME"'
	[ "$output" = , ]
}

@test "options: --tmpfs is empty, of the size and mode that were asked for, and gone afterwards" {
	run -0 "$HPCRUN" run --tmpfs /data:size=1M,mode=0750 --tmpfs "$SCRATCH/host" --bind "$SCRATCH/other:/data/a/b" app:1 \
		sh -c 'ls /data "$0"; stat -c %a /data; cat /data/a/b/file; ! cat /dev/zero >/data/full 2>/dev/null; wc -c </data/full' \
		"$SCRATCH/host"
	[[ $output == *a*750*other*1048576* && $output != *file$'\n'* ]]
	run -0 "$HPCRUN" app:1 cat /data/file
	[ "$output" = 'of the image' ]
	fail_with "--tmpfs 'data': .*absolute path" "$HPCRUN" run --tmpfs data app:1 true
	fail_with "--tmpfs '/data:size=x': size: 'x' is not a number" "$HPCRUN" run --tmpfs /data:size=x app:1 true
	fail_with "'mode=9' is|mode: '9' is not an octal" "$HPCRUN" run --tmpfs /data:mode=9 app:1 true
}

no_scratch() { [ -z "$(find "$TMPDIR" -maxdepth 1 -name 'hpcrun-*-scratch-*')" ]; }

@test "options: --scratch is on the node's disk, and removed with all that is in it" {
	run -0 "$HPCRUN" run --scratch /work --scratch /data/deep app:1 sh -c '
		mkdir -p /work/a/b && touch /work/a/b/c /data/deep/x && chmod 0 /work/a && stat -c %a /work; ls -A /data'
	[[ $output == 700* ]]
	run ! no_scratch
	wait_until 10 no_scratch
}

there() { find "$TMPDIR" -name there 2>/dev/null | grep -q .; }

# A session with --scratch is killed while a program runs; then others come.
scratch_outlives_session() {
	local holder program
	: >go-on
	"$HPCRUN" run --scratch /work app:1 sh -c 'touch /work/there; while test -e "$0"; do sleep 0.1; done; test -e /work/there' \
		"$SCRATCH/go-on" 3>&- &
	program=$!
	wait_until 10 there
	for holder in $(leftovers | sed -n 's/ .*hpcrun-session$//p'); do
		kill -KILL "$holder" || :
	done
	"$HPCRUN" run --scratch /data app:1 true
	rm go-on
	wait $program
	there
	wait_until 10 none_left
	"$HPCRUN" run --scratch /data app:1 true
	run ! there
	wait_until 10 no_scratch
}

@test "options: what a killed session left of --scratch is removed by the next, not while programs use it" {
	scratch_outlives_session
}

@test "options: nor while they use it with an image of a store behind a web server" {
	web_store_start "$HPCRUN_STORE" "$SCRATCH/web"
	HPCRUN_STORE=http://127.0.0.1:$(cat web/port) HPCRUN_CACHE=$SCRATCH/cache scratch_outlives_session
}

@test "options: --no-mount leaves out what it names" {
	printf "session_linger = 1\nbind = %s:/mnt/site\n" "$SCRATCH/host" >"$BATS_TEST_TMPDIR/conf"
	export HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	run -0 "$HPCRUN" app:1 cat /mnt/site/file
	run -1 "$HPCRUN" run --no-mount site app:1 cat /mnt/site/file
	run -1 "$HPCRUN" run --no-mount /mnt/site/ app:1 cat /mnt/site/file
	run -0 "$HPCRUN" run --no-mount home,tmp --no-mount cwd,sys app:1 sh -c 'ls -A /tmp /sys "$0" 2>/dev/null; echo' "$SCRATCH"
	[[ $output != *host* && $output != *kernel* ]]
	fail_with "--no-mount 'hom' is neither a path nor one of: home" "$HPCRUN" run --no-mount hom app:1 true
}

@test "options: --device by path is shown where it is asked for" {
	run -0 "$HPCRUN" run --contain --device /dev/fuse --device /dev/null:/dev/sub/nothing app:1 \
		sh -c 'ls /dev/fuse && echo x >/dev/sub/nothing'
	run -0 "$HPCRUN" run --no-mount dev --device /dev/null app:1 test -c /dev/null
	run -0 "$HPCRUN" run --no-mount /dev --device /dev/null app:1 test -c /dev/null
	run -0 "$HPCRUN" run --device /dev/null:/data/null:rwm app:1 test -c /data/null
	fail_with "--device '/etc/hosts' is no device" "$HPCRUN" run --device /etc/hosts app:1 true
	fail_with "--device '/dev/null:/dev/null:r': 'r' is not" "$HPCRUN" run --device /dev/null:/dev/null:r app:1 true
	fail_with "cannot look at --device '/dev/no-such'" "$HPCRUN" run --device /dev/no-such app:1 true
	one_id || fail_with 'no GPU|no device|CDI' "$HPCRUN" run --device example.com/thing=7 app:1 true
}

@test "options: --ro and --rw say the mode of a bind" {
	run -0 "$HPCRUN" run --ro host:/mnt/a --rw other:/mnt/b app:1 sh -c 'cat /mnt/a/file; ! touch /mnt/a/new; touch /mnt/b/new'
	[[ $output == *'of the host'* ]]
	[ -e other/new ] && [ ! -e host/new ]
	fail_with "--rw 'host:/mnt/a:ro' says two modes" "$HPCRUN" run --rw host:/mnt/a:ro app:1 true
}

@test "options: --label is told to hooks" {
	! one_id || skip "a hook is trusted for its owner, root"
	mkdir -p hooks
	cat >hooks/label.json <<-EOF
		{"version": "1.0.0", "hook": {"path": "/bin/sh", "args": ["sh", "-c", "cat >$SCRATCH/state"]},
		 "when": {"annotations": {"^project\$": "^bio"}}, "stages": ["createRuntime"]}
	EOF
	printf "session_linger = 1\nhooks_dir = %s\n" "$SCRATCH/hooks" >"$BATS_TEST_TMPDIR/conf"
	export HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	"$HPCRUN" run --label project=chemistry app:1 true
	[ ! -e state ]
	"$HPCRUN" run --label project=biology=7 app:1 true
	grep -q '"project":"biology=7"' state
	fail_with "--label 'x' is not NAME=VALUE" "$HPCRUN" run --label x app:1 true
}

# -- namespaces

@test "options: --ipc has shared memory and message queues of its own, which ranks share" {
	export SLURM_JOB_ID=7 SLURM_STEP_ID=2 SLURM_NODEID=0 SLURM_STEP_TASKS_PER_NODE=2
	touch "/dev/shm/hpcrun-test-$$"
	run -0 "$HPCRUN" run --ipc app:1 sh -c 'readlink /proc/self/ns/ipc; ls /dev/shm; touch /dev/shm/own'
	rm "/dev/shm/hpcrun-test-$$"
	[ "$(wc -l <<<"$output")" = 1 ]
	[ "$output" != "$(readlink /proc/self/ns/ipc)" ]
	[ ! -e /dev/shm/own ]
	run -0 "$HPCRUN" run --ipc app:1 ls /dev/shm
	[ "$output" = own ]
	unset "${!SLURM_@}"
	run -0 "$HPCRUN" run --ipc --contain app:1 sh -c 'ls -A /dev/shm; test -d /dev/mqueue && mount | grep -c " /dev/mqueue "'
	[ "$output" = 1 ]
}

@test "options: --hostname, --uts and --net=none" {
	run -0 "$HPCRUN" run --hostname node-x.y app:1 hostname
	[ "$output" = node-x.y ]
	run -0 "$HPCRUN" run --uts app:1 sh -c 'hostname; readlink /proc/self/ns/uts'
	[ "${lines[0]}" = "$(hostname)" ]
	[ "${lines[1]}" != "$(readlink /proc/self/ns/uts)" ]
	fail_with "--hostname 'a b' is not a name" "$HPCRUN" run --hostname 'a b' app:1 true
	run -0 "$HPCRUN" run --net none app:1 sh -c 'cat /proc/net/dev'
	[ "$(grep -c : <<<"$output")" = 1 ]
	[[ $output == *lo:* ]]
	fail_with "--net: 'nine' is not one of host.none" "$HPCRUN" run --net nine app:1 true
}

@test "options: --pid has process ids and a /proc of its own" {
	run -0 "$HPCRUN" run --pid app:1 sh -c 'ps | wc -l; readlink /proc/self/ns/pid; cat /proc/1/comm; kill -9 1; cat /etc/where'
	[ "${lines[0]}" -le 5 ]
	[ "${lines[1]}" != "$(readlink /proc/self/ns/pid)" ]
	[ "${lines[2]}" = hpcrun-init ]
	[ "${lines[3]}" = 'inside the image' ]
}

@test "options: a rank of --pid ends as its program does, and hands signals to it" {
	local program
	run -7 "$HPCRUN" run --pid app:1 sh -c 'exit 7'
	run -137 "$HPCRUN" run --pid app:1 sh -c 'kill -KILL $$'
	run -127 "$HPCRUN" run --pid app:1 no-such-program
	"$HPCRUN" run --pid app:1 sh -c 'trap "echo got it; exit 3" USR1; touch "$0"; while :; do sleep 0.1; done' "$SCRATCH/ready" \
		>"$BATS_TEST_TMPDIR/out" 3>&- &
	program=$!
	wait_until 10 test -e ready
	kill -USR1 $program
	status=0
	wait $program || status=$?
	[ $status = 3 ]
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = 'got it' ]
	# a shell's job control sees the rank alone
	"$HPCRUN" run --pid app:1 sh -c 'kill -STOP $$; exit 4' 3>&- &
	program=$!
	wait_until 10 grep -q '^State:.T' /proc/$program/status
	kill -CONT $program
	status=0
	wait $program || status=$?
	[ $status = 4 ]
	# SIGCHLD ignored by the caller must not lose the status
	run -7 env --ignore-signal=CHLD "$HPCRUN" run --pid app:1 sh -c 'exit 7'
}

@test "options: what a run with --pid leaves behind ends with it, and the rank's death is the program's" {
	local program
	"$HPCRUN" run --pid app:1 sh -c 'while touch "$0"; do sleep 0.1; done & sleep 0.3' "$SCRATCH/beat" 3>&-
	wait_until 10 none_left
	rm -f beat
	run ! wait_until 1 test -e beat
	"$HPCRUN" run --pid app:1 sh -c 'while touch "$0"; do sleep 0.1; done' "$SCRATCH/beat" 3>&- &
	program=$!
	wait_until 10 test -e beat
	kill -KILL $program
	wait_until 10 none_left
	rm -f beat
	run ! wait_until 1 test -e beat
}

@test "options: ranks of one step are in one --pid" {
	local i
	export SLURM_JOB_ID=7 SLURM_STEP_ID=1 SLURM_NODEID=0 SLURM_STEP_TASKS_PER_NODE=3
	for i in 1 2 3; do
		"$HPCRUN" run --pid --ipc --uts --net none app:1 sh -c 'for i in pid ipc uts net; do readlink /proc/self/ns/$i; done' >"$BATS_TEST_TMPDIR/$i" 3>&- &
	done
	wait
	[ "$(wc -l <"$BATS_TEST_TMPDIR/1")" = 4 ]
	cmp "$BATS_TEST_TMPDIR/1" "$BATS_TEST_TMPDIR/2"
	cmp "$BATS_TEST_TMPDIR/1" "$BATS_TEST_TMPDIR/3"
	wait_until 10 none_left
}

# -- changes that are kept

@test "options: --overlay keeps what is changed, for other sessions and other options" {
	need overlay
	mkdir changes
	run -0 "$HPCRUN" run --overlay changes app:1 sh -c 'echo new >/data/new; rm /data/file; mkdir /made; echo more >>/etc/where'
	wait_until 10 none_left
	run -0 "$HPCRUN" run --overlay "$PWD/changes" --bind "$PWD/host:/mnt/a" app:1 sh -c 'cat /data/new /etc/where /mnt/a/file; ls /data; rm /data/new'
	[ "$output" = $'new\ninside the image\nmore\nof the host\nnew' ]
	# seen, and left alone
	run -0 "$HPCRUN" run --overlay changes:ro app:1 sh -c 'ls -d /made; ls /data; ! touch /made/x 2>/dev/null; cat /etc/where'
	[ "$output" = $'/made\ninside the image\nmore' ]
	run -0 "$HPCRUN" app:1 cat /data/file
	[ "$output" = 'of the image' ]
}

@test "options: --overlay is not for two sessions at once, and says why it cannot be" {
	need overlay
	local first
	mkdir changes2
	"$HPCRUN" run --overlay changes2 app:1 sh -c 'touch "$0"; while test -e "$0"; do sleep 0.1; done' "$SCRATCH/go-on" 3>&- &
	first=$!
	wait_until 10 test -e go-on
	# the same options: the same session
	run -0 "$HPCRUN" run --overlay changes2 app:1 touch /data/second
	fail_with "--overlay '$SCRATCH/changes2' is in use by another session" \
		"$HPCRUN" run --overlay changes2 --tmpfs /work app:1 true
	rm go-on
	wait $first
	run -0 "$HPCRUN" run --overlay changes2 --tmpfs /work app:1 ls /data/second
	fail_with "cannot open '$SCRATCH/absent' for --overlay" "$HPCRUN" run --overlay absent app:1 true
	fail_with "--overlay '.*changes2:rx': 'rx' is neither" "$HPCRUN" run --overlay changes2:rx app:1 true
	fail_with '--overlay and --writable exclude' "$HPCRUN" run --overlay changes2 --writable app:1 true
}

@test "options: --overlay is refused on a file system that cannot hold it" {
	need overlay
	mkdir -p nested/l nested/u nested/w nested/m
	run -125 unshare -Urm sh -c 'mount -t overlay -o lowerdir=nested/l,upperdir=nested/u,workdir=nested/w,userxattr overlay nested/m &&
		exec "$0" run --overlay nested/m app:1 true' "$HPCRUN"
	[[ $output == *"nested/m' is on overlayfs, which cannot hold what programs change"* ]]
}

# -- what programs may do

@test "options: --umask, --uid, --gid and --userns" {
	run -0 sh -c 'umask 0022; exec "$0" run --umask 0077 app:1 sh -c umask' "$HPCRUN"
	[ "$output" = 0077 ]
	fail_with "--umask: '888' is not an octal number up to 777" "$HPCRUN" run --umask 888 app:1 true
	run -0 "$HPCRUN" run --uid 1234 --gid 99 app:1 sh -c 'id -u; id -g; stat -c %u:%g /etc/where "$0"' "$SCRATCH"
	[ "$output" = $'1234\n99\n1234:99\n1234:99' ]
	fail_with "--uid: 'root' is not a number" "$HPCRUN" run --uid root app:1 true
	run -0 "$HPCRUN" run --userns=root app:1 id -u
	[ "$output" = 0 ]
	run -0 "$HPCRUN" run --userns app:1 id -u
	[ "$output" = "$(id -u)" ]
	fail_with "--userns 'host' is neither keep-id nor root" "$HPCRUN" run --userns=host app:1 true
	fail_with '--fakeroot does not go with --uid' "$HPCRUN" run --fakeroot --uid 7 app:1 true
}

@test "options: --cap-drop takes from what --fakeroot keeps" {
	run -0 "$HPCRUN" run --fakeroot --cap-drop CAP_CHOWN,kill --cap-drop setfcap app:1 grep '^CapEff' /proc/self/status
	[[ $output == *00000000000400da ]]
	run -0 "$HPCRUN" run --fakeroot --cap-drop all app:1 grep '^CapPrm' /proc/self/status
	[[ $output == *0000000000000000 ]]
	fail_with "--cap-drop: there is no capability 'CAP_CHWON'" "$HPCRUN" run --cap-drop CAP_CHWON app:1 true
}

@test "options: --seccomp takes a profile in place of hpcrun's own, or none" {
	cat >profile <<-EOF
		{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
			{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
			{"names": ["no_such_call"], "action": "SCMP_ACT_KILL"}]}
	EOF
	run -1 "$HPCRUN" run --seccomp profile app:1 mkdir /tmp/never
	[[ $output == *'No space left'* ]]
	run -1 "$HPCRUN" run --security "seccomp:$PWD/profile" app:1 mkdir /tmp/never
	[[ $output == *'No space left'* ]]
	# another profile of the same name is another session
	sed -i 's/28/13/' profile
	run -1 "$HPCRUN" run --seccomp profile app:1 mkdir /tmp/never
	[[ $output == *'Permission denied'* ]]
	run -0 "$HPCRUN" run --seccomp off app:1 grep '^Seccomp:' /proc/self/status
	[ "$output" = "$(grep '^Seccomp:' /proc/self/status)" ]
	run -0 "$HPCRUN" app:1 grep -c '^Seccomp:.*2' /proc/self/status
	# the one that podman brings
	if [ -e /usr/share/containers/seccomp.json ]; then
		run -0 "$HPCRUN" run --seccomp /usr/share/containers/seccomp.json app:1 cat /etc/where
		[ "$output" = 'inside the image' ]
	fi
	echo '{"defaultAction": "SCMP_ACT_NOTIFY"}' >profile
	fail_with "--seccomp '$SCRATCH/profile': action 'SCMP_ACT_NOTIFY' is not supported" "$HPCRUN" run --seccomp profile app:1 true
	fail_with "--seccomp '$SCRATCH/absent'" "$HPCRUN" run --seccomp absent app:1 true
}

@test "options: --security names what there is" {
	run -0 "$HPCRUN" run --security no-new-privileges app:1 true
	fail_with "--security 'aparmor:x' is none of: seccomp:FILE, apparmor" "$HPCRUN" run --security aparmor:x app:1 true
	[ ! -d /sys/kernel/security/apparmor ] || skip 'a profile that is not loaded is refused in another way'
	fail_with "cannot ask AppArmor for 'exec x'" "$HPCRUN" run --security apparmor:x app:1 true
}
