#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The registry client against a registry that misbehaves. HPCRUN_BUILD is the build tree, with
# tests/unit/fetch_tool in it.
# shellcheck disable=SC2154 # stderr comes from run
# shellcheck disable=SC2030,SC2031 # each test is a subshell, and means to be one
# shellcheck disable=SC2016 # the words are for another shell, or for python

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	MOCK=$(mktemp -d)
	export MOCK
	mock_start "$MOCK"
}

teardown_file() {
	mock_stop "$MOCK"
	rm -rf "$MOCK"
}

setup() {
	# shellcheck source=/dev/null
	. "$MOCK/env"
	export HOME="$BATS_TEST_TMPDIR" FETCH_STALL_S=1 FETCH_RETRY_S=20
	export HPCRUN_CONF="$HOME/conf"
	export SSL_CERT_FILE="$MOCK/cert"
	unset DOCKER_CONFIG REGISTRY_AUTH_FILE XDG_CONFIG_HOME
	unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY
	: >"$HPCRUN_CONF"
	: >"$MOCK/log"
	script '{}'
	tool=${HPCRUN_BUILD:-}/tests/unit/fetch_tool
	[ -x "$tool" ] || skip "HPCRUN_BUILD names no build tree with fetch_tool in it"
	ref=127.0.0.1:$PORT/lab/app
}

script() {
	printf '%s' "$1" >"$MOCK/script"
}

rule() { # one rule, its members
	script "{\"rules\":[{$1}]}"
}

auth() { # the members of "auth", beside user alice and password s3cret
	script "{\"auth\":{\"user\":\"alice\",\"password\":\"s3cret\",$1}}"
}

credentials() { # of alice for the mock, or of another registry
	mkdir -p "$HOME/.docker"
	printf '{"auths":{"%s":{"auth":"%s"}}}' "${1:-127.0.0.1:$PORT}" \
		"$(printf '%s' "${2:-alice:s3cret}" | base64)" >"$HOME/.docker/config.json"
	chmod 600 "$HOME/.docker/config.json"
}

# Run the tool; what it says must never hold a secret.
fetch() {
	run --separate-stderr "$tool" "$@"
	[[ "$stderr" != *s3cret* && "$stderr" != *YWxpY2U6* && "$stderr" != *refresh-me* ]]
	[[ "$stderr" != *"Bearer good"* && "$stderr" != *$'\e'* ]]
}

blob() { # the blob arrives whole
	run --separate-stderr bash -c '"$0" blob "$1" "$2" "$3" | sha256sum' "$tool" "$ref:1" "$BLOB" "$SIZE"
	[ "$output" = "${BLOB#sha256:}  -" ] || {
		echo "got: $output, $stderr"
		return 1
	}
}

blob_fails() { # with this text
	run --separate-stderr bash -c 'set -o pipefail; "$0" blob "$1" "$2" "$3" >/dev/null' "$tool" \
		"$ref:1" "$BLOB" "$SIZE"
	[ "$status" -eq 125 ]
	[[ "$stderr" == *"$1"* ]] || {
		echo "got: $stderr"
		return 1
	}
}

fails() { # TEXT COMMAND...: exit 125 and this text
	local text=$1
	shift
	fetch "$@"
	[ "$status" -eq 125 ]
	[[ "$stderr" == *"$text"* ]] || {
		echo "got: $stderr"
		return 1
	}
}

logged() { # how many requests match this expression of python over r (and h, its headers)
	/usr/bin/python3 - "$1" "$MOCK/log" <<-'PY'
		import json, sys
		n = 0
		for line in open(sys.argv[2]):
		    r = json.loads(line)
		    h = r["headers"]
		    n += bool(eval(sys.argv[1]))
		print(n)
	PY
}

no_login_left_home() {
	[ "$(logged '"Authorization" in h and r["on"] == "cdn"')" -eq 0 ]
}

# ---- what goes well

@test "fetch: gets a manifest by tag and by digest, and says its digest" {
	fetch manifest "$ref:1"
	[ "$status" -eq 0 ]
	[ "$stderr" = "$MANIFEST" ]
	fetch manifest "$ref@$MANIFEST"
	[ "$status" -eq 0 ]
	[ "$(logged 'h["Accept-Encoding"] != "identity"')" -eq 0 ]
}

@test "fetch: gets a blob" {
	blob
	[ "$(logged 'True')" -eq 1 ]
}

