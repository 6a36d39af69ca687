/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime, what the session makes of texts: image configurations, passwd and group, parameters. */
#include "config.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "runtime/identity.h"
#include "runtime/imgconf.h"
#include "runtime/params.h"
#include "runtime/seccomp.h"
#include "runtime/view.h"
#include "util/cleanup.h"
#include "util/poison.h"

static void image_configurations(void **state)
{
	static const struct {
		const char *json, *message;
		size_t env, entrypoint, cmd;
		const char *workdir;
		unsigned int dropped;
	} rows[] = {
		{ "{}", NULL, 0, 0, 0, NULL, 0 },
		{ "{\"config\":null}", NULL, 0, 0, 0, NULL, 0 },
		{ "{\"config\":{}}", NULL, 0, 0, 0, NULL, 0 },
		{ "{\"config\":{\"Env\":[\"A=1\",\"B=\"],\"Entrypoint\":[\"x\"],\"Cmd\":[\"y\","
		  "\"z\"],\"WorkingDir\":\"/w\",\"User\":\"0\",\"Labels\":{\"a\":\"b\"}}}",
		  NULL, 2, 1, 2, "/w", 0 },
		{ "{\"config\":{\"Env\":[\"A\",\"=1\",\"B=1\"],\"Cmd\":null,\"WorkingDir\":\"rel\"}"
		  "}",
		  NULL, 1, 0, 0, NULL, 2 },
		{ "{\"config\":{\"Env\":\"A=1\"}}", "member 'Env' is not an array", 0, 0, 0, NULL,
		  0 },
		{ "{\"config\":{\"Cmd\":[1]}}", "element 0 of 'Cmd' is not a string", 0, 0, 0, NULL,
		  0 },
		{ "{\"config\":[]}", "member 'config' is not an object", 0, 0, 0, NULL, 0 },
		{ "{\"config\":{\"WorkingDir\":1}}", "member 'WorkingDir'", 0, 0, 0, NULL, 0 },
		{ "{\"config\":{},\"config\":{}}", "byte", 0, 0, 0, NULL, 0 },
		{ "{\"config\":{\"Cmd\":[\"a\\u0000b\"]}}", "byte", 0, 0, 0, NULL, 0 },
		{ "[]", "is not an object", 0, 0, 0, NULL, 0 },
		{ "{} x", "byte", 0, 0, 0, NULL, 0 },
		{ "", "byte", 0, 0, 0, NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		struct rt_image im;
		unsigned int dropped;
		int r = rt_imgconf_parse((const uint8_t *)rows[i].json, strlen(rows[i].json), &im,
					 &dropped, &e);

		if ((r == 0) != !rows[i].message ||
		    (r < 0 && (e.kind != HR_CORRUPT || !strstr(e.text, rows[i].message))))
			fail_msg("row %zu: %d '%s'", i, r, e.text);
		if (r == 0 && (im.env.n != rows[i].env || im.entrypoint.n != rows[i].entrypoint ||
			       im.cmd.n != rows[i].cmd || dropped != rows[i].dropped ||
			       !im.workdir != !rows[i].workdir))
			fail_msg("row %zu: %zu %zu %zu %u", i, im.env.n, im.entrypoint.n, im.cmd.n,
				 dropped);
		rt_image_release(&im);
	}
}

static void parameters(void **state)
{
	uint8_t program[16] = { 1, 2, 3 };
	struct hr_buf filter = { .p = program, .len = sizeof(program) };
	hr_autobuf struct hr_buf b = { 0 };
	struct rt_image im = { 0 };
	struct rt_host host = { 0 };
	struct rt_params p;
	struct hr_err e = { 0 };

	(void)state;
	hr_strv_add(&host.env, "C=3");
	hr_strv_add(&host.dirs, "/d");
	host.report = hr_xstrdup("0text");
	hr_strv_add(&im.env, "A=1");
	hr_strv_add(&im.env, "B=2");
	hr_strv_add(&im.cmd, "ls");
	im.workdir = hr_xstrdup("/w");
	rt_params_write(&b, &filter, &im, &host);
	assert_int_equal(rt_params_parse(b.p, b.len, &p, &e), 0);
	assert_int_equal(p.filter_bytes, sizeof(program));
	assert_memory_equal(p.filter, program, sizeof(program));
	assert_int_equal(p.env_bytes, 8);
	assert_memory_equal(p.env, "A=1\0B=2", 8);
	assert_int_equal(p.entrypoint_bytes, 0);
	assert_string_equal(p.cmd, "ls");
	assert_string_equal(p.workdir, "/w");
	assert_string_equal(p.host_env, "C=3");
	assert_string_equal(p.host_dirs, "/d");
	assert_string_equal(p.report, "0text");
	assert_int_equal(p.report_bytes, 6);
	rt_image_release(&im);
	rt_host_release(&host);
	/* every cut, one byte more, and every byte changed: refused, or within bounds */
	for (size_t n = 0; n <= b.len; n++) {
		uint8_t *part = hr_xmalloc(n + 2);

		memcpy(part, b.p, n);
		part[n] = 'x';
		hr_err_clear(&e);
		assert_int_equal(rt_params_parse(part, n, &p, &e) == 0, n == b.len);
		hr_err_clear(&e);
		assert_int_equal(rt_params_parse(part, n + 1, &p, &e), -1);
		assert_int_equal(e.kind, HR_CORRUPT);
		free(part);
	}
	for (size_t i = 0; i < b.len; i++) {
		b.p[i] ^= 0x80;
		hr_err_clear(&e);
		if (rt_params_parse(b.p, b.len, &p, &e) < 0)
			assert_int_equal(e.kind, HR_CORRUPT);
		b.p[i] ^= 0x80;
	}
}

static void passwd_and_group(void **state)
{
	static const struct {
		const char *image, *want;
	} passwd[] = {
		{ "", "alice:x:1001:1001:A:/home/alice:/bin/sh\n" },
		{ "root:x:0:0:root:/root:/bin/sh\n",
		  "root:x:0:0:root:/root:/bin/sh\nalice:x:1001:1001:A:/home/alice:/bin/sh\n" },
		{ "root:x:0:0:root:/root:/bin/sh",
		  "root:x:0:0:root:/root:/bin/sh\nalice:x:1001:1001:A:/home/alice:/bin/sh\n" },
		{ "ubuntu:x:1001:1001::/home/ubuntu:/bin/bash\n",
		  "alice:x:1001:1001:A:/home/alice:/bin/sh\n" },
		{ "alice:x:77:77::/:/bin/bash\n\n", "alice:x:1001:1001:A:/home/alice:/bin/sh\n" },
		{ "alice2:x:10010:1::/:\n",
		  "alice2:x:10010:1::/:\nalice:x:1001:1001:A:/home/alice:/bin/sh\n" },
		{ "junk\n:\n", "junk\n:\nalice:x:1001:1001:A:/home/alice:/bin/sh\n" },
	};
	char user[] = "alice", gecos[] = "A", home[] = "/home/alice", shell[] = "/bin/sh",
	     name[] = "users";
	struct rt_identity id = { .uid = 1001,
				  .gid = 1001,
				  .user = user,
				  .gecos = gecos,
				  .home = home,
				  .shell = shell,
				  .group = name };
	hr_autobuf struct hr_buf group = { 0 };

	(void)state;
	for (size_t i = 0; i < HR_COUNT(passwd); i++) {
		hr_autobuf struct hr_buf got = { 0 };

		rt_identity_passwd(&id, passwd[i].image, strlen(passwd[i].image), &got);
		if (strcmp((const char *)got.p, passwd[i].want) != 0)
			fail_msg("row %zu: '%s'", i, (const char *)got.p);
	}
	rt_identity_group(&id, "root:x:0:\nx:x:1001:\n", 20, &group);
	assert_string_equal((const char *)group.p, "root:x:0:\nusers:x:1001:alice\n");
}

static void identity_without_a_line(void **state)
{
	struct rt_ids nobody = { 4000000000u, 4000000000u, 4000000000u, 4000000000u };
	struct rt_ids root = { 1001, 1001, 0, 0 };
	struct rt_identity id;

	(void)state;
	setenv("LOGNAME", "a:b\nc", 1);
	rt_identity_find(&id, &nobody, NULL);
	assert_string_equal(id.user, "a_b_c");
	assert_string_equal(id.home, "/");
	assert_int_equal(id.uid, 4000000000u);
	rt_identity_release(&id);
	rt_identity_find(&id, &root, "/home/me");
	assert_string_equal(id.user, "root");
	assert_string_equal(id.home, "/home/me");
	rt_identity_release(&id);
}

static void targets(void **state)
{
	struct rt_binds l = { 0 };
	hr_autobuf struct hr_buf got = { 0 };

	(void)state;
	rt_binds_add(&l, "/s", "/tmp", false, false);
	rt_binds_add(&l, "/s", "/tmp/in/it", false, false);
	rt_binds_add(&l, "/s", "/etc/hosts", true, false);
	l.v[2].file = true;
	rt_binds_order(&l);
	rt_view_targets(&l, &got);
	assert_int_equal(got.len, 18);
	assert_memory_equal(got.p, "d/tmp\0f/etc/hosts", 18);
	rt_binds_release(&l);
}

/* Run the classic BPF program of a filter over one call: loads of 32-bit words, jumps and returns
 * are all that libseccomp emits. */
static uint32_t verdict(const struct hr_buf *b, const struct seccomp_data *d)
{
	const struct sock_filter *f = (const void *)b->p;
	size_t n = b->len / sizeof(*f);
	uint32_t a = 0;

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &f[pc];
		bool yes;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const uint8_t *)d + i->k, sizeof(a));
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= i->k;
			break;
		default:
			fail_msg("instruction %zu has code %#x", pc, i->code);
			return 0;
		}
		pc += yes ? i->jt : i->jf;
	}
	fail_msg("the program has no end");
	return 0;
}

