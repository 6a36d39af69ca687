#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# The host's MPI in an image: what replaces what, what is refused and how that is said. The libraries are small ones
# with the names, functions and versions of real MPIs, made by the compiler; tests/mpi/run has the real ones.
# HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

# lib FILE SONAME CODE [LINKER WORD...]: below the working directory
lib() {
	local file=$1 soname=$2 code=$3
	shift 3
	mkdir -p "$(dirname "$file")"
	printf '%s\n' "$code" | gcc -x c -shared -fPIC -o "$file" -Wl,-soname,"$soname" - -x none "$@"
}
mpi_code() { printf 'int MPI_Init(void) { return 0; }\nconst char *MPI_version(void) { return "%s"; }\n' "$1"; }

# tree NAME: an image with the C library of this host, a shell and the application
tree() {
	local file
	mkdir -p "$1"/{etc,usr/lib}
	busybox_root "$1" sh true cat ls env echo
	for file in $(ldd bin/app | grep -oE '/[^ ]*(libc\.so|ld-linux|ld64)[^ ]*'); do
		mkdir -p "$1$(dirname "$file")"
		cp -L "$file" "$1$file"
	done
	cp bin/app "$1/bin/app"
}
# image NAME: the tree of that name into the store
image() { "$MKSTORE" "$HPCRUN_STORE" "$1:1" "$SCRATCH/$1" >/dev/null; }

make_host() {
	lib host/libdep.so.1 libdep.so.1 'int puts(const char *); int say(void) { return puts(""); }
		const char *dep(void) { return "host 4.0"; }'
	lib host/libmpi.so.12.2.0 libmpi.so.12 'const char *dep(void);
		int MPI_Init(void) { return 0; } int MPI_New(void) { return 0; }
		const char *MPI_version(void) { return dep(); }' host/libdep.so.1
	ln -s libmpi.so.12.2.0 host/libmpi.so.12
	lib host/poor.so libmpi.so.12 'int MPI_Init(void) { return 0; }'
	# needs a C library of the future
	echo 'GLIBC_9.9 { global: tomorrow; };' >map
	lib future/libc.so.6 libc.so.6 'int tomorrow(void) { return 0; }' -nostdlib -Wl,--version-script=map
	lib host/new.so libmpi.so.12 'int tomorrow(void); int MPI_Init(void) { return tomorrow(); }
		const char *MPI_version(void) { return "new"; }' -nostdlib future/libc.so.6
	lib host/libfabric.so.1 libfabric.so.1 'const char *fi_version(void) { return "host fabric"; }'
	mkdir -p host/modules
	lib host/modules/libmod.so libmod.so 'int mod;'
	# one of a device that this host does not have
	mkdir host/broken
	lib gone/libgone.so.1 libgone.so.1 'int gone(void) { return 0; }'
	lib host/broken/libmod.so libmod.so 'int gone(void); int mod(void) { return gone(); }' gone/libgone.so.1
	echo 'FABRIC_1.0 { global: fi_version; };' >map
	lib versioned/libfabric.so.1 libfabric.so.1 'const char *fi_version(void) { return "host fabric"; }' \
		-Wl,--version-script=map
}