@test "fetch: speaks https with an authority from hpcrun.conf, and refuses the unknown one" { # E20
	ref=127.0.0.1:$TLS/lab/app
	unset SSL_CERT_FILE
	fails 'certificate' manifest "$ref:1"
	[[ "$stderr" == *"'ca_file' in hpcrun.conf"* ]]
	[ "$(logged 'True')" -eq 0 ]
	echo "ca_file = $MOCK/cert" >"$HPCRUN_CONF"
	fetch manifest "$ref:1"
	[ "$status" -eq 0 ]
}

# ---- names

@test "fetch: a certificate for another name is refused" { # E20
	# the certificate of setup_file is for 127.0.0.1 alone
	fetch manifest "localhost:$TLS/lab/app:1"
	[ "$status" -eq 125 ]
	[[ "$stderr" == *certificate* || "$stderr" == *subject* ]]
}

@test "fetch: an unknown tag names registry, status and what to look at" {
	fails "registry '127.0.0.1:$PORT' answers 404 (MANIFEST_UNKNOWN)" manifest "$ref:2"
	[[ "$stderr" == *"hint: is the tag spelled right"* ]]
	[[ "$stderr" != *secret* ]]
}

@test "fetch: an unknown blob is 404, too" { # E23
	fails "answers 404 (BLOB_UNKNOWN)" blob "$ref:1" "sha256:${BLOB:8:63}0" 5
}

@test "fetch: a host that does not exist fails soon and is named" { # E19
	fails "Could not resolve host: nosuch.invalid" manifest nosuch.invalid/a
	[[ $stderr == *"spelled right? a node that sees no other network"* ]]
}

@test "fetch: a port where nothing listens fails soon" { # E19
	fails "from '127.0.0.1:1'" manifest 127.0.0.1:1/lab/app
}

@test "fetch: plain http to another host than loopback is refused" {
	fails "from '127.0.0.1.nip.invalid:$PORT'" manifest "127.0.0.1.nip.invalid:$PORT/lab/app"
}

# ---- broken connections

@test "fetch: a connection cut at any point is resumed by Range" { # E17
	for n in 0 1 511 512 65536 $((SIZE - 1)); do
		rule "\"path\":\"blobs\",\"cut\":$n,\"times\":1"
		: >"$MOCK/log"
		blob
		[ "$(logged 'True')" -eq 2 ]
		[ "$(logged 'h.get("Range") == "bytes='$n'-"')" -eq $((n > 0)) ]
	done
}

@test "fetch: a reset is resumed" { # E17
	rule '"path":"blobs","cut":100000,"reset":true,"times":2'
	blob
}

@test "fetch: bytes that came are not asked for again when every reply is cut" {
	rule '"path":"blobs","cut":70000'
	blob
	[ "$(logged 'True')" -eq 5 ]
}

@test "fetch: a registry that never says a byte more is given up" { # E18
	FETCH_RETRY_S=1
	rule '"path":"blobs","cut":0'
	blob_fails "cannot get blob $BLOB of 'lab/app' from '127.0.0.1:$PORT'"
}

@test "fetch: a 200 where a Range was asked: what is there is skipped" { # E9
	script '{"rules":[{"path":"blobs","cut":100000,"times":1},{"path":"blobs","no_range":true}]}'
	blob
}

@test "fetch: a wrong Content-Range is not believed, the whole is asked for" { # E10 E12
	for lie in '"from":5' '"total":7' '"total":400000' '"headers":{"Content-Range":"bytes */*"}' '"headers":{"Content-Range":""}'; do
		script '{"rules":[{"path":"blobs","cut":100000,"times":1},{"path":"blobs","times":1,'"$lie"'}]}'
		: >"$MOCK/log"
		blob
		[ "$(logged 'True')" -eq 3 ]
		[ "$(logged '"Range" in h')" -eq 1 ]
	done
}

@test "fetch: a 416 leads to one whole request, or to the size that is wrong" { # E11
	script '{"rules":[{"path":"blobs","cut":100000,"times":1},{"path":"blobs","times":1,"status":416}]}'
	blob
	script '{"rules":[{"path":"blobs","cut":100000,"times":1},
		{"path":"blobs","status":416,"headers":{"Content-Range":"bytes */5"}}]}'
	blob_fails "has 5 bytes for blob $BLOB"
}

@test "fetch: a stalled transfer is broken off and resumed" { # E18
	rule '"path":"blobs","hang":5,"times":1'
	blob
	[ "$(logged 'True')" -eq 2 ]
}

