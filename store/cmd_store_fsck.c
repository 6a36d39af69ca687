/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun store fsck: is everything in a store what its name says? */
#include "config.h"

#include "store/check_show.h"
#include "store/cmd_store.h"
#include "store/interrupt.h"
#include "util/cleanup.h"
#include "util/poison.h"

struct fsck_args {
	struct store_admin_common common;
	struct store_check_show show;
	uint64_t threads;
};

static const struct hr_opt fsck_opts[] = {
	HR_OPT_FLAG(0, "json", struct fsck_args, show.json, "print a JSON object for each event"),
	HR_OPT_FLAG('q', "quiet", struct fsck_args, show.quiet, "print nothing but damage"),
	HR_OPT_U64('t', "threads", "N", struct fsck_args, threads, 1, STORE_CHECK_THREADS_MAX,
		   "check with N threads (default: one for each CPU)"),
	HR_OPT_END
};

static int fsck_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	HR_CLEANUP(store_closep) struct store *st = NULL;
	struct fsck_args *a = args;
	struct store_check_options o = { .threads = a->threads ? (unsigned int)a->threads
							       : store_admin_threads(),
					 .cancel = store_interrupt_catch(),
					 .damaged = store_check_show_damage,
					 .arg = &a->show };
	struct store_check_result r;

	(void)argc;
	(void)argv;
	store_check_show_begin(&a->show);
	if (store_admin_open(&a->common, &conf, &st, e) < 0)
		return -1;
	o.st = st;
	if (store_check_all(&o, &r, e) < 0)
		return -1;
	store_check_show_end(&a->show, "store", st->path, &r);
	return r.damaged > 0 ? STORE_CHECK_EXIT_DAMAGED : 0;
}

const struct hr_cmd store_cmd_store_fsck = {
	.name = "store fsck",
	.operands = "",
	.summary = "check every object of a store",
	.opts = fsck_opts,
	.common = store_admin_common_opts,
	.args_size = sizeof(struct fsck_args),
	.main = fsck_main,
};
