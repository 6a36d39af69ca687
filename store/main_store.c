/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hpcrun-store: the verbs of hpcrun that work on images at rest. hpcrun executes it with its own
 * arguments; the user sees one program. Prints the failure and exits: nobody else does.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/cmd.h"
#include "store/interrupt.h"
#include "util/log.h"
#include "util/poison.h"

const struct hr_cmd *const store_cmds[] = {
	&store_cmd_pull,
	&store_cmd_import,
	&store_cmd_export,
	&store_cmd_images,
	&store_cmd_inspect,
	&store_cmd_rmi,
	&store_cmd_gc,
	&store_cmd_cache,
	&store_cmd_prefetch,
	&store_cmd_login,
	&store_cmd_logout,
	&store_cmd_refill,
	&store_cmd_stats,
	&store_cmd_doctor,
	&store_cmd_plan,
	&store_cmd_tag,
	&store_cmd_history,
	&store_cmd_verify,
	&store_cmd_version,
	&store_cmd_diff,
	&store_cmd_config,
	&store_cmd_completion,
	&store_cmd_store,
	&store_cmd_push,
	NULL,
};

static int print_help(void)
{
	printf("usage: hpcrun VERB [OPTION]... [OPERAND]...\n\ncommands:\n");
	for (size_t i = 0; store_cmds[i]; i++)
		printf("  %-10s %s\n", store_cmds[i]->name, store_cmds[i]->summary);
	return 0;
}

static int no_verb(const char *word, struct hr_err *e)
{
	const char *names[HR_COUNT(store_cmds)] = { NULL };

	for (size_t i = 0; store_cmds[i]; i++)
		names[i] = store_cmds[i]->name;
	hr_fail(e, HR_USAGE, 0, "'%s' is no verb of hpcrun-store", word);
	hr_hint_nearest(word, names, e);
	return -1;
}

static int dispatch(int argc, char **argv, struct hr_err *e)
{
	if (argc < 2)
		return hr_fail(e, HR_USAGE, 0, "no verb given");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return print_help();
	for (size_t i = 0; store_cmds[i]; i++)
		if (strcmp(store_cmds[i]->name, argv[1]) == 0)
			return hr_cmd_run("hpcrun", store_cmds[i], argc - 2, argv + 2, e);
	return no_verb(argv[1], e);
}

int main(int argc, char **argv)
{
	struct hr_err e = { 0 };
	int r;

	hr_log_setup("hpcrun", HR_LOG_WARN);
	umask(022); /* who may read a store is decided by its top directory, not by each file */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a write fails with EFBIG then, and is told */
	r = dispatch(argc, argv, &e);
	/* a list that a full disk cut is no list; a reader who left wanted no more of it */
	if (fflush(stdout) != 0 && errno != EPIPE && r >= 0)
		r = hr_fail(&e, HR_SYS, errno, "cannot write to standard output");
	if (r < 0)
		store_interrupt_end(&e);
	if (e.kind != HR_OK)
		hr_err_print(&e);
	return r < 0 ? HR_EXIT_FAILED : r;
}