@test "fetch: one byte every 0.2 s is too slow" { # E18
	FETCH_RETRY_S=1
	rule '"path":"manifests","drip":0.2'
	fails "bytes came within 1 s" manifest "$ref:1"
}

# ---- wrong bytes

@test "fetch: a flipped byte is a digest that differs" { # E13
	rule '"path":"blobs","flip":true'
	blob_fails "for blob $BLOB of 'lab/app'"
}

@test "fetch: more bytes than the blob has are cut at its end" { # E27
	rule '"path":"blobs","more":10'
	blob_fails "sends more than the $SIZE bytes"
}

@test "fetch: a blob of another length is refused before its bytes are passed on" {
	rule '"path":"blobs","status":200,"body":"<html>login here</html>"'
	blob_fails "it has 23 bytes there, expected $SIZE"
	[ "$(logged 'True')" -eq 3 ]
}

@test "fetch: an error page once in place of the blob is asked again" { # E13
	rule '"path":"blobs","status":200,"body":"<html>","times":1'
	blob
}

@test "fetch: a manifest with another digest than asked for is refused" {
	rule '"path":"manifests","flip":true'
	fails "expected $MANIFEST" manifest "$ref@$MANIFEST"
	[ -z "$output" ]
}

@test "fetch: a lying digest header changes nothing" {
	rule '"path":"manifests","headers":{"Docker-Content-Digest":"sha256:00","Content-Type":"text/html"}'
	fetch manifest "$ref:1"
	[ "$stderr" = "$MANIFEST" ]
}

@test "fetch: an encoding that was not asked for is refused" { # E14
	rule '"path":"manifests","encoding":"gzip"'
	fails "encoded as 'gzip'" manifest "$ref:1"
}

@test "fetch: a manifest over 4 MiB is broken off" {
	rule '"path":"manifests","more":5000000'
	fails "larger than 4194304 bytes" manifest "$ref:1"
}

@test "fetch: a megabyte of headers is broken off" { # E22
	rule '"path":"manifests","flood":1000000'
	fails "more than 65536 bytes of headers" manifest "$ref:1"
}

@test "fetch: a server that does not speak http is named" { # E22
	rule '"path":"manifests","status":999'
	fails "from '127.0.0.1:$PORT'" manifest "$ref:1" || fails "answers 999" manifest "$ref:1"
}

@test "fetch: replies in chunks, of HTTP/1.0, and behind interim replies are as good as any" { # E22
	for how in '"chunked":1000' '"http10":true' '"early":true'; do
		rule '"path":"blobs",'"$how"
		blob || { echo "with $how"; return 1; }
		rule '"path":"manifests",'"$how"
		fetch manifest "$ref:1"
		[ "$status" -eq 0 ]
	done
}

@test "fetch: an HTTP/1.0 reply that ends early is found by its size, and resumed" { # E22 E17
	rule '"path":"blobs","times":1,"http10":true,"cut":1000'
	blob
	[ "$(logged 'h.get("Range") == "bytes=1000-"')" -eq 1 ]
}

# ---- busy servers

@test "fetch: 500, 502, 503, 504 and 429 are asked again" { # E16
	for s in 500 502 503 504 429 408; do
		rule '"path":"manifests","times":1,"status":'$s
		fetch manifest "$ref:1"
		[ "$status" -eq 0 ]
	done
}

@test "fetch: Retry-After is honoured in seconds and as a date" { # E15
	for after in 1 "$(LC_ALL=C date -u -d '+3 seconds' '+%a, %d %b %Y %H:%M:%S GMT')"; do
		rule '"path":"manifests","times":1,"status":429,"headers":{"Retry-After":"'"$after"'"}'
		SECONDS=0
		fetch manifest "$ref:1"
		[ "$status" -eq 0 ]
		[ "$SECONDS" -ge 1 ]
	done
}

@test "fetch: a Retry-After beyond our patience fails at once and says so" { # E15
	rule '"path":"manifests","status":429,"headers":{"Retry-After":"99999999999999999999"}'
	SECONDS=0
	fails "answers 429" manifest "$ref:1"
	[[ "$stderr" == *hint:* ]]
	[ "$SECONDS" -lt 2 ]
}

