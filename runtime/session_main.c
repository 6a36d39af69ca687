/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun-session: started by hpcrun, not by people. Its option table is what hpcrun has planned. */
#include "config.h"

#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "runtime/plan.h"
#include "runtime/session.h"
#include "runtime/view.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/opt.h"
#include "util/poison.h"

#define FD_OPT(name, member, help)                                                                 \
	HR_OPT_U64(0, name, "FD", struct rt_session_args, member, 3, INT32_MAX, help)

static const struct hr_opt opts[] = {
	FD_OPT("listen-fd", listen_fd, "the socket for ranks"),
	FD_OPT("dir-fd", dir_fd, "the directory of the user's sessions"),
	HR_OPT_STR(0, "key", "KEY", struct rt_session_args, key, "the name of the session"),
	HR_OPT_STR(0, "caller-cwd", "DIR", struct rt_session_args, caller_cwd,
		   "what relative bind sources start from"),
	HR_OPT_STR(0, "bind-cwd", "DIR", struct rt_session_args, bind_cwd,
		   "bind the working directory"),
	HR_OPT_STR(0, "home-source", "DIR", struct rt_session_args, home_source,
		   "bind the home directory"),
	HR_OPT_STR(0, "home-target", "DIR", struct rt_session_args, home_target, "and where"),
	HR_OPT_LIST(0, "bind", "SRC:DST:MODE", struct rt_session_args, binds,
		    "bind as the user asks"),
	HR_OPT_STR(0, "foreign-binds", "NAME", struct rt_session_args, foreign_binds,
		   "the variable of another runtime that names some of them"),
	HR_OPT_LIST(0, "store", "PATH", struct rt_session_args, stores, "look for the image here"),
	HR_OPT_STR(0, "cache", "DIR", struct rt_session_args, cache, "the cache of this node"),
	HR_OPT_STR(0, "app", "NAME", struct rt_session_args, app, "the program of the first rank"),
	HR_OPT_STR(0, "gpu", "DEVICES", struct rt_session_args, gpu, "the GPUs to be used"),
	HR_OPT_STR(0, "command", "WORD", struct rt_session_args, command, "the same as typed"),
	HR_OPT_ENUM(0, "pull", "WHEN", struct rt_session_args, pull, rt_pull_words,
		    "pull the image first"),
	HR_OPT_ENUM(0, "mpi", "WHOSE", struct rt_session_args, mpi, rt_mpi_words,
		    "the MPI of the host or of the image"),
	HR_OPT_ENUM(0, "mpi-check", "FORM", struct rt_session_args, mpi_check, rt_mpi_check_words,
		    "report on it, run nothing"),
	HR_OPT_FLAG(0, "writable", struct rt_session_args, writable, "an overlay in memory"),
	HR_OPT_FLAG(0, "fakeroot", struct rt_session_args, fakeroot, "user 0 inside"),
	HR_OPT_END
};

/* The rank's stderr is not ours to keep open: srun waits until the last copy is closed. */
static int let_go_of_stderr(struct hr_err *e)
{
	hr_autofd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDERR_FILENO) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open '/dev/null'");
	return 0;
}

static int session_main(void *args, int argc, char **argv, struct hr_err *e)
{
	struct rt_session_args *a = args;

	(void)argc;
	a->image = argv[0];
	if (!a->key || !a->caller_cwd || a->listen_fd == 0 || a->dir_fd == 0)
		return hr_fail(e, HR_USAGE, 0, "hpcrun-session is started by hpcrun");
	if (let_go_of_stderr(e) < 0)
		return -1;
	return rt_session_run(a, e);
}

static const struct hr_cmd cmd = {
	.name = "(started by hpcrun)",
	.operands = "IMAGE",
	.summary = "hold a container for the ranks of this node",
	.opts = opts,
	.common = rt_shape_opts,
	.args_size = sizeof(struct rt_session_args),
	.min_operands = 1,
	.max_operands = 1,
	.main = session_main,
};

int main(int argc, char **argv)
{
	struct hr_err e = { 0 };
	int r = hr_cmd_run("hpcrun-session", &cmd, argc - 1, argv + 1, &e);

	if (e.kind != HR_OK)
		hr_err_print(&e);
	return r < 0 ? HR_EXIT_FAILED : r;
}
