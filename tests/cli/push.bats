#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun push: what a registry has afterwards, and what is sent and sent again on the way.
# shellcheck disable=SC2030,SC2031,SC2154  # each test is a subshell; bats sets output, stderr and status

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	mkdir -p tree/data
	busybox_root tree sh
	head -c 20000000 /dev/urandom >tree/data/random # more than two pieces
	chmod 640 tree/data/random
	"$HPCRUN" import tree lab/tree:1 2>/dev/null
	"$HPCRUN" import tree/bin lab/small:1 2>/dev/null
}
teardown_file() { file_teardown; }

teardown() {
	[ ! -e "$BATS_TEST_TMPDIR/mock/pid" ] || kill "$(cat "$BATS_TEST_TMPDIR/mock/pid")"
}

sent() { grep -cE "\"$1 /v2/[^\"]* HTTP" "$REG_LOG" || :; }

@test "push: what was pushed is pulled again, by hpcrun and by skopeo" {
	"$HPCRUN" push -q lab/tree:1 "$REGISTRY/lab/one:1" >out
	HPCRUN_STORE=$BATS_TEST_TMPDIR/other "$HPCRUN" pull -q "$REGISTRY/lab/one:1" | cmp - out
	HPCRUN_STORE="$BATS_TEST_TMPDIR/other $SCRATCH/store" run -0 "$HPCRUN" diff -q "$REGISTRY/lab/one:1" lab/tree:1
	[ "${lines[0]}" = '0 added (0 B), 0 removed (0 B), 0 changed (0 B)' ]
	need skopeo
	skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/lab/one:1" "oci:$BATS_TEST_TMPDIR/oci:1"
	[ "$(skopeo inspect --raw "oci:$BATS_TEST_TMPDIR/oci:1" | sha256sum | cut -d' ' -f1)" = "$(sed 's/sha256://' out)" ]
	[ "$(skopeo inspect --tls-verify=false "docker://$REGISTRY/lab/one:1" | jq '.Layers | length')" = 1 ]
}

@test "push: what the registry has is not sent again" {
	"$HPCRUN" push -q lab/tree:1 "$REGISTRY/lab/two:1"
	before=$(sent PATCH)
	[ "$before" -ge 3 ]
	"$HPCRUN" push --json lab/tree:1 "$REGISTRY/lab/two:2" >out
	[ "$(sent PATCH)" = "$before" ]
	jq -e '.uploaded == 0 and (.as_it_was | not) and (.digest | startswith("sha256:"))' out
}

@test "push: layers that another repository of the registry has are mounted, and the digest stays" {
	need skopeo
	publish busybox >/dev/null
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1" >digest
	before=$(sent PATCH)
	run -0 --separate-stderr "$HPCRUN" push "$REGISTRY/test/busybox:1" "$REGISTRY/lab/mounted:1"
	[ "$output" = "$(cat digest)" ]
	[[ $stderr == *"as it was pulled"* ]]
	[ "$(sent PATCH)" = "$before" ]
	skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/lab/mounted:1" "oci:$BATS_TEST_TMPDIR/oci:1"
	# unless another form is wanted
	run -0 --separate-stderr "$HPCRUN" push --squash "$REGISTRY/test/busybox:1" "$REGISTRY/lab/mounted:one"
	[ "$output" != "$(cat digest)" ]
}

# elsewhere IMAGE: the image under a name that does not tell the registry where it has the layers
elsewhere() {
	"$HPCRUN" pull -q "$REGISTRY/test/$1:1" >/dev/null
	"$HPCRUN" tag "$REGISTRY/test/$1:1" "lab/$1:1" >/dev/null
	"$HPCRUN" rmi "$REGISTRY/test/$1:1" >/dev/null
}
layers_of() { skopeo inspect --tls-verify=false "docker://$1" | jq -r '.Layers[]'; }

@test "push: an image keeps its layers where the registry lacks them, and shares them with the next" {
	need skopeo
	local image
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	for image in whiteouts hardlinks busybox; do
		publish "$image"
		elsewhere "$image"
		run -0 --separate-stderr "$HPCRUN" push "lab/$image:1" "$REGISTRY/lab/kept:$image"
		[ "$(layers_of "$REGISTRY/lab/kept:$image" | wc -l)" = "$(layers_of "$REGISTRY/test/$image:1" | wc -l)" ]
		# the same image comes back, by us and by others
		HPCRUN_STORE=$BATS_TEST_TMPDIR/other "$HPCRUN" pull -q "$REGISTRY/lab/kept:$image" >/dev/null
		HPCRUN_STORE="$BATS_TEST_TMPDIR/other $HPCRUN_STORE" run -0 "$HPCRUN" diff -q "$REGISTRY/lab/kept:$image" "lab/$image:1"
		[ "${lines[0]}" = '0 added (0 B), 0 removed (0 B), 0 changed (0 B)' ]
	done
	# of the last one all was there: the lowest layer of the first
	[[ $stderr == *'already there'*'as one layer, '* ]]
	[ "$(layers_of "$REGISTRY/lab/kept:busybox")" = "$(layers_of "$REGISTRY/lab/kept:whiteouts" | head -n 1)" ]
	# links into another layer are in no archive by itself
	publish hardlinks-across-layers
	elsewhere hardlinks-across-layers
	run -0 --separate-stderr "$HPCRUN" push lab/hardlinks-across-layers:1 "$REGISTRY/lab/kept:4"
	[[ $stderr == *"pushed as one layer: layer sha256:"*"is a link to a file of another layer"* ]]
	# made again it is the same, and what is pulled again is pushed as it is
	"$HPCRUN" push --json lab/whiteouts:1 "$REGISTRY/lab/kept:2" | jq -e '.uploaded == 0 and (.as_it_was | not)'
	HPCRUN_STORE=$BATS_TEST_TMPDIR/other "$HPCRUN" push --json "$REGISTRY/lab/kept:whiteouts" "$REGISTRY/lab/kept:3" | jq -e .as_it_was
	skopeo inspect --config --tls-verify=false "docker://$REGISTRY/lab/kept:2" | jq .history >a
	skopeo inspect --config --tls-verify=false "docker://$REGISTRY/test/whiteouts:1" | jq .history | cmp - a
}

@test "push: with a login, and without one a message that says how" {
	export HOME=$BATS_TEST_TMPDIR/home
	mkdir -p "$HOME"
	registry_start "$BATS_TEST_TMPDIR/registry" alice secret
	fail_with "hpcrun login $REGISTRY" "$HPCRUN" push lab/small:1 "$REGISTRY/lab/small:1"
	echo secret | "$HPCRUN" login -u alice --password-stdin "$REGISTRY"
	"$HPCRUN" push -q lab/small:1 "$REGISTRY/lab/small:1"
	registry_stop
}

# ---- a registry that misbehaves

# mocked [SCRIPT]: TO is an image there.
mocked() {
	MOCK=$BATS_TEST_TMPDIR/mock
	mkdir -p "$MOCK"
	echo "${1:-{\}}" >"$MOCK/script"
	mock_start "$MOCK"
	# shellcheck disable=SC1091
	. "$MOCK/env"
	TO=127.0.0.1:$PORT/lab/app:new
}
# pushed [IMAGE]: the push succeeds, and what is there afterwards can be pulled and is the same
pushed() {
	"$HPCRUN" push -q "${1:-lab/tree:1}" "$TO"
	echo '{}' >"$MOCK/script"
	HPCRUN_STORE=$BATS_TEST_TMPDIR/store "$HPCRUN" pull -q "$TO"
	HPCRUN_STORE="$BATS_TEST_TMPDIR/store $SCRATCH/store" run -0 "$HPCRUN" diff -q "$TO" "${1:-lab/tree:1}"
	[ "${lines[0]}" = '0 added (0 B), 0 removed (0 B), 0 changed (0 B)' ]
}
logged() { jq -r "select($1) | .method" "$MOCK/log" | wc -l; }

@test "push: pieces that are lost, in part or all but the reply, are sent again from where it broke" {
	mocked '{"rules": [
		{"method": "PATCH", "times": 1, "lose": 1000000},
		{"method": "PATCH", "skip": 0, "times": 1, "status": 503},
		{"method": "PATCH", "skip": 0, "times": 1, "forget": true},
		{"method": "PUT", "path": "digest", "times": 1, "forget": true},
		{"method": "PUT", "path": "manifests", "times": 1, "status": 500}]}'
	pushed
	# only what was missing went twice
	[ "$(jq -s '[.[] | select(.method == "PATCH") | .headers["Content-Length"] | tonumber] | add' "$MOCK/log")" -lt 50000000 ]
}

