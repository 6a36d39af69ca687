/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun cache: show the node cache, and make room in it. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/cache.h"
#include "store/cache_meta.h"
#include "store/cache_place.h"
#include "store/cmd.h"
#include "store/size.h"
#include "util/cleanup.h"
#include "util/poison.h"

struct cache_args {
	bool clear, json;
	uint64_t limit;
	const char *dir;
};

static const struct hr_opt cache_opts[] = {
	HR_OPT_FLAG(0, "clear", struct cache_args, clear,
		    "remove all that no running session uses"),
	HR_OPT_SIZE(0, "limit", "SIZE", struct cache_args, limit, 0, UINT64_MAX,
		    "with --clear: only until at most SIZE is left"),
	HR_OPT_STR(0, "cache", "DIR", struct cache_args, dir, "the cache in DIR"),
	HR_OPT_FLAG(0, "json", struct cache_args, json, "print a JSON object"), HR_OPT_END
};

/* What there is to say. */
struct report {
	const char *dir;
	bool exists;
	const char *misfit; /* the kind of file system, if that is no local disk */
	uint64_t limit, freed, metadata;
	struct store_cache_usage usage;
};

static int print_json(const struct report *r, bool clear, struct hr_err *e)
{
	json_t *j = json_object();
	int failed = json_object_set_new(j, "directory", json_string(r->dir));

	failed |= json_object_set_new(j, "exists", json_boolean(r->exists));
	failed |= json_object_set_new(j, "local_disk", json_boolean(!r->misfit));
	failed |= json_object_set_new(j, "bytes", json_integer((json_int_t)r->usage.bytes));
	failed |= json_object_set_new(j, "packs", json_integer((json_int_t)r->usage.packs));
	failed |= json_object_set_new(j, "files", json_integer((json_int_t)r->usage.files));
	failed |= json_object_set_new(j, "metadata_bytes", json_integer((json_int_t)r->metadata));
	failed |= json_object_set_new(j, "limit", json_integer((json_int_t)r->limit));
	if (clear)
		failed |= json_object_set_new(j, "freed", json_integer((json_int_t)r->freed));
	if (!failed)
		failed = json_dumpf(j, stdout, JSON_INDENT(2)) < 0 || putchar('\n') == EOF;
	json_decref(j);
	return failed ? hr_fail(e, HR_SYS, 0, "cannot print '%s' as JSON", r->dir) : 0;
}

static void print_text(const struct report *r, bool clear)
{
	hr_autobuf struct hr_buf dir = { 0 };
	char size[STORE_SIZE_TEXT];

	hr_buf_untrusted(&dir, r->dir, strlen(r->dir));
	printf("directory  %s%s\n", (const char *)dir.p, r->exists ? "" : " (not there yet)");
	printf("on         %s\n", r->misfit ? r->misfit : "a local disk");
	if (clear)
		printf("freed      %s\n", store_size_text(r->freed, size));
	printf("size       %s\n", store_size_text(r->usage.bytes, size));
	printf("packs      %" PRIu32 "\n", r->usage.packs);
	printf("files      %" PRIu32 "\n", r->usage.files);
	printf("metadata   %s\n", store_size_text(r->metadata, size));
	printf("limit      %s\n", store_size_text(r->limit, size));
}

static int clear_cache(struct store_cache *c, uint64_t limit, struct report *r, struct hr_err *e)
{
	uint64_t before = r->usage.bytes;

	if (store_cache_evict(c, limit, &r->usage, e) < 0)
		return -1;
	r->freed = before > r->usage.bytes ? before - r->usage.bytes : 0;
	/* who uses a pack or a file uses the metadata of its store; room for data is what a limit
	 * asks for */
	if (limit > 0 || r->usage.packs > 0 || r->usage.files > 0)
		return 0;
	store_cache_meta_clear(r->dir);
	before = r->metadata;
	r->metadata = store_cache_meta_bytes(r->dir);
	r->freed += before > r->metadata ? before - r->metadata : 0;
	return 0;
}

/* A cache that is not there is empty; it is not made to be looked at. */
static int look(const struct cache_args *a, struct report *r, struct hr_err *e)
{
	struct store_cache *c = NULL;
	struct stat st;
	int failed;

	if (stat(r->dir, &st) < 0 && errno == ENOENT) {
		const char *slash = strrchr(r->dir, '/');
		hr_autofree char *parent =
			hr_xstrndup(slash ? r->dir : ".",
				    slash && slash > r->dir ? (size_t)(slash - r->dir) : 1);

		r->misfit = store_cache_misfit(parent);
		return 0;
	}
	if (store_cache_open(r->dir, &c, e) < 0)
		return -1;
	r->exists = true;
	r->misfit = store_cache_misfit(r->dir);
	r->metadata = store_cache_meta_bytes(r->dir);
	failed = store_cache_usage(c, &r->usage, e) < 0 ||
		 (a->clear && clear_cache(c, a->limit, r, e) < 0);
	store_cache_close(c);
	return failed ? -1 : 0;
}

static int cache_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	const struct cache_args *a = args;
	hr_autofree char *dir = NULL;
	struct report r = { 0 };

	(void)argc;
	(void)argv;
	if (a->limit > 0 && !a->clear)
		return hr_fail(e, HR_USAGE, 0, "--limit goes with --clear");
	if (hr_conf_load(&conf, e) < 0 || store_cache_place_check(a->dir, &conf, e) < 0)
		return -1;
	dir = store_cache_place(a->dir, &conf);
	r.dir = dir;
	r.limit = conf.cache_bytes;
	if (look(a, &r, e) < 0)
		return -1;
	if (a->json)
		return print_json(&r, a->clear, e);
	print_text(&r, a->clear);
	return 0;
}

const struct hr_cmd store_cmd_cache = {
	.name = "cache",
	.operands = "",
	.summary = "show what is cached on this node, or clear it",
	.opts = cache_opts,
	.args_size = sizeof(struct cache_args),
	.main = cache_main,
};