make_images() {
	lib image/libmpi.so.12.1.0 libmpi.so.12 "$(mpi_code 'image 3.4')"
	lib image/libfabric.so.1 libfabric.so.1 'const char *fi_version(void) { return "image fabric"; }'
	mkdir bin
	printf '%s\n' '#include <stdio.h>' 'const char *MPI_version(void);' \
		'int main(void) { return puts(MPI_version()) < 0; }' >app.c
	gcc -o bin/app app.c image/libmpi.so.12.1.0
	tree app
	cp image/libmpi.so.12.1.0 app/usr/lib/
	ln -s libmpi.so.12.1.0 app/usr/lib/libmpi.so.12
	cp -r app bare
	rm bare/usr/lib/libmpi*
	# a program with an RPATH, which comes before LD_LIBRARY_PATH, into a place of its own
	cp -r bare rpath
	gcc -o rpath/bin/app app.c image/libmpi.so.12.1.0 -Wl,--disable-new-dtags,-rpath,/opt/own/lib
	mkdir -p rpath/opt/own/lib
	cp image/libmpi.so.12.1.0 rpath/opt/own/lib/libmpi.so.12
	# one of two versions in places of their own, by RUNPATH, an alternative of the distribution, and links of links
	cp -r bare versions
	gcc -o versions/bin/app app.c image/libmpi.so.12.1.0 -Wl,--enable-new-dtags,-rpath,/opt/mpich/lib
	gcc -o versions/bin/old app.c image/libmpi.so.12.1.0 -Wl,--disable-new-dtags,-rpath,/opt/mpich/lib
	mkdir -p versions/opt/mpich-3.{4,10}/lib versions/etc/alternatives
	ln -s mpich-3.4 versions/opt/mpich
	cp image/libmpi.so.12.1.0 versions/opt/mpich-3.4/lib/libmpi.so.12.0.9
	ln -s libmpi.so.12.0.9 versions/opt/mpich-3.4/lib/libmpi.so.12
	cp image/libmpi.so.12.1.0 versions/opt/mpich-3.10/lib/
	ln -s libmpi.so.12.1.0 versions/opt/mpich-3.10/lib/libmpi.so.12
	ln -s /etc/alternatives/libmpi.so.12 versions/opt/mpich-3.10/lib/libmpich.so.12
	ln -s ../../opt/mpich/lib/libmpi.so.12 versions/etc/alternatives/libmpi.so.12
	cp -r bare foreign
	cp image/libmpi.so.12.1.0 foreign/usr/lib/libmpi.so.12
	printf '\267' | dd of=foreign/usr/lib/libmpi.so.12 bs=1 seek=18 conv=notrunc status=none
	cp -r bare old
	lib old/usr/lib/libmpi.so.12 libmpi.so.12 "$(mpi_code 'Open MPI 1.10') int ompi_mpi_comm_world;"
	cp -r bare damaged
	head -c 3000 image/libmpi.so.12.1.0 >damaged/usr/lib/libmpi.so.12
	cp -r bare fabric
	lib fabric/usr/lib/libfabric.so.1 libfabric.so.1 'const char *fi_version(void) { return "image fabric"; }'
	lib fabric/usr/lib/libmpi.so.12 libmpi.so.12 'const char *fi_version(void); int MPI_Init(void) { return 0; }
		const char *MPI_version(void) { return fi_version(); }' image/libfabric.so.1
	cp -r fabric newer
	echo 'FABRIC_1.0 { global: fi_version; }; FABRIC_1.1 { global: fi_new; } FABRIC_1.0;' >map
	lib newer/usr/lib/libfabric.so.1 libfabric.so.1 'const char *fi_version(void) { return "image fabric"; }
		int fi_new(void) { return 0; }' -Wl,--version-script=map
	# with a companion that uses more of its MPI than the API
	cp -r bare companion
	lib companion/usr/lib/libmpi.so.12 libmpi.so.12 "$(mpi_code 'image 3.4') int ranks_inner(void) { return 0; }"
	lib companion/usr/lib/libmpifort.so.12 libmpifort.so.12 'int ranks_inner(void); int puts(const char *);
		int mpi_init_(void) { return ranks_inner() + puts(""); }' companion/usr/lib/libmpi.so.12
	if command -v musl-gcc >/dev/null; then
		mkdir -p musl/{bin,lib,usr/lib}
		cp -L /lib/ld-musl-*.so.1 musl/lib/
		mpi_code 'musl image' >mpi.c
		musl-gcc -shared -fPIC -o musl/usr/lib/libmpi.so.12 -Wl,-soname,libmpi.so.12 mpi.c
		musl-gcc -o musl/bin/app app.c musl/usr/lib/libmpi.so.12
		image musl
	fi
	for name in app bare rpath versions foreign old damaged fabric newer companion; do
		image $name
	done
}

setup_file() {
	scratch_make
	umask 022
	need_mkstore
	make_host
	make_images
}
teardown_file() {
	leftovers_end KILL
	scratch_remove
}

