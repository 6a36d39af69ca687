#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# --gpu: CDI files in the shape that vendors' tools give them, lists of libraries, and what is said when something
# is missing. No GPU is needed: the libraries are built here, the devices are others of the machine.
# HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	scratch_make
	umask 022
	need_mkstore
	driver_make "$SCRATCH/driver"
	tree_make "$SCRATCH/tree"
	"$MKSTORE" "$HPCRUN_STORE" app:1 "$SCRATCH/tree" >/dev/null
}
teardown_file() {
	leftovers_end KILL
	scratch_remove
}

# A driver of the host, version 5.0, as real shared libraries.
driver_make() {
	mkdir -p "$1"
	echo 'int driver_version(void) { return 5; }' >"$1/cuda.c"
	cc -shared -fPIC -o "$1/libcuda.so.5.0" -Wl,-soname,libcuda.so.1 "$1/cuda.c"
	cc -shared -fPIC -o "$1/libnvidia-ml.so.5.0" -Wl,-soname,libnvidia-ml.so.1 "$1/cuda.c"
	echo 'firmware' >"$1/gsp.bin"
}
# An image with busybox, and a program that looks for the driver as CUDA programs do; lib is a link, as it is today.
tree_make() {
	local file
	mkdir -p "$1"/etc "$1"/usr/lib/vendor "$1"/work
	ln -s usr/lib "$1/lib"
	busybox_root "$1" sh true cat echo readlink ls env grep sleep stat
	cat >"$1/ask.c" <<-'EOT'
		#include <dlfcn.h>
		#include <stdio.h>
		int main(int argc, char **argv)
		{
			void *p = dlopen(argc > 1 ? argv[1] : "libcuda.so.1", RTLD_NOW);
			int (*version)(void) = p ? (int (*)(void))dlsym(p, "driver_version") : 0;
			printf("%s\n", version ? version() == 5 ? "driver 5" : "other" : dlerror());
			return !version;
		}
	EOT
	cc -o "$1/bin/ask" "$1/ask.c" -ldl
	for file in $(ldd "$1/bin/ask" | grep -o '/[^ ]*'); do
		mkdir -p "$1$(dirname "$file")"
		cp -L "$file" "$1$file"
	done
}

setup() {
	umask 022
	CDI=$BATS_TEST_TMPDIR/cdi LISTS=$BATS_TEST_TMPDIR/lists DRIVER=$SCRATCH/driver
	mkdir "$CDI" "$LISTS"
	export HPCRUN_CONF=$BATS_TEST_TMPDIR/conf
	conf
	unset CUDA_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES
}
# conf [LINE...]
conf() {
	printf '%s\n' 'session_linger = 0' "cdi_dir = $CDI" "gpu_lists = $LISTS" "$@" >"$HPCRUN_CONF"
}
# What 'nvidia-ctk cdi generate' writes, for two GPUs that are /dev/null and /dev/zero.
nvidia_make() {
	cat >"$CDI/nvidia.yaml" <<-EOT
		---
		cdiVersion: 0.5.0
		containerEdits:
		  deviceNodes:
		  - path: /dev/tty
		    hostPath: /dev/tty
		  env:
		  - NVIDIA_VISIBLE_DEVICES=void
		  - NVIDIA_CTK_LIBCUDA_DIR=/usr/lib/vendor
		  hooks:
		  - hookName: createContainer
		    path: /usr/bin/nvidia-cdi-hook
		    args: [nvidia-cdi-hook, create-symlinks, --link, libcuda.so.1::/usr/lib/vendor/libcuda.so,
		      --link, ../gone::/usr/lib/vendor/dangling]
		    env: [NVIDIA_CTK_DEBUG=false]
		  - hookName: createContainer
		    path: /usr/bin/nvidia-cdi-hook
		    args: [nvidia-cdi-hook, enable-cuda-compat, --host-driver-version=5.0]
		  - hookName: createContainer
		    path: /usr/bin/nvidia-cdi-hook
		    args: [nvidia-cdi-hook, update-ldcache, --folder, /usr/lib/vendor]
		  - hookName: createContainer
		    path: /usr/bin/nvidia-cdi-hook
		    args: [nvidia-cdi-hook, disable-device-node-modification]
		  mounts:
		  - containerPath: /usr/lib/vendor/libcuda.so.5.0
		    hostPath: $DRIVER/libcuda.so.5.0
		    options: [ro, nosuid, nodev, rbind, rprivate]
		  - containerPath: /lib/firmware/nvidia/gsp.bin
		    hostPath: $DRIVER/gsp.bin
		    options: [ro, nosuid, nodev, rbind, rprivate]
		devices:
		- name: "0"
		  containerEdits:
		    deviceNodes:
		    - path: /dev/null
		      hostPath: /dev/null
		- name: "1"
		  containerEdits:
		    deviceNodes:
		    - path: /dev/zero
		- name: all
		  containerEdits:
		    deviceNodes:
		    - path: /dev/null
		    - path: /dev/zero
		kind: nvidia.com/gpu
	EOT
}
# other_make KIND NAME PATH [EDITS]: a JSON file whose device is /dev/full at PATH
other_make() {
	cat >"$CDI/$2.json" <<-EOT
		{ "cdiVersion": "0.6.0", "kind": "$1", "devices": [ { "name": "$2", "containerEdits": {
		  "deviceNodes": [ { "path": "$3", "hostPath": "/dev/full" } ] } } ], "containerEdits": { ${4:-} } }
	EOT
}

