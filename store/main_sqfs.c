/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hpcrun-sqfs: read the metadata of a squashfs, hostile or not, and write an image index. A process
 * of its own that can read what it was given open and write what it was given open, and nothing
 * else; sqfs_child.h is the contract with its callers.
 *
 * usage: hpcrun-sqfs OFFSET SPACE NAME    (0 the file, 1 a pipe for a failure, 3 and 4 the results)
 */
#include "config.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "store/sqfs_child.h"
#include "store/sqfs_index.h"
#include "store/sqfs_meta.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/poison.h"

#define MEMORY_MAX (UINT64_C(8) << 30)
#define CPU_S_MAX  120 /* 16 Mi inodes take 60 */

static const struct {
	int resource;
	rlim_t max;
} limits[] = {
	{ RLIMIT_AS, MEMORY_MAX }, { RLIMIT_CPU, CPU_S_MAX }, { RLIMIT_FSIZE, MEMORY_MAX },
	{ RLIMIT_NOFILE, 16 },	   { RLIMIT_NPROC, 0 },	      { RLIMIT_CORE, 0 },
};

/*
 * What reading, computing and writing need. Everything else fails: not fatal, for a C library of
 * another version may ask for something harmless.
 */
static const char *const calls[] = { "read",	   "pread64", "write",	       "lseek",
				     "fstat",	   "close",   "mmap",	       "munmap",
				     "mremap",	   "brk",     "madvise",       "mprotect",
				     "futex",	   "exit",    "exit_group",    "rt_sigreturn",
				     "newfstatat", "getpid",  "clock_gettime", "getrandom",
				     "sysinfo" };

static int confine(struct hr_err *e)
{
	scmp_filter_ctx ctx;
	int r = 0;

	for (size_t i = 0; i < HR_COUNT(limits); i++) {
		struct rlimit l = { limits[i].max, limits[i].max };
		struct rlimit old;

		if (getrlimit((__rlimit_resource_t)limits[i].resource, &old) == 0 &&
		    old.rlim_max < l.rlim_max)
			l.rlim_cur = l.rlim_max = old.rlim_max;
		if (setrlimit((__rlimit_resource_t)limits[i].resource, &l) < 0)
			return hr_fail(e, HR_SYS, errno, "cannot limit the own resources");
	}
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	for (size_t i = 0; ctx && r == 0 && i < HR_COUNT(calls); i++) {
		int nr = seccomp_syscall_resolve_name(calls[i]);

		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	if (ctx && r == 0)
		r = seccomp_load(ctx); /* sets no_new_privs */
	seccomp_release(ctx);
	return ctx && r == 0 ? 0 : hr_fail(e, HR_SYS, -r, "cannot set up the seccomp filter");
}

static int index_it(char **argv, struct hr_err *e)
{
	hr_autobuf struct hr_buf index = { 0 }, loc = { 0 };
	uint8_t head[STORE_SQFS_SUPER_BYTES];
	hr_autofree uint8_t *metadata = NULL;
	struct store_sqfs_super super;
	struct fetch_digest name;
	uint64_t off, space, n;

	/* the superblock names the library that is to be loaded before nothing can be loaded */
	if (hr_parse_u64(argv[1], "OFFSET", 0, INT64_MAX, &off, e) < 0 ||
	    hr_parse_u64(argv[2], "SPACE", 0, INT64_MAX, &space, e) < 0 ||
	    fetch_digest_parse(argv[3], &name, e) < 0 ||
	    hr_pread_all(STDIN_FILENO, head, sizeof(head), off, "the squashfs", e) < 0 ||
	    store_sqfs_super_parse(head, sizeof(head), space, &super, e) < 0 ||
	    store_sqfs_load(super.compressor, e) < 0 || confine(e) < 0)
		return -1;
	n = super.bytes - super.metadata;
	metadata = hr_alloc_bounded(n, 1, STORE_SQFS_TABLES_MAX, e);
	if (!metadata ||
	    hr_pread_all(STDIN_FILENO, metadata, n, off + super.metadata, "its metadata", e) < 0)
		return hr_wrap(e, "the tables of the squashfs");
	if (store_sqfs_index(&super, off, metadata, &name, &index, &loc, e) < 0)
		return -1;
	if (hr_write_all(STORE_SQFS_INDEX_FD, index.p, index.len, "the index", e) < 0)
		return -1;
	return hr_write_all(STORE_SQFS_LOC_FD, loc.p, loc.len, "the locations", e);
}

int main(int argc, char **argv)
{
	struct hr_err e = { 0 }, lost = { 0 };

	if (argc != 4)
		hr_fail(&e, HR_USAGE, 0, "hpcrun starts this program");
	else if (index_it(argv, &e) == 0)
		return 0;
	/* whoever started us sees another status when this does not arrive */
	return hr_write_all(STDOUT_FILENO, &e, sizeof(e), "the failure", &lost) < 0
		       ? 1
		       : HR_EXIT_FAILED;
}
