/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/cmd_run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/enter.h"
#include "runtime/join.h"
#include "runtime/plan.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/optsrc.h"
#include "util/poison.h"

extern char **environ;

static const char *const all_gpus[] = { "all" };    /* --gpu without a value */
static const char *const keep_id[] = { "keep-id" }; /* --userns without one */

/* What users of Apptainer, Singularity, Shifter, Sarus, Charliecloud and Docker type. */
static const struct hr_foreign foreign[] = {
	{ "nv", "'--gpu'" },
	{ "rocm", "'--gpu'" },
	{ "nvccli", "'--gpu'" },
	{ "gpus", "'--gpu'" },
	{ "writable-tmpfs", "'--writable'" },
	{ "write", "'--writable'" },
	{ "write-fake", "'--writable'" },
	{ "pwd", "'--workdir'" },
	{ "cwd", "'--workdir'" },
	{ "cd", "'--workdir'" },
	{ "volume", "'--bind'" },
	{ "mount", "'--bind'" },
	{ "set-env", "'--env'" },
	{ "unset-env", "'--cleanenv' or '--env NAME='" },
	{ "env-passthrough", "the default" },
	{ "clearenv", "'--cleanenv'" },
	{ "ipc-host", "the default" },
	{ "net-host", "the default" },
	{ "i", "the default: the terminal is passed on," },
	{ "t", "the default: the terminal is passed on," },
	{ "interactive", "the default: the terminal is passed on," },
	{ "tty", "the default: the terminal is passed on," },
	{ "detach", "'&' of the shell" },
	{ "name", "not needed, for nothing is kept of a container" },
	{ "network", "'--net'" },
	{ "privileged", "'--fakeroot', without a privilege on the host," },
	{ "rm", "the default: nothing is kept of a container" },
	{ "sharens", "the default: the ranks of a node share a session" },
	{ "join", "the default: the ranks of a node share a session" },
	{ "module", "'--mpi' and '--gpu'" },
	{ "nvidia", "'--gpu'" },
	{ "no-home-mount", "'--no-home'" },
	{ "user", "'--fakeroot' for user 0, and nobody else," },
	{ NULL, NULL },
};

static const struct hr_opt run_opts[] = {
	HR_OPT_LIST('b', "bind", "SRC[:DST[:MODE]]", struct rt_run_args, binds,
		    "make host path SRC visible at DST, MODE ro or rw; may be repeated"),
	HR_OPT_LIST(0, "ro", "SRC[:DST]", struct rt_run_args, ro_binds,
		    "the same, read-only; counts after all --bind"),
	HR_OPT_LIST(0, "rw", "SRC[:DST]", struct rt_run_args, rw_binds,
		    "the same, writable; counts after all --ro"),
	HR_OPT_LIST('e', "env", "NAME[=VALUE]", struct rt_run_args, env,
		    "set a variable, or pass the host's through; may be repeated"),
	HR_OPT_LIST(0, "env-file", "FILE", struct rt_run_args, env_files,
		    "set the variables that FILE lists, one per line; may be repeated"),
	HR_OPT_FLAG(0, "containall", struct rt_run_args, containall,
		    "--contain, --cleanenv, --pid and --ipc"),
	HR_OPT_FLAG(0, "cleanenv", struct rt_run_args, cleanenv,
		    "take next to nothing of the host's environment"),
	HR_OPT_STR('w', "workdir", "DIR", struct rt_run_args, workdir,
		   "start in DIR of the container"),
	HR_OPT_FLAG(0, "no-home", struct rt_run_args, no_home, "do not bind the home directory"),
	HR_OPT_STR(0, "home", "SRC[:DST]", struct rt_run_args, home,
		   "bind SRC as the home directory, at DST"),
	HR_OPT_STR(0, "entrypoint", "CMD", struct rt_run_args, entrypoint,
		   "run CMD instead of the image's entrypoint; '' for none"),
	HR_OPT_WORD("gpu", "DEVICES", struct rt_run_args, gpu, all_gpus,
		    "use GPUs of the host: all, none, or a list of names"),
	HR_OPT_FLAG(0, "writable", struct rt_run_args, writable,
		    "let the image be changed, in memory, until the end"),
	HR_OPT_WORD("userns", "MODE", struct rt_run_args, userns, keep_id,
		    "keep-id, as always, or root, as --fakeroot"),
	HR_OPT_STR(0, "umask", "MODE", struct rt_run_args, umask,
		   "run with this umask, an octal number, instead of the caller's"),
	HR_OPT_LIST(0, "cap-drop", "CAP[,CAP]", struct rt_run_args, cap_drop,
		    "take capabilities, or all, from those of --fakeroot"),
	HR_OPT_LIST(0, "security", "NAME:VALUE", struct rt_run_args, security,
		    "seccomp:FILE, apparmor:PROFILE or selinux:CONTEXT; may be repeated"),
	HR_OPT_FLAG(0, "fakeroot", struct rt_run_args, fakeroot, "be user 0 in the container"),
	HR_OPT_LIST(0, "store", "PATH", struct rt_run_args, stores,
		    "look for the image in this store, a path or a URL, and in no other unless "
		    "repeated"),
	HR_OPT_STR(0, "cache", "DIR", struct rt_run_args, cache,
		   "keep what is read of the image in DIR, on a disk of this node"),
	HR_OPT_STR_OF(0, "pull", "WHEN", struct rt_run_args, pull, rt_pull_words,
		      "pull the image first: missing (the default), always or never"),
	HR_OPT_STR_OF(0, "mpi", "WHOSE", struct rt_run_args, mpi, &rt_mpi_words[1],
		      "the MPI to use: auto, host, image or off; else as hpcrun.conf has it"),
	HR_OPT_STR(0, "image", "IMAGE", struct rt_run_args, image,
		   "the image, then the first operand is the command"),
	HR_OPT_LIST(0, HR_OPTSRC_FILE, "FILE", struct rt_run_args, options,
		    "take further options from FILE, one a line; may be repeated"),
	HR_OPT_COUNT('v', "verbose", struct rt_run_args, verbose,
		     "say more; twice: the steps and their times"),
	HR_OPT_END
};

