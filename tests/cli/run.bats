#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun run and shell: what a program in a container sees, and what its caller gets.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	publish busybox tmp-is-a-fifo dev-is-a-symlink proc-is-a-file etc-passwd-is-a-symlink-to-a-host-file
	export IMAGE=$REGISTRY/test/busybox:1
	"$HPCRUN" pull "$IMAGE"
}
teardown_file() { file_teardown; }

setup() {
	cd "$SCRATCH" || return
}

# -- exit status

@test "run: the exit status is the command's own" {
	run -0 "$HPCRUN" "$IMAGE" true
	run -1 "$HPCRUN" "$IMAGE" false
	run -42 "$HPCRUN" "$IMAGE" sh -c 'exit 42'
	run -125 "$HPCRUN" "$IMAGE" sh -c 'exit 125'
}

@test "run: a command that a signal ends looks so to the caller" {
	status=0
	"$HPCRUN" "$IMAGE" sh -c 'kill -TERM $$' || status=$?
	[ "$status" = 143 ]
}

@test "run: exits 127 when the command does not exist" {
	run -127 --separate-stderr "$HPCRUN" "$IMAGE" nosuchcommand
	[[ $stderr == *nosuchcommand* ]]
	run -127 "$HPCRUN" "$IMAGE" /no/such/file
}

@test "run: exits 126 when the command cannot be executed" {
	run -126 --separate-stderr "$HPCRUN" "$IMAGE" /etc/passwd
	[[ $stderr == */etc/passwd* ]]
	run -126 "$HPCRUN" "$IMAGE" /etc
}

@test "run: exits 125 when the image is not there, and says how to get it" {
	fail_with "hpcrun pull.*test/absent:1|test/absent:1.*hpcrun pull|hpcrun pull" "$HPCRUN" "$REGISTRY/test/absent:1" true
}

@test "run: exits 125 when an option is unknown, or its value is missing" {
	fail_with 'no-such-option' "$HPCRUN" run --no-such-option "$IMAGE" true
	fail_with 'bind' "$HPCRUN" run --bind
}

@test "run: options behind the image belong to the command" {
	run -0 "$HPCRUN" "$IMAGE" echo --help -v --bind
	[ "$output" = "--help -v --bind" ]
}

# -- what runs

@test "run: without a command, the image's command" {
	run -0 "$HPCRUN" "$IMAGE"
	[ "$output" = "the command of the image" ]
}

@test "run: --entrypoint takes the place of the image's" {
	run -0 "$HPCRUN" run --entrypoint /bin/echo "$IMAGE" one two
	[ "$output" = "one two" ]
}

@test "run: standard input, output and error are the caller's" {
	run -0 --separate-stderr sh -c 'echo in | "$0" "$1" sh -c "cat; echo err >&2"' "$HPCRUN" "$IMAGE"
	[ "$output" = in ]
	[ "$stderr" = err ]
}

@test "run: closed standard streams do no harm" { # H12
	"$HPCRUN" "$IMAGE" true <&- >&- 2>&-
}

@test "run: no descriptor but 0, 1 and 2 is open" {
	run -0 "$HPCRUN" "$IMAGE" sh -c 'ls /proc/self/fd | sort -n | head -n 3 | tr "\n" " "' 9</dev/null
	[[ $output == "0 1 2 "* ]]
	# ls itself has one open for the directory; the caller's 9 is gone
	run -1 "$HPCRUN" "$IMAGE" sh -c 'ls -l /proc/$$/fd | grep -w 9' 9</dev/null
}

@test "shell: reads commands from standard input" {
	run -0 sh -c 'echo "echo from the shell" | "$0" shell "$1"' "$HPCRUN" "$IMAGE"
	[[ $output == *"from the shell"* ]]
}

@test "run: the word run may be left out or written" {
	run -0 "$HPCRUN" run "$IMAGE" echo a
	run -0 "$HPCRUN" "$IMAGE" echo a
}

# -- identity

@test "run: the user is the caller, with a passwd entry" {
	run -0 "$HPCRUN" "$IMAGE" id -u
	[ "$output" = "$(id -u)" ]
	run -0 "$HPCRUN" "$IMAGE" sh -c 'grep -q ":$(id -u):" /etc/passwd'
}

