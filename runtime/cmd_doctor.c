/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session needs of the host is tried here, each step by a child of its own. What concerns
 * stores and the cache is hpcrun-store's: this process becomes it at the end.
 */
#include "config.h"

#include "runtime/cmd_doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/mount.h"
#include "runtime/place.h"
#include "runtime/plan.h"
#include "runtime/userns.h"
#include "util/cleanup.h"
#include "util/finding.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/poison.h"

#define FILES_MIN 256 /* descriptors: packs of an image are kept open */

struct doctor_args {
	bool json;
	struct hr_strv stores;
};

static const struct hr_opt opts[] = {
	HR_OPT_FLAG(0, "json", struct doctor_args, json, "print one JSON object for each check"),
	HR_OPT_LIST(0, "store", "PATH", struct doctor_args, stores,
		    "check this store or URL, and no other unless repeated"),
	HR_OPT_END
};

/* ---- the kernel ---- */

/* What newer kernels have; the first is needed. */
static const struct {
	unsigned int major, minor;
	enum hr_result without;
	const char *lost;
} features[] = {
	{ 5, 2, HR_RESULT_FAIL, "mounts cannot be moved by descriptor (open_tree)" },
	{ 5, 6, HR_RESULT_WARN, "large files of images are not mounted from the cache (openat2)" },
	{ 5, 11, HR_RESULT_WARN, "--writable does not work: no overlayfs in user namespaces" },
	{ 5, 12, HR_RESULT_WARN, "read-only binds do not work (mount_setattr)" },
	{ 6, 9, HR_RESULT_WARN,
	  "when a server is killed, reads in flight fail with EIO (FUSE_NOTIFY_RESEND)" },
};

static void check_kernel(struct hr_findings *f)
{
	unsigned int major = 0, minor = 0;
	bool all = true;
	struct utsname u;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2) {
		hr_finding(f, "kernel", HR_RESULT_WARN, NULL, "its version cannot be told");
		return;
	}
	for (size_t i = 0; i < HR_COUNT(features); i++) {
		if (major > features[i].major ||
		    (major == features[i].major && minor >= features[i].minor))
			continue;
		all = false;
		hr_finding(f, "kernel", features[i].without, NULL, "Linux %s, before %u.%u: %s",
			   u.release, features[i].major, features[i].minor, features[i].lost);
	}
	if (all)
		hr_finding(f, "kernel", HR_RESULT_OK, NULL, "Linux %s", u.release);
}

/* ---- namespaces and mounts: each try is a child, whose failure comes through a pipe ---- */

typedef int try_fn(struct hr_err *e);

static int enter(struct hr_err *e)
{
	struct rt_ids ids = { getuid(), getgid(), getuid(), getgid() };
	int proc = rt_userns_open_proc(e);

	return proc < 0 || rt_userns_enter(proc, &ids, e) < 0 || rt_mount_private(e) < 0 ? -1 : 0;
}

static int try_userns(struct hr_err *e)
{
	return enter(e) < 0 || rt_mount_tmpfs("mode=0700", e) < 0 ? -1 : 0;
}

static int try_fuse(struct hr_err *e)
{
	int fuse;

	if (enter(e) < 0 || (fuse = rt_mount_open_fuse(e)) < 0)
		return -1;
	return rt_mount_fuse(fuse, getuid(), getgid(), e) < 0 ? -1 : 0;
}