@test "fetch: 403 and 404 are not asked again" {
	for s in 403 404 400; do
		rule '"path":"manifests","status":'$s
		: >"$MOCK/log"
		fails "answers $s" manifest "$ref:1"
		[ "$(logged 'True')" -eq 1 ]
	done
}

@test "fetch: what one download is told of Retry-After holds for the others" { # E15
	rule '"path":"blobs","times":1,"status":429,"headers":{"Retry-After":"2"}},{"path":"blobs","times":8,"cut":100000'
	fetch blobs 8 "$ref:1" "$BLOB" "$SIZE"
	[ "$status" -eq 0 ]
	# who had been there before goes on after it
	/usr/bin/python3 -c '
import json, sys
seen = [json.loads(line) for line in open(sys.argv[1])]
late = [r["at"] - seen[0]["at"] for r in seen if "Range" in r["headers"]]
assert len(late) >= 7 and min(late) >= 1.9, late' "$MOCK/log"
}

# ---- redirects

@test "fetch: a redirect to another origin is followed without our login" { # E6
	credentials
	script '{"rules":[{"on":"registry","path":"blobs","redirect":"http://127.0.0.1:{cdn}/v2/lab/app/blobs/'"$BLOB"'?sig=abc"}]}'
	blob
	[ "$(logged 'r["on"] == "cdn" and "sig=abc" in r["path"]')" -eq 1 ]
	no_login_left_home
}

@test "fetch: every kind of redirect is followed with its range, and a signed URL is told to nobody" { # E6
	local to='http://127.0.0.1:{cdn}/v2/lab/app/blobs/'"$BLOB"'?sig=abc' status
	for status in 301 302 303 307 308; do
		script '{"rules":[{"on":"registry","path":"blobs","status":'$status',"headers":{"Location":"'"$to"'"}},
			{"on":"cdn","cut":100000,"times":1}]}'
		: >"$MOCK/log"
		blob || { echo "with $status"; return 1; }
		[ "$(logged 'r["on"] == "cdn" and h.get("Range") == "bytes=100000-"')" -eq 1 ]
	done
	FETCH_RETRY_S=1
	script '{"rules":[{"on":"registry","path":"blobs","redirect":"'"$to"'"},{"on":"cdn","status":403}]}'
	blob_fails "answers 403"
	[[ "$stderr" != *sig=abc* ]]
}

@test "fetch: the login goes to the registry and not to where it redirects, also when resuming" { # E7
	credentials
	script '{"auth":{"scheme":"Basic","user":"alice","password":"s3cret"},"rules":[
		{"on":"registry","path":"blobs","skip":1,"redirect":"http://127.0.0.1:{cdn}/v2/lab/app/blobs/'"$BLOB"'"},
		{"on":"cdn","cut":100000,"times":1}]}'
	blob
	[ "$(logged '"Authorization" in h and r["on"] == "registry"')" -eq 1 ]
	[ "$(logged 'r["on"] == "cdn" and "Range" in h')" -eq 1 ]
	no_login_left_home
}

@test "fetch: a signed URL that has run out is fetched anew from the registry" { # E6
	script '{"rules":[{"on":"registry","path":"blobs","redirect":"http://127.0.0.1:{cdn}/v2/lab/app/blobs/'"$BLOB"'"},
		{"on":"cdn","cut":100000,"times":1},{"on":"cdn","status":403,"times":1}]}'
	blob
	[ "$(logged 'r["on"] == "registry"')" -eq 2 ]
}

@test "fetch: six redirects are too many" { # E8
	rule '"path":"","redirect":"/again"'
	fails "redirects more than 5 times" manifest "$ref:1"
	[ "$(logged 'True')" -eq 6 ]
}

@test "fetch: redirects to other schemes, users and plain http elsewhere are refused" { # E8
	for to in file:///etc/passwd ftp://127.0.0.1/ http://u:p@127.0.0.1/ 'http://[::1' relative 'http://127.1/'; do
		rule '"path":"manifests","redirect":"'"$to"'"'
		fails "redirects to a place that is no valid address" manifest "$ref:1"
	done
	rule '"path":"manifests","redirect":"http://registry.invalid/"'
	fails "redirects to 'registry.invalid' over plain http" manifest "$ref:1"
	rule '"path":"manifests","status":307'
	fails "redirects to nowhere" manifest "$ref:1"
}