@test "gpu: a CDI file brings its files, links and variables" {
	nvidia_make
	run -0 "$HPCRUN" run --gpu app:1 sh -c '
		cat /lib/firmware/nvidia/gsp.bin
		ls /usr/lib/vendor
		env | grep NVIDIA | busybox sort'
	[ "$(paste -sd' ' <<<"$output")" = 'firmware libcuda.so libcuda.so.5.0 NVIDIA_CTK_LIBCUDA_DIR=/usr/lib/vendor NVIDIA_VISIBLE_DEVICES=void' ]
	run "$HPCRUN" run --gpu app:1 sh -c 'echo x >/usr/lib/vendor/libcuda.so.5.0'
	[ "$status" != 0 ]
	run -0 "$HPCRUN" run app:1 ls /usr/lib/vendor
	[ "$output" = '' ]
}

@test "gpu: device nodes appear where the CDI file says" {
	other_make vendor.com/gpu card0 /opt/vendor/card0
	run -1 "$HPCRUN" run --gpu=vendor.com/gpu=card0 app:1 sh -c 'echo x >/opt/vendor/card0'
	[[ $output = *'No space left'* ]]
	[ "$(stat -c %t:%T /dev/full)" = "$("$HPCRUN" run --gpu=card0 app:1 stat -c %t:%T /opt/vendor/card0)" ]
}

@test "gpu: devices are chosen by full name, short name, list, and precedence of directories" {
	nvidia_make
	other_make vendor.com/gpu card0 /opt/card0
	other_make vendor.com/nic nic0 /opt/nic0
	chosen() { # REQUEST: the full names
		"$HPCRUN" run -v "--gpu=$1" app:1 true 2>&1 | sed -n 's/.*GPU: \([^ ]*=[^ ]*\)$/\1/p'
	}
	[ "$(chosen all)" = vendor.com/gpu=card0,nvidia.com/gpu=all ]
	[ "$(chosen 1)" = nvidia.com/gpu=1 ]
	[ "$(chosen 1,card0,1)" = nvidia.com/gpu=1,vendor.com/gpu=card0 ]
	[ "$(chosen vendor.com/nic=nic0)" = vendor.com/nic=nic0 ]
	fail_with "this node has no GPU 'nic0'" "$HPCRUN" run --gpu=nic0 app:1 true
	fail_with "this node has no GPU '7'" "$HPCRUN" run --gpu=7 app:1 true
	fail_with 'it has .*nvidia.com/gpu=0, ' "$HPCRUN" run --gpu=nvidia.com/gpu=7 app:1 true
	# a later directory takes precedence; in one directory there is none
	mkdir "$BATS_TEST_TMPDIR/run"
	sed 's,/opt/card0,/opt/newer,' "$CDI/card0.json" >"$BATS_TEST_TMPDIR/run/card0.json"
	conf "cdi_dir = $BATS_TEST_TMPDIR/run"
	"$HPCRUN" run --gpu=card0 app:1 ls /opt/newer
	cp "$CDI/card0.json" "$CDI/again.json"
	conf
	fail_with "device 'card0' is in '.*/again.json' and in '.*/card0.json'" "$HPCRUN" run --gpu=card0 app:1 true
	rm "$CDI/again.json"
	other_make other.org/gpu 1 /opt/one
	fail_with "device '1' is in .*hint: say which one you mean: --gpu=" bash -c "$HPCRUN run --gpu=1 app:1 true 2>&1 | paste -sd' ' >&2; exit 125"
}