@test "push: a token that may push is asked for" {
	mocked '{"auth": {"scheme": "Bearer", "user": "alice", "password": "s3cret", "scoped": true}}'
	export HOME=$BATS_TEST_TMPDIR/home
	mkdir -p "$HOME/.docker"
	fail_with 'hpcrun login' "$HPCRUN" push -q lab/small:1 "$TO"
	printf '{"auths":{"127.0.0.1:%s":{"auth":"%s"}}}' "$PORT" "$(printf alice:s3cret | base64)" >"$HOME/.docker/config.json"
	chmod 600 "$HOME/.docker/config.json"
	pushed lab/small:1
	[ "$(logged '(.path | test("^/token.*scope=repository%3Alab%2Fapp%3Apull%2Cpush"))')" -ge 1 ]
}

@test "push: an upload is not sent to another host, nor without end" {
	mocked '{"rules": [{"method": "POST", "location": "http://elsewhere.example/upload"}]}'
	fail_with "sent to 'elsewhere.example', which is refused" "$HPCRUN" push -q lab/small:1 "$TO"
	echo '{"rules": [{"method": "POST", "redirect": "http://127.0.0.1:{cdn}/x"}]}' >"$MOCK/script"
	fail_with 'redirects the upload of .*, which is not followed' "$HPCRUN" push -q lab/small:1 "$TO"
	[ "$(logged '.on == "cdn"')" = 0 ]
	echo '{"rules": [{"method": "PUT", "status": 400, "body": "{\"errors\":[{\"code\":\"DIGEST_INVALID\"}]}"}]}' >"$MOCK/script"
	fail_with 'answers 400 \(DIGEST_INVALID\) to the upload of' "$HPCRUN" push -q lab/small:1 "$TO"
	fail_with 'has a digest' "$HPCRUN" push lab/small:1 "$TO@sha256:$(printf '0%.0s' {1..64})"
	fail_with "'lab/none:1' is not in the store" "$HPCRUN" push lab/none:1 "$TO"
}