@test "fetch: https is never led to http" { # E7
	echo "ca_file = $MOCK/cert" >"$HPCRUN_CONF"
	rule '"on":"tls","path":"manifests","redirect":"http://127.0.0.1:{cdn}/"'
	fails "over plain http, which is refused" manifest "127.0.0.1:$TLS/lab/app:1"
	[ "$(logged 'r["on"] == "cdn"')" -eq 0 ]
}

# ---- logins

@test "fetch: an anonymous token is fetched once and shared" {
	auth '"scheme":"Bearer","anonymous":true'
	fetch blobs 16 "$ref:1" "$BLOB" "$SIZE"
	[ "$status" -eq 0 ]
	[ "$(logged 'r["path"].startswith("/token")')" -eq 1 ]
	[ "$(logged '"scope=repository%3Alab%2Fapp%3Apull" in r["path"] and "service=mock" in r["path"]')" -eq 1 ]
}

@test "fetch: Bearer with a password, Basic, and a refresh token" {
	credentials
	for scheme in Bearer Basic; do
		auth '"scheme":"'$scheme'"'
		blob
	done
	auth '"scheme":"Bearer"'
	echo '{"auths":{"127.0.0.1:'"$PORT"'":{"identitytoken":"refresh-me"}}}' >"$HOME/.docker/config.json"
	fetch manifest "$ref:1"
	[ "$status" -eq 0 ]
	[ "$(logged 'r["method"] == "POST"')" -eq 1 ]
}

@test "fetch: no login where one is needed is told with the command to run" {
	auth '"scheme":"Bearer"'
	fails "answers 401" manifest "$ref:1"
	[[ "$stderr" == *"hpcrun login 127.0.0.1:$PORT"* ]]
	auth '"scheme":"Basic"'
	fails "asks for a login, and there is none" manifest "$ref:1"
}

@test "fetch: a wrong password is tried once, not again and again" {
	credentials "" alice:wrong
	auth '"scheme":"Basic"'
	fails "refuses the stored login" manifest "$ref:1"
	[ "$(logged '"Authorization" in h')" -eq 1 ]
	auth '"scheme":"Bearer"'
	fails "answers 401" manifest "$ref:1"
}

@test "fetch: a token that is refused all the same is renewed once" { # E1
	auth '"scheme":"Bearer","anonymous":true,"reject":1'
	fetch manifest "$ref:1"
	[ "$status" -eq 0 ]
	auth '"scheme":"Bearer","anonymous":true,"reject":100'
	: >"$MOCK/log"
	fails "answers 401" manifest "$ref:1"
	[ "$(logged 'r["path"].startswith("/token")')" -eq 2 ]
}

@test "fetch: a token that runs out in the middle is renewed" { # E2
	auth '"scheme":"Bearer","anonymous":true'
	script '{"auth":{"scheme":"Bearer","user":"a","password":"b","anonymous":true},
		"rules":[{"path":"blobs","skip":1,"times":1,"cut":100000},
		{"path":"blobs","skip":1,"times":1,"status":401,"headers":{"WWW-Authenticate":"Bearer realm=\"http://127.0.0.1:{port}/token\""}}]}'
	blob
	[ "$(logged 'r["path"].startswith("/token")')" -eq 2 ]
}

@test "fetch: a token that runs out under 64 downloads is renewed once, for all of them" { # E2
	script '{"auth":{"scheme":"Bearer","user":"a","password":"b","anonymous":true,"lives":64},
		"rules":[{"path":"^/token","hang":0.5},{"path":"blobs","times":128,"cut":100000}]}'
	fetch blobs 64 "$ref:1" "$BLOB" "$SIZE"
	[ "$status" -eq 0 ]
	# one for 64 requests, and there are no more than 64 + 128 that a token serves; each goes on where it was
	[ "$(logged 'r["path"].startswith("/token")')" -ge 2 ]
	[ "$(logged 'r["path"].startswith("/token")')" -le 3 ]
	[ "$(logged '"blobs" in r["path"] and h.get("Range") == "bytes=100000-"')" -ge 64 ]
}

