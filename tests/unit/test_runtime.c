/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime, what hpcrun itself links: binds, environment, tasks of a node, PATH, keys, messages. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/bind.h"
#include "runtime/env.h"
#include "runtime/exec.h"
#include "runtime/key.h"
#include "runtime/msg.h"
#include "runtime/plan.h"
#include "runtime/slurm.h"
#include "runtime/tasks.h"
#include "runtime/userns.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/poison.h"

static void tasks_of_a_node(void **state)
{
	static const struct {
		const char *list;
		uint64_t node;
		uint32_t tasks; /* 0: refused */
	} rows[] = {
		{ "4", 0, 4 },
		{ "4", 1, 0 },
		{ "4(x2),3", 0, 4 },
		{ "4(x2),3", 1, 4 },
		{ "4(x2),3", 2, 3 },
		{ "4(x2),3", 3, 0 },
		{ "1,2,3", 1, 2 },
		{ "1048576(x1048576)", 1048575, 1048576 },
		{ "1048577", 0, 0 },
		{ "1(x1048577)", 0, 0 },
		{ "99999999999999999999", 0, 0 },
		{ "4", UINT64_MAX, 0 },
		{ "", 0, 0 },
		{ "0", 0, 0 },
		{ "4(x0)", 0, 0 },
		{ ",4", 0, 0 },
		{ "4,", 0, 0 },
		{ "4,,4", 0, 0 },
		{ "-4", 0, 0 },
		{ " 4", 0, 0 },
		{ "4 ", 0, 0 },
		{ "4(", 0, 0 },
		{ "4(x", 0, 0 },
		{ "4(x2", 0, 0 },
		{ "4(2)", 0, 0 },
		{ "4(x2)3", 0, 0 },
		{ "4,x", 0, 0 }, /* node 0 is fine, the list is not */
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		uint32_t n = 0;
		int r = rt_slurm_tasks(rows[i].list, rows[i].node, &n, &e);

		if ((r == 0) != (rows[i].tasks != 0) || n != rows[i].tasks ||
		    (r < 0 && e.kind != HR_CORRUPT))
			fail_msg("row '%s': %d, %u, '%s'", rows[i].list, r, n, e.text);
	}
}