setup() {
	export HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	printf 'session_linger = 0\n' >"$HPCRUN_CONF"
	unset HPCRUN_MPI
}

# define NAME LINE...: a definition of the host's MPI, and its use
define() {
	local name=$1
	shift
	printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/$name.conf"
	echo "mpi_stack = $BATS_TEST_TMPDIR/$name.conf" >>"$HPCRUN_CONF"
}
define_fitting() { define fitting "library = libmpi.so.12" "path = $SCRATCH/host" "$@"; }

# runs_with VERSION [OPTION...] IMAGE [COMMAND]: no message, and this MPI
runs_with() {
	local want=$1
	shift
	run -0 --separate-stderr "$HPCRUN" run "$@" /bin/app
	[ "$output" = "$want" ] || {
		echo "output: $output"
		return 1
	}
	[ -z "$stderr" ] || {
		echo "stderr: $stderr"
		return 1
	}
}

@test "mpi: without a definition the image is run as it is" {
	runs_with 'image 3.4' app:1
	runs_with 'image 3.4' --mpi=auto app:1
}

@test "mpi: a host MPI that fits takes the place of the image's, with what it needs" {
	define_fitting
	runs_with 'host 4.0' app:1
	runs_with 'host 4.0' --mpi=host app:1
	runs_with 'host 4.0' --writable app:1
}

@test "mpi: a program finds the host's MPI by its RPATH, too" {
	define_fitting 'image_path = /opt/own/lib'
	runs_with 'host 4.0' rpath:1
	run -0 "$HPCRUN" rpath:1 /bin/env -i /bin/cat /opt/own/lib/libmpi.so.12
	cmp <("$HPCRUN" rpath:1 /bin/cat /opt/own/lib/libmpi.so.12) host/libmpi.so.12
}

@test "mpi: each version that an image has in a place of its own is replaced" { # H19
	define_fitting
	runs_with 'image 3.4' versions:1
	fail_with "the image has none of the libraries that 'fitting' would replace.*hint: .*'image_path' of the definition" \
		bash -c "$HPCRUN run --mpi=host versions:1 true 2>&1 | paste -sd' ' >&2; exit 125"
	printf 'session_linger = 0\n' >"$HPCRUN_CONF"
	define_fitting 'image_path = /opt/mpich*/lib'
	runs_with 'host 4.0' versions:1
	run -0 "$HPCRUN" run versions:1 /bin/old
	[ "$output" = 'host 4.0' ]
	for file in mpich-3.4/lib/libmpi.so.12.0.9 mpich-3.10/lib/libmpi.so.12; do
		run -0 "$HPCRUN" versions:1 /bin/env -i /bin/cat "/opt/$file"
		cmp <("$HPCRUN" versions:1 /bin/cat "/opt/$file") host/libmpi.so.12
	done
	run -0 "$HPCRUN" mpi-check versions:1
	[[ $output == *"image 'versions:1':"$'\n'*"MPICH or its ABI: /opt/mpich-3.10/lib/libmpi.so.12 (libmpi.so.12.1.0, "* ]]
}

@test "mpi: image, off, HPCRUN_MPI and hpcrun.conf keep the image's MPI" {
	define_fitting
	runs_with 'image 3.4' --mpi=image app:1
	runs_with 'image 3.4' --mpi=off app:1
	HPCRUN_MPI=off runs_with 'image 3.4' app:1
	HPCRUN_MPI=off runs_with 'host 4.0' --mpi=auto app:1
	echo 'mpi = off' >>"$HPCRUN_CONF"
	runs_with 'image 3.4' app:1
	runs_with 'host 4.0' --mpi=auto app:1
}

@test "mpi: a word that is none of its own is refused" {
	fail_with "--mpi 'hots' is none of: auto, host, image, off" "$HPCRUN" run --mpi=hots app:1 true
	fail_with "HPCRUN_MPI 'yes' is none of" env HPCRUN_MPI=yes "$HPCRUN" app:1 true
	echo 'mpi = host' >>"$HPCRUN_CONF"
	fail_with "mpi: 'host' is not one of auto, image, off" "$HPCRUN" app:1 true
}

