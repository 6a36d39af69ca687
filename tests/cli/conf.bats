#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# hpcrun.conf: the files it is made of, and what a site locks.
# shellcheck disable=SC2154  # bats sets output and stderr

bats_require_minimum_version 1.5.0

setup() {
	# shellcheck disable=SC1091
	source "$BATS_TEST_DIRNAME/../lib/common.bash"
	scratch_make
	unset HPCRUN_STORE HPCRUN_CACHE
	export HPCRUN_CONF=$SCRATCH/site.conf
	mkdir -p "$SCRATCH/site.conf.d" "$HOME/.config/hpcrun"
}

teardown() {
	scratch_remove
}

@test "conf: the files of the include directory follow the site's, in the order of their names" {
	echo "cache = $SCRATCH/main" >site.conf
	echo "cache = $SCRATCH/b" >site.conf.d/20-b.conf
	echo "cache = $SCRATCH/a" >site.conf.d/10-a.conf
	echo 'no configuration' >site.conf.d/20-b.conf.rpmsave
	echo 'no configuration' >site.conf.d/.30-c.conf
	run -0 "$HPCRUN" cache
	[[ "$output" == *"$SCRATCH/b/hpcrun-cache-"* ]]
	echo 'cash = /x' >site.conf.d/30-c.conf
	run -125 --separate-stderr "$HPCRUN" cache
	[[ "$stderr" == *"site.conf.d/30-c.conf, line 1: unknown key 'cash'"* ]]
}

@test "conf: what the site locks holds against the user's file, with a warning" {
	printf 'locked = cache\ncache = %s\n' "$SCRATCH/site" >site.conf
	echo "cache = $SCRATCH/mine" >"$HOME/.config/hpcrun/hpcrun.conf"
	run -0 --separate-stderr "$HPCRUN" cache
	[[ "$output" == *"$SCRATCH/site/hpcrun-cache-"* ]]
	[[ "$stderr" == *"hpcrun.conf, line 1: passing over 'cache', which this site has locked ("*"site.conf, line 1)"* ]]
}

@test "conf: options and variables in place of a locked key are refused, naming who locked it" {
	printf 'locked = cache store bind\n' >site.conf
	run -125 --separate-stderr "$HPCRUN" cache --cache "$SCRATCH/mine"
	[[ "$stderr" == *"--cache cannot be used here: this site has locked 'cache' ("*"site.conf, line 1)"* ]]
	HPCRUN_CACHE=$SCRATCH/mine run -125 --separate-stderr "$HPCRUN" cache
	[[ "$stderr" == *"HPCRUN_CACHE cannot be used here"* ]]
	run -125 --separate-stderr "$HPCRUN" images --store "$SCRATCH/mine"
	[[ "$stderr" == *"--store cannot be used here: this site has locked 'store'"* ]]
	HPCRUN_STORE=$SCRATCH/mine run -125 --separate-stderr "$HPCRUN" images
	[[ "$stderr" == *"HPCRUN_STORE cannot be used here"* ]]
	run -0 "$HPCRUN" images
}

@test "conf: what names a store or the cache means the same wherever a command runs, or is refused" {
	local what
	for what in 'HPCRUN_STORE=here' 'HPCRUN_STORE=/a here' 'HPCRUN_CACHE=here'; do
		run -125 --separate-stderr env "$what" "$HPCRUN" prefetch lab/app:1
		[[ "$stderr" == *"${what%%=*}: 'here' is not an absolute path"*"hint: "* ]]
		run -125 --separate-stderr env "$what" "$HPCRUN" --pull=never lab/app:1 true
		[[ "$stderr" == *"${what%%=*}: 'here' is not an absolute path"* ]]
	done
	HPCRUN_CACHE=here run -1 "$HPCRUN" doctor
	[[ "$output" == *"FAIL  node cache "*"HPCRUN_CACHE: 'here' is not an absolute path"* ]]
	for what in 's3://bucket/x' 'ftp://x'; do
		run -125 --separate-stderr "$HPCRUN" import --store "$what" oci:x lab/app:1
		[[ "$stderr" == *"the store '$what' is neither a path nor an https or http URL"* ]]
		run -125 --separate-stderr "$HPCRUN" run --store "$what" lab/app:1 true
		[[ "$stderr" == *"the store '$what' is neither"* ]]
		echo "store = $what" >site.conf
		run -125 --separate-stderr "$HPCRUN" images
		[[ "$stderr" == *"site.conf, line 1: store: '$what' begins with none of '/', 'https://', 'http://'"* ]]
		rm site.conf
	done
	[ ! -e s3: ] && [ ! -e ftp: ]
	run -125 --separate-stderr "$HPCRUN" images --store here # an option is of this moment
	[[ "$stderr" == *"'$PWD/here'"* ]]
}
