#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# What hpcrun images, inspect, rmi, gc, login and logout print, refuse and survive. HPCRUN_BUILD is the build
# tree, with tests/lib/mkstore in it; images.bats has the same verbs with pulled images.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	need_mkstore
	scratch_make
	mkdir -p "$SCRATCH/a/bin" "$SCRATCH/b/bin"
	cp /bin/ls "$SCRATCH/a/bin/ls"
	cp /bin/cat "$SCRATCH/b/bin/cat"
}
teardown_file() { scratch_remove; }

setup() {
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
}

image() { "$MKSTORE" "${3:-$HPCRUN_STORE}" "$1" "$SCRATCH/$2" >/dev/null; }
objects() { (cd "$HPCRUN_STORE" && find docs blobs layers images index packs -type f 2>/dev/null | sort); }

@test "images: the size of a store in all is below the list, once for images that share all" {
	image h.example/a:1 a
	image h.example/lab/b:2 a
	run -0 "$HPCRUN" images
	[ "${#lines[@]}" = 4 ]
	[[ ${lines[1]} == h.example/a* && ${lines[2]} == h.example/lab/b* ]]
	[[ ${lines[3]} == *" in all, in '$HPCRUN_STORE'" ]]
	bytes=$("$HPCRUN" images --json | jq '.[0].occupies')
	[ "$bytes" -gt 10000 ]
	[ "$(find "$HPCRUN_STORE/packs" -type f -printf %s)" -lt $((bytes + 10000)) ]
}

@test "images: a word fits what ends with it, a tag is exact" {
	image h.example/lab/app:1 a
	image h.example/lab/app:2 a
	image h.example/lab/other:1 b
	[ "$("$HPCRUN" images -q)" = $'h.example/lab/app:1\nh.example/lab/app:2\nh.example/lab/other:1' ]
	[ "$("$HPCRUN" images -q lab/app)" = $'h.example/lab/app:1\nh.example/lab/app:2' ]
	[ "$("$HPCRUN" images -q app:2)" = h.example/lab/app:2 ]
	[ -z "$("$HPCRUN" images -q pp)" ]
	[ -z "$("$HPCRUN" images -q app:3)" ]
	fail_with 'exclude each other' "$HPCRUN" images -q --json
	fail_with 'UPPER' "$HPCRUN" images UPPER
}

@test "images: digests have 12 digits, or with --no-trunc all" {
	image h.example/a:1 a
	run -0 "$HPCRUN" images
	[[ ${lines[1]} =~ \ [0-9a-f]{12}\  ]]
	run -0 "$HPCRUN" images --no-trunc
	[[ ${lines[1]} =~ \ sha256:[0-9a-f]{64}\  ]]
}

@test "images: of several stores all are listed, with a column that says which" {
	image h.example/a:1 a
	image h.example/a:1 a "$BATS_TEST_TMPDIR/site"
	HPCRUN_STORE="$HPCRUN_STORE $BATS_TEST_TMPDIR/site $BATS_TEST_TMPDIR/absent" run -0 "$HPCRUN" images
	[[ ${lines[0]} == *STORE ]]
	[[ ${lines[1]} == *"$BATS_TEST_TMPDIR/store" ]]
	[[ ${lines[2]} == *"$BATS_TEST_TMPDIR/site" ]]
	[[ ${lines[4]} == *"$BATS_TEST_TMPDIR/site'" ]]
	fail_with "cannot open store '$BATS_TEST_TMPDIR/absent'" "$HPCRUN" images --store "$BATS_TEST_TMPDIR/absent"
}

@test "images: stores behind URLs are left out, and refused when they are named" {
	image h.example/a:1 a
	HPCRUN_STORE="http://127.0.0.1:1/s $HPCRUN_STORE" run -0 "$HPCRUN" images -q
	[ "$output" = h.example/a:1 ]
	HPCRUN_STORE="$HPCRUN_STORE http://127.0.0.1:1/s" fail_with "hint: .*; stores behind URLs are for 'run' and 'prefetch' alone" \
		"$HPCRUN" export h.example/b:1 b.tar
	HPCRUN_STORE=http://127.0.0.1:1/s fail_with 'all stores are URLs' "$HPCRUN" gc
	fail_with "'http://127.0.0.1:1/s' is a URL" "$HPCRUN" images --store http://127.0.0.1:1/s
}

