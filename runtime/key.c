/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <time.h>

#include "util/boot.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define WIDE(hi, lo) ((unsigned __int128)(hi) << 64 | (lo))
/* FNV-1a, 128 bits: offset basis and prime as published by its authors */
#define FNV_BASIS WIDE(0x6c62272e07bb0142u, 0x62b821756295c58du)
#define FNV_PRIME WIDE(0x0000000001000000u, 0x000000000000013bu)

void rt_key_init(struct rt_key *k)
{
	k->h = FNV_BASIS;
}

static void add_bytes(struct rt_key *k, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		k->h = (k->h ^ b[i]) * FNV_PRIME;
}

void rt_key_add(struct rt_key *k, const char *name, const char *value)
{
	add_bytes(k, name, strlen(name) + 1);
	add_bytes(k, value ? "=" : "-", 1);
	if (value)
		add_bytes(k, value, strlen(value) + 1);
}

void rt_key_add_u64(struct rt_key *k, const char *name, uint64_t value)
{
	add_bytes(k, name, strlen(name) + 1);
	add_bytes(k, &value, sizeof(value));
}

void rt_key_hex(const struct rt_key *k, char text[RT_KEY_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < RT_KEY_SIZE - 1; i++)
		text[i] = digits[(k->h >> (124 - 4 * i)) & 15];
	text[RT_KEY_SIZE - 1] = '\0';
}

/* A session of another boot, or of another view of the host, is another session. */
static int add_machine(struct rt_key *k, struct hr_err *e)
{
	static const char *const spaces[] = { "/proc/self/ns/user", "/proc/self/ns/mnt" };
	char boot[HR_BOOT_ID + 1];
	struct stat st;

	(void)hr_boot_id(boot); /* masked in some containers: then the namespaces alone must do */
	rt_key_add(k, "boot", boot);
	for (size_t i = 0; i < HR_COUNT(spaces); i++) {
		if (stat(spaces[i], &st) < 0) {
			hr_fail(e, HR_SYS, errno, "cannot look at '%s'", spaces[i]);
			hr_hint(e, "hpcrun needs /proc to be mounted");
			return -1;
		}
		rt_key_add_u64(k, spaces[i], st.st_ino);
	}
	return 0;
}

static void add_list(struct rt_key *k, const char *name, const struct hr_strv *l)
{
	for (size_t i = 0; i < l->n; i++)
		rt_key_add(k, name, l->v[i]);
}

/* What the session or the server reads of its environment, and the job that it belongs to. */
static void add_environment(struct rt_key *k)
{
	static const char *const names[] = { "SLURM_JOB_ID",
					     "SLURM_STEP_ID",
					     "SLURM_RESTART_COUNT",
					     "HPCRUN_STORE",
					     "HPCRUN_CACHE",
					     "HPCRUN_CONF",
					     "HOME",
					     "XDG_CONFIG_HOME",
					     "XDG_DATA_HOME",
					     "PMIX_SERVER_TMPDIR" };

	for (size_t i = 0; i < HR_COUNT(names); i++)
		rt_key_add(k, names[i], getenv(names[i]));
}

/* A file that was replaced, or written to, is another image. */
static void add_file(struct rt_key *k, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return; /* gone since: the server will say so */
	rt_key_add_u64(k, "file", st.st_dev);
	rt_key_add_u64(k, "inode", st.st_ino);
	rt_key_add_u64(k, "bytes", (uint64_t)st.st_size);
	rt_key_add_u64(k, "changed",
		       (uint64_t)st.st_ctim.tv_sec * 1000000000u + (uint64_t)st.st_ctim.tv_nsec);
}

int rt_key_of_plan(struct rt_plan *plan, struct hr_err *e)
{
	struct hr_strv shape = { 0 };
	struct rt_key k;

	rt_key_init(&k);
	rt_key_add(&k, "version", PACKAGE_VERSION);
	rt_key_add(&k, "libexecdir", plan->libexecdir);
	rt_key_add_u64(&k, "uid", getauxval(AT_EUID));
	rt_key_add_u64(&k, "gid", getauxval(AT_EGID));
	if (add_machine(&k, e) < 0)
		return -1;
	add_environment(&k);
	rt_key_add(&k, "image", plan->image);
	if (plan->image_file)
		add_file(&k, plan->image_file);
	add_list(&k, "store", plan->stores);
	rt_key_add(&k, "cache", plan->cache);
	for (size_t i = 0; i < plan->binds.n; i++) {
		rt_key_add(&k, "source", plan->binds.v[i].src);
		rt_key_add(&k, "target", plan->binds.v[i].dst);
		rt_key_add_u64(&k, "ro", plan->binds.v[i].ro);
	}
	rt_key_add(&k, "foreign binds", plan->foreign_binds); /* the session says so */
	rt_key_add(&k, "home source", plan->home_src);
	rt_key_add(&k, "home", plan->home_dst);
	rt_key_add(&k, "cwd", plan->cwd_bind);
	rt_key_add_u64(&k, "writable", plan->writable);
	rt_key_add_u64(&k, "fakeroot", plan->fakeroot);
	rt_key_add_u64(&k, "pull", plan->pull);
	rt_key_add(&k, "gpu", plan->gpu);
	rt_key_add_u64(&k, "mpi", plan->mpi);
	rt_key_add_u64(&k, "mpi check", plan->mpi_check);
	hr_opt_unparse(rt_shape_opts, &plan->shape, &shape);
	add_list(&k, "shape", &shape);
	if (plan->shape.seccomp && plan->shape.seccomp[0] == '/')
		add_file(&k, plan->shape.seccomp);
	hr_strv_release(&shape);
	if ((plan->writable || plan->shape.pid) && !plan->in_step) {
		struct timespec now = { 0 };

		/* not shared: two runs must not see each other's changes, and processes that a run
		 * leaves behind are to end with it */
		clock_gettime(CLOCK_MONOTONIC, &now);
		rt_key_add_u64(&k, "pid", (uint64_t)getpid());
		rt_key_add_u64(&k, "time",
			       (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
	}
	rt_key_hex(&k, plan->key);
	return 0;
}