static void tracking(void **state)
{
	static const struct {
		const char *text;
		bool tracked;
	} rows[] = {
		{ "9:name=systemd:/\n6:freezer:/slurm_n1/uid_1/job_1/step_0\n0::/\n", true },
		{ "6:cpu,freezer:/slurm/uid_1/job_1/step_0", true },
		{ "0::/system.slice/slurmstepd.scope/job_1/step_0/user/task_0\n", true },
		{ "0::/system.slice/slurmstepd.scope/job_1/step_batch/user/task_0\n", true },
		{ "6:freezer:/\n5:cpuset:/slurm/uid_1/job_1/step_0\n0::/\n", false },
		{ "6:freezer:/slurm/uid_1/job_1\n5:cpuset:/job_1/step_0\n", false },
		{ "6:freezers:/job_1/step_0\n5:xfreezer:/job_1/step_0\n", false },
		{ "10::/job_1/step_0\n", false },
		{ "0::/user.slice\n", false },
		{ "0::/step_0/job_1\n", false },
		{ "freezer\n", false },
		{ "0:", false },
		{ "0::", false },
		{ "\n", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++)
		if (rt_slurm_tracks(rows[i].text) != rows[i].tracked)
			fail_msg("row '%s'", rows[i].text);
}

static void processes(void **state)
{
	static const struct {
		const char *text, *comm;
		pid_t parent; /* 0: refused */
		unsigned int flags;
	} rows[] = {
		{ "7 (sh) S 41 7 7 0 -1 4194304 1 2\n", "sh", 41, 4194304 },
		{ "7 (a) Z 1 (b) c) R 9 7 7 0 -1 4 1\n", "a) Z 1 (b) c", 9, 4 },
		{ "7 () S 41 7 7 0 -1 0", "", 41, 0 },
		{ "7 (fifteen-letters) S 41 7 7 0 -1 0", "fifteen-letters", 41, 0 },
		{ "7 (sixteen--letters) S 41 7 7 0 -1 0", "", 0, 0 },
		{ "7 (sh) S 41 7 7 0 -1", "", 0, 0 },
		{ "7 )sh( S 41 7 7 0 -1 0", "", 0, 0 },
		{ "7 sh S 41 7 7 0 -1 0", "", 0, 0 },
		{ "", "", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_proc p = { 0 };
		bool good = rt_tasks_parse(rows[i].text, strlen(rows[i].text), &p);

		assert_int_equal(good, rows[i].parent != 0);
		if (!good)
			continue;
		assert_string_equal(p.comm, rows[i].comm);
		assert_int_equal(p.parent, rows[i].parent);
		assert_int_equal(p.flags, rows[i].flags);
	}
}

static void tasks_that_are_left(void **state)
{
	hr_autofree char *self = hr_xasprintf("%d", getpid());

	(void)state;
	assert_int_equal(rt_tasks_left(getppid()), getpid()); /* we are one */
	assert_int_equal(rt_tasks_left(INT32_MAX), 0);
	setenv("SLURM_TASK_PID", "none", 1);
	assert_int_equal(rt_tasks_launcher(), 0);
	setenv("SLURM_TASK_PID", self, 1);
	assert_int_equal(rt_tasks_launcher(), getppid());
	unsetenv("SLURM_TASK_PID");
	assert_int_equal(rt_tasks_launcher(), 0);
}

static void bind_specs(void **state)
{
	static const struct {
		const char *spec, *src, *dst; /* src NULL: refused, dst is in the message */
		bool ro;
	} rows[] = {
		{ "/a", "/a", "/a", false },
		{ "/a:/b", "/a", "/b", false },
		{ "/a:/b:ro", "/a", "/b", true },
		{ "/a:/b:rw", "/a", "/b", false },
		{ "/a::ro", "/a", "/a", true },
		{ "/a:", "/a", "/a", false },
		{ "/a//./c/", "/a//./c/", "/a/c", false },
		{ "data:/x", "/cwd/data", "/x", false },
		{ "data", "/cwd/data", "/cwd/data", false },
		{ "./data", "/cwd/./data", "/cwd/data", false },
		{ "", NULL, "names no source", false },
		{ ":/b", NULL, "names no source", false },
		{ "/a:b", NULL, "not an absolute path", false },
		{ "/a:/../b", NULL, "not an absolute path", false },
		{ "/a:/b/..", NULL, "not an absolute path", false },
		{ "/a:/", NULL, "root of the image", false },
		{ "/a:/.", NULL, "root of the image", false },
		{ "/", NULL, "root of the image", false },
		{ "/a:/b:x", NULL, "neither ro nor rw", false },
		{ "/a:/b:ro:rw", NULL, "neither ro nor rw", false },
		{ "/no/such/../dir", NULL, "does not exist", false },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		struct rt_binds l = { 0 };
		int r = rt_bind_parse(&l, rows[i].spec, "/cwd", &e);

		if ((r == 0) != (rows[i].src != NULL))
			fail_msg("row '%s': %d '%s'", rows[i].spec, r, e.text);
		if (r < 0 && (e.kind != HR_USAGE || !strstr(e.text, rows[i].dst)))
			fail_msg("row '%s': '%s'", rows[i].spec, e.text);
		if (r == 0 && (strcmp(l.v[0].src, rows[i].src) != 0 ||
			       strcmp(l.v[0].dst, rows[i].dst) != 0 || l.v[0].ro != rows[i].ro))
			fail_msg("row '%s': '%s' at '%s'", rows[i].spec, l.v[0].src, l.v[0].dst);
		rt_binds_release(&l);
	}
}

static void binds_in_mounting_order(void **state)
{
	static const char *const added[] = { "/a/b/c", "/tmp", "/a", "/a/b", "/tmp", "/z" };
	static const struct {
		const char *dst, *src;
	} want[] = {
		{ "/a", "2" }, { "/tmp", "4" }, { "/z", "5" }, { "/a/b", "3" }, { "/a/b/c", "0" },
	};
	struct rt_binds l = { 0 };

	(void)state;
	for (size_t i = 0; i < HR_COUNT(added); i++) {
		char src[2] = { (char)('0' + i), '\0' };

		rt_binds_add(&l, src, added[i], false, false);
	}
	rt_binds_order(&l);
	assert_int_equal(l.n, HR_COUNT(want));
	for (size_t i = 0; i < HR_COUNT(want); i++) {
		assert_string_equal(l.v[i].dst, want[i].dst);
		assert_string_equal(l.v[i].src, want[i].src);
	}
	rt_binds_release(&l);
}

static void working_directories(void **state)
{
	static const struct {
		const char *cwd;
		bool wanted;
	} rows[] = {
		{ "/", false },
		{ "/usr", false },
		{ "/usr/local/x", false },
		{ "/usr2", true },
		{ "/etc", false },
		{ "/lib64/x", false },
		{ "/libdata", true },
		{ "/var/log", false },
		{ "/var/tmp", true },
		{ "/var/tmp/x", true },
		{ "/run/user/1", false },
		{ "/opt", false },
		{ "/opt/x", true },
		{ "/home", false },
		{ "/home/bob", true },
		{ "/home/alice", false }, /* bound */
		{ "/home/alice/x", false },
		{ "/home/alice2", true },
		{ "/elsewhere/x", true }, /* something else is bound there */
		{ "/scratch/run:1", true },
	};
	struct rt_binds l = { 0 };

	(void)state;
	rt_binds_add(&l, "/home/alice", "/home/alice", false, false);
	rt_binds_add(&l, "/data", "/elsewhere", false, false);
	for (size_t i = 0; i < HR_COUNT(rows); i++)
		if (rt_bind_wants_cwd(rows[i].cwd, &l) != rows[i].wanted)
			fail_msg("row '%s'", rows[i].cwd);
	rt_binds_release(&l);
}

static const char *const host_words[] = {
	"HOME=/home/alice", "PATH=/host/bin",	 "LD_LIBRARY_PATH=/x",
	"LD_PRELOAD=/y",    "BASH_FUNC_ml%%=()", "KEEP=1",
	"KEEP=2",	    "=broken",		 "alsobroken",
	"SLURM_PROCID=3",   "PMI_FD=7",		 "LANG=C",
	"LC_ALL=C",	    "PYTHONPATH=/host",	 NULL
};

/* execve and environ are declared without const */
#define host ((char *const *)(uintptr_t)host_words)

static void environment_of_the_host(void **state)
{
	static const struct {
		const char *name, *usual, *clean;
	} rows[] = {
		{ "HOME", "/home/alice", "/home/alice" },
		{ "PATH", NULL, NULL },
		{ "LD_LIBRARY_PATH", NULL, NULL },
		{ "LD_PRELOAD", NULL, NULL },
		{ "BASH_FUNC_ml%%", NULL, NULL },
		{ "PYTHONPATH", NULL, NULL },
		{ "KEEP", "1", NULL }, /* the first counts, as in getenv */
		{ "SLURM_PROCID", "3", "3" },
		{ "PMI_FD", "7", "7" },
		{ "LANG", "C", "C" },
		{ "LC_ALL", "C", "C" },
	};
	struct rt_env usual = { 0 }, clean = { 0 };

	(void)state;
	rt_env_host(&usual, host, false);
	rt_env_host(&clean, host, true);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		const char *u = rt_env_get(&usual, rows[i].name);
		const char *c = rt_env_get(&clean, rows[i].name);

		if (!u != !rows[i].usual || (u && strcmp(u, rows[i].usual) != 0) ||
		    !c != !rows[i].clean || (c && strcmp(c, rows[i].clean) != 0))
			fail_msg("row '%s': '%s', '%s'", rows[i].name, u ? u : "-", c ? c : "-");
	}
	assert_int_equal(usual.vars.n, 6);
	rt_env_release(&usual);
	rt_env_release(&clean);
}

static void environment_of_the_image(void **state)
{
	static const char image[] = "PATH=/image/bin\0HOME=/root\0KEEP=image\0SLURM_PROCID=9\0"
				    "NEW=a=b\0bad\0=bad\0EMPTY=";
	struct rt_env env = { 0 }, user = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	rt_env_host(&env, host, false);
	rt_env_image(&env, image, sizeof(image), true);
	assert_string_equal(rt_env_get(&env, "PATH"), "/image/bin");
	assert_string_equal(rt_env_get(&env, "HOME"), "/home/alice");
	assert_string_equal(rt_env_get(&env, "KEEP"), "image");
	assert_string_equal(rt_env_get(&env, "SLURM_PROCID"), "3");
	assert_string_equal(rt_env_get(&env, "NEW"), "a=b");
	assert_string_equal(rt_env_get(&env, "EMPTY"), "");
	assert_null(rt_env_get(&env, "bad"));
	rt_env_image(&env, "HOME=/root\0", 11, false);
	assert_string_equal(rt_env_get(&env, "HOME"), "/root");
	rt_env_image(&env, "CUT=1", 5, false); /* no NUL within the bytes */
	assert_null(rt_env_get(&env, "CUT"));
	assert_int_equal(rt_env_set(&user, host, "KEEP=user", "--env", &e), 0);
	rt_env_overlay(&env, &user);
	assert_string_equal(rt_env_get(&env, "KEEP"), "user");
	rt_env_put(&env, "PATH", "");
	rt_env_finish(&env);
	assert_non_null(strstr(rt_env_get(&env, "PATH"), "/usr/bin"));
	rt_env_release(&env);
	rt_env_release(&user);
}

static void library_directories_come_first(void **state)
{
	static const struct {
		const char *old, *want;
	} rows[] = {
		{ NULL, "/a:/b" },
		{ "", "/a:/b" },
		{ "/x", "/a:/b:/x" },
		{ ":/x::/y:", "/a:/b:/x:/y" }, /* empty parts are the working directory */
		{ "/x;/y", "/a:/b:/x:/y" },
	};
	static const char dirs[] = "/a\0/b";

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_env env = { 0 };

		if (rows[i].old)
			rt_env_put(&env, "LD_LIBRARY_PATH", rows[i].old);
		rt_env_library_dirs(&env, dirs, sizeof(dirs));
		assert_string_equal(rt_env_get(&env, "LD_LIBRARY_PATH"), rows[i].want);
		rt_env_release(&env);
	}
}