@test "images: a damaged image is listed, and named on standard error" {
	image h.example/a:1 a
	find "$HPCRUN_STORE/images" -type f -exec sh -c 'echo x >"$1"' sh {} \;
	run -0 --separate-stderr "$HPCRUN" images
	[[ ${lines[1]} == h.example/a* ]]
	[[ $stderr == *"the image of 'h.example/a:1' is damaged"* ]]
	"$HPCRUN" images --json 2>/dev/null | jq -e '.[0].size == null'
}

@test "images: a name that none fits is told so, with a status to branch on" {
	image h.example/lab/app:1 a
	run -1 --separate-stderr "$HPCRUN" images lab/ap
	[[ -z $output && $stderr == *"no image in the store '$HPCRUN_STORE' fits 'lab/ap'"*"did you mean 'lab/app'?" ]]
	run -1 --separate-stderr "$HPCRUN" images -q none
	[ -z "$output$stderr" ]
	run -1 --separate-stderr "$HPCRUN" images --json none
	[ "$output$stderr" = '[]' ]
	run -0 "$HPCRUN" images -q app
}

@test "images: a full disk under the list is a failure" {
	image h.example/a:1 a
	status=0
	"$HPCRUN" images >/dev/full 2>"$BATS_TEST_TMPDIR/err" || status=$?
	[ "$status" = 125 ]
	grep -q 'No space left' "$BATS_TEST_TMPDIR/err"
}

@test "images: a thousand take no second" {
	image h.example/a:1 a
	digest=$("$HPCRUN" images --json | jq -r '.[0].digest')
	for i in $(seq 1000); do
		printf 'manifest %s\ndocument %s\npulled %s\nserver h.example\n' "$digest" "$digest" "$i" \
			>"$HPCRUN_STORE/refs/h.example/a/_tags/t$i"
	done
	run -0 timeout 1 "$HPCRUN" images
	[ "${#lines[@]}" = 1003 ]
}

@test "inspect: is one JSON object with the names of the page" {
	image h.example/a:1 a
	"$HPCRUN" inspect h.example/a:1 >"$BATS_TEST_TMPDIR/out"
	jq -e '.reference == "h.example/a:1" and .os == "linux" and .env == ["PATH=/usr/bin:/bin"] and .inodes == 3
		and .packs == 1 and .chunks >= 1 and .occupies > 0 and (.layers | length) == 1
		and .store == env.HPCRUN_STORE' "$BATS_TEST_TMPDIR/out"
	# and by its digest
	"$HPCRUN" inspect "$(jq -r .digest "$BATS_TEST_TMPDIR/out")" | jq -e '.inodes == 3'
}

@test "rmi: an unknown name is answered with the nearest one, and nothing is removed" {
	image h.example/lab/app:1 a
	image h.example/lab/b:1 a
	fail_with "did you mean 'h.example/lab/app:1'" "$HPCRUN" rmi h.example/lab/b:1 lab/app
	fail_with "did you mean 'h.example/lab/app:1'" "$HPCRUN" rmi h.example/lab/ap:1
	fail_with "too few operands" "$HPCRUN" rmi
	[ "$("$HPCRUN" images -q | wc -l)" = 2 ]
}

@test "rmi: with a digest removes only what means it" {
	image h.example/a:1 a
	digest=$("$HPCRUN" inspect h.example/a:1 | jq -r .digest)
	fail_with 'has another digest' "$HPCRUN" rmi "h.example/a:1@sha256:$(printf '0%.0s' {1..64})"
	# a digest alone is another reference, and not there
	fail_with "did you mean 'h.example/a:1'" "$HPCRUN" rmi "h.example/a@$digest"
	run -0 "$HPCRUN" rmi "h.example/a:1@$digest"
	[ -z "$("$HPCRUN" images -q)" ]
}

@test "rmi: says what gc would free, unless another reference keeps it" {
	image h.example/a:1 a
	image h.example/a:2 a
	run -0 "$HPCRUN" rmi h.example/a:1
	[ "$output" = "removed h.example/a:1" ]
	run -0 "$HPCRUN" rmi h.example/a:2
	[[ ${lines[1]} == "'hpcrun gc' frees "*" kB" || ${lines[1]} == "'hpcrun gc' frees "*" MB" ]]
	run -0 "$HPCRUN" gc --dry-run
	[[ $output == *"would remove"*"images 1, "*"packs 1, "* ]]
	[ -n "$(objects)" ]
	run -0 "$HPCRUN" gc
	[[ $output == *"removed"*"images 1, "*"packs 1, "* ]]
	[ -z "$(objects)" ]
	run -0 "$HPCRUN" gc
	[[ $output == "nothing to remove"* ]]
}