@test "gpu: devices that contradict each other are refused" {
	other_make vendor.com/gpu a /opt/a '"env": ["A=1"]'
	other_make other.org/gpu b /opt/b '"env": ["A=2"]'
	fail_with "contradict each other: a variable is 'A=[12]' and 'A=[12]'" "$HPCRUN" run --gpu=a,b app:1 true
	"$HPCRUN" run --gpu=a app:1 true
}

@test "gpu: hooks that are not known, other versions and members are refused by name" {
	refused() { # EDITS MESSAGE
		other_make vendor.com/gpu card0 /opt/card0 "$1"
		fail_with "CDI file '.*card0.json': .*$2" "$HPCRUN" run --gpu=card0 app:1 true
		fail_with "$2" "$HPCRUN" run --gpu app:1 true
	}
	refused '"hooks": [{"hookName": "createContainer", "path": "/opt/vendor/setup"}]' "the hook '/opt/vendor/setup'"
	refused '"hooks": [{"hookName": "poststop", "path": "/usr/bin/nvidia-ctk", "args": ["x", "hook", "wipe"]}]' \
		"the hook 'nvidia-ctk wipe'"
	refused '"intelRdt": {}' "'intelRdt' takes privilege"
	refused '"mount": []' "unknown member 'mount'"
	sed -i 's/0.6.0/9.9.9/' "$CDI/card0.json"
	fail_with "version '9.9.9' is not known" "$HPCRUN" run --gpu app:1 true
	chmod g+w "$CDI/card0.json"
	fail_with "card0.json' may be written by others" "$HPCRUN" run --gpu app:1 true
	# a file that is broken does not keep from a device of another one
	nvidia_make
	run --separate-stderr -0 "$HPCRUN" run --gpu=0 app:1 true
	[[ $stderr = *'may be written by others (mode 0664); it is passed over'* ]]
}

@test "gpu: what the CDI file names and the node does not have stops the start" { # H20
	nvidia_make
	sed -i 's,/dev/zero,/dev/no-such-gpu,' "$CDI/nvidia.yaml"
	fail_with "cannot look at GPU device '/dev/no-such-gpu': No such file" "$HPCRUN" run --gpu app:1 true
	sed -i 's,/dev/no-such-gpu,/etc/passwd,' "$CDI/nvidia.yaml"
	fail_with "'/etc/passwd' is not a device" "$HPCRUN" run --gpu app:1 true
	nvidia_make
	sed -i 's,hostPath: .*gsp.bin,hostPath: /no/gsp.bin,' "$CDI/nvidia.yaml"
	fail_with "'/no/gsp.bin', which the CDI file names: No such file" "$HPCRUN" run --gpu=0 app:1 true
}

@test "gpu: without one, --gpu is a failure and 'gpu = auto' says nothing" {
	fail_with 'there is no GPU on this node: no CDI file describes one' "$HPCRUN" run --gpu app:1 true
	fail_with 'there is no GPU' "$HPCRUN" run --gpu=0 app:1 true
	fail_with '--gpu= names no device' "$HPCRUN" run --gpu= app:1 true
	conf 'gpu = all'
	fail_with 'there is no GPU' "$HPCRUN" run app:1 true
	"$HPCRUN" run --gpu=none app:1 true
	conf 'gpu = auto'
	run -0 "$HPCRUN" run app:1 echo fine
	[ "$output" = fine ]
	# a CDI file of a system image, on a node without the devices
	nvidia_make
	sed -i 's,/dev/null,/dev/no-such-gpu,' "$CDI/nvidia.yaml"
	run -0 "$HPCRUN" run app:1 echo fine
	[ "$output" = fine ]
	# but what is wrong is said, and the run goes on
	echo 'kind: [' >"$CDI/nvidia.yaml"
	run --separate-stderr -0 "$HPCRUN" run app:1 echo fine
	[[ $output = fine && $stderr = *'going on without the GPU: CDI file '*'no YAML'* ]]
}