static void without_library_directories_nothing_is_touched(void **state)
{
	struct rt_env env = { 0 };

	(void)state;
	rt_env_put(&env, "LD_LIBRARY_PATH", ":/x");
	rt_env_library_dirs(&env, "", 0);
	assert_string_equal(rt_env_get(&env, "LD_LIBRARY_PATH"), ":/x");
	rt_env_release(&env);
}

static void environment_files(void **state)
{
	static const struct {
		const char *text, *name, *value, *message;
	} rows[] = {
		{ "A=1\nB=2\n", "B", "2", NULL },
		{ "A=1\nB=2", "B", "2", NULL },
		{ "# A=1\n\nB=\n", "B", "", NULL },
		{ "B=\"q\"\r\n", "B", "\"q\"", NULL },
		{ "PYTHONPATH\n", "PYTHONPATH", "/host", NULL }, /* asked for by name */
		{ "UNSET\n", "UNSET", NULL, NULL },
		{ "A=1\n=x\n", NULL, NULL, "file, line 2: '=x' has no variable name" },
		{ "SLURM_X=1\n", NULL, NULL, "file, line 1: 'SLURM_X' belongs to the launcher" },
		{ "PMIX_RANK=1\n", NULL, NULL, "belongs to the launcher" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_env env = { 0 };
		struct hr_err e = { 0 };
		int r = rt_env_file(&env, host, "file", rows[i].text, strlen(rows[i].text), &e);
		const char *got = rows[i].name ? rt_env_get(&env, rows[i].name) : NULL;

		if ((r == 0) != !rows[i].message ||
		    (rows[i].message && !strstr(e.text, rows[i].message)) ||
		    !got != !rows[i].value || (got && strcmp(got, rows[i].value) != 0))
			fail_msg("row %zu: %d '%s' '%s'", i, r, e.text, got ? got : "-");
		rt_env_release(&env);
	}
}

static void search_path(void **state)
{
	static const struct {
		const char *path, *want;
	} rows[] = {
		{ "/bin", "/bin/ls " },
		{ "/a:/b", "/a/ls /b/ls " },
		{ "", "" },
		{ ":", "" },
		{ ":/a::/b:", "/a/ls /b/ls " },
		{ "rel:./x:/a", "/a/ls " },
		{ "/0123456789012345678901234567890123456789:/a", "/a/ls " },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_path_walk walk = { rows[i].path };
		hr_autobuf struct hr_buf got = { 0 };
		char file[32];

		hr_buf_str(&got, "");
		while (rt_path_next(&walk, "ls", file, sizeof(file)))
			hr_buf_printf(&got, "%s ", file);
		if (strcmp((const char *)got.p, rows[i].want) != 0)
			fail_msg("row '%s': '%s'", rows[i].path, (const char *)got.p);
	}
}

static void interpreters(void **state)
{
	static const struct {
		const char *head, *want;
	} rows[] = {
		{ "#!/bin/sh\n", "/bin/sh" },
		{ "#! /usr/bin/env python3\n", "/usr/bin/env" },
		{ "#!/bin/sh\r\n", "/bin/sh" },
		{ "#!\n", NULL },
		{ "#!/no/end", NULL },
		{ "#", NULL },
		{ "", NULL },
		{ "\177ELF", NULL },
		{ "text", NULL },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		char got[64] = "";
		bool r = rt_exec_interpreter((const uint8_t *)rows[i].head, strlen(rows[i].head),
					     got, sizeof(got));

		if (r != (rows[i].want != NULL) || (r && strcmp(got, rows[i].want) != 0))
			fail_msg("row '%s': %d '%s'", rows[i].head, r, got);
	}
}

/* Our own program names its loader; every shorter part of it is refused or says the same. */
static void interpreter_of_an_elf_file(void **state)
{
	hr_autofd int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint8_t head[4096];
	char want[64], got[64];
	ssize_t n = read(fd, head, sizeof(head));

	(void)state;
	assert_int_equal(n, sizeof(head));
	if (!rt_exec_interpreter(head, (size_t)n, want, sizeof(want)))
		skip(); /* linked statically */
	assert_int_equal(want[0], '/');
	for (size_t cut = 0; cut < (size_t)n; cut++) {
		/* on the heap, so that a sanitizer sees a byte too many */
		uint8_t *part = hr_xmalloc(cut + 1);

		memcpy(part, head, cut);
		if (rt_exec_interpreter(part, cut, got, sizeof(got)))
			assert_string_equal(got, want);
		free(part);
	}
}

static void plan_key(const char *const *args, char key[RT_KEY_SIZE])
{
	struct rt_run_args run = { 0 };
	char image[] = "image:1", command[] = "true";
	char *words[] = { image, command, NULL };
	char *none[] = { NULL };
	struct hr_err e = { 0 };
	struct rt_plan plan;

	for (; *args; args++) {
		if (strcmp(*args, "writable") == 0)
			run.writable = true;
		else if (strcmp(*args, "fakeroot") == 0)
			run.fakeroot = true;
		else if (strcmp(*args, "no-home") == 0)
			run.no_home = true;
		else if (strncmp(*args, "image=", 6) == 0)
			words[0] = (char *)(uintptr_t)*args + 6;
		else if (strncmp(*args, "command=", 8) == 0)
			words[1] = (char *)(uintptr_t)*args + 8;
		else if (strncmp(*args, "store=", 6) == 0)
			hr_strv_add(&run.stores, *args + 6);
		else if (strncmp(*args, "env=", 4) == 0)
			hr_strv_add(&run.env, *args + 4);
		else
			hr_strv_add(&run.binds, *args);
	}
	if (rt_plan_make(&run, false, words, none, &plan, &e) < 0)
		fail_msg("%s", e.text);
	memcpy(key, plan.key, RT_KEY_SIZE);
	rt_plan_release(&plan);
	hr_strv_release(&run.binds);
	hr_strv_release(&run.stores);
	hr_strv_release(&run.env);
}

static void keys(void **state)
{
	static const struct {
		const char *args[4];
		bool same;
	} rows[] = {
		{ { NULL }, true },
		{ { "command=false", NULL }, true },
		{ { "env=A=1", NULL }, true },
		{ { "image=image:2", NULL }, false },
		{ { "fakeroot", NULL }, false },
		{ { "no-home", NULL }, false },
		{ { "writable", NULL }, false },
		{ { "store=/s", NULL }, false },
		{ { "/usr:/opt/x", NULL }, false },
		{ { "/usr:/opt/x:ro", NULL }, false },
		{ { "/usr:/opt/y", NULL }, false },
		{ { "/usr:/opt/x", "/usr:/opt/y", NULL }, false },
		{ { "/usr:/opt/y", "/usr:/opt/x", NULL }, false },
	};
	char seen[HR_COUNT(rows) + 2][RT_KEY_SIZE];
	const char *none[] = { NULL };

	(void)state;
	setenv("HOME", "/home/alice", 1);
	plan_key(none, seen[0]);
	assert_int_equal(strlen(seen[0]), RT_KEY_SIZE - 1);
	assert_int_equal(strspn(seen[0], "0123456789abcdef"), RT_KEY_SIZE - 1);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		plan_key(rows[i].args, seen[i + 1]);
		if ((strcmp(seen[i + 1], seen[0]) == 0) != rows[i].same)
			fail_msg("row %zu", i);
		for (size_t j = 0; j <= i && !rows[i].same; j++)
			if (strcmp(seen[i + 1], seen[j]) == 0)
				fail_msg("rows %zu and %zu have one key", i, j);
	}
	setenv("SLURM_JOB_ID", "7", 1);
	plan_key(none, seen[HR_COUNT(rows) + 1]);
	assert_string_not_equal(seen[HR_COUNT(rows) + 1], seen[0]);
	unsetenv("SLURM_JOB_ID");
}

