#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun pull, login and logout, against a docker-registry on loopback.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	file_setup
	publish busybox whiteouts large-and-many-files diff-id-wrong
	publish_variants
}
teardown_file() { file_teardown; }

setup() {
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	: >"$REG_LOG"
}

# test/multi:1 is an index of two platforms; test/docker:1 is the same image with Docker's media types
publish_variants() {
	python3 "$TESTS_DIR/lib/variants.py" "$REG_STORAGE"
}

@test "pull: an image is there afterwards, under the name it was pulled by" {
	run -0 "$HPCRUN" pull "$REGISTRY/test/busybox:1"
	[ "${lines[0]}" = "pulling $REGISTRY/test/busybox:1, 1 layer" ]
	run -0 "$HPCRUN" images
	[[ $output == *"$REGISTRY/test/busybox"* ]]
}

@test "pull: the second time downloads nothing" {
	"$HPCRUN" pull "$REGISTRY/test/busybox:1"
	: >"$REG_LOG"
	"$HPCRUN" pull "$REGISTRY/test/busybox:1"
	grep GET "$REG_LOG"
	[ "$(registry_requests '/v2/test/busybox/blobs/')" = 0 ]
}

@test "pull: a second image downloads only the layers that are not there" {
	"$HPCRUN" pull "$REGISTRY/test/busybox:1"
	: >"$REG_LOG"
	"$HPCRUN" pull "$REGISTRY/test/whiteouts:1"
	# of three layers the lowest is there; the config comes too
	[ "$(registry_requests '/v2/test/whiteouts/blobs/')" = 3 ]
}

@test "plan: tells what a pull would download, by layer, and makes nothing" {
	local plan=("$HPCRUN" plan --json "$REGISTRY/test/whiteouts:1")
	run -0 "$HPCRUN" plan "$REGISTRY/test/whiteouts:1"
	[[ $output == *"store     $HPCRUN_STORE (not there yet)"* ]]
	[[ $output == *' in 3 of 3 layers ('* ]]
	[ ! -e "$HPCRUN_STORE" ]
	[ "$(registry_requests '/v2/test/whiteouts/blobs/')" = 1 ] # the config
	"$HPCRUN" pull "$REGISTRY/test/busybox:1"
	# the lowest layer is there now
	[ "$("${plan[@]}" | jq -c '[.layers[].here]')" = '[true,false,false]' ]
	[ "$("${plan[@]}" | jq '.to_download < .compressed and .to_download > 0')" = true ]
	"$HPCRUN" pull "$REGISTRY/test/whiteouts:1"
	[ "$("${plan[@]}" | jq '.here and .to_download == 0')" = true ]
	run -0 "$HPCRUN" plan "$REGISTRY/test/whiteouts:1"
	[[ $output == *'All of it is here'* ]]
	fail_with "cannot plan the pull of '$REGISTRY/test/nothing:1'" "$HPCRUN" plan "$REGISTRY/test/nothing:1"
	# a layer that stands twice in the image is downloaded once
	publish same-layer-twice
	run -0 "$HPCRUN" plan --json "$REGISTRY/test/same-layer-twice:1"
	jq -e '[.layers[] | select(.here | not)] | length > (unique_by(.blob) | length)' <<<"$output"
	jq -e '.to_download == ([.layers[] | select(.here | not)] | unique_by(.blob) | map(.compressed) | add)' <<<"$output"
}

@test "plan: of an image that came from files, or whose registry is gone, tells what the store knows" {
	mkdir -p "$BATS_TEST_TMPDIR/root"
	echo x >"$BATS_TEST_TMPDIR/root/x"
	"$HPCRUN" import -q "$BATS_TEST_TMPDIR/root" lab/files:1
	run -0 "$HPCRUN" plan lab/files:1
	[[ $output == *'registry  not asked, this is what the store knows: the image came from files'* ]]
	[[ $output == *'All of it is here'* ]]
	"$HPCRUN" pull -q "$REGISTRY/test/busybox:1"
	"$HPCRUN" tag "$REGISTRY/test/busybox:1" 127.0.0.1:1/lab/gone:1
	[ "$("$HPCRUN" plan --json 127.0.0.1:1/lab/gone:1 | jq '.here and (.not_asked | contains("127.0.0.1:1"))')" = true ]
	[ "$("$HPCRUN" plan --json "$REGISTRY/test/busybox:1" | jq .not_asked)" = null ]
	fail_with "cannot plan the pull of '127.0.0.1:1/lab/other:1'" "$HPCRUN" plan 127.0.0.1:1/lab/other:1
}

