#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
# A store behind the real nginx, by the configuration in etc/nginx, with a site cache in front of it, with TLS by a
# site's own authority; and behind something that answers as an S3 bucket does.
# HPCRUN_BUILD is the build tree, with tests/lib/mkstore in it.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154  # each test is a subshell; bats sets output and status; $ is for sh

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	local i
	need_mkstore
	need nginx
	scratch_make
	mkdir -p "$SCRATCH/root/data" "$SCRATCH/nginx"
	busybox_root "$SCRATCH/root" sh cat true find md5sum sort xargs
	head -c 5000000 /dev/urandom >"$SCRATCH/root/data/large"
	for i in $(seq 100); do
		head -c $((i * 90)) /dev/urandom >"$SCRATCH/root/data/f$i"
	done
	"$MKSTORE" "$SCRATCH/site" lab/web:1 "$SCRATCH/root" >/dev/null
	(cd "$SCRATCH/root" && find data -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$SCRATCH/sums"
	authority_make
	nginx_start
	/usr/bin/python3 "$BATS_TEST_DIRNAME/../lib/s3_mock.py" "$SCRATCH/site" "$SCRATCH/s3" >"$SCRATCH/s3.out" 2>&1 3>&- &
	echo $! >"$SCRATCH/s3.pid"
	wait_until 20 test -e "$SCRATCH/s3/port"
}
teardown_file() {
	local pid
	for pid in "$SCRATCH/nginx/pid" "$SCRATCH/s3.pid"; do
		[ ! -e "$pid" ] || kill "$(cat "$pid")"
	done
	scratch_remove
}

setup() {
	need userns
	need fuse
	# shellcheck source=/dev/null
	. "$SCRATCH/nginx/ports"
	export HPCRUN_CONF=$BATS_TEST_TMPDIR/conf HPCRUN_CACHE=$BATS_TEST_TMPDIR/cache
	export HPCRUN_STORE=http://127.0.0.1:$STORE_PORT/hpcrun
	conf
	cd /
}
teardown() {
	wait_until 20 none_left
}

has_nginx() { command -v nginx >/dev/null || [ -x /usr/sbin/nginx ]; }
conf() { printf '%s\n' 'session_linger = 0' 'prefetch = none' 'outage_wait = 20' "$@" >"$HPCRUN_CONF"; }

# An authority of the site, and what it signed for 127.0.0.1.
authority_make() {
	local dir=$SCRATCH/nginx
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=site authority' -keyout "$dir/ca.key" -out "$dir/ca.pem"
	openssl req -newkey rsa:2048 -nodes -subj '/CN=store' -keyout "$dir/tls.key" -out "$dir/tls.csr"
	openssl x509 -req -in "$dir/tls.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
		-extfile <(echo 'subjectAltName = IP:127.0.0.1') -out "$dir/tls.pem"
} 2>"$SCRATCH/openssl.log"

# nginx_start: the two files of etc/nginx with the paths, the ports and the logs of this test. A port that somebody
# else took meanwhile is not ours to use: another one then.
nginx_start() {
	local _
	for _ in 1 2 3 4 5; do
		nginx_configure
		if PATH=$PATH:/usr/sbin nginx -p "$SCRATCH/nginx" -e "$SCRATCH/nginx/error.log" -c "$SCRATCH/nginx/nginx.conf" 3>&-; then
			return 0
		fi
	done
	cat "$SCRATCH/nginx/error.log" >&2
	return 1
}
nginx_configure() {
	local dir=$SCRATCH/nginx etc=$BATS_TEST_DIRNAME/../../etc/nginx
	/usr/bin/python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print("STORE_PORT=%d TLS_PORT=%d CACHE_PORT=%d" % tuple(x.getsockname()[1] for x in s))' >"$dir/ports"
	# shellcheck source=/dev/null
	. "$dir/ports"
	sed "s,/project/images/,$SCRATCH/site/,; s,access_log off,access_log $dir/store.log test; access_log $dir/protocol.log protocol," \
		"$etc/store.conf" >"$dir/store.conf"
	sed "s,https://store.cluster,http://127.0.0.1:$STORE_PORT,; s,/var/cache/hpcrun,$dir/cache,
		s,listen 8080,listen 127.0.0.1:$CACHE_PORT,; s,access_log off,access_log $dir/cache.log test," \
		"$etc/site-cache.conf" >"$dir/site-cache.conf"
	cat >"$dir/nginx.conf" <<-EOF
		$([ "$(id -u)" != 0 ] || echo 'user root;')
		pid $dir/pid;
		events { worker_connections 512; }
		http {
			log_format test '\$request_uri \$http_range \$status \$body_bytes_sent';
			log_format protocol '\$scheme \$server_protocol';
			access_log off;
			$(printf "%s_temp_path $dir/tmp;\n" client_body proxy fastcgi uwsgi scgi)
			server { listen 127.0.0.1:$STORE_PORT; include $dir/store.conf; }
			server {
				listen 127.0.0.1:$TLS_PORT ssl http2;
				ssl_certificate $dir/tls.pem;
				ssl_certificate_key $dir/tls.key;
				include $dir/store.conf;
			}
			include $dir/site-cache.conf;
		}
	EOF
}

run_image() { timeout 120 "$HPCRUN" --no-home lab/web:1 "$@"; }
read_all() {
	run_image sh -c 'cd / && find data -type f | sort | xargs md5sum' | LC_ALL=C sort -k 2 >"$BATS_TEST_TMPDIR/sums" &&
		LC_ALL=C sort -k 2 "$SCRATCH/sums" | cmp - "$BATS_TEST_TMPDIR/sums"
}
# logged NAME: the requests for packs since the log was cleared, sorted.
logged() { sort "$SCRATCH/nginx/$1.log" | grep '/packs/'; }
log_clear() { : >"$SCRATCH/nginx/store.log" && : >"$SCRATCH/nginx/cache.log"; }