/* FNV-1a, 128 bits: the published value of the empty input, and one of our own kept for ever. */
static void key_digest(void **state)
{
	char text[RT_KEY_SIZE];
	struct rt_key k;

	(void)state;
	rt_key_init(&k);
	rt_key_hex(&k, text);
	assert_string_equal(text, "6c62272e07bb014262b821756295c58d");
	k.h ^= 'a';
	rt_key_init(&k);
	rt_key_add(&k, "a", NULL);
	rt_key_hex(&k, text);
	rt_key_init(&k);
	rt_key_add(&k, "a", "");
	char other[RT_KEY_SIZE];
	rt_key_hex(&k, other);
	assert_string_not_equal(text, other);
}

static void packets(void **state)
{
	static const struct {
		const char *what;
		size_t bytes, fds;
		int kind;
	} rows[] = {
		{ "as expected", 8, 2, HR_OK },
		{ "no descriptors", 8, 0, HR_OK },
		{ "short", 7, 0, HR_CORRUPT },
		{ "long", 9, 0, HR_CORRUPT },
		{ "a descriptor too many", 8, 3, HR_CORRUPT },
		{ "empty", 0, 0, HR_NOTFOUND },
	};
	int before = dup(0);

	(void)state;
	close(before);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		int pair[2], fds[3] = { 0, 0, 0 }, got[2];
		char out[16] = "12345678", in[8];
		int r;

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		assert_int_equal(rt_msg_send(pair[0], out, rows[i].bytes, fds, rows[i].fds, &e), 0);
		r = rt_msg_recv(pair[1], in, sizeof(in), got, 2, &e);
		if ((int)e.kind != rows[i].kind || (r == 0) != (rows[i].kind == HR_OK))
			fail_msg("row '%s': %d '%s'", rows[i].what, r, e.text);
		for (size_t j = 0; j < 2; j++) {
			assert_true((got[j] >= 0) == (r == 0 && j < rows[i].fds));
			if (got[j] >= 0) {
				assert_int_equal(fcntl(got[j], F_GETFD), FD_CLOEXEC);
				close(got[j]);
			}
		}
		close(pair[0]);
		hr_err_clear(&e);
		assert_int_equal(rt_msg_recv(pair[1], in, sizeof(in), got, 2, &e), -1);
		assert_int_equal(e.kind, HR_NOTFOUND);
		close(pair[1]);
	}
	assert_int_equal(dup(0), before); /* no descriptor was leaked */
	close(before);
}