@test "fetch: odd challenges are understood or refused, never obeyed blindly" { # E5
	local good='Bearer realm=\"http://127.0.0.1:{port}/token\"'
	for c in "[\"Negotiate\",\"Basic realm=x\",\"$good\"]" "[\"Negotiate abc==, $good,service=a\"]" \
		"[\"Digest nonce=\\\"a,b\\\", $good\"]" "[\"bearer   REALM = \\\"http://127.0.0.1:{port}/tok\\\\en\\\"\"]"; do
		auth '"scheme":"Bearer","anonymous":true,"challenge":'"$c"
		fetch manifest "$ref:1"
		[ "$status" -eq 0 ]
	done
	for c in '[]' '["Negotiate"]' '["Bearer"]' '["Bearer realm"]' '["Bearer realm=\"http://127.0.0.1"]' \
		'["Bearer realm=\"http://127.0.0.1:{port}/token\",realm=\"http://evil.invalid/\""]' '["=,=,"]'; do
		auth '"scheme":"Bearer","anonymous":true,"challenge":'"$c"
		fails "asks for a login but offers neither" manifest "$ref:1"
	done
	auth '"scheme":"Bearer","anonymous":true,"challenge":["Bearer realm=\"'"$(printf 'a%.0s' {1..70000})"'\""]'
	fails "more than 65536 bytes of headers" manifest "$ref:1"
}

@test "fetch: token servers elsewhere never see a credential" { # E4
	credentials
	for realm in http://evil.invalid/token http://169.254.169.254/latest file:///etc/passwd \
		http://u:p@127.0.0.1/ https://169.254.169.254/ https://10.0.0.1/; do
		auth '"scheme":"Bearer","challenge":["Bearer realm=\"'"$realm"'\""]'
		fails "registry '127.0.0.1:$PORT' asks for a login" manifest "$ref:1"
	done
	auth '"scheme":"Bearer","challenge":["Bearer realm=\"https://auth.evil.invalid/token\""]'
	fails "which belongs to somebody else; refused" manifest "$ref:1"
	[ "$(logged '"Authorization" in h')" -eq 0 ]
}

@test "fetch: a token server that redirects is refused" { # E4
	credentials
	script '{"auth":{"scheme":"Bearer","user":"alice","password":"s3cret"},
		"rules":[{"path":"^/token","redirect":"http://127.0.0.1:{cdn}/token"}]}'
	fails "redirects (307), which is refused" manifest "$ref:1"
	no_login_left_home
}

@test "fetch: token servers that give no token are named" { # E3
	for reply in '{}' '{"token":""}' '{"token":5}' '{"token":"a b"}' '{"token":"a\\r\\nX: y"}' '[]'; do
		script '{"auth":{"scheme":"Bearer","user":"a","password":"b","anonymous":true},
			"rules":[{"path":"^/token","token":'"$reply"'}]}'
		fails "cannot get a token from '127.0.0.1:$PORT'" manifest "$ref:1"
	done
	script '{"auth":{"scheme":"Bearer","user":"a","password":"b","anonymous":true},
		"rules":[{"path":"^/token","token":{},"more":10000000}]}'
	fails "the reply is larger than" manifest "$ref:1"
	script '{"auth":{"scheme":"Bearer","user":"a","password":"b","anonymous":true},
		"rules":[{"path":"^/token","status":200,"body":"<html>log in, please</html>"}]}'
	fails "cannot get a token from '127.0.0.1:$PORT'" manifest "$ref:1"
	for lives in -1 0 9223372036854775807 '"soon"' null; do
		script '{"auth":{"scheme":"Bearer","user":"a","password":"b","anonymous":true},
			"rules":[{"path":"^/token","token":{"access_token":"good","expires_in":'"$lives"'}}]}'
		: >"$MOCK/log"
		fetch blobs 4 "$ref:1" "$BLOB" "$SIZE"
		[ "$status" -eq 0 ] || { echo "expires in $lives: $stderr"; return 1; }
		[ "$(logged 'r["path"].startswith("/token")')" -eq 1 ]
	done
	script '{"auth":{"scheme":"Bearer","user":"a","password":"b","anonymous":true},
		"rules":[{"path":"^/token","status":503,"times":1}]}'
	fetch manifest "$ref:1"
	[ "$status" -eq 0 ]
}

# ---- the credential file

@test "login: keeps what the registry accepts, 0600, beside what was there" {
	auth '"scheme":"Bearer"'
	mkdir -p "$HOME/.docker"
	echo '{"psFormat":"x","auths":{"other.example":{"auth":"YTpi"}}}' >"$HOME/.docker/config.json"
	run --separate-stderr "$tool" login "127.0.0.1:$PORT" alice <<<"s3cret"
	[ "$status" -eq 125 ] # the line break is no part of a password
	run --separate-stderr "$tool" login "127.0.0.1:$PORT" alice < <(printf s3cret)
	[ "$status" -eq 0 ]
	[ "$(stat -c %a "$HOME/.docker/config.json")" = 600 ]
	grep -q psFormat "$HOME/.docker/config.json"
	grep -q other.example "$HOME/.docker/config.json"
	fetch manifest "$ref:1"
	[ "$status" -eq 0 ]
	fetch logout "127.0.0.1:$PORT"
	[ "$status" -eq 0 ]
	grep -q other.example "$HOME/.docker/config.json"
	fails "there is no login for '127.0.0.1:$PORT'" logout "127.0.0.1:$PORT"
}