@test "mpi: the definition's variables, binds and modules come along, only if it is used" { # H19
	define_fitting "env = FABRIC=fast" "bind = $SCRATCH/host:/site/host:ro" "plugins = $SCRATCH/host/modules"
	run -0 "$HPCRUN" --env LD_LIBRARY_PATH=:/mine::/yours app:1 /bin/sh -c \
		'echo $FABRIC $LD_LIBRARY_PATH; ls /site/host/poor.so "$1"' sh "$SCRATCH/host/modules"
	[ "${lines[0]}" = 'fast /.hpcrun/lib:/mine:/yours' ]
	[ "${lines[1]}" = /site/host/poor.so ]
	[ "${lines[-1]}" = libmod.so ]
	run -0 "$HPCRUN" run --mpi=image app:1 /bin/sh -c 'echo "[$FABRIC$LD_LIBRARY_PATH]"; ls /site/host'
	[ "$output" = '[]' ]
	run -0 "$HPCRUN" --env FABRIC=mine app:1 /bin/sh -c 'echo $FABRIC'
	[ "$output" = mine ]
}

@test "mpi: what the user binds hides the host's libraries" {
	define_fitting
	mkdir mylib
	cp image/libmpi.so.12.1.0 mylib/libmpi.so.12
	runs_with 'image 3.4' --bind "$PWD/mylib:/.hpcrun/lib" --bind "$PWD/mylib:/usr/lib" app:1
}

@test "mpi: a C library too old is named with both versions; auto goes on with the image's" { # H19
	define future "library = $SCRATCH/host/new.so"
	fail_with "'future' cannot be used: 'new.so' of the host needs GLIBC_9.9 of 'libc.so.6', and the image offers GLIBC_2\.[0-9]+" \
		"$HPCRUN" run --mpi=host app:1 true
	run -0 --separate-stderr "$HPCRUN" app:1 /bin/app
	[ "$output" = 'image 3.4' ]
	[[ $stderr == *"warning: the image's own MPI is used, not 'future' of the host: 'new.so' of the host needs GLIBC_9.9"* ]]
	[ "$(wc -l <<<"$stderr")" = 1 ]
}

@test "mpi: ranks of one session hear of a misfit once" {
	define future "library = $SCRATCH/host/new.so"
	echo 'session_linger = 60' >>"$HPCRUN_CONF"
	run -0 --separate-stderr "$HPCRUN" app:1 /bin/app
	[ "$(wc -l <<<"$stderr")" = 1 ]
	runs_with 'image 3.4' app:1
}

@test "mpi: functions that programs of the image may call must be there" { # H19
	define poor "library = $SCRATCH/host/poor.so"
	fail_with "lacks 1 function of the image's \(libmpi.so.12.1.0, interface 13, back to 12\), the first is 'MPI_version'" \
		"$HPCRUN" run --mpi=host app:1 true
}

@test "mpi: Open MPI 1.10 and MPICH have one soname and are told apart" {
	define_fitting
	fail_with "the image's libmpi.so.12 is Open MPI, the host's libmpi.so.12.2.0 is MPICH or its ABI" \
		"$HPCRUN" run --mpi=host old:1 true
}

@test "mpi: an image for another machine is refused" {
	define_fitting
	fail_with "the image's libmpi.so.12 is for AArch64, 64-bit, the host's libmpi.so.12.2.0 is for" \
		"$HPCRUN" run --mpi=host foreign:1 true
}

@test "mpi: an image built on musl is refused, and runs with its own" {
	command -v musl-gcc >/dev/null || need musl
	define_fitting
	fail_with 'the image is built on the C library musl' "$HPCRUN" run --mpi=host musl:1 true
	run -0 --separate-stderr "$HPCRUN" musl:1 /bin/app
	[ "$output" = 'musl image' ]
	[[ $stderr == *musl* ]]
}
has_musl() { false; }