@test "tag: an image has another name, without the registry" {
	"$HPCRUN" pull "$REGISTRY/test/busybox:1"
	: >"$REG_LOG"
	run -0 "$HPCRUN" tag "$REGISTRY/test/busybox:1" mine:2
	[ "$output" = docker.io/library/mine:2 ]
	run -0 "$HPCRUN" run mine:2 echo ran
	[ "$output" = ran ]
	# by digest, too, and a tag that was there is moved
	digest=$("$HPCRUN" inspect mine:2 | jq -r .digest)
	run -0 "$HPCRUN" tag "$digest" "$REGISTRY/lab/own:x"
	"$HPCRUN" rmi "$REGISTRY/test/busybox:1"
	"$HPCRUN" gc
	run -0 "$HPCRUN" run "$REGISTRY/lab/own:x" echo ran
	[ "$(registry_requests .)" = 0 ]
	fail_with "no image 'docker.io/library/nothing:1'" "$HPCRUN" tag nothing:1 other:1
	fail_with 'a new name is a tag' "$HPCRUN" tag mine:2 "other@$digest"
}

@test "pull: by digest" {
	digest=$(curl -fsSI -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
		"http://$REGISTRY/v2/test/busybox/manifests/1" | tr -d '\r' | sed -n 's/^Docker-Content-Digest: //Ip')
	"$HPCRUN" pull "$REGISTRY/test/busybox@$digest"
	"$HPCRUN" pull "$REGISTRY/test/busybox:1@$digest"
	run -0 "$HPCRUN" run "$REGISTRY/test/busybox@$digest" echo ran
	[ "$output" = ran ]
}

@test "pull: of an index the manifest of this machine" {
	"$HPCRUN" pull "$REGISTRY/test/multi:1"
	run -0 "$HPCRUN" run "$REGISTRY/test/multi:1" cat /platform
	[ "$output" = "$(uname -m)" ]
}

@test "pull: an index without this machine's platform is refused, and says which there are" {
	fail_with 's390x' "$HPCRUN" pull "$REGISTRY/test/alien:1"
}

@test "pull: an image with Docker's media types" {
	"$HPCRUN" pull "$REGISTRY/test/docker:1"
	"$HPCRUN" run "$REGISTRY/test/docker:1" true
}

@test "pull: an image that skopeo pushed" {
	need skopeo
	python3 "$TESTS_DIR/lib/mkimage" --layout "$BATS_TEST_TMPDIR/oci" busybox
	skopeo copy -q --insecure-policy --dest-tls-verify=false "oci:$BATS_TEST_TMPDIR/oci:busybox" "docker://$REGISTRY/lab/app:1.0"
	"$HPCRUN" pull "$REGISTRY/lab/app:1.0"
	run -0 "$HPCRUN" "$REGISTRY/lab/app:1.0" echo ran
	[ "$output" = ran ]
}

@test "pull: the same image gives the same index in every store" {
	"$HPCRUN" --store "$BATS_TEST_TMPDIR/a" pull "$REGISTRY/test/whiteouts:1" ||
		"$HPCRUN" pull --store "$BATS_TEST_TMPDIR/a" "$REGISTRY/test/whiteouts:1"
	"$HPCRUN" pull --store "$BATS_TEST_TMPDIR/b" "$REGISTRY/test/busybox:1"
	"$HPCRUN" pull --store "$BATS_TEST_TMPDIR/b" "$REGISTRY/test/whiteouts:1"
	index() {
		find "$1/images" -type f -exec grep -h '^index' {} + | sort
	}
	index "$BATS_TEST_TMPDIR/a" | grep -q .
	comm -23 <(index "$BATS_TEST_TMPDIR/a") <(index "$BATS_TEST_TMPDIR/b") >"$BATS_TEST_TMPDIR/diff"
	[ ! -s "$BATS_TEST_TMPDIR/diff" ]
}

@test "pull: two at the same time do the work once" {
	"$HPCRUN" pull "$REGISTRY/test/large-and-many-files:1" 3>&- &
	one=$!
	"$HPCRUN" pull "$REGISTRY/test/large-and-many-files:1"
	wait $one
	[ "$(registry_requests '/v2/test/large-and-many-files/blobs/' | tee "$BATS_TEST_TMPDIR/n")" -le 5 ]
	"$HPCRUN" run "$REGISTRY/test/large-and-many-files:1" true
}

@test "pull: --json gives one JSON document a line" {
	"$HPCRUN" pull --json "$REGISTRY/test/busybox:1" >"$BATS_TEST_TMPDIR/out"
	[ -s "$BATS_TEST_TMPDIR/out" ]
	while read -r line; do
		jq -e . <<<"$line" >/dev/null
	done <"$BATS_TEST_TMPDIR/out"
}

@test "pull: no escape sequence goes to what is not a terminal" {
	"$HPCRUN" pull "$REGISTRY/test/whiteouts:1" >"$BATS_TEST_TMPDIR/out" 2>&1
	run -1 grep -q $'\033\|\r' "$BATS_TEST_TMPDIR/out"
}

@test "pull: an unknown tag is refused, and named" {
	fail_with "test/busybox:nosuch" "$HPCRUN" pull "$REGISTRY/test/busybox:nosuch"
}

@test "pull: an unknown repository is refused, and named" {
	fail_with "no/such" "$HPCRUN" pull "$REGISTRY/no/such:1"
}