@test "rmi, tag: as JSON" {
	image h.example/a:1 a
	digest=$("$HPCRUN" inspect --json h.example/a:1 | jq -r .digest)
	"$HPCRUN" tag --json h.example/a:1 app:2 |
		jq -e --arg digest "$digest" '. == {reference: "docker.io/library/app:2", digest: $digest, store: env.HPCRUN_STORE}'
	"$HPCRUN" rmi --json app:2 |
		jq -e '. == {store: env.HPCRUN_STORE, removed: ["docker.io/library/app:2"], garbage: 0}'
	"$HPCRUN" tag h.example/a:1 app:2
	"$HPCRUN" rmi --json app:2 h.example/a:1 | jq -e '(.removed | length) == 2 and .garbage > 10000'
}

@test "rmi: leaves another store alone, and says where the image is" {
	image h.example/a:1 a
	image h.example/b:1 b "$BATS_TEST_TMPDIR/site"
	HPCRUN_STORE="$HPCRUN_STORE $BATS_TEST_TMPDIR/site" fail_with "use --store" "$HPCRUN" rmi h.example/b:1
	"$HPCRUN" rmi --store "$BATS_TEST_TMPDIR/site" h.example/b:1
}

@test "gc: as JSON, with what is removed" {
	image h.example/a:1 a
	"$HPCRUN" rmi h.example/a:1
	"$HPCRUN" gc -n --json | jq -e '.event == "gc" and .dry_run and .images == 1 and .bytes > 0 and .store == env.HPCRUN_STORE'
	"$HPCRUN" gc -v --json >"$BATS_TEST_TMPDIR/out"
	jq -se '(.[:-1] | all(.event == "removed")) and (map(select(.event == "removed") | .bytes) | add) == .[-1].bytes' \
		"$BATS_TEST_TMPDIR/out"
	"$HPCRUN" gc --json | jq -e '.bytes == 0 and .spared == 0'
}

@test "gc: an image that was pulled by its digest is kept" {
	image h.example/a:1 a
	digest=$("$HPCRUN" inspect h.example/a:1 | jq -r .digest)
	mkdir "$HPCRUN_STORE/refs/h.example/a/_digests"
	mv "$HPCRUN_STORE/refs/h.example/a/_tags/1" "$HPCRUN_STORE/refs/h.example/a/_digests/${digest#sha256:}"
	run -0 "$HPCRUN" gc
	[[ $output == "nothing to remove"* ]]
	[ "$("$HPCRUN" images -q)" = "h.example/a@$digest" ]
	"$HPCRUN" rmi "h.example/a@$digest"
	"$HPCRUN" gc
	[ -z "$(objects)" ]
}

@test "gc: an image that was removed a short time ago is spared as long as the grace says" { # F9
	image h.example/a:1 a
	"$HPCRUN" rmi h.example/a:1
	run -0 "$HPCRUN" gc --grace 2
	[[ $output == *"images 1"*"nothing to remove"* ]]
	[ -n "$(objects)" ]
	find "$HPCRUN_STORE/images" -type f -exec touch -d '-119 minutes' {} +
	run -0 "$HPCRUN" gc --grace 2
	[ -n "$(objects)" ]
	find "$HPCRUN_STORE/images" -type f -exec touch -d '-121 minutes' {} +
	echo 'gc_grace = 3' >"$BATS_TEST_TMPDIR/conf"
	HPCRUN_CONF=$BATS_TEST_TMPDIR/conf run -0 "$HPCRUN" gc
	[ -n "$(objects)" ]
	run -0 "$HPCRUN" gc --grace 2
	[[ $output == "removed"* ]]
	[ -z "$(objects)" ]
	fail_with '--grace' "$HPCRUN" gc --grace x
	# a tag that means another image now
	image h.example/a:1 a
	find "$HPCRUN_STORE/images" -type f -exec touch -d '-3 hours' {} +
	image h.example/a:1 b
	run -0 "$HPCRUN" gc --grace 2
	[[ $output == *"images 1"*"nothing to remove"* ]]
}

