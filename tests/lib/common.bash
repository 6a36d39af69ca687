# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What the bats files and the scripts below tests/ share. Source it; it only defines functions, and:
#
#   HPCRUN             the hpcrun under test (default: the one of PATH)
#   HPCRUN_TREEDUMP    tests/lib/treedump, built
#   HPCRUN_TEST_STRICT 1: a missing feature is a failure, not a skip

TESTS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
HPCRUN=${HPCRUN:-hpcrun}
TEST_USER=hpcruntest

# The unprivileged user that tests run as when root started them; made when it is missing.
user_make() {
	[ "$(id -u)" = 0 ] || return 0
	id "$TEST_USER" >/dev/null 2>&1 || useradd --create-home --shell /bin/sh "$TEST_USER"
}

# as_user COMMAND...: run it as the test user; as ourselves when we are not root.
as_user() {
	if [ "$(id -u)" = 0 ]; then
		user_make
		setpriv --reuid "$TEST_USER" --regid "$TEST_USER" --init-groups --inh-caps=-all -- "$@"
	else
		"$@"
	fi
}

# scratch_make: a fresh directory SCRATCH with HOME, TMPDIR, XDG_RUNTIME_DIR and the store inside. Images are pulled
# by 'hpcrun pull' alone.
scratch_make() {
	SCRATCH=$(mktemp -d "${HPCRUN_TEST_TMP:-/tmp}/hpcrun-test.XXXXXX")
	export SCRATCH HOME=$SCRATCH/home TMPDIR=$SCRATCH/tmp XDG_RUNTIME_DIR=$SCRATCH/run
	export HPCRUN_STORE=$SCRATCH/store HPCRUN_CACHE=$SCRATCH/cache
	mkdir -p "$HOME" "$TMPDIR"
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	export HPCRUN_PULL=never # tests that reach for a registry say so
	unset XDG_DATA_HOME XDG_CONFIG_HOME DOCKER_CONFIG REGISTRY_AUTH_FILE http_proxy https_proxy all_proxy
	unset "${!SLURM_@}"
	cd "$SCRATCH" || return 1
}

# Remove it; modes of the image's kind (0000, 0500) are in the way of an ordinary user's rm.
scratch_remove() {
	[ -n "${SCRATCH:-}" ] || return 0
	cd /
	chmod -R u+rwX "$SCRATCH" 2>/dev/null
	rm -rf "$SCRATCH"
	unset SCRATCH
}

