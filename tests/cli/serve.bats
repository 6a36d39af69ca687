#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun-serve alone: an image in a store made of a directory, mounted without the runtime.
# HPCRUN_BUILD is the build tree, with hpcrun-serve and tests/lib/{mkstore,serve_mount,readers,treedump}.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell; stderr comes from run

bats_require_minimum_version 1.5.0

setup_file() {
	# shellcheck source=../lib/common.bash
	. "$BATS_TEST_DIRNAME/../lib/common.bash"
	LIB=${HPCRUN_BUILD:-}/tests/lib
	export LIB HPCRUN_SERVE=${HPCRUN_BUILD:-}/hpcrun-serve
	[ -x "$HPCRUN_SERVE" ] && [ -x "$LIB/mkstore" ] || return 0
	WORK=$(mktemp -d)
	export WORK TREE=$WORK/tree STORE=$WORK/store
	/usr/bin/python3 - "$TREE" <<-'PY'
		import os, random, sys
		root = sys.argv[1]
		r = random.Random(1)
		def put(path, data, mode=0o644):
		    path = os.path.join(root, path)
		    os.makedirs(os.path.dirname(path), exist_ok=True)
		    with open(path, 'wb') as f:
		        f.write(data)
		    os.chmod(path, mode)
		for i in range(300):
		    n = r.choice([0, 1, 100, 4095, 4096, 4097, 20000, 200000])
		    put(f'small/{i % 7}/f{i}', r.randbytes(n // 2) + b'text ' * (n // 10))
		M = 1 << 20
		for n in [262144, 262145, M - 1, M, M + 1, 3 * M + 17]:
		    put(f'large/{n}', r.randbytes(n // 2) + b'x' * (n - n // 2))
		for c in 'abcd':  # in one chunk
		    put(f'wait/{c}', b'hello ' + c.encode())
		put('sparse', b'a' * M + bytes(2 * M) + b'b' * M + bytes(5))
		put('zeros', bytes(3 * M))
		put('suid', b'#!/bin/sh\n', 0o6755)
		put('unreadable', b'secret', 0 if os.geteuid() == 0 else 0o400)  # mkstore must read it
		os.link(os.path.join(root, 'large/1048576'), os.path.join(root, 'hardlink'))
		os.symlink('large/1048576', os.path.join(root, 'link'))
		os.symlink('/nowhere', os.path.join(root, 'dangling'))
		os.symlink('x' * 4000, os.path.join(root, 'longlink'))
		put('n' * 255, b'long name')
		os.makedirs(os.path.join(root, 'many'))
		for i in range(3000):
		    open(os.path.join(root, f'many/{i:05}-with-a-rather-long-name'), 'w').close()
		os.mkfifo(os.path.join(root, 'fifo'))
		for d in ['dev', 'proc', 'sys', 'tmp']:
		    os.makedirs(os.path.join(root, d))
		try:
		    os.setxattr(os.path.join(root, 'sparse'), 'user.color', b'blue')
		    os.setxattr(os.path.join(root, 'sparse'), 'user.empty', b'')
		    os.setxattr(os.path.join(root, 'sparse'), 'user.overlay.opaque', b'y')
		except OSError:
		    pass  # the file system below has none
		os.utime(os.path.join(root, 'sparse'), ns=(1, 1234567890123456789))
	PY
	"$LIB/mkstore" "$STORE" localhost/t:1 "$TREE" >/dev/null
	chmod a+rx "$WORK"
	chmod -R a+rX "$STORE"
}

teardown_file() {
	[ -z "${WORK:-}" ] || rm -rf "$WORK"
}

setup() {
	# shellcheck source=../lib/common.bash
	. "$BATS_TEST_DIRNAME/../lib/common.bash"
	[ -n "${WORK:-}" ] || skip "no $HPCRUN_SERVE"
	need userns
	need fuse
	MNT=$BATS_TEST_TMPDIR/mnt
	mkdir "$MNT"
	export HOME=$BATS_TEST_TMPDIR HPCRUN_CACHE=$BATS_TEST_TMPDIR/cache
	unset XDG_CONFIG_HOME HPCRUN_CONF
	cd "$BATS_TEST_TMPDIR" || return 1
}

# with [OPTION]... -- COMMAND...: run it with the image at $MNT.
with() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	"$LIB/serve_mount" --store "$STORE" "${options[@]}" localhost/t:1 "$MNT" "$@"
}

@test "serve: every entry, attribute and byte is as in the directory" {
	# our own directories, and what an overlay on top would take for its own
	ours='^(dev|proc|sys|tmp) '
	"$LIB/treedump" -s "$TREE" | grep -v -E "$ours" | sed 's/ xattr:user.overlay[^ ]*//' >want || :
	with -- "$LIB/treedump" -s "$MNT" | grep -v -E "$ours" >got || :
	diff want got
	[ "$(wc -l <got)" -gt 3300 ]
}

@test "serve: owner is the caller, no suid, no sgid, nothing can be changed" {
	run with -- sh -c "stat -c %u:%g:%a $MNT/suid; touch $MNT/new; chmod 600 $MNT/suid; rm $MNT/link; ln $MNT/suid $MNT/y"
	[ "${lines[0]}" = "$(id -u):$(id -g):755" ]
	[ "$(grep -c 'Read-only file system' <<<"$output")" = 4 ]
}

@test "serve: what would change a file is refused as such, and rare questions are answered as by a disk" { # G7 G10 G11
	run with -- /usr/bin/python3 "$TESTS_DIR/lib/readonly_ops.py" "$MNT" "$TREE"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

@test "serve: reads at and around the end are exact" { # G7
	run with -- /usr/bin/python3 -c '
import os, sys
M = 1 << 20
fd = os.open(sys.argv[1] + "/large/%d" % (M + 1), os.O_RDONLY)
assert len(os.pread(fd, 9, M)) == 1
assert os.pread(fd, 9, M + 1) == b""
assert os.pread(fd, 9, 2 ** 62) == b""
assert os.pread(fd, 0, 0) == b""
assert len(os.pread(fd, 5 * M, 0)) == M + 1
fd = os.open(sys.argv[1] + "/sparse", os.O_RDONLY)
assert os.lseek(fd, 0, os.SEEK_HOLE) == M
assert os.lseek(fd, M, os.SEEK_DATA) == 3 * M
assert os.lseek(fd, M + 7, os.SEEK_HOLE) == M + 7
try:
    os.lseek(fd, 4 * M, os.SEEK_DATA)
    assert False
except OSError as e:
    assert e.errno == 6
assert os.statvfs(sys.argv[1]).f_namemax == 255' "$MNT"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

@test "serve: a directory can be read in pieces and from any position" { # G8
	run with -- /usr/bin/python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def names(fd, size):
    buf = ctypes.create_string_buffer(size)
    while (n := libc.syscall(217 if os.uname().machine == "x86_64" else 61, fd, buf, size)) > 0:
        at = 0
        while at < n:
            length = int.from_bytes(buf.raw[at + 16:at + 18], "little")
            yield buf.raw[at + 19:at + length].split(b"\0")[0], int.from_bytes(buf.raw[at + 8:at + 16], "little")
            at += length
for size in (280, 4096, 100000):
    fd = os.open(sys.argv[1] + "/many", os.O_RDONLY | os.O_DIRECTORY)
    all = list(names(fd, size))
    assert len(all) == len(set(n for n, _ in all)) == 3002, len(all)
    os.lseek(fd, all[1500][1], 0)
    assert list(names(fd, size)) == all[1501:]' "$MNT"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

@test "serve: targets are there with their type, /dev and its like are empty" {
	run with --target d:/data/x --target f:/dev/null --target f:/large -- \
		sh -c "ls -A $MNT/dev $MNT/proc $MNT/tmp; test -d $MNT/data/x && test -f $MNT/dev/null && test -f $MNT/large"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	[[ "$output" == *null* ]]
}

@test "serve: forgets of any number and kind, and requests about nodes there are none of, change nothing" { # G9 G10 G15
	local images=("$STORE" localhost/t:1) args=(--memory=4M --store)
	/usr/bin/python3 "$TESTS_DIR/lib/raw_fuse.py" -n 8000 -s 1 "$HPCRUN_SERVE" "${args[@]}" "${images[@]}" >first
	# another server has the same numbers
	/usr/bin/python3 "$TESTS_DIR/lib/raw_fuse.py" -n 0 "$HPCRUN_SERVE" "${args[@]}" "${images[@]}" >second
	cmp first second
	[ "$(wc -l <first)" -gt 3300 ]
}

@test "serve: inode numbers are the same in two mounts, and after the server was replaced" { # G15
	local list="$PWD/list"
	# shellcheck disable=SC2016 # the inner shell's
	with --restart -- sh -c 'cd "$1" && find . ! -name small -printf "%i %p\n" | sort >"$0.1"
		kill -9 $(cat "$SERVE_PIDFILE"); find large small -printf "%i %p\n" | sort >"$0.2"' "$list" "$MNT"
	# shellcheck disable=SC2016
	with -- sh -c 'cd "$1" && find . ! -name small -printf "%i %p\n" | sort >"$0.3"; find large small -printf "%i %p\n" | sort >"$0.4"' \
		"$list" "$MNT"
	cmp list.1 list.3
	cmp list.2 list.4
	[ "$(wc -l <list.2)" -gt 300 ]
}

@test "serve: files and directories without permissions are so to their owner" { # G12
	[ "$(id -u)" = 0 ] || skip 'only root can put what it cannot read into an image here'
	# where the user can come
	local place=$WORK/closed
	mkdir -p "$place/mnt" "$place/store" "$place/tree/closed" "$place/tree/narrow"
	cd "$place"
	echo secret >tree/closed/file
	echo passed >tree/narrow/file
	echo secret >tree/file
	chmod 0 tree/closed tree/file
	chmod 111 tree/narrow
	"$LIB/mkstore" store localhost/closed:1 tree >/dev/null
	chown -R "$(id -u "$TEST_USER")" .
	# as the owner, without capabilities, would see it after unpacking
	run as_user env HOME="$PWD" HPCRUN_CACHE="$PWD/cache" "$LIB/serve_mount" --store "$PWD/store" localhost/closed:1 \
		"$PWD/mnt" setpriv --bounding-set=-all --inh-caps=-all sh -c "cd $PWD/mnt; stat -c %a closed file narrow; cat file; cat closed/file; ls closed; ls narrow
			cat narrow/file"
	echo "$output"
	[ "${lines[*]:0:3}" = '0 0 111' ]
	[ "$(grep -c 'Permission denied' <<<"$output")" = 4 ]
	[ "${lines[-1]}" = passed ]
}

@test "serve: a thousand readers at once, with memory for four chunks, see no wrong byte and no deadlock" { # G16
	# shellcheck disable=SC2016 # the inner shell's
	run with --serve-opt --memory=4M -- timeout 60 sh -c 'for i in $(seq 32); do "$0" "$1" "$2" 2 32 & p="$p $!"; done
		for i in $p; do wait $i || exit 1; done' "$LIB/readers" "$TREE" "$MNT"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

@test "serve: memory stays within what was given, and a share of the index" { # G3
	# shellcheck disable=SC2016 # the inner shell's
	run with --serve-opt --memory=8M -- sh -c 'find "$0" -type f -exec cat {} + >/dev/null 2>&1
		awk "/VmHWM/ { print \$2 }" /proc/$(cat $SERVE_PIDFILE)/status' "$MNT"
	echo "$output KB"
	[ "$output" -lt $((48 << 10)) ]
}

@test "serve: random readers see no wrong byte" {
	run with -- "$LIB/readers" "$TREE" "$MNT" 3 8
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

@test "serve: little memory is enough" {
	run with --serve-opt --memory=4M --serve-opt --verify-full -- "$LIB/readers" "$TREE" "$MNT" 2 8
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

@test "serve: kill -9 of the server fails no read when it is replaced" {
	# shellcheck disable=SC2016 # the inner shell's
	run with --restart -- sh -c '"$0" "$1" "$2" 4 8 & r=$!
		for i in 1 2 3 4 5 6; do sleep 0.4; kill -9 $(cat "$SERVE_PIDFILE"); done; wait $r' \
		"$LIB/readers" "$TREE" "$MNT"
	[[ "$output" != *"Linux before 6.9"* ]] || skip "the kernel sends no requests again"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

@test "serve: a flipped byte of a pack is EIO with one line, never other bytes" {
	cp -r "$STORE" "$BATS_TEST_TMPDIR/store"
	/usr/bin/python3 - "$BATS_TEST_TMPDIR"/store/packs/*/* <<-'PY'
		import os, sys
		fd = os.open(sys.argv[1], os.O_RDWR)
		size = os.fstat(fd).st_size
		for at in range(5000, size - 20000, 50000):
		    b = os.pread(fd, 1, at)
		    os.pwrite(fd, bytes([b[0] ^ 1]), at)
	PY
	run --separate-stderr "$LIB/serve_mount" --store "$BATS_TEST_TMPDIR/store" localhost/t:1 "$MNT" \
		"$LIB/readers" -e "$TREE" "$MNT" 2 4
	[ "$status" -eq 0 ] || { echo "$output$stderr"; return 1; }
	[[ "$stderr" == *"cannot read chunk"*"/packs/"*"reads of it fail with EIO"* ]]
	# one a second, and one for the first
	[ "$(grep -c 'cannot read chunk' <<<"$stderr")" -le 4 ]
	run "$LIB/serve_mount" --store "$BATS_TEST_TMPDIR/store" localhost/t:1 "$MNT" \
		sh -c "cat $MNT/large/* >/dev/null"
	[[ "$output" == *"Input/output error"* ]]
}

@test "serve: what cannot be read is EIO to execve, and SIGBUS to who has mapped it, never other bytes" { # G6 G13
	command -v busybox >/dev/null || skip 'no busybox'
	mkdir -p tree/bin
	cp "$(command -v busybox)" tree/bin/busybox
	{ echo '#!/bin/sh' && head -c 100000 /dev/urandom | base64 | sed 's/^/#/' && echo 'echo ran'; } >tree/bin/script
	chmod 755 tree/bin/*
	"$LIB/mkstore" store localhost/p:1 tree >/dev/null
	"$LIB/serve_mount" --store store localhost/p:1 "$MNT" "$MNT/bin/busybox" true
	export HPCRUN_CACHE=$PWD/other # not what was not damaged
	/usr/bin/python3 - store/packs/*/* <<-'PY'
		import os, sys
		os.chmod(sys.argv[1], 0o600)
		fd = os.open(sys.argv[1], os.O_RDWR)
		for at in range(1000, os.fstat(fd).st_size - 8000, 4096):
		    os.pwrite(fd, b'damaged', at)
	PY
	run --separate-stderr "$LIB/serve_mount" --store store localhost/p:1 "$MNT" /usr/bin/python3 - "$MNT/bin" <<-'PY'
		import errno, mmap, os, signal, subprocess, sys
		for name in ('busybox', 'script'):
		    try:
		        sys.exit(f'{name}: {subprocess.run([os.path.join(sys.argv[1], name), "true"])}')
		    except OSError as e:
		        assert e.errno == errno.EIO, (name, e)
		touch = ('import mmap, sys; f = open(sys.argv[1]); '
		         'm = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); sys.exit(m[0])')
		p = subprocess.run([sys.executable, '-c', touch, os.path.join(sys.argv[1], 'busybox')])
		assert p.returncode == -signal.SIGBUS, p
	PY
	[ "$status" -eq 0 ] || { echo "$output$stderr"; return 1; }
	[[ "$stderr" == *"cannot read chunk"*"store/packs/"*"reads of it fail with EIO"* ]]
}

@test "serve: what a session read lies uncompressed in the cache for the next one" {
	cp -r "$STORE" "$BATS_TEST_TMPDIR/store"
	same=(cmp "$TREE/large/1048577" "$MNT/large/1048577")
	"$LIB/serve_mount" --store "$BATS_TEST_TMPDIR/store" localhost/t:1 "$MNT" "${same[@]}"
	[ "$(du -k "$HPCRUN_CACHE" | tail -n 1 | cut -f1)" -ge 1024 ]
	# the pack is not needed any more
	chmod -R u+w "$BATS_TEST_TMPDIR/store/packs"
	find "$BATS_TEST_TMPDIR/store/packs" -type f -exec mv {} "$BATS_TEST_TMPDIR/pack" \; -exec touch {} \;
	"$LIB/serve_mount" --store "$BATS_TEST_TMPDIR/store" localhost/t:1 "$MNT" "${same[@]}"
	# and is read again when the cache is damaged
	find "$BATS_TEST_TMPDIR/store/packs" -type f -exec cp "$BATS_TEST_TMPDIR/pack" {} \;
	find "$HPCRUN_CACHE" -name '*.data' -exec truncate -s 4096 {} +
	"$LIB/serve_mount" --store "$BATS_TEST_TMPDIR/store" localhost/t:1 "$MNT" "${same[@]}"
	find "$HPCRUN_CACHE" -name '*.data' -exec /usr/bin/python3 -c '
import sys
with open(sys.argv[1], "r+b") as f:
    for at in range(0, f.seek(0, 2), 4000):
        f.seek(at)
        b = f.read(1)
        f.seek(at)
        f.write(bytes([b[0] ^ 1]))' {} \;
	"$LIB/serve_mount" --store "$BATS_TEST_TMPDIR/store" localhost/t:1 "$MNT" "${same[@]}"
}

@test "serve: a truncated index is refused before anything is mounted" {
	cp -r "$STORE" "$BATS_TEST_TMPDIR/store"
	for f in "$BATS_TEST_TMPDIR"/store/index/*/*; do
		case $f in *.loc) ;; *) truncate -s -1 "$f" ;; esac
	done
	run "$LIB/serve_mount" --store "$BATS_TEST_TMPDIR/store" localhost/t:1 "$MNT" true
	[ "$status" -eq 125 ]
	[[ "$output" == *"cannot open image 'localhost/t:1'"*"hpcrun pull --force"* ]]
}

@test "serve: an image that no store has is named, with the remedy" {
	run "$LIB/serve_mount" --store "$STORE" localhost/other:1 "$MNT" true
	[ "$status" -eq 125 ]
	[[ "$output" == *"image 'localhost/other:1' is not in the store '$STORE'"* ]]
	[[ "$output" == *"hpcrun pull localhost/other:1"* ]]
}

@test "serve: an image can be named by its manifest digest" {
	digest=$(basename "$STORE"/images/*/*)
	run "$LIB/serve_mount" --store "$STORE" "sha256:$digest" "$MNT" cat "$MNT/suid"
	[ "$status" -eq 0 ]
}

@test "serve: signals that a batch system sends to a whole step do not end it" {
	# shellcheck disable=SC2016 # the inner shell's
	run with -- sh -c 'p=$(cat $SERVE_PIDFILE); kill -TERM $p; kill -INT $p; kill -HUP $p; kill -USR1 $p
		sleep 0.2; cat '"$MNT/small/0/f7"' >/dev/null && kill -0 $p'
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

@test "serve: it ends by itself when the last process has left" {
	# shellcheck disable=SC2016 # the inner shell's
	run with -- sh -c 'cat "$SERVE_PIDFILE"'
	[ "$status" -eq 0 ]
	run kill -0 "$output"
	[ "$status" -ne 0 ]
}

@test "serve: xattrs of users alone, with sizes as xattr(7) says" { # G11
	getfattr -d "$TREE/sparse" 2>/dev/null | grep -q color ||
		/usr/bin/python3 -c 'import os,sys; os.getxattr(sys.argv[1], "user.color")' "$TREE/sparse" 2>/dev/null ||
		skip "the file system below has no xattrs"
	run with -- /usr/bin/python3 -c '
import ctypes, os, sys
path = sys.argv[1] + "/sparse"
assert sorted(os.listxattr(path)) == ["user.color", "user.empty"], os.listxattr(path)
assert os.getxattr(path, "user.color") == b"blue"
assert os.getxattr(path, "user.empty") == b""
libc = ctypes.CDLL(None, use_errno=True)
assert libc.getxattr(path.encode(), b"user.color", None, 0) == 4
buf = ctypes.create_string_buffer(3)
assert libc.getxattr(path.encode(), b"user.color", buf, 3) == -1 and ctypes.get_errno() == 34
try:
    os.getxattr(path, "user.none")
    assert False
except OSError as e:
    assert e.errno == 61' "$MNT"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

# A server whose every read of a pack takes 3 seconds, so that a second reader is parked.
slow_server() {
	cat >slow <<-EOS
		#!/bin/sh
		exec strace -f -qq -o /dev/null -e trace=pread64 -e inject=pread64:delay_enter=3000000 "$HPCRUN_SERVE" "\$@"
	EOS
	chmod +x slow
	strace -qq -o /dev/null -e trace=pread64 -e inject=pread64:delay_enter=1 true 2>/dev/null ||
		skip "strace cannot delay system calls here"
}

@test "serve: a waiting reader dies of a signal at once, and of SIGKILL after one that it handles" { # G5
	slow_server
	cat >readers.py <<-'PY'
		import os, signal, subprocess, sys, time
		def reader(name):
		    code = '''import os, signal, sys
		signal.signal(signal.SIGUSR1, lambda *a: None)
		fd = os.open(sys.argv[1], os.O_RDONLY)
		sys.exit(len(os.read(fd, 9)) == 0)'''
		    return subprocess.Popen([sys.executable, '-c', code, sys.argv[1] + name])
		first = reader('/wait/a')
		time.sleep(0.5)
		second, third, fourth = [reader('/wait/' + c) for c in 'bcd']
		time.sleep(0.5)
		start = time.time()
		second.terminate()
		third.send_signal(signal.SIGUSR1)
		fourth.send_signal(signal.SIGUSR1)
		assert second.wait() == -signal.SIGTERM
		time.sleep(0.3)
		third.kill()
		assert third.wait() == -signal.SIGKILL
		assert time.time() - start < 1.5, time.time() - start
		assert first.wait() == 0
		assert fourth.wait() == 0 # a handled signal is no error
	PY
	HPCRUN_SERVE=$PWD/slow run with -- /usr/bin/python3 readers.py "$MNT"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}
