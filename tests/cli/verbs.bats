#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# Verbs that tell what is there: history, diff, verify, config, version.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	scratch_make
	# an image of two layers and three steps, and one whose config tells nothing or the wrong thing
	python3 - <<-EOF2
		import sys
		sys.path.insert(0, "$TESTS_DIR/lib")
		import oci, tarball as t
		l = oci.Layout("layout")
		a = l.add_layer(t.dir("d") + t.file("d/f", b"x" * 5000) + t.end())
		b = l.add_layer(t.dir("d") + t.file("d/g", b"y" * 50) + t.end())
		steps = [
		    {"created": "2024-01-01T00:00:00Z", "created_by": "/bin/sh -c #(nop) ADD file:abc in / "},
		    {"created": "2024-01-02T00:00:00Z", "created_by": "ENV A=\x1b[2J", "empty_layer": True},
		    {"created_by": "RUN " + "long " * 40, "comment": "buildkit"},
		]
		l.add_image("told", [a, b], history=steps)
		l.add_image("silent", [a, b], history=[])
		l.add_image("lies", [a, b], history=steps * 3 + ["word", {"created_by": 7, "created": []}])
		l.add_image("word", [a], history="none")
	EOF2
	for name in told silent lies word; do
		"$HPCRUN" import "oci:layout:$name" "lab/$name:1" 2>/dev/null
	done
}
teardown_file() { scratch_remove; }
setup() { cd "$SCRATCH" || return; }

@test "history: the last step first, with its layer and sizes" {
	run -0 "$HPCRUN" history lab/told:1
	[ "${#lines[@]}" = 4 ]
	[[ ${lines[0]} == LAYER*CREATED*SIZE*BLOB*"CREATED BY" ]]
	[[ ${lines[1]} =~ ^[0-9a-f]{12}\ +-\ .*\ B\ \ RUN\ long.*\.\.$ ]]
	[[ ${lines[2]} == "- "*"0 B    0 B  ENV A="'\x1b[2J' ]]
	[[ ${lines[3]} =~ years\ ago.*ADD\ file:abc\ in\ /\ ?$ ]]
	run -0 "$HPCRUN" history --no-trunc lab/told:1
	[[ ${lines[1]} =~ ^sha256:[0-9a-f]{64}\ .*RUN\ (long ){40}$ ]]
	[[ ${lines[3]} == *"/bin/sh -c #(nop) ADD"* ]]
	# the sizes are those of the layers
	"$HPCRUN" history --json lab/told:1 >out
	jq -e 'length == 3 and .[0].size == 2560 and .[2].size == 7168 and .[1].diff_id == null and .[1].size == 0
		and .[0].comment == "buildkit" and .[0].created == null' out
	[ "$(jq '[.[].compressed] | add' out)" = "$("$HPCRUN" inspect lab/told:1 | jq .compressed)" ]
	[ "$(jq -c '[.[2, 0].diff_id]' out)" = "$("$HPCRUN" inspect lab/told:1 | jq -c '[.layers[].diff_id]')" ]
}

@test "history: layers are listed whatever the config tells" {
	for name in silent lies; do
		"$HPCRUN" history --json "lab/$name:1" >out
		[ "$(jq '[.[] | select(.diff_id)] | length' out)" = 2 ]
	done
	[ "$(jq length out)" = 11 ]
	run -0 "$HPCRUN" history lab/word:1
	[ "${#lines[@]}" = 2 ]
	fail_with "'lab/none:1' is not in the store" "$HPCRUN" history lab/none:1
}

@test "history: a layer that the store has lost has no size" {
	cp -r "$HPCRUN_STORE" "$BATS_TEST_TMPDIR/store"
	find "$BATS_TEST_TMPDIR/store/layers" "$BATS_TEST_TMPDIR/store/blobs" -type f -delete
	"$HPCRUN" history --json --store "$BATS_TEST_TMPDIR/store" lab/told:1 |
		jq -e '.[0] | .size == null and .compressed == null and .diff_id'
}