#if defined(__x86_64__)
#define NATIVE	AUDIT_ARCH_X86_64
#define FOREIGN AUDIT_ARCH_AARCH64
#elif defined(__aarch64__)
#define NATIVE	AUDIT_ARCH_AARCH64
#define FOREIGN AUDIT_ARCH_X86_64
#endif

static void system_calls(void **state)
{
	static const struct {
		const char *what;
		uint32_t arch;
		int nr;
		uint64_t request;
		uint32_t error; /* 0: allowed */
	} rows[] = {
		{ "read", NATIVE, SYS_read, 0, 0 },
		{ "TIOCSTI", NATIVE, SYS_ioctl, TIOCSTI, EPERM },
		{ "TIOCSTI, high bits", NATIVE, SYS_ioctl, 0xffffffff00000000u | TIOCSTI, EPERM },
		{ "TIOCLINUX", NATIVE, SYS_ioctl, TIOCLINUX, EPERM },
		{ "another ioctl", NATIVE, SYS_ioctl, TIOCGWINSZ, 0 },
		{ "keyctl", NATIVE, SYS_keyctl, 0, ENOSYS },
		{ "bpf", NATIVE, SYS_bpf, 0, EPERM },
		{ "finit_module", NATIVE, SYS_finit_module, 0, EPERM },
		{ "process_vm_readv", NATIVE, SYS_process_vm_readv, 0, 0 },
		{ "perf_event_open", NATIVE, SYS_perf_event_open, 0, 0 },
		{ "io_uring_setup", NATIVE, 425, 0, 0 },
		{ "clone3", NATIVE, 435, 0, 0 },
		{ "mount", NATIVE, SYS_mount, 0, 0 },
		{ "a call of the future", NATIVE, 4000, 0, 0 },
		{ "another machine", FOREIGN, 63, 0, ENOSYS },
#if defined(__x86_64__)
		{ "TIOCSTI, i386", AUDIT_ARCH_I386, 54, TIOCSTI, EPERM },
		{ "another ioctl, i386", AUDIT_ARCH_I386, 54, TIOCGWINSZ, 0 },
		{ "TIOCSTI, x32", NATIVE, 0x40000000 + 514, TIOCSTI, EPERM },
		{ "keyctl, i386", AUDIT_ARCH_I386, 288, 0, ENOSYS },
#endif
	};
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(rt_seccomp_compile(NULL, false, &b, &e), 0);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct seccomp_data d = { .nr = rows[i].nr,
					  .arch = rows[i].arch,
					  .args = { 0, rows[i].request } };
		uint32_t want =
			rows[i].error ? SECCOMP_RET_ERRNO | rows[i].error : SECCOMP_RET_ALLOW;
		uint32_t got = verdict(&b, &d);

		if (got != want)
			fail_msg("row '%s': %#x, expected %#x", rows[i].what, got, want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_configurations),
		cmocka_unit_test(parameters),
		cmocka_unit_test(passwd_and_group),
		cmocka_unit_test(identity_without_a_line),
		cmocka_unit_test(targets),
		cmocka_unit_test(system_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