@test "login: a refused password is not kept" {
	for scheme in Bearer Basic; do
		auth '"scheme":"'$scheme'"'
		run --separate-stderr "$tool" login "127.0.0.1:$PORT" alice < <(printf wrong)
		[ "$status" -eq 125 ]
		[[ "$stderr" == *"cannot log in to '127.0.0.1:$PORT'"* && "$stderr" != *wrong* ]]
		[ ! -e "$HOME/.docker/config.json" ]
	done
}

@test "login: goes to the helper that the file names, by stdin, and back" {
	auth '"scheme":"Basic"'
	mkdir -p "$HOME/bin" "$HOME/.docker"
	cat >"$HOME/bin/docker-credential-fake" <<-'SH'
		#!/bin/sh
		echo "$0 $*" >>"$HOME/calls"
		case $1 in
		store) cat >"$HOME/kept" ;;
		get) cat >/dev/null; [ -e "$HOME/kept" ] || { echo credentials not found in native keychain; exit 1; }; cat "$HOME/kept" ;;
		erase) rm "$HOME/kept" ;;
		esac
	SH
	chmod +x "$HOME/bin/docker-credential-fake"
	export PATH="bin:$HOME/bin:$PATH"
	echo '{"credHelpers":{"127.0.0.1:'"$PORT"'":"fake"}}' >"$HOME/.docker/config.json"
	chmod 600 "$HOME/.docker/config.json"
	fails "there is none" manifest "$ref:1"
	run --separate-stderr "$tool" login "127.0.0.1:$PORT" alice < <(printf s3cret)
	[ "$status" -eq 0 ]
	run grep -r s3cret "$HOME/.docker" "$HOME/calls"
	[ "$status" -eq 1 ]
	fetch manifest "$ref:1"
	[ "$status" -eq 0 ]
	fetch logout "127.0.0.1:$PORT"
	[ "$status" -eq 0 ]
	[ ! -e "$HOME/kept" ]
}

@test "login: a helper that fails stops the pull, a key ring that is missing only warns" {
	auth '"scheme":"Bearer","anonymous":true'
	mkdir -p "$HOME/bin" "$HOME/.docker"
	printf '#!/bin/sh\necho s3cret; exit 1\n' >"$HOME/bin/docker-credential-bad"
	chmod +x "$HOME/bin/docker-credential-bad"
	export PATH="$HOME/bin:$PATH"
	(umask 077 && echo '{"credsStore":"bad"}' >"$HOME/.docker/config.json")
	fails "credential helper 'docker-credential-bad get' failed" manifest "$ref:1"
	(umask 077 && echo '{"credsStore":"desktop"}' >"$HOME/.docker/config.json")
	fetch manifest "$ref:1"
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"docker-credential-desktop' is not in PATH"* ]]
	(umask 077 && echo '{"credsStore":"../../bin/sh"}' >"$HOME/.docker/config.json")
	fails "is no name of a credential helper" manifest "$ref:1"
}

@test "login: a file that others can read is used with a warning" {
	credentials
	chmod 644 "$HOME/.docker/config.json"
	auth '"scheme":"Basic"'
	fetch manifest "$ref:1"
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"has mode 0644"* ]]
}

@test "login: a broken or unreadable file is said, not passed over" {
	auth '"scheme":"Bearer","anonymous":true'
	mkdir -p "$HOME/.docker"
	(umask 077 && echo '{"auths":' >"$HOME/.docker/config.json")
	fails "cannot read the credentials" manifest "$ref:1"
	(umask 077 && echo '{"auths":{"127.0.0.1:'"$PORT"'":{"auth":"%%%"}}}' >"$HOME/.docker/config.json")
	fails "is not base64" manifest "$ref:1"
	rm "$HOME/.docker/config.json"
	mkfifo "$HOME/.docker/config.json"
	fails "not a regular file" manifest "$ref:1"
}

