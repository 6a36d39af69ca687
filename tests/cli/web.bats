#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Objects and ranges of a plain web server that misbehaves. HPCRUN_BUILD is the build tree, with
# tests/unit/fetch_tool in it.
# shellcheck disable=SC2154 # stderr comes from run
# shellcheck disable=SC2030,SC2031 # each test is a subshell, and means to be one

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	MOCK=$(mktemp -d)
	export MOCK
	mock_start "$MOCK"
	# shellcheck source=/dev/null
	. "$MOCK/env"
	/usr/bin/python3 -c 'import sys, urllib.request as u
sys.stdout.buffer.write(u.urlopen(sys.argv[1]).read())' \
		"http://127.0.0.1:$PORT/v2/lab/app/blobs/$BLOB" >"$MOCK/blob"
}

teardown_file() {
	mock_stop "$MOCK"
	rm -rf "$MOCK"
}

setup() {
	# shellcheck source=/dev/null
	. "$MOCK/env"
	export HOME="$BATS_TEST_TMPDIR" FETCH_STALL_S=1 HPCRUN_CONF="$BATS_TEST_TMPDIR/conf"
	unset XDG_CONFIG_HOME http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
	: >"$HPCRUN_CONF"
	: >"$MOCK/log"
	script '{}'
	tool=${HPCRUN_BUILD:-}/tests/unit/fetch_tool
	[ -x "$tool" ] || skip "no $tool"
	url=http://127.0.0.1:$PORT/v2/lab/app/blobs/$BLOB
}

script() {
	printf '%s' "$1" >"$MOCK/script"
}

range_is_right() { # OFFSET LENGTH
	"$tool" range "$url" "$1" "$2" >"$HOME/got" || return 1
	tail -c +$(($1 + 1)) "$MOCK/blob" | head -c "$2" | cmp - "$HOME/got"
}

# A reply by this rule must be refused with this text, and nothing written.
refused() { # RULE TEXT
	script "{\"rules\":[{$1}]}"
	run --separate-stderr "$tool" range "$url" 1000 5000
	[ "$status" -eq 125 ]
	[ -z "$output" ]
	[[ "$stderr" == *"$2"* ]] || { echo "$stderr"; return 1; }
}

@test "web: reads a whole object and any part of it" {
	"$tool" read "$url" | cmp - "$MOCK/blob"
	range_is_right 0 1
	range_is_right 0 "$SIZE"
	range_is_right 299999 1
	range_is_right 1000 5000
	range_is_right 5 0
}

@test "web: asks for exactly the bytes it wants" {
	range_is_right 1000 5000
	grep -q 'bytes=1000-5999' "$MOCK/log"
}

@test "web: uses the wanted part of a server that ignores Range" { # E9
	script '{"rules":[{"on":"registry","no_range":true}]}'
	range_is_right 1000 5000
}

@test "web: refuses a partial reply that begins elsewhere" { # E10
	refused '"on":"registry","from":999' 'asked for bytes 1000-5999, got 999-5999'
}

@test "web: refuses a partial reply that does not say which part it is" { # E10
	refused '"on":"registry","headers":{"Content-Range":null}' 'a partial reply without a valid Content-Range'
	refused '"on":"registry","headers":{"Content-Range":"bytes 1000-5999"}' 'a partial reply without a valid Content-Range'
	refused '"on":"registry","headers":{"Content-Range":null,"Content-Type":"multipart/byteranges; boundary=x"}' \
		'a partial reply without a valid Content-Range'
}

@test "web: refuses a reply that ends early" { # E10
	refused '"on":"registry","cut":100' 'cannot read'
	# one without a length, which a closed connection ends as it should
	refused '"on":"registry","http10":true,"cut":100' 'the reply ends after 100 of 5000 bytes'
}

@test "web: refuses a reply that is encoded" { # E14
	refused '"on":"registry","encoding":"gzip"' "encoded as 'gzip'"
}

@test "web: refuses a range past the end" { # E11
	run --separate-stderr "$tool" range "$url" 299990 100
	[ "$status" -eq 125 ]
	[[ "$stderr" == *"asked for bytes 299990-300089, got 299990-299999"* ]]
	refused '"on":"registry","status":416,"headers":{"Content-Range":"bytes */5"}' 'the server answers 416'
}

@test "web: takes no byte more than was asked for" { # E27
	script '{"rules":[{"on":"registry","more":100000}]}'
	range_is_right 1000 5000
}

@test "web: gives up on a server that stays silent" { # E18
	refused '"on":"registry","hang":30' 'within 1 s'
}

@test "web: says what a server answers" {
	refused '"on":"registry","status":503' 'the server answers 503'
	refused '"on":"registry","status":404' 'the server answers 404'
	refused '"on":"registry","status":403' 'the server answers 403'
	refused '"on":"registry","status":404,"more":3000000' 'the reply with status 404 does not end'
}

@test "web: follows a redirect, and not for ever" { # E8
	script '{"rules":[{"on":"registry","path":"/elsewhere","redirect":"'"$url"'"}]}'
	"$tool" range "http://127.0.0.1:$PORT/elsewhere" 10 10 >/dev/null
	refused '"on":"registry","redirect":"'"$url"'"' 'more than 5 redirects'
	refused '"on":"registry","redirect":"file:///etc/passwd"' 'no valid address'
}

@test "web: refuses plain http to another machine, before it asks" { # E7
	run --separate-stderr "$tool" read http://store.example/x
	[ "$status" -eq 125 ]
	[[ "$stderr" == *"plain http to 'store.example' is refused"* ]]
	[[ "$stderr" == *"insecure_registry = store.example"* ]]
}

@test "web: https is never led to http" { # E7
	echo "ca_file = $MOCK/cert" >"$HPCRUN_CONF"
	url=https://127.0.0.1:$TLS/v2/lab/app/blobs/$BLOB
	range_is_right 1000 5000
	refused '"on":"tls","redirect":"http://127.0.0.1:'"$PORT/v2/lab/app/blobs/$BLOB"'"' 'redirects to plain http, which is refused'
	grep -q '"on": "tls"' "$MOCK/log"
	run ! grep -q '"on": "registry"' "$MOCK/log"
}

@test "web: refuses an object over the limit" {
	script '{"rules":[{"on":"registry","body":"x","more":2000000}]}'
	run --separate-stderr "$tool" read "$url"
	[ "$status" -eq 125 ]
	[[ "$stderr" == *"larger than 1048576 bytes"* ]]
}