@test "run: --fakeroot is user 0" {
	run -0 "$HPCRUN" run --fakeroot "$IMAGE" id -u
	[ "$output" = 0 ]
}

@test "run: no capability is left, and none can be gained" {
	run -0 "$HPCRUN" "$IMAGE" cat /proc/self/status
	for set in CapInh CapPrm CapEff CapAmb; do
		grep -q "^$set:.0000000000000000" <<<"$output"
	done
	grep -q '^NoNewPrivs:.1' <<<"$output"
	grep -q '^Seccomp:.2' <<<"$output"
}

@test "run: pushing keys into the caller's terminal is refused" { # H21
	need python3
	run -0 "$HPCRUN" run --bind /usr --bind /lib --bind /lib64 --bind /etc/alternatives "$IMAGE" /usr/bin/python3 -c '
import fcntl, termios, errno
try:
    fcntl.ioctl(0, termios.TIOCSTI, b"x")
except OSError as e:
    print(errno.errorcode[e.errno])'
	[ "$output" = EPERM ]
}

# -- files

@test "run: home, /tmp and the working directory are the caller's" {
	echo one >"$HOME/file"
	echo two >"$TMPDIR/file"
	echo three >file
	run -0 "$HPCRUN" "$IMAGE" sh -c 'cat "$HOME/file" "'"$TMPDIR"'/file" file; pwd'
	[ "$output" = "$(printf 'one\ntwo\nthree\n%s' "$SCRATCH")" ]
	"$HPCRUN" "$IMAGE" sh -c 'echo back >written'
	[ "$(cat written)" = back ]
}

@test "run: --no-home leaves the home directory out" {
	# the home of the test lies below /tmp, which is always there: look for the mount
	run -1 "$HPCRUN" run --no-home --workdir / "$IMAGE" grep -w "$HOME" /proc/self/mountinfo
}

@test "run: --home puts another directory there" {
	mkdir -p other
	echo other >other/file
	run -0 "$HPCRUN" run --home "$SCRATCH/other:/home/me" "$IMAGE" sh -c 'echo $HOME; cat $HOME/file'
	[ "$output" = $'/home/me\nother' ]
}

@test "run: --bind makes a directory, and a file, visible where it says" {
	mkdir -p data
	echo d >data/x
	run -0 "$HPCRUN" run --bind "$SCRATCH/data:/new/deep/place" --bind "$SCRATCH/data/x:/etc/group" "$IMAGE" \
		sh -c 'cat /new/deep/place/x /etc/group'
	[ "$output" = $'d\nd' ]
	run -0 "$HPCRUN" run --bind "$SCRATCH/data" "$IMAGE" cat "$SCRATCH/data/x"
}

@test "run: --bind with :ro cannot be written" {
	mkdir -p data
	run -0 "$HPCRUN" run --bind "$SCRATCH/data:/data" "$IMAGE" touch /data/w
	run ! "$HPCRUN" run --bind "$SCRATCH/data:/data:ro" "$IMAGE" touch /data/r
	[[ $output == *"Read-only file system"* ]]
	[ ! -e data/r ]
}

@test "run: --bind of what does not exist is refused, and named" { # H18
	fail_with 'no/such/dir' "$HPCRUN" run --bind /no/such/dir "$IMAGE" true
}

@test "run: the image cannot be written" {
	run ! "$HPCRUN" "$IMAGE" touch /new
	[[ $output == *"Read-only file system"* ]]
	run ! "$HPCRUN" "$IMAGE" sh -c 'echo x >/etc/group'
}

@test "run: --writable lets the image be changed until the end, and leaves it as it was" {
	need overlay
	run -0 "$HPCRUN" run --writable "$IMAGE" sh -c 'echo new >/new && cat /new && rm /bin/touch && [ ! -L /bin/touch ]'
	[ "$output" = new ]
	run ! "$HPCRUN" "$IMAGE" cat /new
	"$HPCRUN" "$IMAGE" ls /bin/touch
}

