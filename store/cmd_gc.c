/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun gc: free what no reference reaches. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/cmd_store.h"
#include "store/gc.h"
#include "store/interrupt.h"
#include "store/json_out.h"
#include "store/size.h"
#include "util/cleanup.h"
#include "util/poison.h"

struct gc_args {
	struct store_cmd_common common;
	bool dry, verbose, json;
	const char *grace;
};

static const struct hr_opt gc_opts[] = {
	HR_OPT_FLAG('n', "dry-run", struct gc_args, dry,
		    "say what would be removed, and remove nothing"),
	HR_OPT_STR(0, "grace", "HOURS", struct gc_args, grace,
		   "spare images that were removed less long ago"),
	HR_OPT_FLAG('v', "verbose", struct gc_args, verbose, "name each file"),
	HR_OPT_FLAG(0, "json", struct gc_args, json, "print a JSON object for each store"),
	HR_OPT_END
};

static void print_removed(void *arg, const char *path, uint64_t bytes)
{
	const struct gc_args *a = arg;
	json_t *o;

	if (!a->json) {
		printf("%s %" PRIu64 "\n", path, bytes);
		return;
	}
	o = json_object();
	store_json_set(o, "event", json_string("removed"));
	store_json_set(o, "path", json_string(path));
	store_json_set(o, "bytes", store_json_u64(bytes));
	store_json_print_line(o);
}

static void print_result_json(const struct store *st, const struct store_gc_result *r, bool dry)
{
	json_t *o = json_object();

	store_json_set(o, "event", json_string("gc"));
	store_json_set(o, "store", json_string(st->path));
	store_json_set(o, "dry_run", json_boolean(dry));
	store_json_set(o, "images", store_json_u64(r->images));
	store_json_set(o, "layers", store_json_u64(r->layers));
	store_json_set(o, "packs", store_json_u64(r->packs));
	store_json_set(o, "others", store_json_u64(r->others));
	store_json_set(o, "spared", store_json_u64(r->spared));
	store_json_set(o, "bytes", store_json_u64(r->bytes));
	store_json_print_line(o);
}

static void print_result(const struct store *st, const struct store_gc_result *r, bool dry)
{
	hr_autobuf struct hr_buf path = { 0 };
	char size[STORE_SIZE_TEXT];

	hr_buf_untrusted(&path, st->path, strlen(st->path));
	if (r->spared > 0)
		printf("spared in '%s', because they were removed a short time ago: images %" PRIu64
		       "\n",
		       (const char *)path.p, r->spared);
	if (r->bytes == 0) {
		printf("nothing to remove from '%s'\n", (const char *)path.p);
		return;
	}
	printf("%s from '%s': images %" PRIu64 ", layers %" PRIu64 ", packs %" PRIu64
	       ", other files %" PRIu64 "; %s: %s\n",
	       dry ? "would remove" : "removed", (const char *)path.p, r->images, r->layers,
	       r->packs, r->others, dry ? "would free" : "freed", store_size_text(r->bytes, size));
}

static int gc_store(struct store *st, const struct gc_args *a, const atomic_bool *cancel,
		    struct hr_err *e)
{
	struct store_gc_options o = { .wait = true,
				      .dry = a->dry,
				      .cancel = cancel,
				      .removed = a->verbose ? print_removed : NULL,
				      .arg = (void *)(uintptr_t)a };
	struct store_gc_result result;
	int r;

	if (store_cmd_grace(st, a->grace, &o, e) < 0)
		return -1;
	r = store_gc(st, &o, &result, e);
	if (r == 0 || result.bytes > 0)
		(a->json ? print_result_json : print_result)(st, &result, a->dry);
	return r;
}

/* The stores that were named; else the user's own: the others are somebody else's to clean. */
static int gc_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(store_cmd_chain_release) struct store_cmd_chain chain = { 0 };
	const atomic_bool *cancel = store_interrupt_catch();
	struct gc_args *a = args;

	(void)argc;
	(void)argv;
	if (store_cmd_open(&a->common, &chain, e) < 0)
		return -1;
	if (a->common.stores.n == 0)
		return chain.first ? gc_store(chain.first, a, cancel, e) : 0;
	for (size_t i = 0; i < chain.n; i++)
		if (gc_store(chain.v[i], a, cancel, e) < 0)
			return -1;
	return 0;
}

const struct hr_cmd store_cmd_store_gc = {
	.name = "store gc",
	.operands = "",
	.summary = "free what no reference reaches, as 'hpcrun gc' does",
	.opts = gc_opts,
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct gc_args),
	.main = gc_main,
};

const struct hr_cmd store_cmd_gc = {
	.name = "gc",
	.operands = "",
	.summary = "free what no reference reaches",
	.opts = gc_opts,
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct gc_args),
	.main = gc_main,
};