static void packets_beyond_the_limit_of_descriptors(void **state)
{
	struct rlimit old, less;
	int pair[2], fds[2] = { 0, 0 }, got[2], next = dup(0);
	struct hr_err e = { 0 };
	char text[8] = "1234567";

	(void)state;
	close(next);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(rt_msg_send(pair[0], text, sizeof(text), fds, 2, &e), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	less = (struct rlimit) { (rlim_t)next + 3,
				 old.rlim_max }; /* the pair, and one of the two */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
	assert_int_equal(rt_msg_recv(pair[1], text, sizeof(text), got, 2, &e), -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(e.kind, HR_SYS);
	assert_int_equal(e.sys, EMFILE);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(dup(0), next); /* the one that came was closed */
	close(next);
}

/* Which cause is named when several could be meant. */
static void refused_user_namespaces(void **state)
{
	static const struct {
		const char *what;
		int err;
		struct rt_userns_site site;
		const char *hint;
	} rows[] = {
		{ "none allowed", ENOSPC, { .max = '0' }, "user.max_user_namespaces, to 15000" },
		{ "too many", ENOSPC, { .max = '1' }, "limit of the sysctl" },
		{ "not for users",
		  EPERM,
		  { .max = '1', .clone = '0' },
		  "kernel.unprivileged_userns_clone=1" },
		{ "H14: AppArmor",
		  EACCES,
		  { .max = '1', .clone = '1', .apparmor = '1', .filtered = true },
		  "load the AppArmor profile '" HPCRUN_DATADIR "/apparmor/hpcrun'" },
		{ "AppArmor allows it", EPERM, { .apparmor = '0', .filtered = true }, "seccomp" },
		{ "a filter", EPERM, { .max = '1', .filtered = true }, "seccomp filter" },
		{ "a filter that says ENOSYS", ENOSYS, { .filtered = true }, "seccomp filter" },
		{ "no filter", EPERM, { .max = '1' }, "chroot" },
		{ "a kernel without", EINVAL, { 0 }, "CONFIG_USER_NS" },
		{ "a kernel without, too", ENOSYS, { 0 }, "CONFIG_USER_NS" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };

		assert_int_equal(rt_userns_explain(rows[i].err, &rows[i].site, &e), -1);
		assert_int_equal(e.kind, HR_DENIED);
		assert_int_equal(e.sys, rows[i].err);
		if (!strstr(e.hint, rows[i].hint))
			fail_msg("row '%s': %s", rows[i].what, e.hint);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tasks_of_a_node),
		cmocka_unit_test(tracking),
		cmocka_unit_test(processes),
		cmocka_unit_test(tasks_that_are_left),
		cmocka_unit_test(bind_specs),
		cmocka_unit_test(binds_in_mounting_order),
		cmocka_unit_test(working_directories),
		cmocka_unit_test(environment_of_the_host),
		cmocka_unit_test(environment_of_the_image),
		cmocka_unit_test(library_directories_come_first),
		cmocka_unit_test(without_library_directories_nothing_is_touched),
		cmocka_unit_test(environment_files),
		cmocka_unit_test(search_path),
		cmocka_unit_test(interpreters),
		cmocka_unit_test(interpreter_of_an_elf_file),
		cmocka_unit_test(keys),
		cmocka_unit_test(key_digest),
		cmocka_unit_test(packets),
		cmocka_unit_test(packets_beyond_the_limit_of_descriptors),
		cmocka_unit_test(refused_user_namespaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