# trees: two directories that differ in each way, and content that does not but lies in other chunks
trees() {
	mkdir -p a/{dir,gone} b/{dir,new}
	for d in a b; do
		seq 100000 >$d/same
		printf '%3000000s' '' | tr ' ' '\0' >$d/zeros
		echo "$d" >$d/content
		ln -s "$d" $d/link
		echo x >$d/mode
		echo x >$d/type
		: >$d/grows
	done
	seq 9 >b/before_same # now 'same' lies elsewhere in its chunk
	truncate -s 0 b/zeros && truncate -s 3000000 b/zeros
	chmod 600 b/mode
	rm b/type && mkdir b/type && echo y >b/type/below
	echo more >b/grows
	echo old >a/gone/$'\e[2J'
	touch -d 2001-01-01 a/dir
	touch -d 2001-01-01 b/same b/content
}

@test "diff: each kind of change has its line, and nothing else has one" {
	cd "$BATS_TEST_TMPDIR" && trees
	"$HPCRUN" import a lab/a:1 2>/dev/null
	"$HPCRUN" import b lab/b:1 2>/dev/null
	"$HPCRUN" diff lab/a:1 lab/b:1 >out
	head -n -2 out | sed -E 's/^(.) .{8}  /\1 /' | diff - <(cat <<-'EOF2'
		+ /before_same
		M /content  (content)
		- /gone/
		- /gone/\x1b[2J
		M /grows  (content)
		M /link  (content)
		M /mode  (mode)
		+ /new/
		M /type/  (type)
		+ /type/below
	EOF2
	)
	grep -qx '3 added ([0-9]* B), 2 removed (4 B), 5 changed ([0-9]* B)' out
	"$HPCRUN" diff --times lab/a:1 lab/b:1 | grep -q '/same  (time)$'
	run -0 "$HPCRUN" diff -q lab/a:1 lab/a:1
	[ "${lines[0]}" = '0 added (0 B), 0 removed (0 B), 0 changed (0 B)' ]
	# the other way round, what was added is removed; as JSON
	"$HPCRUN" diff --json lab/b:1 lab/a:1 | jq -e '[.removed[].path] == ["/before_same", "/new", "/type/below"]
		and (.changed | map(select(.path == "/grows")) == [{path: "/grows", type: "file", size: 0, size_before: 5,
		what: ["content"]}]) and .sums.removed.entries == 3 and .images[1].chunks > 0'
}

@test "diff: tells what two images share, and compares image files by their content" {
	cd "$BATS_TEST_TMPDIR" && mkdir a b
	head -c 3000000 /dev/urandom >a/large
	cp a/large b && echo b >b/more
	"$HPCRUN" import a lab/a:1 2>/dev/null
	"$HPCRUN" import b lab/b:1 2>/dev/null
	"$HPCRUN" diff --json -q lab/a:1 lab/b:1 >out
	jq -e '.shared_bytes == 3000000 and .shared_chunks >= 3 and .images[1].bytes == 3000002' out
	"$HPCRUN" export lab/a:1 a.sqfs 2>/dev/null
	run -0 "$HPCRUN" diff ./a.sqfs lab/b:1
	[ "${#lines[@]}" = 2 ] && [[ ${lines[0]} == "+ "*" /more" ]]
	"$HPCRUN" diff --json ./a.sqfs lab/b:1 | jq -e '.shared_bytes == null'
}

@test "diff: content that cannot be read is a failure, not a difference" {
	cd "$BATS_TEST_TMPDIR" && mkdir a b
	seq 1000 >a/x && cp a/x b/x && seq 10 >b/w
	export HPCRUN_STORE=$PWD/store
	"$HPCRUN" import a lab/a:1 2>/dev/null
	"$HPCRUN" import b lab/b:1 2>/dev/null
	find store/packs -type f -exec sh -c 'printf zzzzzzzz | dd of="$1" bs=1 seek=20 conv=notrunc' sh {} \; 2>/dev/null
	fail_with "cannot compare 'lab/a:1' with 'lab/b:1': '/x' cannot be read" "$HPCRUN" diff lab/a:1 lab/b:1
}

@test "verify: reads all of an image, and nothing of the others" {
	mkdir "$BATS_TEST_TMPDIR/x" && head -c 500000 /dev/urandom >"$BATS_TEST_TMPDIR/x/random"
	cp -r "$HPCRUN_STORE" "$BATS_TEST_TMPDIR/store"
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	find "$HPCRUN_STORE/packs" -type f >before
	"$HPCRUN" import "$BATS_TEST_TMPDIR/x" lab/x:1 2>/dev/null
	run -0 "$HPCRUN" verify lab/x:1 lab/told:1
	[[ ${lines[0]} == "checked 'lab/x:1': objects "* && ${lines[1]} == 'no damage' && ${#lines[@]} == 4 ]]
	pack=$(find "$HPCRUN_STORE/packs" -type f | grep -vxFf before)
	printf zzzz | dd of="$pack" bs=1 seek=300 conv=notrunc status=none
	run -1 --separate-stderr "$HPCRUN" verify -q lab/x:1 lab/told:1
	[[ $output == "packs/"*": frame"* && ${#lines[@]} == 1 ]]
	[[ $stderr == *"'hpcrun pull --force lab/x:1'"* ]]
	run -0 "$HPCRUN" verify -q lab/told:1
	[ -z "$output" ]
	run -1 "$HPCRUN" verify --json "$("$HPCRUN" inspect lab/x:1 | jq -r .digest)"
	jq -se '.[0].event == "damaged" and .[1].damaged == 1 and (.[1].image | startswith("sha256:"))' <<<"$output"
	# an index that cannot be opened is damage, too
	find "$HPCRUN_STORE/index" -type f ! -name '*.loc' -exec truncate -s 100 {} +
	run -1 "$HPCRUN" verify -q lab/told:1
	[[ $output == *"index/"* ]]
	fail_with "cannot verify 'lab/none:1': no store has it" "$HPCRUN" verify lab/none:1
	fail_with "it is a file" "$HPCRUN" verify ./x.sif
}

@test "config: each key has its value, its default and where it comes from" {
	cd "$BATS_TEST_TMPDIR"
	unset HPCRUN_STORE HPCRUN_CACHE SSL_CERT_FILE
	export HPCRUN_CONF=$PWD/site.conf XDG_CONFIG_HOME=$PWD/mine XDG_DATA_HOME=$PWD/data
	mkdir -p mine/hpcrun
	printf '# a site\nstore = /site\ncache_size = 10G\nlocked = mpi\nmpi = image\n' >site.conf
	printf 'store = https://h.example/s\ncache_size = 20G\n' >mine/hpcrun/hpcrun.conf
	"$HPCRUN" config --json >out
	key() { jq -c --arg k "$1" '.[] | select(.key == $k) | [.values, .defaults, .from]' out; }
	[ "$(key cache_size)" = "[[\"20G\"],[\"50G\"],[\"$PWD/mine/hpcrun/hpcrun.conf, line 2\"]]" ]
	[ "$(key outage_wait)" = '[["600"],["600"],["default"]]' ]
	[ "$(key proxy)" = '[[],[],[]]' ]
	[ "$(key store)" = "[[\"$PWD/data/hpcrun\",\"/site\",\"https://h.example/s\"],[],[\"default\",\"$PWD/site.conf, line 2\",$(:
		)\"$PWD/mine/hpcrun/hpcrun.conf, line 1\"]]" ]
	jq -e --arg where "$PWD/site.conf, line 4" '.[] | select(.key == "mpi") | .locked == $where' out
	# the variables, where nothing is locked
	HPCRUN_STORE='/a /b' HPCRUN_MPI=off HPCRUN_GPU=all https_proxy=http://me:secret@p.example:1/ "$HPCRUN" config >out
	grep -qE '^store +/a +- +HPCRUN_STORE$' out
	grep -qE '^ +/b +- +HPCRUN_STORE$' out
	grep -qE '^gpu +all +none +HPCRUN_GPU$' out
	grep -qE '^mpi +image +auto +.*site.conf, line 5 \(locked\)$' out
	grep -qE '^proxy +http://\*\*\*@p.example:1/ +- +https_proxy$' out
	run -1 grep secret out
	# one key, and those that are set
	[ "$("$HPCRUN" config cache_size)" = 20G ]
	[ -z "$("$HPCRUN" config proxy)" ]
	[ "$("$HPCRUN" config --set --json | jq -c '[.[].key]')" = '["store","mpi","cache_size","locked"]' ]
	fail_with "there is no key 'cash_size'" "$HPCRUN" config cash_size
	echo 'cash_size = 1' >>site.conf
	fail_with 'site.conf, line 6: unknown key' "$HPCRUN" config
}

@test "version: is one line as an option, all as a verb" {
	run -0 "$HPCRUN" --version
	[ "${#lines[@]}" = 1 ]
	[ "$("$HPCRUN" version | head -n 1)" = "$output" ]
	"$HPCRUN" version --json | jq -e --arg v "${output#hpcrun }" '.version == $v and (.features | index("sif"))
		and all(.libraries[]; .built != "") and any(.libraries[]; .loaded)'
	fail_with "surplus operand 'x'" "$HPCRUN" version x
}

@test "verbs of other programs: the message says what does the same" {
	fail_with "no verb 'build'" "$HPCRUN" build .
	fail_with "hint: .* \(an image called so: 'hpcrun run rm'\)" "$HPCRUN" rm x
	fail_with "hint: '--nv' is '--gpu' here" "$HPCRUN" run --nv lab/told:1 true
	fail_with "hint: '--deffile' is 'hpcrun history'" "$HPCRUN" inspect --deffile lab/told:1
	fail_with "hint: '--pwd' is '--workdir' here" "$HPCRUN" --pwd /tmp lab/told:1 true
	# but an image may be called so
	"$HPCRUN" tag lab/told:1 build
	need fuse
	run -127 "$HPCRUN" run build /none/x
}

@test "verbs of other programs: those that take the same operands do the same" {
	for word in ls list lookup; do
		[ "$("$HPCRUN" $word -q)" = "$("$HPCRUN" images -q)" ]
	done
	"$HPCRUN" tag lab/told:1 lab/gone:1
	"$HPCRUN" delete lab/gone:1
	fail_with "lab/gone:1'" "$HPCRUN" inspect lab/gone:1
	[ "$("$HPCRUN" prune --help)" = "$("$HPCRUN" gc --help)" ]
	[ "$("$HPCRUN" help load)" = "$("$HPCRUN" import --help)" ]
	[ "$("$HPCRUN" completion words delete lab/t)" = "$("$HPCRUN" completion words rmi lab/t)" ]
	[ -n "$("$HPCRUN" completion words delete lab/t)" ]
}

@test "verbs: a tag that is not here is told one that is, if that is near or the only one" {
	"$HPCRUN" tag lab/told:1 lab/near:12-slim
	fail_with "hint: did you mean tag '12-slim', which is here\?" "$HPCRUN" inspect lab/near
	"$HPCRUN" tag lab/told:1 lab/near:stable
	fail_with "hint: did you mean tag '12-slim', which is here\? else fetch it with 'hpcrun pull lab/near:12-smal'" \
		"$HPCRUN" inspect lab/near:12-smal
	fail_with "hint: fetch it with 'hpcrun pull lab/near:edge'" "$HPCRUN" inspect lab/near:edge
	fail_with "hint: fetch it with 'hpcrun pull lab/far:12-smal'" "$HPCRUN" inspect lab/far:12-smal
}

@test "verbs: one that stands behind an option is not pulled as an image" {
	fail_with "'run' is a verb: it stands before its options" "$HPCRUN" -v run lab/told:1 true
	fail_with "hint: write 'hpcrun ls .OPTION....'; an image of that name is 'ls:latest'" "$HPCRUN" --pull never ls
	fail_with "image 'run:latest' is not in" "$HPCRUN" --pull never run:latest
	fail_with "hpcrun has no verb 'ps'" "$HPCRUN" -v ps
	fail_with "image 'ps:latest' is not in" "$HPCRUN" --pull never ps:latest
	fail_with "did you mean 'hpcrun images'" "$HPCRUN" -v imagse
}

@test "help: as a verb, too, with the verbs or what one takes" {
	[ "$("$HPCRUN" help)" = "$("$HPCRUN" --help)" ]
	[ "$("$HPCRUN" help help)" = "$("$HPCRUN" help --help)" ]
	[ "$("$HPCRUN" help run)" = "$("$HPCRUN" run --help)" ]
	[ "$("$HPCRUN" help pull)" = "$("$HPCRUN" pull --help)" ]
	[ "$("$HPCRUN" help store sync)" = "$("$HPCRUN" store sync --help)" ]
	fail_with "hint: did you mean 'hpcrun help pull'" "$HPCRUN" help pul
	fail_with "hint: .*'hpcrun stats' shows sessions" "$HPCRUN" help ps
	fail_with "no verb 'lab/told:1'" "$HPCRUN" help lab/told:1
	[ "$("$HPCRUN" completion words help st | sort | paste -sd' ')" = 'stats store' ]
}

@test "run: --image names the image, as Shifter has it, and all operands are the command" {
	need fuse
	mkdir -p "$BATS_TEST_TMPDIR/root/bin"
	cp "$(command -v busybox)" "$BATS_TEST_TMPDIR/root/bin/echo"
	"$HPCRUN" import "$BATS_TEST_TMPDIR/root" shifter:1 2>/dev/null
	[ "$("$HPCRUN" --image=docker:shifter:1 echo a b)" = 'a b' ]
	[ "$("$HPCRUN" exec --image shifter:1 echo c)" = c ]
	[ "$(HPCRUN_IMAGE=none:1 "$HPCRUN" shifter:1 echo d)" = d ] # no variable has a say in this
	fail_with 'no image given' "$HPCRUN" run
	fail_with 'hint: usage: hpcrun exec .OPTION.... IMAGE COMMAND' "$HPCRUN" exec
	fail_with 'no command given' "$HPCRUN" exec --image=shifter:1
	fail_with "surplus operand 'x'" "$HPCRUN" shell --image=shifter:1 x
	[ "$("$HPCRUN" completion words --image=shift)" = --image=shifter:1 ]
}

@test "what users of docker type is answered with what it is here" {
	fail_with "'-i' is the default: the terminal is passed on, here" "$HPCRUN" run -it app:1 sh
	fail_with "'--network' is '--net' here" "$HPCRUN" run --network=none app:1 sh
	fail_with 'is it meant for --bind\? -v is --verbose here' "$HPCRUN" run -v /a:/b app:1 sh
}

@test "plan: of an image that is here, whether its C library lets the host's libraries in" {
	host=$(getconf GNU_LIBC_VERSION 2>/dev/null) || skip 'the C library of this host is not the GNU one'
	cd "$BATS_TEST_TMPDIR" || return
	registry_start registry
	mkdir -p new/usr/lib64 old/lib musl/lib
	ln -s usr/lib64 new/lib64
	ln -s ../../../usr/./lib64/libc-9.so new/usr/lib64/libc.so.6
	printf 'ELF\0GNU C Library (Some 9.99-1) stable release version 9.99.\nCopyright' >new/usr/lib64/libc-9.so
	printf 'ELF\0GNU C Library (Some) stable release version 2.5, by Roland' >old/lib/libc.so.6
	ln -s libc.so.6 old/lib/libm.so.6
	: >musl/lib/ld-musl-x86_64.so.1
	plan() { "$HPCRUN" plan --json "$REGISTRY/lab/$1:1" | jq -c '[.libc, .host_libc, .host_libraries_fit]'; }
	for name in new old musl; do
		"$HPCRUN" import -q "$name" "lab/$name:1"
		"$HPCRUN" push -q "lab/$name:1" "$REGISTRY/lab/$name:1"
		[ "$(plan $name)" = '[null,null,null]' ] # it is not here
		"$HPCRUN" pull -q "$REGISTRY/lab/$name:1"
	done
	[ "$(plan new)" = "[\"glibc 9.99\",\"$host\",true]" ]
	[ "$(plan old)" = "[\"glibc 2.5\",\"$host\",null]" ]
	[ "$(plan musl)" = "[\"musl\",\"$host\",false]" ]
	run -0 "$HPCRUN" plan "$REGISTRY/lab/old:1"
	[[ $output == *"glibc 2.5, this host has $host: the host's libraries for MPI and GPUs may need a newer one"* ]]
	registry_stop
}

@test "pull: --dry-run is plan" {
	registry_start "$BATS_TEST_TMPDIR/registry"
	publish busybox >/dev/null
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/none
	plan() { "$HPCRUN" "$@" --json "$REGISTRY/test/busybox:1" | jq 'del(.store_free)'; }
	[ "$(plan pull --dry-run)" = "$(plan plan)" ]
	[[ $(plan plan) == *to_download* ]]
	[ ! -e "$HPCRUN_STORE" ]
	registry_stop
	fail_with "unknown option '--dry-run'" "$HPCRUN" import --dry-run x.tar
}