@test "push: each layer has a line that says what became of it, on a terminal a bar before that" {
	run -0 --separate-stderr "$HPCRUN" push lab/small:1 "$REGISTRY/lab/shown:1"
	[[ ${stderr_lines[0]} =~ ^layer\ [0-9a-f]{12}:\ .*B:\ done$ ]]
	run -0 --separate-stderr "$HPCRUN" push lab/small:1 "$REGISTRY/lab/shown:2"
	[[ ${stderr_lines[0]} =~ ^layer\ [0-9a-f]{12}:\ .*B:\ already\ there$ ]]
	run -0 --separate-stderr "$HPCRUN" push -q lab/small:1 "$REGISTRY/lab/shown:3"
	[ -z "$stderr" ]
	need python3
	# 20 MB that do not compress take long enough for a bar
	mocked
	python3 - "$HPCRUN" push lab/tree:1 "$TO" >"$BATS_TEST_TMPDIR/seen" <<-'EOF2'
		import fcntl, os, pty, struct, sys, termios
		pid, fd = pty.fork()
		if pid == 0:
		    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
		    os.execv(sys.argv[1], ["hpcrun"] + sys.argv[2:])
		seen = b""
		try:
		    while part := os.read(fd, 4096):
		        seen += part
		except OSError:
		    pass
		sys.stdout.write(seen.decode())
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	EOF2
	tr '\r' '\n' <"$BATS_TEST_TMPDIR/seen" | sed 's/\x1b\[K//' >"$BATS_TEST_TMPDIR/lines"
	grep -qE '^[0-9a-f]{12}  \[#+\.*\] [0-9.]+ MB of [0-9.]+ MB' "$BATS_TEST_TMPDIR/lines"
	[ "$(awk 'length($0) > 79' "$BATS_TEST_TMPDIR/lines" | grep -cv sha256:)" = 0 ]
}