@test "mpi: an image without MPI is no matter for auto, and a failure for host" {
	define_fitting
	run -0 --separate-stderr "$HPCRUN" bare:1 /bin/echo fine
	[ "$output$stderr" = fine ]
	fail_with "the image has none of the libraries that 'fitting' would replace" "$HPCRUN" run --mpi=host bare:1 true
}

@test "mpi: a damaged library of the image is none" {
	define_fitting
	run -0 --separate-stderr "$HPCRUN" damaged:1 /bin/echo fine
	[ "$output$stderr" = fine ]
}

@test "mpi: --mpi=host without a definition, or with one that is no use here" {
	fail_with 'hpcrun.conf defines no MPI of the host' "$HPCRUN" run --mpi=host app:1 true
	define elsewhere 'library = libnowhere.so.7 libmpi.so.12'
	fail_with "'elsewhere' cannot be used: library 'libnowhere.so.7' is not on the host" \
		"$HPCRUN" run --mpi=host app:1 true
	runs_with 'image 3.4' app:1
	define_fitting 'device = /dev/no-such-device*'
	fail_with "device '/dev/no-such-device\*' is not on this node" "$HPCRUN" run --mpi=host app:1 true
}

@test "mpi: the first definition that fits is used" {
	define elsewhere 'library = libnowhere.so.7 libmpi.so.12'
	define future "library = $SCRATCH/host/new.so"
	define_fitting
	runs_with 'host 4.0' app:1
}

@test "mpi: a library below the MPI can be the host's alone" {
	define fabric 'library = libfabric.so.1' "path = $SCRATCH/host"
	runs_with 'host fabric' fabric:1
	runs_with 'host fabric' --mpi=image fabric:1
	runs_with 'image fabric' --mpi=off fabric:1
	runs_with 'image 3.4' app:1
}

@test "mpi: a library below the MPI has all versions of the image's, or none at all" {
	define fabric "library = $SCRATCH/versioned/libfabric.so.1"
	fail_with "the host's libfabric.so.1 lacks version FABRIC_1.1, which the image's libfabric.so.1 has" \
		"$HPCRUN" run --mpi=host newer:1 true
	: >"$HPCRUN_CONF"
	define unversioned 'library = libfabric.so.1' "path = $SCRATCH/host"
	run -0 "$HPCRUN" run --mpi=host newer:1 /bin/echo fine
}

@test "mpi: a companion that the host lacks stays the image's, if its MPI has what that uses" {
	define_fitting 'library = libmpifort.so.12'
	fail_with "the host has no 'libmpifort.so.12', and the image's needs 'ranks_inner', which only the image's MPI has" \
		"$HPCRUN" run --mpi=host companion:1 true
	runs_with 'host 4.0' app:1
}

@test "mpi: a library that is missing is told, a module without what it needs is left out" {
	define_fitting 'extra = libnowhere.so.7'
	fail_with "'fitting' cannot be used: .*libnowhere.so.7" "$HPCRUN" run --mpi=host app:1 true
	: >"$HPCRUN_CONF"
	define_fitting "plugins = $SCRATCH/host/broken"
	runs_with 'host 4.0' app:1
}

@test "mpi: a definition that is missing or wrong is named, with its line" {
	echo 'mpi_stack = no-such-name' >>"$HPCRUN_CONF"
	fail_with "mpi_stack 'no-such-name' is not defined" "$HPCRUN" app:1 true
	runs_with 'image 3.4' --mpi=off app:1
	printf 'session_linger = 0\n' >"$HPCRUN_CONF"
	define wrong 'library = libmpi.so.12' 'librery = x'
	fail_with "wrong.conf, line 2: unknown key 'librery'" "$HPCRUN" app:1 true
}

@test "mpi: the definitions that hpcrun brings along can be read" {
	for name in mpich openmpi cray-mpich libfabric ucx; do
		printf 'session_linger = 0\nmpi_stack = %s\n' $name >"$HPCRUN_CONF"
		run -0 "$HPCRUN" bare:1 true
	done
}