@test "gpu: which devices a rank uses is the launcher's to say, not the image's nor the file's" { # H20
	nvidia_make
	cat >"$LISTS/nvidia.conf" <<-EOT
		vendor = nvidia.com
		device = /dev/no-such-gpu
		visible = CUDA_VISIBLE_DEVICES
		with_ids = CUDA_DEVICE_ORDER=PCI_BUS_ID
	EOT
	conf 'session_linger = 5'
	see() { "$HPCRUN" run "$@" app:1 sh -c 'echo "$CUDA_VISIBLE_DEVICES" $CUDA_DEVICE_ORDER; readlink /proc/self/ns/mnt'; }
	CUDA_VISIBLE_DEVICES=0 see --gpu=0,1 >"$BATS_TEST_TMPDIR/a"
	CUDA_VISIBLE_DEVICES=1 see --gpu=0,1 >"$BATS_TEST_TMPDIR/b"
	see --gpu=0,1 >"$BATS_TEST_TMPDIR/c"
	# one container for all
	[ "$(tail -qn 1 "$BATS_TEST_TMPDIR"/[abc] | sort -u | wc -l)" = 1 ]
	[ "$(head -qn 1 "$BATS_TEST_TMPDIR"/[abc] | paste -sd' ')" = '0 PCI_BUS_ID 1 PCI_BUS_ID 0,1 PCI_BUS_ID' ]
	[ "$(see --gpu=all | head -n 1)" = ' ' ] || [ "$(see --gpu=all | head -n 1)" = '' ]
	[ "$(CUDA_VISIBLE_DEVICES=0 see --gpu=0 --env CUDA_VISIBLE_DEVICES=2 | head -n 1)" = '2 PCI_BUS_ID' ]
}

@test "gpu: a MIG device has a number of two parts for people and a UUID for programs" { # H20
	# as 'nvidia-ctk cdi generate --device-name-strategy=index --device-name-strategy=uuid' names them
	local mig1=MIG-4b4d1d3a-1f3a-5f55-a5a3-4ef0f28a9a01 mig2=MIG-4b4d1d3a-1f3a-5f55-a5a3-4ef0f28a9a02
	device() { printf -- '- name: "%s"\n  containerEdits: {deviceNodes: [{path: /dev/null}, {path: %s}]}\n' "$@"; }
	printf 'cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n' >"$CDI/nvidia.yaml"
	{ device 0:0 /dev/zero && device 0:1 /dev/full; } >>"$CDI/nvidia.yaml"
	printf '%s\n' 'vendor = nvidia.com' 'device = /dev/no-such-gpu' 'visible = CUDA_VISIBLE_DEVICES' >"$LISTS/nvidia.conf"
	visible() { "$HPCRUN" run "$@" app:1 sh -c 'echo "$CUDA_VISIBLE_DEVICES"'; }
	# nobody can tell which one that is
	run --separate-stderr -0 visible -v --gpu=0:1
	[[ $output = '' && $stderr = *"programs may see others than 'nvidia.com/gpu=0:1': there is no number or UUID of it for CUDA_VISIBLE_DEVICES"* ]]
	{ device $mig1 /dev/zero && device $mig2 /dev/full; } >>"$CDI/nvidia.yaml"
	[ "$(visible --gpu=0:1)" = $mig2 ]
	[ "$(visible --gpu=0:0,0:1)" = $mig1,$mig2 ]
	[ "$(visible --gpu=$mig1)" = $mig1 ]
	[ "$(HPCRUN_GPU=0:1 visible)" = $mig2 ]
	[ "$(CUDA_VISIBLE_DEVICES=$mig1 visible --gpu=0:0,0:1)" = $mig1 ]
	fail_with "this node has no GPU '0:2'.*hint: it has nvidia.com/gpu=0:0, " bash -c "$HPCRUN run --gpu=0:2 app:1 true 2>&1 | paste -sd' ' >&2; exit 125"
}