# registry_start DIR [USER PASSWORD]: a docker-registry on loopback, on a free port, with its files below
# DIR. Sets REGISTRY (host:port), REG_PID, REG_STORAGE and REG_LOG (a docker-registry would take variables
# that begin with REGISTRY_ for its own). With USER it asks for a login.
registry_start() {
	local dir=$1 auth='' binary i
	binary=$(command -v docker-registry || echo /usr/bin/docker-registry)
	mkdir -p "$dir/storage"
	if [ $# -ge 3 ]; then
		htpasswd -Bbn "$2" "$3" >"$dir/htpasswd"
		auth="auth: {htpasswd: {realm: test, path: $dir/htpasswd}}"
	fi
	# port 0: the kernel picks a free one, the log says which
	cat >"$dir/config.yml" <<-EOF
		version: 0.1
		log: {level: info, accesslog: {disabled: false}}
		storage: {filesystem: {rootdirectory: $dir/storage}, delete: {enabled: true}}
		http: {addr: "127.0.0.1:0", secret: test}
		$auth
	EOF
	"$binary" serve "$dir/config.yml" >>"$dir/log" 2>&1 3>&- </dev/null &
	REG_PID=$!
	REG_STORAGE=$dir/storage
	REG_LOG=$dir/log
	for ((i = 0; i < 100; i++)); do
		REGISTRY=$(sed -n 's/.*listening on \(127.0.0.1:[0-9]*\).*/\1/p' "$dir/log" | head -n 1)
		[ -z "$REGISTRY" ] || break
		if ! kill -0 "$REG_PID" 2>/dev/null; then
			break
		fi
		sleep 0.1
	done
	if [ -z "$REGISTRY" ]; then
		echo "the registry did not start:" >&2
		cat "$dir/log" >&2
		return 1
	fi
	export REGISTRY REG_PID REG_STORAGE REG_LOG
}

registry_stop() {
	[ -n "${REG_PID:-}" ] || return 0
	kill "$REG_PID" 2>/dev/null
	wait "$REG_PID" 2>/dev/null || : # its status is that of the signal
	unset REG_PID
}

# How many requests for PATTERN (an extended regular expression) the registry has answered.
registry_requests() {
	grep -cE "\"GET $1" "$REG_LOG" || :
}

# mkimage TAG [KIND]: publish image KIND (default: the busybox one) as test/TAG:1 in the registry.
publish() {
	python3 "$TESTS_DIR/lib/mkimage" --registry "$REG_STORAGE" "$@"
}

# busybox_root DIR NAME...: the root directory of an image, with busybox in DIR/bin under each of these names
busybox_root() {
	local root=$1 name
	shift
	mkdir -p "$root/bin"
	cp "$(command -v busybox)" "$root/bin/busybox"
	for name; do
		ln -s busybox "$root/bin/$name"
	done
}

# need FEATURE: skip the test unless FEATURE is there. Features are tried, never guessed from a version.
need() {
	if ! "has_$1"; then
		if [ "${HPCRUN_TEST_STRICT:-0}" = 1 ]; then
			echo "needed, and not there: $1 (HPCRUN_TEST_STRICT=1 makes this a failure)" >&2
			return 1
		fi
		skip "not there: $1"
	fi
}

# One user id is all there is, as in 'unshare -r': nobody else can be become, and the owner of files of others,
# root's too, cannot be told.
one_id() { [ "$(awk '{ n += $3 } END { print n }' /proc/self/uid_map)" = 1 ]; }

has_userns() { unshare -Um true 2>/dev/null; }
has_fuse() { [ -r /dev/fuse ] && [ -w /dev/fuse ]; }
has_umoci() { command -v umoci >/dev/null; }
has_skopeo() { command -v skopeo >/dev/null; }
has_strace() { command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; }
has_apparmor() { PATH=$PATH:/usr/sbin command -v apparmor_parser >/dev/null; }
has_python3() { command -v python3 >/dev/null; }
# overlayfs in a user namespace: Linux 5.11 and later, where nothing forbids it
has_overlay() {
	unshare -Urm sh -c 'mount -t tmpfs x /tmp && cd /tmp && mkdir l u w m &&
		mount -t overlay -o lowerdir=l,upperdir=u,workdir=w,userxattr overlay m' 2>/dev/null
}

# leftovers: processes of hpcrun that are still there and use our store, one a line: pid and program.
leftovers() { leftovers_with "HPCRUN_STORE=$HPCRUN_STORE"; }

# leftovers_with NAME=VALUE: those that have this in their environment.
leftovers_with() {
	local exe pid
	# one process for all of /proc: tests wait for this, many times
	find /proc -mindepth 2 -maxdepth 2 -path '/proc/[0-9]*/exe' \( -lname '*/hpcrun-serve' -o -lname '*/hpcrun-serve-net' \
		-o -lname '*/hpcrun-session' -o -lname '*/hpcrun-store' \) -printf '%h %l\n' 2>/dev/null |
		while read -r pid exe; do
			if { tr '\0' '\n' <"$pid/environ"; } 2>/dev/null | grep -qxF "$1"; then
				echo "${pid#/proc/} $exe"
			fi
		done || : # a process may end while it is looked at
}

# session_names PID...: the names (unix(7), abstract: "@hpcrun-...") at which these processes listen.
session_names() {
	local pid
	for pid; do
		find "/proc/$pid/fd" -lname 'socket:*' -printf '%l\n'
	done | tr -dc '0-9\n' | awk 'NR == FNR { ours[$1]; next } $4 == "00010000" && $7 in ours { print $8 }' - /proc/net/unix
}

# session_files: what sessions have left in XDG_RUNTIME_DIR that is not kept on purpose.
session_files() { find "$XDG_RUNTIME_DIR/hpcrun" ! -type d ! -path '*/stats/*' ! -name secret ! -name 'libs.*'; }

# none_left [NAME=VALUE]
none_left() { [ -z "$(leftovers_with "${1:-HPCRUN_STORE=$HPCRUN_STORE}")" ]; }

# wait_until SECONDS COMMAND...: until it succeeds.
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# told TEXT COMMAND...: COMMAND says TEXT (a basic regular expression) to its stderr while it runs, which it must until
# the file `told` is there. What the server tells a user is lost when the program ends first.
told() {
	local text=$1 status=0 pid
	shift
	rm -f told
	"$@" 2>told.err 3>&- &
	pid=$!
	wait_until 20 grep -q "$text" told.err || status=1
	: >told
	wait "$pid" || status=1
	[ "$status" = 0 ] || cat told.err
	return "$status"
}

# web_store_start STORE DIR: serve STORE by tests/lib/web_store.py, which says what DIR/port, DIR/fault and DIR/log are.
web_store_start() {
	mkdir -p "$2"
	: >"$2/fault"
	: >"$2/log"
	/usr/bin/python3 "$TESTS_DIR/lib/web_store.py" "$1" "$2" >"$2/out" 2>&1 3>&- &
	echo $! >"$2/pid"
	wait_until 20 test -e "$2/port"
}
# web_store_stop DIR: end it, if it was started and goes on
web_store_stop() {
	[ -e "$1/pid" ] || return 0
	kill "$(cat "$1/pid")"
	rm "$1/pid"
}

# mock_start DIR: the registry of tests/lib/mock_registry.py, which says what is in DIR; DIR/cert is for its TLS port.
mock_start() {
	mkdir -p "$1"
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mock -addext subjectAltName=IP:127.0.0.1 \
		-keyout "$1/key" -out "$1/cert" 2>/dev/null
	/usr/bin/python3 "$TESTS_DIR/lib/mock_registry.py" "$1" --cert "$1/cert" --key "$1/key" >"$1/out" 2>&1 3>&- &
	echo $! >"$1/pid"
	wait_until 20 test -e "$1/env" || { cat "$1/out" && return 1; }
}
mock_stop() { kill "$(cat "$1/pid")"; }

# For bats files -------------------------------------------------------------------------------------------

# leftovers_end SIGNAL: end them. Sessions outside Slurm linger for a moment; they must not outlive their store.
leftovers_end() {
	local pid
	for pid in $(leftovers | cut -d' ' -f1); do
		kill "-$1" "$pid" 2>/dev/null || :
	done
}

# For setup() and setup_file(): images are made by MKSTORE, without a registry.
need_mkstore() {
	export MKSTORE=${HPCRUN_BUILD:-}/tests/lib/mkstore
	[ -x "$MKSTORE" ] || skip "HPCRUN_BUILD names no build tree with mkstore in it"
}

# A store of the site, SCRATCH/site, behind a web server: site_start in setup_file(), site_end in teardown_file(), and in
# setup() site_use LINE..., for a cache and a configuration of the test's own, with these lines.
site_start() { web_store_start "$SCRATCH/site" "$SCRATCH/web"; }
site_use() {
	need userns
	need fuse
	HPCRUN_STORE=http://127.0.0.1:$(cat "$SCRATCH/web/port")
	export HPCRUN_STORE HPCRUN_CACHE="$BATS_TEST_TMPDIR/cache" HPCRUN_CONF="$BATS_TEST_TMPDIR/conf"
	printf '%s\n' 'session_linger = 0' "$@" >"$HPCRUN_CONF"
	site_fault ''
	: >"$SCRATCH/web/log"
	cd /
}
site_end() {
	web_store_stop "$SCRATCH/web"
	scratch_remove
}
# site_fault [WORD...]: what it does wrong from now on, as web_store.py says; nothing without a word.
site_fault() { printf '%s' "$*" >"$SCRATCH/web/fault"; }

# One scratch directory and one registry for the whole file; each test gets a store of its own on top.
file_setup() {
	scratch_make
	registry_start "$SCRATCH/registry"
}
file_teardown() {
	registry_stop
	leftovers_end TERM
	scratch_remove
}

# settled FILE...: wait until the last change of each is so long ago that what hpcrun sees of it is trusted
settled() {
	local file
	for file; do
		while (($(date +%s) - $(stat -Lc %Z "$file") < 3)); do
			sleep 0.2
		done
	done
}

# fail_with TEXT COMMAND...: COMMAND must exit 125 with one message that has TEXT (an extended regular
# expression), and no line of a crash.
fail_with() {
	local text=$1 status=0 err
	shift
	err=$("$@" 2>&1 >/dev/null </dev/null) || status=$?
	if [ "$status" != 125 ]; then
		printf 'exit status %s, not 125, of: %s\n%s\n' "$status" "$*" "$err"
		return 1
	fi
	if ! grep -qE -- "$text" <<<"$err"; then
		printf 'no "%s" in the message of: %s\n%s\n' "$text" "$*" "$err"
		return 1
	fi
	if grep -vE '^hpcrun(-[a-z]+)?(\[[^]]*\])?: ' <<<"$err" | grep -q .; then
		printf 'lines that are no message of hpcrun, of: %s\n%s\n' "$*" "$err"
		return 1
	fi
}