@test "mpi-check: tells what would be used and why, and its status says it, too" {
	define_fitting "env = FABRIC=fast"
	run -0 --separate-stderr "$HPCRUN" mpi-check app:1
	[ -z "$stderr" ]
	[[ $output == *"image 'app:1':"*"MPICH or its ABI: /usr/lib/libmpi.so.12 (libmpi.so.12.1.0, interface 13, back to 12; "* ]]
	[[ $output == *"host definition 'fitting': fits"* ]]
	[[ $output == *"host     libmpi.so.12: named by the definition; $SCRATCH/host/libmpi.so.12 over /usr/lib/libmpi.so.12"* ]]
	[[ $output == *"host     libdep.so.1: the image has none; $SCRATCH/host/libdep.so.1"* ]]
	[[ $output == *"image    libc.so.6: part of the C library"* ]]
	[[ $output == *"sets     FABRIC=fast"* ]]
	[[ $output == *"with --mpi=auto: 'fitting' of the host is used"* ]]
	run -1 "$HPCRUN" mpi-check --mpi=image app:1
	run -1 "$HPCRUN" mpi-check bare:1
	[[ $output == *"no MPI library found"* ]]
	fail_with 'no store has it|cannot open image|not in' "$HPCRUN" mpi-check no-such-image:1
}

@test "mpi-check: reports a misfit where run would refuse" {
	define future "library = $SCRATCH/host/new.so"
	run -1 "$HPCRUN" mpi-check --mpi=host app:1
	[[ $output == *"misfit   'new.so' of the host needs GLIBC_9.9 of 'libc.so.6'"* ]]
	[[ $output == *'with --mpi=host: nothing is run'* ]]
}

@test "mpi-check: --json has the same" {
	define_fitting
	define future "library = $SCRATCH/host/new.so"
	run -0 --separate-stderr "$HPCRUN" mpi-check --json app:1
	[ "$(jq -r '.chosen, .mode, .image_mpi[0].file' <<<"$output" | paste -sd,)" = fitting,auto,libmpi.so.12.1.0 ]
	[ "$(jq -r '.definitions[1].fits' <<<"$output")" = false ]
	[ "$(jq -r '.definitions[0].libraries[] | select(.name == "libdep.so.1") | .provider' <<<"$output")" = host ]
}

@test "plan: of an image that is here it judges as mpi-check does, of another it says what cannot be known" {
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	registry_start "$BATS_TEST_TMPDIR/registry"
	for name in app bare; do
		"$HPCRUN" import -q "$SCRATCH/$name" "$name:1" >/dev/null
		"$HPCRUN" push -q "$name:1" "$REGISTRY/$name:1"
	done
	define_fitting
	"$HPCRUN" plan --json "$REGISTRY/app:1" | jq -e \
		'.mpi == null and .gpu == null and [.mpi_unknown, .gpu_unknown] == ["the image is not here yet", "the image is not here yet"]'
	run -0 --separate-stderr "$HPCRUN" plan "$REGISTRY/app:1"
	[[ $output == *"To be told only when the layers are here:"*"GPU libraries fit."* ]]
	"$HPCRUN" pull -q "$REGISTRY/app:1"
	"$HPCRUN" pull -q "$REGISTRY/bare:1"
	run -0 --separate-stderr "$HPCRUN" plan "$REGISTRY/app:1"
	[[ $output == *$'\nMPI       \'fitting\' of this host fits and would be used\n'* ]]
	[ -z "$stderr" ]
	[ "$("$HPCRUN" plan --json "$REGISTRY/app:1" | jq '.mpi + {gpu} | del(.image)')" = \
		"$("$HPCRUN" mpi-check --json "$REGISTRY/app:1" | jq 'del(.image)')" ]
	run -0 "$HPCRUN" pull --dry-run "$REGISTRY/bare:1"
	[[ $output == *$'\nMPI       the image has none that this host could replace\n'* ]]
	define future "library = $SCRATCH/host/new.so"
	sed -i '/fitting/d' "$HPCRUN_CONF"
	run -0 "$HPCRUN" plan "$REGISTRY/app:1"
	[[ $output == *$'\nMPI       \'future\' of this host does not fit: '*GLIBC_9.9* ]]
	# nothing of the kind where there is nothing to judge, and no failure where there is no session
	echo >"$HPCRUN_CONF"
	run -0 "$HPCRUN" plan "$REGISTRY/app:1"
	[[ $output != *$'\nMPI'* ]]
	define_fitting
	XDG_RUNTIME_DIR=/nonexistent TMPDIR=/nonexistent HPCRUN_MPI=nonsense run -0 "$HPCRUN" plan "$REGISTRY/app:1"
	[[ $output == *$'\nMPI       it cannot be told here; \'hpcrun mpi-check\' says why\n'* ]]
	registry_stop
}