@test "gpu: CDI files as AMD's and Intel's tools write them" {
	# amd-ctk: numbers, types and modes of nodes; nothing else, and empty edits for all
	cat >"$CDI/amd.json" <<-'EOT'
		{"cdiVersion":"0.6.0","kind":"amd.com/gpu","devices":[
		 {"name":"0","containerEdits":{"deviceNodes":[
		  {"path":"/dev/null","type":"c","major":1,"minor":3,"fileMode":438,"permissions":"rw","uid":0,"gid":44},
		  {"path":"/dev/zero","type":"c","major":1,"minor":5,"fileMode":438,"permissions":"rw","uid":0,"gid":0}]}},
		 {"name":"all","containerEdits":{"deviceNodes":[{"path":"/dev/null"},{"path":"/dev/zero"}]}}],"containerEdits":{}}
	EOT
	printf '%s\n' 'vendor = amd.com' 'device = /dev/no-such-gpu' 'visible = ROCR_VISIBLE_DEVICES' >"$LISTS/amd.conf"
	run -0 --separate-stderr "$HPCRUN" run --gpu=0 app:1 sh -c 'echo "$ROCR_VISIBLE_DEVICES"'
	[ "$output/$stderr" = 0/ ]
	rm "$CDI/amd.json"
	# Intel's drivers: binds of type none, one of them a link to the node, within /dev or not
	ln -s /dev/full "$BATS_TEST_TMPDIR/pci-0000:03:00.0-card"
	cat >"$CDI/intel.yaml" <<-EOT
		cdiVersion: 0.5.0
		kind: intel.com/gpu
		devices:
		- name: 0000-03-00-0-0x56c0
		  containerEdits:
		    deviceNodes:
		    - {path: /dev/zero, hostPath: /dev/zero, type: c}
		    mounts:
		    - {hostPath: "$BATS_TEST_TMPDIR/pci-0000:03:00.0-card", containerPath: "/opt/pci-0000:03:00.0-card", type: none, options: [bind, rw]}
		    - {hostPath: /dev/full, containerPath: /dev/full, type: none, options: [bind, rw]}
	EOT
	for option in '' --contain; do
		run -0 --separate-stderr "$HPCRUN" run $option --gpu app:1 stat -c %t:%T /opt/pci-0000:03:00.0-card /dev/full /dev/zero
		[ "$output/$stderr" = $'1:7\n1:7\n1:5/' ]
	done
}

# -- libraries

@test "gpu: programs find the driver of the CDI file, by soname and by link" {
	nvidia_make
	run -0 "$HPCRUN" run --gpu=0 app:1 ask
	[ "$output" = 'driver 5' ]
	run -0 "$HPCRUN" run --gpu=0 app:1 ask libcuda.so
	[ "$output" = 'driver 5' ]
	run -0 "$HPCRUN" run --gpu=0 --env LD_LIBRARY_PATH=/nowhere: app:1 ask
	[ "$output" = 'driver 5' ]
	run -1 "$HPCRUN" run app:1 ask
	[[ $output = *'libcuda.so.1: cannot open'* ]]
}

# list_make [LINE...]: NVIDIA's GPUs are there, and the driver of the tests is what they need
list_make() {
	printf '%s\n' 'vendor = nvidia.com' 'device = /dev/nul?' "require = $DRIVER/libcuda.so.5.0" \
		'visible = CUDA_VISIBLE_DEVICES' 'with_ids = CUDA_DEVICE_ORDER=PCI_BUS_ID' "$@" >"$LISTS/nvidia.conf"
}

@test "gpu: without a CDI file a list brings the libraries, those of ld.so.cache too" {
	# the library by soname is one that this machine's cache has, and nothing of the C library
	cached=$(ldconfig -p | sed -n 's/^\s*\(libz\.so\.1\) (.*64.*/\1/p' | head -n 1)
	list_make "library = ${cached:-libz.so.1}" 'library = libno-such.so.9' "file = $DRIVER/gsp.bin" 'file = /no/such/file'
	run -0 "$HPCRUN" run --gpu app:1 sh -c "ask; ls /.hpcrun/lib; cat $DRIVER/gsp.bin"
	[ "$(paste -sd' ' <<<"$output")" = "driver 5 libcuda.so.1 libcuda.so.5.0 ${cached:-libz.so.1} firmware" ]
	run -0 "$HPCRUN" run --gpu=1,0 app:1 sh -c 'echo $CUDA_VISIBLE_DEVICES'
	[ "$output" = 1,0 ]
	run -0 "$HPCRUN" run --gpu=MIG-4b4d1d3a-1f3a-5f55-a5a3-4ef0f28a9a01 app:1 sh -c 'echo $CUDA_VISIBLE_DEVICES'
	[ "$output" = MIG-4b4d1d3a-1f3a-5f55-a5a3-4ef0f28a9a01 ]
	fail_with "which GPU is 'zero'\?.*hint: no CDI file names them: choose by number, or by UUID" \
		bash -c "$HPCRUN run --gpu=zero app:1 true 2>&1 | paste -sd' ' >&2; exit 125"
	# a CDI file for the vendor takes the place of the list
	nvidia_make
	run -0 "$HPCRUN" run -v --gpu app:1 true
	[[ $output = *'GPU: nvidia.com/gpu=all'* && $output != *gpu=all,* ]]
}