/*
 * Their variables are read by the session and by other verbs, too, and have forms of their own. An
 * image in the environment would make another command of each command line: there is none.
 */
static const char *const env_own[] = { "store", "cache", "image", NULL };

/* A variable that is almost one of ours says nothing, which may surprise. */
static void look_for_misspelt(void)
{
	static const char *const others[] = { "STORE", "CACHE", "CONF", "LIBEXECDIR", NULL };
	char *near;

	for (int i = 0; (i = hr_optsrc_misspelt(&rt_cmd_run, others, environ, i, &near)) >= 0;
	     i++) {
		hr_info("variable '%.*s' means nothing to hpcrun; was '%s' meant?",
			(int)strcspn(environ[i], "="), environ[i], near);
		free(near);
	}
}

/* Join (or start) the session and become the program: returns on failure only. */
static int run(const struct rt_run_args *args, bool shell, char **argv, struct hr_err *e)
{
	struct rt_joined j;
	struct rt_plan plan;
	int status = -1;

	rt_joined_init(&j);
	hr_log_setup("hpcrun", args->verbose > 1   ? HR_LOG_DEBUG
			       : args->verbose > 0 ? HR_LOG_INFO
						   : HR_LOG_WARN);
	if (args->verbose > 0)
		look_for_misspelt();
	if (rt_plan_make(args, shell, argv, environ, &plan, e) == 0 &&
	    rt_session_join(&plan, &j, e) == 0)
		status = rt_enter(&plan, &j, e);
	if (j.told || (j.quiet && args->verbose == 0)) {
		hr_err_clear(e);
		status = HR_EXIT_FAILED;
	}
	rt_joined_release(&j);
	rt_plan_release(&plan);
	return status;
}

/*
 * Run ARGV with --image as its first word, if there is one. LEAST and MOST are how many words it
 * may have then; MOST -1: any number. Shifter writes docker:NAME.
 */
static int run_words(struct rt_run_args *args, const struct hr_cmd *cmd, int argc, char **argv,
		     int least, int most, struct hr_err *e)
{
	static const char shifter[] = "docker:";
	hr_autofree char **words = hr_xmalloc(((size_t)argc + 2) * sizeof(*words));
	const char *image = args->image;
	size_t n = image ? 1 : 0;

	if (image && strncmp(image, shifter, strlen(shifter)) == 0 && image[strlen(shifter)] != '/')
		image += strlen(shifter);
	words[0] = (char *)(uintptr_t)image;
	memcpy(words + n, argv, (size_t)argc * sizeof(*words)); /* zeroed: it ends with NULL */
	argc += (int)n;
	if (argc < least) {
		hr_opt_hint_usage("hpcrun", cmd, e);
		return hr_fail(e, HR_USAGE, 0, argc == 0 ? "no image given" : "no command given");
	}
	if (most >= 0 && argc > most)
		return hr_fail(e, HR_USAGE, 0, "surplus operand '%s'", words[most]);
	return run(args, cmd == &rt_cmd_shell, words, e);
}

static int run_main(void *args, int argc, char **argv, struct hr_err *e)
{
	return run_words(args, &rt_cmd_run, argc, argv, 1, -1, e);
}

static int exec_main(void *args, int argc, char **argv, struct hr_err *e)
{
	return run_words(args, &rt_cmd_exec, argc, argv, 2, -1, e);
}

static int shell_main(void *args, int argc, char **argv, struct hr_err *e)
{
	return run_words(args, &rt_cmd_shell, argc, argv, 1, 1, e);
}

/* The three verbs take the same options from the same places. */
#define RUN_OPTIONS                                                                                \
	.opts = run_opts, .common = rt_shape_opts, .args_size = sizeof(struct rt_run_args),        \
	.env_prefix = "HPCRUN_", .env_own = env_own, .foreign = foreign, .stop_at_operand = true

const struct hr_cmd rt_cmd_run = {
	.name = "run",
	.operands = "IMAGE [COMMAND [ARG]...]",
	.summary = "run a command inside an image; without one, what the image says",
	.more = "The word 'run' may be left out. Options behind IMAGE belong to COMMAND.\n"
		"IMAGE is a reference as in 'hpcrun pull', a manifest digest, or the path of a\n"
		"squashfs or SIF file.",
	RUN_OPTIONS,
	.max_operands = -1,
	.main = run_main,
};

const struct hr_cmd rt_cmd_exec = {
	.name = "exec",
	.operands = "IMAGE COMMAND [ARG]...",
	.summary = "the same as run, but COMMAND must be given",
	RUN_OPTIONS,
	.max_operands = -1,
	.main = exec_main,
};

const struct hr_cmd rt_cmd_shell = {
	.name = "shell",
	.operands = "IMAGE",
	.summary = "run a shell of the image: /bin/bash, else /bin/sh",
	RUN_OPTIONS,
	.max_operands = 1,
	.main = shell_main,
};