# from_before OPTION... IMAGE: a run that need not look at the host's libraries, as one before it has. With a label,
# so that it does not join a session that is still there.
from_before() {
	run -0 "$HPCRUN" run -vv --label "n=$((++n))" "$@" true
	[[ $output == *"which libraries of the host fit is known from before"* ]]
}
anew() {
	run -0 "$HPCRUN" run -vv --label "n=$((++n))" "$@" true
	[[ $output == *"step 'choose host libraries'"* && $output != *'known from before'* ]]
}

@test "mpi: H19: what fits is known to the next session, until a file, the image or the definition changes" {
	need strace
	mkdir early late
	ln -s ../host/libmpi.so.12.2.0 late/libmpi.so.12
	ln -s ../host/libdep.so.1 late/
	lib host/newer.so libmpi.so.12 'const char *dep(void); int MPI_Init(void) { return 0; }
		const char *MPI_version(void) { return "host 4.1"; }' host/libdep.so.1
	settled host/*
	define linked "library = libmpi.so.12" "path = $PWD/early" "path = $PWD/late"
	anew app:1
	from_before app:1
	runs_with 'host 4.0' app:1
	# and none of them is read then
	strace -f -qq -e trace=open,openat,openat2 -o trace "$HPCRUN" run app:1 true
	run ! grep -E '^[^"]*"[^"]*(late|host)/lib[^"]*", [^P]*$' trace
	# another file under the same name, as after an update; one that comes before it
	ln -sf ../host/newer.so late/libmpi.so.12
	anew app:1
	runs_with 'host 4.1' app:1
	from_before app:1
	ln -s ../host/libmpi.so.12.2.0 early/libmpi.so.12
	ln -s ../host/libdep.so.1 early/
	anew app:1
	runs_with 'host 4.0' app:1
	# what is asked
	anew --mpi=image app:1
	anew fabric:1
	anew --bind "$PWD/host:/lib/x.so" app:1
	from_before app:1
	echo 'env = FABRIC=fast' >>"$BATS_TEST_TMPDIR/linked.conf"
	anew app:1
	from_before app:1
	run -0 "$HPCRUN" app:1 sh -c 'echo $FABRIC'
	[ "$output" = fast ]
}

@test "mpi: H19: an entry of the cache that is damaged, or not ours alone, is found anew" {
	define_fitting
	settled host/*
	run -0 "$HPCRUN" app:1 true
	from_before app:1
	for entry in "$XDG_RUNTIME_DIR"/hpcrun/libs.*; do
		head -c 300 "$entry" >torn
		cat torn >"$entry"
	done
	anew app:1
	runs_with 'host 4.0' app:1
	from_before app:1
	chmod 644 "$XDG_RUNTIME_DIR"/hpcrun/libs.*
	anew app:1
	runs_with 'host 4.0' app:1
}

@test "mpi: H19: a misfit is told by the next session, too" {
	define future "library = $SCRATCH/host/new.so"
	settled host/*
	for _ in 1 2; do
		run -0 --separate-stderr "$HPCRUN" app:1 /bin/app
		[ "$output" = 'image 3.4' ]
		[[ $stderr == *"warning: the image's own MPI is used, not 'future' of the host: 'new.so' of the host needs GLIBC_9.9"* ]]
	done
	from_before app:1
	fail_with "'future' cannot be used" "$HPCRUN" run --mpi=host app:1 true
	fail_with "'future' cannot be used" "$HPCRUN" run --mpi=host app:1 true
}
