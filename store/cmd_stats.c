/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun stats: what the sessions of this user on this node have counted. */
#include "config.h"

#include "store/cmd.h"
#include "store/sessions.h"
#include "util/cleanup.h"
#include "util/poison.h"

struct stats_args {
	bool json, prometheus;
};

static const struct hr_opt stats_opts[] = {
	HR_OPT_FLAG(0, "json", struct stats_args, json, "print a JSON array"),
	HR_OPT_FLAG(0, "prometheus", struct stats_args, prometheus,
		    "print metrics in the text form of Prometheus"),
	HR_OPT_END
};

static int stats_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(sessions_release) struct sessions l = { NULL, 0 };
	const struct stats_args *a = args;

	if (a->json && a->prometheus)
		return hr_fail(e, HR_USAGE, 0, "--json and --prometheus exclude each other");
	sessions_read(&l);
	if (argc > 0 && sessions_select(&l, argv[0], e) < 0)
		return -1;
	if (a->json)
		return sessions_print_json(&l, e);
	if (a->prometheus)
		sessions_print_prometheus(&l);
	else if (argc > 0)
		sessions_print_text(&l);
	else
		sessions_print_table(&l);
	return 0;
}

const struct hr_cmd store_cmd_stats = {
	.name = "stats",
	.operands = "[SESSION]",
	.summary = "show what sessions on this node have read, and how long it took",
	.opts = stats_opts,
	.args_size = sizeof(struct stats_args),
	.max_operands = 1,
	.main = stats_main,
};
