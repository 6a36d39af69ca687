/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun store compact: rewrite packs much of which is garbage, and small ones. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/cmd_store.h"
#include "store/interrupt.h"
#include "store/json_out.h"
#include "store/repack.h"
#include "store/size.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define GARBAGE_PERCENT 25

struct compact_args {
	struct store_admin_common common;
	bool dry, quiet, json;
	uint64_t percent;
};

static const struct hr_opt compact_opts[] = {
	HR_OPT_U64('g', "garbage", "N", struct compact_args, percent, 1, 99,
		   "rewrite packs of which more than N % is garbage (default 25)"),
	HR_OPT_FLAG('n', "dry-run", struct compact_args, dry,
		    "say what would be rewritten, and change nothing"),
	HR_OPT_FLAG(0, "json", struct compact_args, json, "print a JSON object"),
	HR_OPT_FLAG('q', "quiet", struct compact_args, quiet, "print nothing"), HR_OPT_END
};

static void print_json(const struct store *st, const struct store_repack_result *r, bool dry)
{
	json_t *o = json_object();

	store_json_set(o, "store", json_string(st->path));
	store_json_set(o, "dry_run", json_boolean(dry));
	store_json_set(o, "packs", store_json_u64(r->packs));
	store_json_set(o, "bytes", store_json_u64(r->bytes));
	store_json_set(o, "replaced", store_json_u64(r->replaced));
	store_json_set(o, "before", store_json_u64(r->before));
	store_json_set(o, "after", store_json_u64(r->after));
	store_json_print(o);
}

static void print_result(const struct compact_args *a, const struct store *st,
			 const struct store_repack_result *r)
{
	char all[STORE_SIZE_TEXT], before[STORE_SIZE_TEXT], after[STORE_SIZE_TEXT];
	char small[64] = "";
	hr_autobuf struct hr_buf path = { 0 };

	if (a->json)
		print_json(st, r, a->dry);
	if (a->json || a->quiet)
		return;
	hr_buf_untrusted(&path, st->path, strlen(st->path));
	if (r->replaced == 0) {
		printf("nothing to rewrite in '%s': packs %" PRIu64 ", %s\n", (const char *)path.p,
		       r->packs, store_size_text(r->bytes, all));
		return;
	}
	if (r->small > 0)
		snprintf(small, sizeof(small), " (small ones: %" PRIu64 ")", r->small);
	printf("%s in '%s': packs %" PRIu64 " of %" PRIu64 "%s, %s to %s%s\n",
	       a->dry ? "would rewrite" : "rewrote", (const char *)path.p, r->replaced, r->packs,
	       small, store_size_text(r->before, before), store_size_text(r->after, after),
	       a->dry ? "" : "; 'hpcrun gc' removes the old ones when nobody can read them");
}

static int compact_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	HR_CLEANUP(store_closep) struct store *st = NULL;
	struct compact_args *a = args;
	struct store_repack_options o = { .dry = a->dry,
					  .percent = a->percent ? (unsigned int)a->percent
								: GARBAGE_PERCENT,
					  .cancel = store_interrupt_catch() };
	struct store_repack_result r;

	(void)argc;
	(void)argv;
	if (a->json && a->quiet)
		return hr_fail(e, HR_USAGE, 0, "--json and --quiet exclude each other");
	/* what no reference reaches is gc's, and would be counted as in use */
	if (store_admin_open(&a->common, &conf, &st, e) < 0 ||
	    (!a->dry && store_admin_collect(st, true, o.cancel, e) < 0))
		return -1;
	o.st = st;
	if (store_repack(&o, &r, e) < 0)
		return -1;
	print_result(a, st, &r);
	return 0;
}

const struct hr_cmd store_cmd_store_compact = {
	.name = "store compact",
	.operands = "",
	.summary = "rewrite packs that are small, or mostly garbage",
	.opts = compact_opts,
	.common = store_admin_common_opts,
	.args_size = sizeof(struct compact_args),
	.main = compact_main,
};
