#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# What shells complete: verbs, options and their values, images, files.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154  # each test is a subshell; bats sets output and status

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	scratch_make
	mkdir tree && echo x >tree/x
	for name in lab/told:1 lab/told:2 debian:12 h.example:5000/lab/far:1; do
		"$HPCRUN" import tree "$name" 2>/dev/null
	done
	mkdir 'a dir' && : >'a dir/image.sqfs' && : >top.sqfs
}
teardown_file() { scratch_remove; }
setup() {
	cd "$SCRATCH" || return
	PATH=$(dirname "$HPCRUN"):$PATH
}

words() { "$HPCRUN" completion words "$@" | sort | paste -sd' '; }

@test "completion: verbs, options and values come out of the tables" {
	[ "$(words his)" = history ]
	[ "$(words --)" = '--version' ] || [[ $(words --) == *--bind* ]]
	[ "$(words images --)" = '--help --json --no-trunc --quiet --store' ]
	[ "$(words run --pu)" = --pull ]
	[ "$(words run --pull '')" = 'always missing never' ]
	[ "$(words run --pull=a)" = --pull=always ]
	[ "$(words --mpi=)" = '--mpi=auto --mpi=host --mpi=image --mpi=off' ] # the verb may be left out
	[ "$(words export --format s)" = 'sif sqfs' ]
	[[ " $(words store '') " == *' fsck '* ]]
	[[ " $(words store fsck --) " == *' --store '* ]]
	[ "$(words config cache)" = 'cache cache_size' ]
	[ "$(words run --bind '')" = :files ]
	[ "$(words images --store '')" = :dirs ]
	[ -z "$(words run --env '')" ]
	[ -z "$(words history lab/told:1 '')" ]
	# each verb answers
	for verb in $("$HPCRUN" completion words ''); do
		[[ $verb == --version || $verb == help ]] || [[ $(words "$verb" --) == *--help* ]]
	done
}

@test "completion: images out of the stores, as short as they are typed" {
	[ "$(words inspect '')" = 'debian:12 h.example:5000/lab/far:1 lab/told:1 lab/told:2' ]
	[ "$(words diff lab/told:1 lab)" = 'lab/told:1 lab/told:2' ]
	[ "$(words run --pull never docker.io/l)" = 'docker.io/lab/told:1 docker.io/lab/told:2 docker.io/library/debian:12' ]
	[ "$(words deb)" = debian:12 ]
	[ "$(words run debian:12 ./)" = :files ] # the command
	[ "$(words run ./)" = :files ]
	[ -z "$(words inspect --store "$SCRATCH/none" '' 2>/dev/null)" ]
	mkdir "$BATS_TEST_TMPDIR/other"
	[ "$(words run --store="$SCRATCH/store" de)" = debian:12 ]
	# no record is read: what is wrong with one is of no interest here
	cp -r store "$BATS_TEST_TMPDIR/store"
	find "$BATS_TEST_TMPDIR/store/refs" -type f -exec truncate -s 0 {} +
	[ "$(HPCRUN_STORE=$BATS_TEST_TMPDIR/store words inspect deb)" = debian:12 ]
}

# in_bash WORD...: what bash would offer for the last of these words of a line, "=" and ":" being words of their own
in_bash() {
	# shellcheck disable=SC1090
	. <("$HPCRUN" completion bash)
	COMP_WORDS=("$@")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	COMP_POINT=${#COMP_LINE}
	_hpcrun
	printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd' '
}

@test "completion: bash is given what it replaces, whatever it took apart" {
	[ "$(COMP_LINE='hpcrun his' in_bash hpcrun his)" = history ]
	[ "$(COMP_LINE='hpcrun run --pull=a' in_bash hpcrun run --pull = a)" = always ]
	[ "$(COMP_LINE='hpcrun run --pull=' in_bash hpcrun run --pull =)" = 'always missing never' ]
	[ "$(COMP_LINE='hpcrun inspect lab/told:' in_bash hpcrun inspect lab/told :)" = '1 2' ]
	[ "$(COMP_LINE='hpcrun diff lab/told:1 h.example:5000/l' in_bash hpcrun diff lab/told : 1 h.example : 5000/l)" = 5000/lab/far:1 ]
	[ "$(COMP_LINE='hpcrun run --bind=a' in_bash hpcrun run --bind = a)" = 'a dir' ]
	[ "$(COMP_LINE='hpcrun images --store a' in_bash hpcrun images --store a)" = 'a dir' ]
	[ "$(COMP_LINE='hpcrun run ./t' in_bash hpcrun run ./t)" = './tmp ./top.sqfs ./tree' ]
}

# typed SHELL LINE: the line after its tabs
typed() { "$TESTS_DIR/lib/type_line.py" "$1" "$setup" "$2"; }

@test "completion: typed into bash on a terminal" {
	need python3
	setup='. <(hpcrun completion bash)'
	[ "$(typed bash 'hpcrun hist\tlab/told\t1 \t')" = 'hpcrun history lab/told:1' ]
	[ "$(typed bash 'hpcrun --pul\talw\tdeb\t./top\t')" = 'hpcrun --pull always debian:12 ./top.sqfs' ]
	[ "$(typed bash 'hpcrun --pull=alw\tdeb\t')" = 'hpcrun --pull=always debian:12' ]
	[ "$(typed bash 'hpcrun run ./a\timage\t')" = 'hpcrun run ./a dir/image.sqfs' ] # echo has taken the \ away
}

@test "completion: typed into zsh on a terminal" {
	command -v zsh >/dev/null || { [ "${HPCRUN_TEST_STRICT:-0}" != 1 ] && skip 'not there: zsh'; }
	need python3
	setup='autoload -Uz compinit; compinit -u -D; . <(hpcrun completion zsh)'
	[ "$(typed zsh 'hpcrun run --pull=alw\tdeb\t./top\t')" = 'hpcrun run --pull=always debian:12 ./top.sqfs' ]
	# and as it is installed
	setup="fpath=('$(dirname "$HPCRUN")/../share/zsh/site-functions' \$fpath); autoload -Uz compinit; compinit -u -D"
	[ "$(typed zsh 'hpcrun hist\tlab/told\t1')" = 'hpcrun history lab/told:1' ]
}

@test "completion: another shell is refused" {
	fail_with "no completion for 'fish': bash, zsh" "$HPCRUN" completion fish
	fail_with "surplus operand 'x'" "$HPCRUN" completion bash x
}