@test "login: DOCKER_CONFIG and REGISTRY_AUTH_FILE name other places" {
	credentials
	auth '"scheme":"Basic"'
	mv "$HOME/.docker" "$HOME/elsewhere"
	fails "there is none" manifest "$ref:1"
	DOCKER_CONFIG="$HOME/elsewhere" fetch manifest "$ref:1"
	[ "$status" -eq 0 ]
	REGISTRY_AUTH_FILE="$HOME/elsewhere/config.json" fetch manifest "$ref:1"
	[ "$status" -eq 0 ]
}

@test "login: the credential of another registry or repository is not sent" {
	auth '"scheme":"Basic"'
	for key in other.example "127.0.0.1" "127.0.0.1:1" "127.0.0.1:$PORT/lab" "x127.0.0.1:$PORT"; do
		credentials "$key"
		fails "there is none" manifest "$ref:1"
	done
	[ "$(logged '"Authorization" in h')" -eq 0 ]
	for key in "http://127.0.0.1:$PORT" "https://127.0.0.1:$PORT/v2/"; do
		credentials "$key"
		fetch manifest "$ref:1"
		[ "$status" -eq 0 ]
	done
}

# ---- proxies, cancellation

@test "fetch: loopback is never asked through a proxy, other hosts are" { # E21
	export http_proxy=http://127.0.0.1:1 https_proxy=http://user:s3cret@127.0.0.1:1
	fetch manifest "$ref:1"
	[ "$status" -eq 0 ]
	fails "from 'registry.invalid'" manifest registry.invalid/lab/app
	[[ "$stderr" == *"127.0.0.1 port 1"* ]]
}

@test "fetch: what no_proxy names is not asked for through a proxy" { # E21
	echo "insecure_registry = registry.invalid" >"$HPCRUN_CONF"
	export http_proxy=http://127.0.0.1:$CDN https_proxy=http://127.0.0.1:$CDN
	for names in registry.invalid other,.invalid '*'; do
		no_proxy=$names fails "Could not resolve host: registry.invalid" manifest registry.invalid/lab/app:1
	done
	[ "$(logged 'True')" -eq 0 ]
	no_proxy=other.invalid fetch manifest registry.invalid/lab/app:1
	[ "$status" -eq 0 ]
}

@test "fetch: a registry that is insecure by configuration is reached over http and its proxy" { # E21
	echo "insecure_registry = registry.invalid" >"$HPCRUN_CONF"
	export http_proxy=http://user:s3cret@127.0.0.1:$CDN https_proxy=http://127.0.0.1:$CDN
	fetch manifest registry.invalid/lab/app:1
	[ "$status" -eq 0 ]
	[ "$(logged 'r["path"] == "http://registry.invalid/v2/lab/app/manifests/1"')" -eq 1 ]
	[ "$(logged '"Proxy-Authorization" in h')" -eq 1 ]
	# hpcrun.conf comes before the environment; a proxy that refuses us is given up soon
	echo "proxy = http://127.0.0.1:$PORT" >>"$HPCRUN_CONF"
	fetch manifest registry.invalid/lab/app:1
	[ "$(logged 'r["on"] == "registry"')" -eq 1 ]
	SECONDS=0
	fails "from 'other.invalid'" manifest other.invalid/lab/app:1
	[ "$SECONDS" -lt 5 ]
}

@test "fetch: a cancelled transfer ends at once" {
	FETCH_STALL_S=30
	rule '"path":"blobs","hang":5'
	"$tool" blob "$ref:1" "$BLOB" "$SIZE" >/dev/null 2>"$HOME/err" 3>&- &
	sleep 0.5
	local before after
	before=$(date +%s%N)
	kill -INT $!
	wait $! || [ $? -eq 125 ]
	after=$(date +%s%N)
	[ $(((after - before) / 1000000)) -lt 400 ]
	grep -q "download stopped" "$HOME/err"
}

@test "fetch: a cancelled pause ends at once" {
	rule '"path":"manifests","status":429,"headers":{"Retry-After":"15"}'
	"$tool" manifest "$ref:1" >/dev/null 2>"$HOME/err" 3>&- &
	sleep 0.5
	SECONDS=0
	kill -TERM $!
	wait $! || [ $? -eq 125 ]
	[ "$SECONDS" -lt 2 ]
	grep -q "trying again in 15 s\|trying again in 16 s\|trying again in 17 s" "$HOME/err"
}