@test "nginx: a store by etc/nginx/store.conf, every file right, packs by Range alone" {
	log_clear
	read_all
	[ "$(logged store | wc -l)" -gt 0 ]
	run ! grep -vE ' bytes=[0-9]+-[0-9]+ 206 ' <(logged store)
}

@test "nginx: unfinished objects and leases are shown to nobody" {
	mkdir -p "$SCRATCH/site/tmp" "$SCRATCH/site/leases"
	echo secret >"$SCRATCH/site/tmp/x"
	echo secret >"$SCRATCH/site/leases/x"
	for path in tmp/x leases/x; do
		[ "$(curl -s -o /dev/null -w '%{http_code}' "$HPCRUN_STORE/$path")" = 403 ]
	done
	rm "$SCRATCH/site/tmp/x" "$SCRATCH/site/leases/x"
}

@test "nginx: what never changes may be cached for ever, what may change is not" {
	cached() { curl -s -o /dev/null -D - "$HPCRUN_STORE/$1" | grep -i '^cache-control:'; }
	cd "$SCRATCH/site"
	for path in $(find packs -type f) $(find index -type f ! -name '*.loc'); do
		[[ $(cached "$path") == *immutable* ]] || { echo "$path"; return 1; }
	done
	for path in $(find refs images meta -type f) $(find index -name '*.loc'); do
		[[ $(cached "$path") == *no-cache* ]] || { echo "$path"; return 1; }
	done
}

@test "nginx: through a site cache the store sends every byte once, whatever many nodes ask for" {
	HPCRUN_STORE=http://127.0.0.1:$CACHE_PORT/hpcrun
	log_clear
	HPCRUN_CACHE=$BATS_TEST_TMPDIR/one read_all
	for node in two three; do
		HPCRUN_CACHE=$BATS_TEST_TMPDIR/$node run_image cat /data/large >"$BATS_TEST_TMPDIR/large.$node" &
		pids+=" $!"
	done
	for pid in $pids; do
		wait "$pid"
	done
	for node in two three; do
		cmp "$SCRATCH/root/data/large" "$BATS_TEST_TMPDIR/large.$node"
	done
	[ "$(logged cache | wc -l)" -ge 3 ]
	[ "$(logged store | wc -l)" -gt 1 ]
	[ -z "$(logged store | uniq -d)" ]
}

@test "nginx: what one node brought into a mirror, the next one has without asking the store" {
	HPCRUN_STORE=http://127.0.0.1:$CACHE_PORT/hpcrun read_all
	log_clear
	conf "mirror = http://127.0.0.1:$CACHE_PORT/hpcrun"
	HPCRUN_CACHE=$BATS_TEST_TMPDIR/again read_all
	[ -z "$(logged store)" ]
}

@test "nginx: pieces that a site cache keeps damaged are replaced, once" { # E13
	HPCRUN_STORE=http://127.0.0.1:$CACHE_PORT/hpcrun
	HPCRUN_CACHE=$BATS_TEST_TMPDIR/one read_all
	while read -r piece; do
		printf wrong | dd of="$piece" conv=notrunc bs=1 seek=$(($(stat -c %s "$piece") - 3000)) status=none
	done < <(grep -rlaE '^KEY: /hpcrun/packs/' "$SCRATCH/nginx/cache")
	log_clear
	HPCRUN_CACHE=$BATS_TEST_TMPDIR/two read_all
	[ "$(logged store | wc -l)" -gt 0 ]
	log_clear
	HPCRUN_CACHE=$BATS_TEST_TMPDIR/three read_all
	[ -z "$(logged store)" ]
}

@test "nginx: TLS with the site's own authority, named by ca_file" {
	HPCRUN_STORE=https://127.0.0.1:$TLS_PORT/hpcrun
	conf "ca_file = $SCRATCH/nginx/ca.pem"
	read_all
}

@test "nginx: a server that offers HTTP/2 is spoken to in HTTP/1.1" { # E22: so no GOAWAY and no refused stream
	HPCRUN_STORE=https://127.0.0.1:$TLS_PORT/hpcrun
	conf "ca_file = $SCRATCH/nginx/ca.pem"
	: >"$SCRATCH/nginx/protocol.log"
	run_image true
	[ "$(sort -u "$SCRATCH/nginx/protocol.log")" = 'https HTTP/1.1' ]
}

@test "nginx: TLS by an unknown authority is refused with the remedy" {
	HPCRUN_STORE=https://127.0.0.1:$TLS_PORT/hpcrun fail_with "named by 'ca_file' in hpcrun.conf" "$HPCRUN" lab/web:1 true
}

@test "s3: a bucket that may be read by everyone is a store" {
	HPCRUN_STORE=http://127.0.0.1:$(cat "$SCRATCH/s3/port")/bucket/images
	: >"$SCRATCH/s3/log"
	read_all
	# plain requests for objects: no listing, no query, no credentials
	run ! grep -vE '^GET /bucket/images/[^?]*[^/?] (-|bytes=[0-9]+-[0-9]+) -$' "$SCRATCH/s3/log"
}

@test "s3: an image that is not there is not in the store, also where missing keys are forbidden" {
	bucket=http://127.0.0.1:$(cat "$SCRATCH/s3/port")/bucket
	HPCRUN_STORE=$bucket/images fail_with "image 'lab/other:1' is not in the store 'http://127" "$HPCRUN" lab/other:1 true
	# the next store of the chain has it
	HPCRUN_STORE="$bucket/empty $HPCRUN_STORE" run_image true
}
