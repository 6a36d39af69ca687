/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/cmd_mpi_check.h"

#include <errno.h>
#include <stdio.h>

#include "runtime/join.h"
#include "runtime/plan.h"
#include "util/log.h"
#include "util/poison.h"

extern char **environ;

struct check_args {
	bool json;
	const char *mpi, *pull;
	struct hr_strv stores;
	unsigned int verbose;
};

static const struct hr_opt opts[] = {
	HR_OPT_FLAG(0, "json", struct check_args, json, "print JSON"),
	HR_OPT_STR_OF(0, "mpi", "WHOSE", struct check_args, mpi, &rt_mpi_words[1],
		      "as for run: auto, host, image or off; else as hpcrun.conf has it"),
	HR_OPT_STR_OF(0, "pull", "WHEN", struct check_args, pull, rt_pull_words,
		      "pull the image first: missing (the default), always or never"),
	HR_OPT_LIST(0, "store", "PATH", struct check_args, stores,
		    "look for the image in this store, and in no other unless repeated"),
	HR_OPT_COUNT('v', "verbose", struct check_args, verbose,
		     "say more; twice: the steps and their times"),
	HR_OPT_END
};

/* The session writes the report; its first character is our exit status. */
static int print_report(const struct rt_joined *j, struct hr_err *e)
{
	const char *report = j->params.report;

	if (j->params.report_bytes < 2)
		return hr_fail(e, HR_SYS, 0, "the session made no report");
	if (fputs(report + 1, stdout) == EOF || fflush(stdout) == EOF)
		return hr_fail(e, HR_SYS, errno, "cannot write to standard output");
	return report[0] - '0';
}

static int check_main(void *args, int argc, char **argv, struct hr_err *e)
{
	const struct check_args *a = args;
	struct rt_run_args run = { .mpi = a->mpi,
				   .pull = a->pull,
				   .stores = a->stores,
				   .no_home = true,
				   .verbose = a->verbose,
				   .mpi_check = a->json ? RT_MPI_CHECK_JSON : RT_MPI_CHECK_TEXT };
	struct rt_joined j;
	struct rt_plan plan;
	int status = -1;

	(void)argc; /* argv ends with NULL */
	rt_joined_init(&j);
	hr_log_setup("hpcrun", a->verbose > 1	? HR_LOG_DEBUG
			       : a->verbose > 0 ? HR_LOG_INFO
						: HR_LOG_WARN);
	if (rt_plan_make(&run, false, argv, environ, &plan, e) == 0 &&
	    rt_session_join(&plan, &j, e) == 0)
		status = print_report(&j, e);
	if (j.told) {
		hr_err_clear(e);
		status = HR_EXIT_FAILED;
	}
	rt_joined_release(&j);
	rt_plan_release(&plan);
	return status;
}

const struct hr_cmd rt_cmd_mpi_check = {
	.name = "mpi-check",
	.operands = "IMAGE",
	.summary = "tell which MPI an image would run with, and why",
	.more = "Exit status: 0 when an MPI or a fabric library of the host would be used, else 1.",
	.opts = opts,
	.args_size = sizeof(struct check_args),
	.min_operands = 1,
	.max_operands = 1,
	.main = check_main,
};