static int try_overlay(struct hr_err *e)
{
	int scratch;

	if (enter(e) < 0 || (scratch = rt_mount_tmpfs("mode=0700", e)) < 0)
		return -1;
	if (mkdirat(scratch, "lower", 0755) < 0 || mkdirat(scratch, "upper", 0755) < 0 ||
	    mkdirat(scratch, "work", 0755) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make directories in a tmpfs");
	return rt_mount_overlay(openat(scratch, "lower", O_PATH | O_CLOEXEC), scratch, false, e) < 0
		       ? -1
		       : 0;
}

static const struct {
	const char *name, *good;
	try_fn *fn;
	enum hr_result bad;
} tries[] = {
	{ "user namespaces", "may be made, with mounts in them", try_userns, HR_RESULT_FAIL },
	{ "/dev/fuse", "a FUSE file system can be mounted", try_fuse, HR_RESULT_FAIL },
	{ "overlayfs", "--writable works", try_overlay, HR_RESULT_WARN },
};

static int try_in_child(try_fn *fn, struct hr_err *e)
{
	struct hr_err told = { 0 };
	int pipefd[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a pipe");
	pid = fork();
	if (pid == 0) {
		if (fn(&told) < 0)
			n = write(pipefd[1], &told, sizeof(told)); /* one packet fits a pipe */
		_exit(told.kind == HR_OK ? 0 : 1);
	}
	close(pipefd[1]);
	if (pid < 0) {
		close(pipefd[0]);
		return hr_fail(e, HR_SYS, errno, "cannot start a process");
	}
	n = read(pipefd[0], &told, sizeof(told));
	close(pipefd[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n == sizeof(told) && told.kind != HR_OK) {
		*e = told;
		return -1;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return hr_fail(e, HR_SYS, 0, "the process that tried it was killed");
	return 0;
}

/* The first is what the others need. */
static void check_tries(struct hr_findings *f)
{
	unsigned int before = f->failed;

	for (size_t i = 0; i < HR_COUNT(tries); i++) {
		struct hr_err e = { 0 };

		if (try_in_child(tries[i].fn, &e) < 0)
			hr_finding_err(f, tries[i].name, tries[i].bad, &e);
		else
			hr_finding(f, tries[i].name, HR_RESULT_OK, NULL, "%s", tries[i].good);
		if (i == 0 && f->failed > before)
			return;
	}
}

/* ---- the rest of the host ---- */

static void check_place(struct hr_findings *f)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	struct hr_err e = { 0 };
	hr_autofd int fd = rt_place_open(&e);

	if (fd < 0)
		hr_finding_err(f, "run directory", HR_RESULT_FAIL, &e);
	else if (dir && dir[0] == '/')
		hr_finding(f, "run directory", HR_RESULT_OK, NULL, "'%s/hpcrun'", dir);
	else
		hr_finding(f, "run directory", HR_RESULT_OK, NULL, "'/tmp/hpcrun-%u'",
			   (unsigned int)geteuid());
}

static void check_limits(struct hr_findings *f)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES_MIN)
		hr_finding(f, "limits", HR_RESULT_WARN, "raise it: ulimit -n 1024",
			   "a process may open %llu files", (unsigned long long)files.rlim_cur);
	else
		hr_finding(f, "limits", HR_RESULT_OK, NULL, "enough files may be open");
}

static void check_programs(struct hr_findings *f)
{
	static const char *const names[] = { "hpcrun-session", "hpcrun-serve", "hpcrun-serve-net",
					     "hpcrun-store" };
	bool all = true;

	for (size_t i = 0; i < HR_COUNT(names); i++) {
		hr_autofree char *path = hr_xasprintf("%s/%s", rt_libexecdir(), names[i]);

		if (access(path, X_OK) == 0)
			continue;
		all = false;
		hr_finding(f, "installation", HR_RESULT_FAIL, "install hpcrun completely",
			   "cannot execute '%s': %s", path, strerror(errno));
	}
	if (all)
		hr_finding(f, "installation", HR_RESULT_OK, NULL, "hpcrun %s in '%s'",
			   PACKAGE_VERSION, rt_libexecdir());
}

/* A clock that is years behind makes every certificate one of the future. */
static void check_clock(struct hr_findings *f)
{
	static const time_t released = 1767225600; /* 2026-01-01 */

	if (time(NULL) < released)
		hr_finding(f, "clock", HR_RESULT_FAIL, "set the clock of this machine",
			   "it is before the year in which hpcrun was made: TLS will fail");
	else
		hr_finding(f, "clock", HR_RESULT_OK, NULL, "plausible");
}

static bool in_path(const char *program)
{
	const char *dir = getenv("PATH");

	while (dir && *dir) {
		size_t n = strcspn(dir, ":");
		hr_autofree char *path = hr_xasprintf("%.*s/%s", (int)n, dir, program);

		if (n > 0 && access(path, X_OK) == 0)
			return true;
		dir += n + (dir[n] == ':');
	}
	return false;
}

static void check_slurm(struct hr_findings *f)
{
	const char *job = getenv("SLURM_JOB_ID");

	if (job)
		hr_finding(f, "Slurm", HR_RESULT_OK, NULL, "in job %s", job);
	else if (in_path("srun"))
		hr_finding(f, "Slurm", HR_RESULT_OK, NULL, "srun is there");
	else
		hr_finding(f, "Slurm", HR_RESULT_OK, NULL,
			   "srun is not there: login sessions only");
}

/* ---- the verb ---- */

static int become_store(const struct doctor_args *a, const struct hr_findings *f, struct hr_err *e)
{
	hr_autofree char *path = hr_xasprintf("%s/hpcrun-store", rt_libexecdir());
	struct hr_strv argv = { 0 };

	hr_strv_add(&argv, path);
	hr_strv_add(&argv, "doctor-stores");
	hr_strv_take(&argv, hr_xasprintf("--warned=%u", f->warned));
	hr_strv_take(&argv, hr_xasprintf("--failed=%u", f->failed));
	if (a->json)
		hr_strv_add(&argv, "--json");
	for (size_t i = 0; i < a->stores.n; i++)
		hr_strv_take(&argv, hr_xasprintf("--store=%s", a->stores.v[i]));
	if (fflush(stdout) != 0)
		return hr_fail(e, HR_SYS, errno, "cannot write to standard output");
	execv(path, argv.v);
	hr_fail(e, HR_SYS, errno, "cannot execute '%s'", path);
	hr_hint(e, "is hpcrun installed completely?");
	hr_strv_release(&argv);
	return -1;
}

static int doctor_main(void *args, int argc, char **argv, struct hr_err *e)
{
	const struct doctor_args *a = args;
	struct hr_findings f = { .json = a->json };

	(void)argc;
	(void)argv;
	check_programs(&f);
	check_kernel(&f);
	check_tries(&f);
	check_place(&f);
	check_limits(&f);
	check_clock(&f);
	check_slurm(&f);
	return become_store(a, &f, e);
}

const struct hr_cmd rt_cmd_doctor = {
	.name = "doctor",
	.operands = "",
	.summary = "check this machine, its cache and its stores",
	.more = "Exit status: 0, or 1 when a check failed; warnings are no failures.",
	.opts = opts,
	.args_size = sizeof(struct doctor_args),
	.main = doctor_main,
};