@test "gc: a pull that runs is named and waited for, and nothing is removed meanwhile" {
	image h.example/a:1 a
	"$HPCRUN" rmi h.example/a:1
	objects >"$BATS_TEST_TMPDIR/before"
	mkdir -p "$HPCRUN_STORE/leases"
	# a process of another host: alive as long as somebody touches the file
	printf 'host far\nprocess 0123456789abcdef-1-77-88\nserial 0\n' >"$HPCRUN_STORE/leases/import-$(printf '1%.0s' {1..64})"
	(while sleep 1; do touch "$HPCRUN_STORE"/leases/import-*; done) 3>&- &
	touching=$!
	"$HPCRUN" gc 2>"$BATS_TEST_TMPDIR/told" 3>&- &
	gc=$!
	wait_until 20 grep -q "process 77 on host 'far' is pulling an image into it; waiting" "$BATS_TEST_TMPDIR/told"
	kill $touching
	objects | cmp - "$BATS_TEST_TMPDIR/before"
	[ ! -e "$HPCRUN_STORE/leases/gc" ]
	kill -TERM $gc
	wait $gc || gc=ended
	[ $gc = ended ]
}

@test "gc: killed at each removal leaves no image that lacks a part, and the next one ends it" {
	need strace
	for n in 1 2 3 4; do
		rm -rf "$HPCRUN_STORE"
		image h.example/a:1 a
		image h.example/b:1 b
		"$HPCRUN" rmi h.example/a:1
		libexec=${HPCRUN_LIBEXECDIR:-$(dirname "$HPCRUN")/../libexec/hpcrun}
		strace -o /dev/null -e trace=unlinkat -e inject="unlinkat:signal=KILL:when=$n" "$libexec/hpcrun-store" gc || :
		for record in "$HPCRUN_STORE"/images/*/*; do
			"$HPCRUN" inspect "sha256:${record##*/}" >/dev/null
			[ "$(find "$HPCRUN_STORE/packs" -type f | wc -l)" -ge "$("$HPCRUN" inspect "sha256:${record##*/}" | jq .packs)" ]
		done
		"$HPCRUN" gc
		[ "$(find "$HPCRUN_STORE/images" "$HPCRUN_STORE/index" "$HPCRUN_STORE/packs" -type f | wc -l)" = 4 ]
		"$HPCRUN" inspect h.example/b:1 >/dev/null
	done
}

@test "gc: a store without write permission is refused" {
	[ "$(id -u)" != 0 ] || skip 'root may write everywhere'
	image h.example/a:1 a
	"$HPCRUN" rmi h.example/a:1
	chmod -R a-w "$HPCRUN_STORE"
	status=0
	fail_with 'Permission denied' "$HPCRUN" gc || status=$?
	chmod -R u+w "$HPCRUN_STORE" # or nobody could remove it
	[ "$status" = 0 ]
}

@test "login: without a terminal says how to do without" {
	fail_with 'password-stdin' setsid -w "$HPCRUN" login 127.0.0.1:1
	fail_with 'needs --username' "$HPCRUN" login --password-stdin 127.0.0.1:1
	fail_with 'empty or has a line break' "$HPCRUN" login -u alice --password-stdin 127.0.0.1:1
}

@test "login: on a terminal the password is asked for, and not shown" {
	need python3
	export HOME=$BATS_TEST_TMPDIR/home
	mkdir -p "$HOME"
	registry_start "$BATS_TEST_TMPDIR/registry" alice secret
	# the answers are typed when they are asked for, as a person does
	python3 - "$HPCRUN" "$REGISTRY" >"$BATS_TEST_TMPDIR/out" <<-'EOF2'
		import os, pty, sys
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], ["hpcrun", "login", sys.argv[2]])
		seen = b""
		def until(text):
		    global seen
		    while text not in seen:
		        seen += os.read(fd, 4096)
		until(b"user name: ")
		os.write(fd, b"alice\n")
		until(b"password of alice at ")
		until(b": ")
		import termios
		while termios.tcgetattr(fd)[3] & termios.ECHO:
		    pass
		os.write(fd, b"secret\n")
		until(b"logged in to ")
		print(seen.decode())
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	EOF2
	registry_stop
	[[ $(<"$BATS_TEST_TMPDIR/out") != *secret* ]]
	[ "$(stat -c %a "$HOME/.docker/config.json")" = 600 ]
	run -0 "$HPCRUN" logout "$REGISTRY"
	[ "$output" = "forgot the login for $REGISTRY" ]
	registry_start "$BATS_TEST_TMPDIR/registry2" alice secret
	echo secret | "$HPCRUN" login --json -u alice --password-stdin "$REGISTRY" |
		jq -e '. == {registry: env.REGISTRY, username: "alice"}'
	"$HPCRUN" logout --json "$REGISTRY" | jq -e '. == {registry: env.REGISTRY}'
	registry_stop
	fail_with "no login for '$REGISTRY'" "$HPCRUN" logout "$REGISTRY"
}