@test "run: --workdir starts there, and refuses what does not exist" {
	run -0 "$HPCRUN" run --workdir /etc "$IMAGE" pwd
	[ "$output" = /etc ]
	fail_with '/no/such' "$HPCRUN" run --workdir /no/such "$IMAGE" true
}

@test "run: /dev, /proc and /sys are the real ones, whatever the image has there" {
	for image in dev-is-a-symlink proc-is-a-file tmp-is-a-fifo etc-passwd-is-a-symlink-to-a-host-file; do
		"$HPCRUN" pull "$REGISTRY/test/$image:1"
		run -0 "$HPCRUN" "$REGISTRY/test/$image:1" sh -c 'echo x >/dev/null && [ -d /proc/self ] && [ -d /sys/class ] && cat /etc/passwd'
		[[ $output == *":$(id -u):"* ]]
	done
}

# -- environment

@test "run: the host's environment, less what belongs to the host; then the image's" {
	FROM_HOST=yes LD_LIBRARY_PATH=/host LD_PRELOAD='' IMAGE_SAYS=host run -0 "$HPCRUN" "$IMAGE" env
	grep -qx FROM_HOST=yes <<<"$output"
	grep -qx IMAGE_SAYS=hello <<<"$output"
	grep -qx PATH=/usr/local/bin:/usr/bin:/bin <<<"$output"
	run -1 grep -q '^LD_LIBRARY_PATH=' <<<"$output"
}

@test "run: --env has the last word, --env-file the one before" {
	printf '# comment\nIMAGE_SAYS=file\nOTHER=file\n' >env-file
	run -0 "$HPCRUN" run --env-file env-file --env OTHER=option "$IMAGE" sh -c 'echo $IMAGE_SAYS $OTHER'
	[ "$output" = "file option" ]
}

@test "run: --cleanenv leaves the host's variables out, but not the launcher's" {
	FROM_HOST=yes PMI_RANK=3 run -0 "$HPCRUN" run --cleanenv "$IMAGE" env
	run -1 grep -q '^FROM_HOST=' <<<"$output"
	FROM_HOST=yes PMI_RANK=3 run -0 "$HPCRUN" run --cleanenv "$IMAGE" env
	grep -qx PMI_RANK=3 <<<"$output"
	grep -qx IMAGE_SAYS=hello <<<"$output"
}

# -- sessions

@test "run: two runs join one container" {
	one=$("$HPCRUN" "$IMAGE" sh -c 'ls -l /proc/self/ns/mnt | sed "s/.*-> //"')
	two=$("$HPCRUN" "$IMAGE" sh -c 'ls -l /proc/self/ns/mnt | sed "s/.*-> //"')
	[ "$one" = "$two" ]
}

@test "run: other options, another container" { # H9
	one=$("$HPCRUN" "$IMAGE" sh -c 'ls -l /proc/self/ns/mnt | sed "s/.*-> //"')
	two=$("$HPCRUN" run --bind /usr:/opt "$IMAGE" sh -c 'ls -l /proc/self/ns/mnt | sed "s/.*-> //"')
	[ "$one" != "$two" ]
}

@test "run: 64 at once are one server, and none fails" { # H1
	# a place of their own for sessions, or those of the tests before would count
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	for i in $(seq 64); do
		"$HPCRUN" run "$IMAGE" sh -c 'echo up; sleep 2' >"$BATS_TEST_TMPDIR/$i" 3>&- &
	done
	wait_until 20 all_up 64
	[ "$(leftovers_with "XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR" | grep -c /hpcrun-serve)" = 1 ]
	wait
	[ "$(cat "$BATS_TEST_TMPDIR"/[0-9]* | grep -c up)" = 64 ]
}
all_up() { [ "$(cat "$BATS_TEST_TMPDIR"/[0-9]* | grep -c up)" = "$1" ]; }

@test "run: nothing is left some time after the last one" {
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	echo 'session_linger = 3' >"$HPCRUN_CONF"
	"$HPCRUN" "$IMAGE" true
	[ -n "$(leftovers_with "XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR")" ]
	wait_until 20 none_left "XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR"
	[ -z "$(find "$XDG_RUNTIME_DIR" -type s)" ]
}