@test "gpu: a driver that is missing, or not of its module's version, is told" { # H20
	list_make 'require = libno-such-driver.so.1'
	fail_with "has a GPU of nvidia.com, but no library 'libno-such-driver.so.1'" "$HPCRUN" run --gpu app:1 true
	conf 'gpu = auto'
	run --separate-stderr -0 "$HPCRUN" run app:1 echo fine
	[[ $output = fine && $stderr = *"going on without the GPU: "*libno-such-driver* ]]
	echo 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  6.1.2  Sat Aug 19 01:15:15 UTC 2023' >"$BATS_TEST_TMPDIR/version"
	list_make "driver_version = $BATS_TEST_TMPDIR/version"
	run --separate-stderr -0 "$HPCRUN" run --gpu app:1 ask
	[[ $output = 'driver 5' && $stderr = *'module is of version 6.1.2, its library '*libcuda.so.5.0*' of 5.0'* ]]
	echo 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  5.0  Sat Aug 19 01:15:15 UTC 2023' >"$BATS_TEST_TMPDIR/version"
	run --separate-stderr -0 "$HPCRUN" run --gpu app:1 ask
	[ "$stderr" = '' ]
}

# A driver that wants a version of the C library's symbols that no image has.
newer_make() {
	local dir=$BATS_TEST_TMPDIR/newer
	mkdir "$dir"
	echo 'GLIBC_2.0 { }; GLIBC_2.99 { global: of_2_99; local: *; };' >"$dir/map"
	echo 'int of_2_99(void) { return 5; }' >"$dir/c.c"
	cc -shared -fPIC -nostdlib -o "$dir/libc.so.6" -Wl,-soname,libc.so.6 -Wl,--version-script="$dir/map" "$dir/c.c"
	echo 'int of_2_99(void); int driver_version(void) { return of_2_99(); }' >"$dir/cuda.c"
	cc -shared -fPIC -nostdlib -o "$dir/libcuda.so.6.0" -Wl,-soname,libcuda.so.1 "$dir/cuda.c" "$dir/libc.so.6"
	cp "$dir/libcuda.so.6.0" "$dir/libextra.so.6.0"
	cc -shared -fPIC -nostdlib -o "$dir/libextra.so.6.0" -Wl,-soname,libextra.so.1 "$dir/cuda.c" "$dir/libc.so.6"
}

@test "gpu: a driver that needs a newer C library than the image's is refused before the start" { # H19 H20
	newer_make
	list_make "require = $BATS_TEST_TMPDIR/newer/libcuda.so.6.0"
	fail_with "the GPU driver's '.*libcuda.so.6.0' does not fit the image: .*GLIBC_2.99" "$HPCRUN" run --gpu app:1 true
	conf 'gpu = auto'
	run --separate-stderr -0 "$HPCRUN" run app:1 echo fine
	[[ $output = fine && $stderr = *'programs will not find the GPU'*GLIBC_2.99* ]]
	# one that is of use only to some is left out alone
	list_make "library = $BATS_TEST_TMPDIR/newer/libextra.so.6.0"
	run -0 "$HPCRUN" run --gpu app:1 sh -c 'ask; ls /.hpcrun/lib'
	[ "$(paste -sd' ' <<<"$output")" = 'driver 5 libcuda.so.1 libcuda.so.5.0' ]
	# by CDI: what the list requires is required there, too
	nvidia_make
	sed -i "s,hostPath: .*libcuda.so.5.0,hostPath: $BATS_TEST_TMPDIR/newer/libcuda.so.6.0," "$CDI/nvidia.yaml"
	list_make "require = libcuda.so.1"
	fail_with "does not fit the image: .*GLIBC_2.99" "$HPCRUN" run --gpu=0 app:1 true
}

