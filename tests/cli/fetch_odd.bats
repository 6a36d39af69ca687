#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The registry client and names, addresses and TLS that go wrong. HPCRUN_BUILD is the build tree, with
# tests/unit/fetch_tool in it.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	local m
	scratch_make
	m=$SCRATCH
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=authority' -keyout "$m/key" -out "$m/cert"
	openssl req -new -key "$m/key" -subj '/CN=old' -out "$m/csr"
	# ended yesterday
	openssl x509 -req -in "$m/csr" -CA "$m/cert" -CAkey "$m/key" -CAserial "$m/serial" -CAcreateserial -days -1 \
		-extfile <(echo 'subjectAltName = IP:127.0.0.1') -out "$m/old"
	mkdir "$m/odd"
	mock_start "$m/mock"
	# shellcheck source=/dev/null
	. "$m/mock/env"
	echo '{}' >"$m/mock/script"
	/usr/bin/python3 "$TESTS_DIR/lib/odd_server.py" "$m/odd" "$PORT" "$m/old" "$m/key" 3>&- >"$m/odd/out" 2>&1 &
	echo $! >"$m/odd/pid"
	wait_until 20 test -e "$m/odd/env"
}
teardown_file() {
	mock_stop "$SCRATCH/mock"
	kill "$(cat "$SCRATCH/odd/pid")"
	scratch_remove
}

setup() {
	# shellcheck source=/dev/null
	. "$SCRATCH/mock/env"
	# shellcheck source=/dev/null
	. "$SCRATCH/odd/env"
	export HPCRUN_CONF=$BATS_TEST_TMPDIR/conf SSL_CERT_FILE=$SCRATCH/cert FETCH_STALL_S=1 FETCH_RETRY_S=20 HOSTS=$BATS_TEST_TMPDIR/hosts
	: >"$HPCRUN_CONF"
	: >"$SCRATCH/odd/requests"
	tool=${HPCRUN_BUILD:-}/tests/unit/fetch_tool
	[ -x "$tool" ] || skip "HPCRUN_BUILD names no build tree with fetch_tool in it"
}

# with_hosts COMMAND...: where /etc/hosts is the file $HOSTS.
with_hosts() { unshare -Urm sh -c 'mount --bind "$HOSTS" /etc/hosts && exec "$@"' sh "$@"; }
no_requests() { [ ! -s "$SCRATCH/odd/requests" ]; }

@test "fetch: a certificate that has expired is refused, with a word about the clock" { # E20
	fail_with 'expired' "$tool" manifest "127.0.0.1:$CERT_TLS/lab/app:1"
	fail_with 'hint: .*clock' "$tool" manifest "127.0.0.1:$CERT_TLS/lab/app:1"
	no_requests
}

# with_bundle COMMAND...: where the system's authorities are in one file, our own among them, which has no file by hash.
BUNDLE=/etc/ssl/certs/ca-certificates.crt
with_bundle() {
	cat "$BUNDLE" "$SCRATCH/mock/cert" >"$SCRATCH/bundle"
	unshare -Urm sh -c 'mount --bind "$SCRATCH/bundle" "$0" && exec "$@"' "$BUNDLE" "$@"
}

@test "fetch: an authority that only the system's bundle has is found, and the bundle is read for nothing else" {
	need userns
	need strace
	[ -e "$BUNDLE" ] && ls /etc/ssl/certs/*.0 >/dev/null 2>&1 || skip 'the authorities are not kept as on Debian'
	unset SSL_CERT_FILE
	fail_with 'certificate' "$tool" manifest "127.0.0.1:$TLS/lab/app:1"
	run -0 --separate-stderr with_bundle "$tool" manifest "127.0.0.1:$TLS/lab/app:1"
	[ "$stderr" = "$MANIFEST" ]
	# plain http on loopback is what it turns to after https
	run -0 strace -f -e trace=openat -o "$BATS_TEST_TMPDIR/trace" "$tool" manifest "127.0.0.1:$PORT/lab/app:1"
	grep -q ld.so.cache "$BATS_TEST_TMPDIR/trace"
	run ! grep -F "$BUNDLE" "$BATS_TEST_TMPDIR/trace"
}

@test "fetch: a server that speaks nothing newer than TLS 1.1 is refused" { # E20
	FETCH_RETRY_S=1 fail_with "from '127.0.0.1:$OLD_TLS'" "$tool" manifest "127.0.0.1:$OLD_TLS/lab/app:1"
	no_requests
}

@test "fetch: a handshake that hangs is given up" { # E20
	FETCH_RETRY_S=1 fail_with "from '127.0.0.1:$MUTE'" timeout 20 "$tool" manifest "127.0.0.1:$MUTE/lab/app:1"
}

@test "fetch: of a name with dead addresses the one that lives is found" { # E19
	need userns
	printf '%s half.test\n' ::1 127.0.0.1 127.0.0.2 127.0.0.9 >"$HOSTS"
	echo "insecure_registry = half.test" >"$HPCRUN_CONF"
	FETCH_STALL_S=20
	run -0 --separate-stderr with_hosts "$tool" manifest "half.test:$RELAY/lab/app:1"
	[ "$stderr" = "$MANIFEST" ]
	[ "${HPCRUN_TEST_STRICT:-0}" = 0 ] || [ "$HOLE" = 1 ]
}

@test "fetch: a name that moves to another address is followed" { # E19
	need userns
	echo '127.0.0.7 moves.test' >"$HOSTS"
	echo "insecure_registry = moves.test" >"$HPCRUN_CONF"
	with_hosts "$tool" manifest "moves.test:$RELAY/lab/app:1" 2>"$BATS_TEST_TMPDIR/err" >/dev/null 3>&- &
	wait_until 20 grep -q closed "$SCRATCH/odd/requests"
	echo '127.0.0.9 moves.test' >"$HOSTS"
	wait $! || { cat "$BATS_TEST_TMPDIR/err"; return 1; }
}