@test "run: goes on when its server is killed" { # G1
	"$HPCRUN" "$IMAGE" sh -c 'sleep 3; cat /etc/passwd >/dev/null && ls /bin >/dev/null && echo well' >"$BATS_TEST_TMPDIR/out" 3>&- &
	run=$!
	sleep 1
	for pid in $(leftovers | sed -n 's/ .*hpcrun-serve$//p'); do
		kill -KILL "$pid"
	done
	wait $run
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = well ]
}

@test "run: works when its session was killed" { # H4
	"$HPCRUN" "$IMAGE" true
	for pid in $(leftovers | cut -d' ' -f1); do
		kill -KILL "$pid"
	done
	run -0 "$HPCRUN" "$IMAGE" echo again
	[ "$output" = again ]
}

@test "run: inside another user namespace" { # H16
	need userns
	run -0 unshare -r "$HPCRUN" "$IMAGE" echo inside
	[ "$output" = inside ]
}

@test "run: inside itself" { # H16
	# user 0 without CAP_SETFCAP may not be mapped again, user_namespaces(7)
	[ "$(id -u)" != 0 ] || skip 'root cannot nest: it has no capabilities in the container'
	run -0 "$HPCRUN" run --bind "${HPCRUN%/bin/*}" --bind /usr --bind /lib --bind /lib64 "$IMAGE" "$HPCRUN" "$IMAGE" echo twice
	[ "$output" = twice ]
}

# -- when the machine does not play along

@test "run: user namespaces switched off are named, with the remedy" { # H13
	need userns
	fail_with 'max_user_namespaces' unshare -Urm sh -c \
		'echo 0 >/proc/sys/user/max_user_namespaces && exec "$0" run --bind /usr:/mnt/userns "$1" true' "$HPCRUN" "$IMAGE"
}

@test "run: a chroot is named" { # H16
	need userns
	[ "$(id -u)" = 0 ] || skip 'only root can chroot'
	mkdir "$BATS_TEST_TMPDIR/root"
	fail_with 'a process in a chroot' unshare -m sh -c \
		'mount --rbind / "$2" && exec chroot "$2" "$0" run --bind /usr:/mnt/chroot "$1" true' "$HPCRUN" "$IMAGE" "$BATS_TEST_TMPDIR/root"
}

@test "run: a missing /dev/fuse is named" { # H15
	need userns
	fail_with '/dev/fuse' unshare -Urm sh -c \
		'mount -t tmpfs none /dev && : >/dev/null && exec "$0" run --bind /usr:/mnt/fuse "$1" true' "$HPCRUN" "$IMAGE"
}

@test "run: refuses to run setuid" {
	! one_id || skip 'nobody else is there to be become'
	[ "$(id -u)" = 0 ] || skip 'only root can make it setuid for another user'
	cp "$HPCRUN" "$BATS_TEST_TMPDIR/hpcrun"
	chmod 4755 "$BATS_TEST_TMPDIR/hpcrun"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR" "${BATS_TEST_TMPDIR%/*}"
	fail_with 'setuid' as_user "$BATS_TEST_TMPDIR/hpcrun" images
}

# -- talking

@test "run: -vv says which steps it takes and how long they last" {
	run -0 --separate-stderr "$HPCRUN" run -vv --bind "$SCRATCH:/verbose" "$IMAGE" true
	[[ $stderr =~ step.*[0-9]\ (us|ms) ]]
}

@test "run: is silent otherwise" {
	run -0 --separate-stderr "$HPCRUN" run --bind "$SCRATCH:/silent" "$IMAGE" true
	[ -z "$stderr$output" ]
}

@test "hpcrun: --help fits 80 columns, on standard output" {
	run -0 --separate-stderr "$HPCRUN" --help
	[ -z "$stderr" ]
	[ "$(wc -L <<<"$output")" -le 80 ]
	run -0 "$HPCRUN" run --help
	[ "$(wc -L <<<"$output")" -le 80 ]
}

@test "hpcrun: --version is one line" {
	run -0 "$HPCRUN" --version
	[ "${#lines[@]}" = 1 ]
}

@test "hpcrun: a misspelt verb is a hint, not a riddle" {
	run -125 "$HPCRUN" puul "$IMAGE"
	[[ $output == *pull* ]]
}