@test "mpi-check: tells whether a run with --gpu=all would be done, and its status is the MPI's" { # H19
	check() { # STATE TEXT
		[ "$("$HPCRUN" mpi-check --json app:1 | jq -r .gpu.state)" = "$1" ]
		run --separate-stderr -1 "$HPCRUN" mpi-check app:1
		[[ $output = *$'\nwith --gpu=all: '$2* && $stderr = '' ]]
	}
	check none 'nothing is run: there is no GPU on this node: no CDI file'
	# 'gpu = all' is no reason to tell nothing of the MPI
	conf 'gpu = all'
	check none 'nothing is run: there is no GPU on this node'
	conf
	list_make
	check fits "the libraries of 'nvidia.com/gpu=all' are used"
	newer_make
	list_make "library = $BATS_TEST_TMPDIR/newer/libextra.so.6.0"
	check fits "the libraries of 'nvidia.com/gpu=all' are used"$'\n  misfit   '*"libextra.so.6.0' is left out: "*GLIBC_2.99
	list_make "require = $BATS_TEST_TMPDIR/newer/libcuda.so.6.0"
	check misfit "nothing is run: the GPU driver's '"*"libcuda.so.6.0' does not fit the image: "*GLIBC_2.99
	list_make 'require = libno-such-driver.so.1'
	check refused "nothing is run: the node has a GPU of nvidia.com, but no library 'libno-such-driver.so.1'"
	# by CDI, too
	nvidia_make
	list_make 'require = libcuda.so.1'
	check fits "the libraries of 'nvidia.com/gpu=all' are used"
	conf 'locked = gpu' 'gpu = auto'
	check fits "the libraries of 'nvidia.com/gpu=all' are used"
	conf 'locked = gpu'
	check refused "nothing is run: --gpu cannot be used here: this site has locked 'gpu'"
	conf
	echo 'kind: [' >"$CDI/nvidia.yaml"
	echo 'device = /dev/no-such-gpu' >>"$LISTS/nvidia.conf"
	sed -i '/nul?/d' "$LISTS/nvidia.conf"
	check refused "nothing is run: CDI file '"*'no YAML'
}

@test "plan: whether the libraries of the host's GPUs fit is told as mpi-check does" { # H19
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	registry_start "$BATS_TEST_TMPDIR/registry"
	"$HPCRUN" import -q "$SCRATCH/tree" app:1
	"$HPCRUN" push -q app:1 "$REGISTRY/app:1"
	"$HPCRUN" pull -q "$REGISTRY/app:1"
	plan() { # TEXT OF-LIBC
		run --separate-stderr -0 "$HPCRUN" plan "$REGISTRY/app:1"
		[[ $output = *$'\nGPU       '$1$'\n'* && $output = *$'\nlibc      '*"the host's libraries for $2 fit"$'\n'* ]]
		[ "$stderr" = '' ]
	}
	plan 'this host has none' 'MPI and GPUs'
	list_make
	plan "'nvidia.com/gpu=all' of this host fits" MPI
	[ "$("$HPCRUN" plan --json "$REGISTRY/app:1" | jq -c '.gpu, .gpu_unknown')" = \
		"$("$HPCRUN" mpi-check --json "$REGISTRY/app:1" | jq -c .gpu)"$'\nnull' ]
	newer_make
	list_make "library = $BATS_TEST_TMPDIR/newer/libextra.so.6.0"
	plan "'nvidia.com/gpu=all' of this host fits, without 1 of its libraries: 'hpcrun mpi-check' names them" MPI
	list_make "require = $BATS_TEST_TMPDIR/newer/libcuda.so.6.0"
	plan "the GPU driver's '*libcuda.so.6.0' does not fit the image: *GLIBC_2.99*" MPI
	list_make 'require = libno-such-driver.so.1'
	plan "the node has a GPU of nvidia.com, but no library 'libno-such-driver.so.1' for this machine" 'MPI and GPUs'
	HPCRUN_MPI=nonsense plan "it cannot be told here; 'hpcrun mpi-check' says why" 'MPI and GPUs'
	registry_stop
}

@test "gpu: libraries for another machine, and files that are none, are not given to the loader" { # H19
	nvidia_make
	cp "$DRIVER/libcuda.so.5.0" "$BATS_TEST_TMPDIR/libforeign.so.1"
	printf '\001' | dd of="$BATS_TEST_TMPDIR/libforeign.so.1" bs=1 seek=18 conv=notrunc status=none # e_machine
	echo 'no library' >"$BATS_TEST_TMPDIR/libtext.so.1"
	for name in foreign text; do
		sed -i "/^  mounts:/a\\  - {containerPath: /usr/lib/vendor/lib$name.so.1, hostPath: $BATS_TEST_TMPDIR/lib$name.so.1}" \
			"$CDI/nvidia.yaml"
	done
	run -0 "$HPCRUN" run --gpu=0 app:1 sh -c 'ask; ls /.hpcrun/lib; cat /usr/lib/vendor/libtext.so.1'
	[[ $output = 'driver 5'*libcuda.so.1*'no library' ]]
	[[ $output != *libforeign* && $output != *libtext* ]]
}