@test "pull: a wrong reference is refused before any request" {
	for reference in 'UPPER/case' 'a b' '' ':1' "$REGISTRY/x@sha256:12" "$REGISTRY/../x" $'x\033[2J'; do
		fail_with . "$HPCRUN" pull "$reference"
	done
	[ "$(registry_requests '')" = 0 ]
}

@test "pull: what an image or a user says does not reach the terminal as escape sequences" {
	run "$HPCRUN" pull $'x\033[2Jy'
	[[ $output != *$'\033'* ]]
}

@test "pull: a registry that does not answer is named" {
	fail_with '127.0.0.1:1' "$HPCRUN" pull 127.0.0.1:1/test/busybox:1
}

@test "pull: a refused image leaves nothing visible, and a good one can follow" {
	fail_with . "$HPCRUN" pull "$REGISTRY/test/diff-id-wrong:1"
	run -0 "$HPCRUN" images
	[[ $output != *diff-id-wrong* ]]
	[ -z "$(find "$HPCRUN_STORE/tmp" "$HPCRUN_STORE/leases" -type f 2>/dev/null)" ]
	"$HPCRUN" pull "$REGISTRY/test/busybox:1"
}

@test "pull: killed at any moment leaves nothing visible, and the next pull works" {
	for delay in 0.01 0.03 0.06 0.1 0.15 0.25 0.4; do
		timeout -s KILL "$delay" "$HPCRUN" pull "$REGISTRY/test/large-and-many-files:1" >/dev/null 2>&1 3>&- || :
		run -0 "$HPCRUN" images
		[[ $output != *large-and-many-files* ]] || break
	done
	wait_until 70 "$HPCRUN" pull "$REGISTRY/test/large-and-many-files:1"
	"$HPCRUN" run "$REGISTRY/test/large-and-many-files:1" cat /large >/dev/null
}

@test "pull: ctrl-C ends it at once, and leaves nothing half-made" {
	for delay in 0.05 0.2; do
		status=0
		# or the group, which is ours alone, has it a second time, and that ends it without any order
		timeout --foreground --preserve-status -s INT "$delay" "$HPCRUN" pull "$REGISTRY/test/large-and-many-files:1" \
			>/dev/null 2>&1 3>&- || status=$?
		[ "$status" = 130 ] || [ "$status" = 0 ] # it was faster
	done
	[ -z "$(find "$HPCRUN_STORE/leases" -type f 2>/dev/null)" ]
	"$HPCRUN" pull "$REGISTRY/test/large-and-many-files:1"
}

@test "pull: a full disk is one message, and nothing half-made" {
	need userns
	run -0 unshare -Urm sh -c '
		mount -t tmpfs -o size=3m none "$1" || exit 3
		HPCRUN_STORE=$1/store "$0" pull "$2" 2>"$3" >/dev/null
		[ $? = 125 ] || exit 4
		HPCRUN_STORE=$1/store "$0" images
		' "$HPCRUN" "$(mkdir "$BATS_TEST_TMPDIR/small" && echo "$BATS_TEST_TMPDIR/small")" \
		"$REGISTRY/test/large-and-many-files:1" "$BATS_TEST_TMPDIR/err"
	[[ $output != *large-and-many-files* ]]
	grep -qi 'no space left' "$BATS_TEST_TMPDIR/err"
}

@test "pull: a store that others can write is refused" {
	mkdir -m 777 "$HPCRUN_STORE"
	fail_with 'store' "$HPCRUN" pull "$REGISTRY/test/busybox:1"
}

@test "login: without one a registry that asks for it refuses, and says what to do" {
	own_registry
	fail_with 'hpcrun login' "$HPCRUN" pull "$REGISTRY/test/busybox:1"
}

@test "login: with a wrong password is refused" {
	own_registry
	status=0
	echo wrong | "$HPCRUN" login -u alice --password-stdin "$REGISTRY" >"$BATS_TEST_TMPDIR/out" 2>&1 || status=$?
	[ "$status" = 125 ]
}

@test "login: lets pull work, until logout" {
	own_registry
	echo secret | "$HPCRUN" login -u alice --password-stdin "$REGISTRY"
	"$HPCRUN" pull "$REGISTRY/test/busybox:1"
	[ "$(stat -c %a "$HOME/.docker/config.json")" = 600 ]
	"$HPCRUN" logout "$REGISTRY"
	rm -rf "$HPCRUN_STORE"
	fail_with . "$HPCRUN" pull "$REGISTRY/test/busybox:1"
}

# a registry of this test's own, user alice with password secret
own_registry() {
	export HOME=$BATS_TEST_TMPDIR/home
	mkdir -p "$HOME"
	registry_start "$BATS_TEST_TMPDIR/registry" alice secret
	publish busybox
}
teardown() {
	if [ -d "$BATS_TEST_TMPDIR/registry" ]; then
		registry_stop
	fi
}