@test "gpu: an image without the GNU C library is told what is wrong" {
	mkdir -p "$BATS_TEST_TMPDIR"/tree/bin "$BATS_TEST_TMPDIR"/tree/lib
	cp /bin/busybox "$BATS_TEST_TMPDIR/tree/bin/echo"
	echo 'as musl does' >"$BATS_TEST_TMPDIR/tree/lib/ld-musl-x86_64.so.1"
	"$MKSTORE" "$BATS_TEST_TMPDIR/store" musl:1 "$BATS_TEST_TMPDIR/tree" >/dev/null
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	list_make
	fail_with "the GPU driver's '.*libcuda.so.5.0' does not fit the image: .*musl" "$HPCRUN" run --gpu musl:1 echo fine
	conf 'gpu = auto'
	run --separate-stderr -0 "$HPCRUN" run musl:1 echo fine
	# with 'gpu = auto' every image runs: this one cannot use a GPU of the host anyway
	[[ $output = fine && $stderr = '' ]]
}

@test "gpu: the host's driver takes the place of one that the image has" {
	cp -a "$SCRATCH/tree" "$BATS_TEST_TMPDIR/tree"
	echo 'int driver_version(void) { return 4; }' >"$BATS_TEST_TMPDIR/old.c"
	cc -shared -fPIC -o "$BATS_TEST_TMPDIR/tree/usr/lib/libcuda.so.4.0" -Wl,-soname,libcuda.so.1 "$BATS_TEST_TMPDIR/old.c"
	ln -s libcuda.so.4.0 "$BATS_TEST_TMPDIR/tree/usr/lib/libcuda.so.1"
	"$MKSTORE" "$BATS_TEST_TMPDIR/store" old:1 "$BATS_TEST_TMPDIR/tree" >/dev/null
	export HPCRUN_STORE=$BATS_TEST_TMPDIR/store
	run -0 "$HPCRUN" run old:1 ask
	[ "$output" = other ]
	list_make
	run -0 "$HPCRUN" run --gpu old:1 ask
	[ "$output" = 'driver 5' ]
	run -0 "$HPCRUN" run --gpu old:1 ask /usr/lib/libcuda.so.1
	[ "$output" = 'driver 5' ]
}

@test "gpu: H20: the libraries of a list are found once a boot, anew after an update of the driver" {
	need strace
	cp "$DRIVER/libcuda.so.5.0" "$BATS_TEST_TMPDIR/libcuda.so.5.0"
	echo 'int driver_version(void) { return 6; }' >"$BATS_TEST_TMPDIR/new.c"
	cc -shared -fPIC -o "$BATS_TEST_TMPDIR/libcuda.so.6.0" -Wl,-soname,libcuda.so.1 "$BATS_TEST_TMPDIR/new.c"
	DRIVER=$BATS_TEST_TMPDIR/driver
	mkdir "$DRIVER"
	ln -s ../libcuda.so.5.0 "$DRIVER/libcuda.so.5.0"
	settled "$BATS_TEST_TMPDIR"/libcuda*
	list_make
	# a label, so that none joins a session that is still there
	from_before() {
		run -0 "$HPCRUN" run -vv --gpu --label "n=$((++n))" app:1 true
		[[ $output == *'the libraries of the GPU are known from before'*'which libraries of the host fit is known'* ]]
	}
	anew() {
		run -0 "$HPCRUN" run -vv --gpu --label "n=$((++n))" app:1 true
		[[ $output == *"step 'choose host libraries'"* && $output != *'known from before'* ]]
	}
	anew
	from_before
	run -0 "$HPCRUN" run --gpu app:1 ask
	[ "$output" = 'driver 5' ]
	strace -f -qq -e trace=open,openat,openat2 -o "$BATS_TEST_TMPDIR/trace" "$HPCRUN" run --gpu app:1 true
	run ! grep -E '"/[^"]*libcuda[^"]*", [^P]*$' "$BATS_TEST_TMPDIR/trace"
	ln -sf ../libcuda.so.6.0 "$DRIVER/libcuda.so.5.0"
	anew
	run -0 "$HPCRUN" run --gpu app:1 ask
	[ "$output" = other ]
	from_before
	list_make 'library = libz.so.1'
	anew
	from_before
	rm "$DRIVER/libcuda.so.5.0"
	fail_with "no library '.*libcuda.so.5.0'" "$HPCRUN" run --gpu app:1 true
}
