/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun prefetch: bring an image behind a URL, of a store or a file, into the node cache; and the
 * large files of any image of a store. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/cache_place.h"
#include "store/cmd.h"
#include "store/image.h"
#include "store/json_out.h"
#include "store/native_pour.h"
#include "store/outage.h"
#include "store/pager.h"
#include "store/prefetch.h"
#include "store/prefetch_files.h"
#include "store/progress.h"
#include "store/size.h"
#include "store/upstream.h"
#include "store/url_image.h"
#include "store/web.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/source.h"
#include "util/poison.h"

#define THREADS 8 /* as hpcrun-serve-net */
#define TICK_MS 200

struct prefetch_args {
	struct hr_strv stores;
	const char *cache, *trace;
	bool quiet, json;
};

static const struct hr_opt prefetch_opts[] = {
	HR_OPT_STR(0, "trace", "PROGRAM", struct prefetch_args, trace,
		   "only what an earlier run of PROGRAM touched"),
	HR_OPT_LIST(0, "store", "PATH", struct prefetch_args, stores,
		    "use this store, and no other unless repeated"),
	HR_OPT_STR(0, "cache", "DIR", struct prefetch_args, cache, "into the cache in DIR"),
	HR_OPT_FLAG(0, "json", struct prefetch_args, json, "print a JSON object at the end"),
	HR_OPT_FLAG('q', "quiet", struct prefetch_args, quiet, "print nothing"),
	HR_OPT_END
};

/* All of it lives until the process ends, which the pager's threads do with it. */
struct job {
	const struct prefetch_args *args;
	const char *image;
	const char *from; /* a URL, or the directory of a store */
	struct hr_conf conf;
	struct store_cache *cache;
	struct fetch_client *client;
	struct store *copy;
	struct store_image *img;
	struct store_pager *pager;
	struct store_native_pour *pour; /* or NULL */
	struct hr_strv origins;
	struct hr_stats stats;
	uint32_t *chunks, n;	  /* what is to be there */
	bool *asked;		  /* by chunk: is it? NULL: all are */
	uint64_t fetched, cached; /* bytes that came; compressed bytes of what is there now */
	struct store_prefetch_files files;
};

/* Compressed bytes of what is there already, and of all that is to be. */
static uint64_t count(const struct job *j, uint64_t *total)
{
	const struct store_loc *loc = store_image_loc(j->img);
	uint64_t there = 0;

	*total = 0;
	for (uint32_t i = 0; i < j->n; i++) {
		uint32_t bytes = store_loc_chunk(loc, j->chunks[i]).frame_len;

		*total += bytes;
		there += store_pager_has(j->pager, j->chunks[i]) ? bytes : 0;
	}
	return there;
}

static void show_progress(const struct job *j)
{
	char a[STORE_SIZE_TEXT], b[STORE_SIZE_TEXT];
	uint64_t total, there = count(j, &total);

	fprintf(stderr, PROGRESS_CLEAR "%s of %s", store_size_text(there, a),
		store_size_text(total, b));
}

static void hint_room(const struct job *j, struct hr_err *e)
{
	hr_autofree char *dir = store_cache_place(j->args->cache, &j->conf);

	hr_hint(e, "'hpcrun cache --clear' empties '%s'; or name another directory with --cache",
		dir);
}

/* What a chunk of the list could not be had for, if any is missing still. */
static int judge(const struct job *j, const struct hr_err *failure, struct hr_err *e)
{
	uint32_t missing = 0;

	for (uint32_t i = 0; i < j->n; i++)
		missing += !store_pager_has(j->pager, j->chunks[i]);
	if (missing == 0)
		return 0;
	if (failure->kind != HR_OK)
		*e = *failure;
	if (e->kind == HR_NOTFOUND)
		e->kind = HR_CORRUPT; /* the image record promised it */
	if (e->kind == HR_OK)
		(void)hr_fail(e, HR_SYS, 0, "the cache cannot be written to");
	if (e->sys == ENOSPC || e->sys == EDQUOT)
		hint_room(j, e);
	return hr_wrap(e, "%" PRIu32 " of %" PRIu32 " chunks are not in the cache", missing, j->n);
}

static bool talks(const struct job *j)
{
	return !j->args->quiet && !j->args->json;
}

static void print_json(const struct job *j)
{
	json_t *o = json_object();

	store_json_set(o, "image", json_string(j->image));
	store_json_set(o, "from", json_string(j->from));
	store_json_set(o, "fetched", store_json_u64(j->fetched));
	store_json_set(o, "cached", j->pager ? store_json_u64(j->cached) : NULL);
	store_json_set(o, "large_files", store_json_u64(j->files.n));
	store_json_set(o, "large_file_bytes", store_json_u64(j->files.bytes));
	store_json_print(o);
}

static int run(struct job *j, struct hr_err *e)
{
	bool bar = !j->args->quiet && isatty(STDERR_FILENO);
	char a[STORE_SIZE_TEXT], b[STORE_SIZE_TEXT];
	struct hr_err failure = { 0 };
	uint32_t busy;

	for (uint32_t i = 0; i < j->n; i++)
		store_pager_later(j->pager, j->chunks[i]);
	/* what will not go better later (HR_USAGE) is the same for the chunks behind this one */
	while ((busy = store_pager_wait(j->pager, TICK_MS, &failure)) > 0 &&
	       failure.kind != HR_USAGE)
		if (bar)
			show_progress(j);
	if (busy == 0 && j->pour)
		store_native_pour_end(j->pour);
	if (bar)
		fprintf(stderr, PROGRESS_CLEAR);
	if (judge(j, &failure, e) < 0)
		return -1;
	for (size_t i = 0; i < HR_STATS_ORIGINS; i++)
		j->fetched += j->stats.origins[i].bytes;
	(void)count(j, &j->cached);
	if (talks(j))
		printf("%s: %s fetched, all %s are in the cache\n", j->image,
		       store_size_text(j->fetched, a), store_size_text(j->cached, b));
	return 0;
}

/* ---- large files, when their chunks are there ---- */

static void show_files(void *arg, uint32_t there, uint32_t total)
{
	(void)arg;
	fprintf(stderr, PROGRESS_CLEAR "%" PRIu32 " of %" PRIu32 " large files", there, total);
}

/* What cannot be made is read through the session's server: no failure. */
static void make_files(struct job *j, const struct store_image *img,
		       struct store_chunk_source source, bool (*has)(void *arg, uint32_t chunk),
		       store_native_moved_fn *moved)
{
	bool bar = !j->args->quiet && isatty(STDERR_FILENO);
	const struct store_prefetch_files_options o = { .ix = store_image_index(img),
							.cache = j->cache,
							.cache_bytes = j->conf.cache_bytes,
							.threads = store_cmd_threads(0),
							.program = j->args->trace ? j->args->trace
										  : "",
							.source = source,
							.has = has,
							.moved = moved,
							.tick = bar ? show_files : NULL };
	struct store_prefetch_files *made = &j->files;
	char size[STORE_SIZE_TEXT];
	struct hr_err e = { 0 };
	int r = store_prefetch_files(&o, made, &e);

	if (bar)
		fprintf(stderr, PROGRESS_CLEAR);
	if (r < 0 && made->left_out > 0)
		hr_warn("%" PRIu32 " large file%s cannot be kept in the cache as such: %s",
			made->left_out, HR_PLURAL(made->left_out), e.text);
	else if (r < 0)
		hr_warn("large files cannot be kept in the cache as such: %s", e.text);
	if (made->n > 0 && talks(j))
		printf("%s: %" PRIu32 " large file%s, %s, to be mounted from the cache\n", j->image,
		       made->n, HR_PLURAL(made->n), store_size_text(made->bytes, size));
}

static bool plain(void *arg, uint32_t chunk, uint8_t *out, uint32_t bytes)
{
	const struct job *j = arg;

	return store_pager_peek(j->pager, chunk, out, bytes);
}

static bool has(void *arg, uint32_t chunk)
{
	const struct job *j = arg;

	return (!j->asked || j->asked[chunk]) && store_pager_has(j->pager, chunk);
}

static bool comes(void *arg, uint32_t chunk)
{
	const struct job *j = arg;

	return (!j->asked || j->asked[chunk]) && !store_pager_has(j->pager, chunk);
}

static bool place(void *arg, uint32_t chunk, const uint8_t *bytes, uint32_t n,
		  struct store_cache_at *at)
{
	const struct job *j = arg;

	return j->pour && store_native_pour_place(j->pour, chunk, bytes, n, at);
}

/* The large files, but for those that are left to make_files(), are written as their chunks come.
 */
static struct store_native_pour *make_pour(struct job *j)
{
	const struct store_native_pour_options o = { .ix = store_image_index(j->img),
						     .cache = j->cache,
						     .cache_bytes = j->conf.cache_bytes,
						     .sha256 = fetch_digest_of,
						     .comes = comes,
						     .arg = j };
	struct hr_err no_files = { 0 }; /* make_files() says so */

	return store_cache_file_can(j->cache, &no_files) == 0 ? store_native_pour_new(&o) : NULL;
}

static void moved(void *arg, uint32_t chunk, uint32_t bytes, const struct store_cache_at *at)
{
	const struct job *j = arg;

	store_pager_moved(j->pager, chunk, bytes, at);
}

static void warn(void *arg, const char *text)
{
	(void)arg;
	if (isatty(STDERR_FILENO)) /* in place of the bar */
		fprintf(stderr, PROGRESS_CLEAR);
	hr_warn("%s", text);
}

/* Which chunks, in which order. URL: where there may be a trace, or NULL. */
static int list_chunks(struct job *j, const char *url, struct hr_err *e)
{
	const struct store_index *ix = store_image_index(j->img);

	if (!j->args->trace) {
		j->n = store_pager_order(j->pager, &j->chunks);
		return 0;
	}
	if (store_prefetch_order(ix, j->client, url, j->copy, j->args->trace, &j->chunks, &j->n,
				 e) == 0) {
		j->asked = hr_xmalloc(store_index_chunks(ix) + 1);
		for (uint32_t i = 0; i < j->n; i++)
			j->asked[j->chunks[i]] = true;
		return 0;
	}
	if (e->kind == HR_NOTFOUND) {
		hr_err_clear(e);
		hr_fail(e, HR_USAGE, 0, "there is no trace of '%s'", j->args->trace);
		hr_hint(e, "a run of it on this node leaves one; without --trace all is fetched");
	}
	return -1;
}

static struct store_upstream *make_upstream(struct job *j, const char *url, const char *cache)
{
	const struct store_upstream_options o = { .img = j->img,
						  .image = j->image,
						  .advisor = url,
						  .cache = cache,
						  .sha256 = fetch_digest_of,
						  .stats = &j->stats };

	return j->conf.upstream ? store_upstream_new(&o) : NULL;
}

/* TRACES, a store, or NULL. The rest is as the pager wants it. */
static int prefetch(struct job *j, const char *traces, const struct store_pager_object *object,
		    struct store_upstream *upstream, struct hr_err *e)
{
	const struct store_pager_options o = { .ix = store_image_index(j->img),
					       .loc = store_image_loc(j->img),
					       .origins = &j->origins,
					       .object = object,
					       .upstream = upstream,
					       .copy = j->copy,
					       .client = j->client,
					       .cache = j->cache,
					       .stats = &j->stats,
					       .outage_s = j->conf.outage_s,
					       .notice = warn,
					       .place = place,
					       .place_arg = j,
					       .threads = THREADS };

	/* files are named by digests, which are not known of an object */
	bool files = j->conf.native_files && !object;

	j->pager = store_pager_new(&o);
	if (list_chunks(j, traces, e) < 0 || store_pager_start(j->pager, NULL, e) < 0)
		return -1;
	if (files)
		j->pour = make_pour(j);
	if (run(j, e) < 0)
		return -1;
	if (files)
		make_files(j, j->img, (struct store_chunk_source) { .plain = plain, .arg = j }, has,
			   moved);
	return 0;
}

/* The client, the cache in DIR with room in it, and the copy of what is at URL. */
static int open_all(struct job *j, const char *dir, const char *url, struct hr_err *e)
{
	struct store_cache_usage left;
	hr_autofree char *text = NULL;
	struct hr_err full = { 0 };

	if ((!j->client && store_cmd_client(&j->conf, NULL, &j->client, e) < 0) ||
	    (!j->cache && store_cache_open(dir, &j->cache, e) < 0))
		return -1;
	text = store_cache_place_warning(j->args->cache, &j->conf, dir);
	if (text)
		hr_warn("%s", text);
	if (store_cache_evict(j->cache, j->conf.cache_bytes, &left, &full) < 0)
		hr_warn("cannot make room in the cache: %s", full.text);
	j->from = url;
	store_close(j->copy); /* that of a store before */
	j->copy = NULL;
	return store_web_copy(dir, url, &j->copy, e);
}

/* An image of the store at URL. HR_NOTFOUND when it does not have it. */
static int from_url(struct job *j, const char *url, struct store_outage *outage, struct hr_err *e)
{
	HR_CLEANUP(store_name_release) struct store_name name = { 0 };
	hr_autofree char *dir = store_cache_place(j->args->cache, &j->conf);
	struct store_web web = { .url = url, .notice = warn, .outage = outage };
	struct store_paths one = { 0 };

	if (store_name_parse(j->image, &name, e) < 0 || open_all(j, dir, url, e) < 0)
		return -1;
	web.client = j->client;
	web.copy = j->copy;
	if (store_web_sync(&web, &name, e) < 0)
		return -1;
	one = (struct store_paths) { .v = (char *[]) { j->copy->path, NULL }, .n = 1 };
	if (store_image_open(&one, j->image, &j->img, e) < 0)
		return -1;
	store_web_origins(&j->conf, url, &j->origins);
	return prefetch(j, url, NULL, make_upstream(j, url, hr_steal(&dir)), e);
}

/* The image is a file behind a URL. */
static int from_file(struct job *j, struct hr_err *e)
{
	hr_autofree char *dir = store_cache_place(j->args->cache, &j->conf);
	struct store_url_options o = { .url = j->image, .notice = warn };
	struct store_url_image *u;

	if (open_all(j, dir, j->image, e) < 0)
		return -1;
	o.client = j->client;
	o.cache = j->cache;
	o.copy = j->copy;
	if (store_url_image_open(&o, &u, e) < 0)
		return -1;
	j->img = store_file_image(store_url_image_file(u));
	hr_strv_add(&j->origins, j->image);
	return prefetch(j, NULL, store_url_image_object(u), NULL, e);
}

/* Nothing is slow but the file system server: of chunks there is nothing to bring. */
static int from_directory(struct job *j, const struct store_paths *stores, const char *path,
			  struct hr_err *e)
{
	hr_autofree char *dir = store_cache_place(j->args->cache, &j->conf);
	struct hr_err no_cache = { 0 };
	HR_CLEANUP(store_image_closep) struct store_image *img = NULL;
	char *only[] = { (char *)(uintptr_t)path, NULL };
	const struct store_paths one = { .v = only, .n = 1, .trusted = stores->trusted };

	if (store_image_open(&one, j->image, &img, e) < 0)
		return -1;
	j->from = path;
	if (talks(j))
		printf("%s: read from the store '%s', nothing to fetch\n", j->image, path);
	if (!j->conf.native_files || j->args->trace)
		return 0;
	if (store_cache_open(dir, &j->cache, &no_cache) < 0)
		hr_warn("large files cannot be kept in the cache as such: %s", no_cache.text);
	else
		make_files(j, img, store_image_source(img), NULL, NULL);
	return 0;
}

/* From the first store of the chain that has it; 1: none of those that answer. */
static int from_chain(struct job *j, const struct store_paths *stores, struct store_outage *outage,
		      struct hr_err *e)
{
	for (size_t i = 0; i < stores->n; i++) {
		const char *store = stores->v[i];
		int r = store_is_url(store) ? from_url(j, store, outage, e)
					    : from_directory(j, stores, store, e);

		hr_autofree char *line = NULL;

		if (r == 0)
			line = store_outage_line(outage, j->image, store);
		if (line)
			hr_warn("%s", line);
		if (r == 0 || j->img || !store_outage_pass(outage, e))
			return r;
	}
	return 1;
}

/* From where the image is: its own URL, or a store. */
static int from_anywhere(struct job *j, const struct store_paths *stores, struct hr_err *e)
{
	HR_CLEANUP(store_outage_release) struct store_outage outage = { 0 };
	int r;

	if (hr_source_of(j->image) == HR_SOURCE_URL)
		return from_file(j, e);
	do
		r = from_chain(j, stores, &outage, e);
	while (r > 0 && store_outage_again(&outage));
	return r > 0 ? store_outage_missing(&outage, stores, j->image, e) : r;
}

static int prefetch_main(void *args, int argc, char **argv, struct hr_err *e)
{
	const struct prefetch_args *a = args;
	HR_CLEANUP(store_paths_release) struct store_paths stores = { 0 };
	struct job *j = hr_xmalloc(sizeof(*j));

	(void)argc;
	if (a->json && a->quiet)
		return hr_fail(e, HR_USAGE, 0, "--json and --quiet exclude each other");
	j->args = a;
	j->image = argv[0];
	if (hr_source_of(j->image) == HR_SOURCE_FILE)
		return store_cmd_refuse_file(j->image, e);
	if (hr_conf_load(&j->conf, e) < 0 || store_list(&a->stores, &j->conf, &stores, e) < 0 ||
	    store_cache_place_check(a->cache, &j->conf, e) < 0 || from_anywhere(j, &stores, e) < 0)
		return -1;
	if (a->json)
		print_json(j);
	return 0;
}

const struct hr_cmd store_cmd_prefetch = {
	.name = "prefetch",
	.operands = "IMAGE",
	.summary = "bring an image into the cache of this node",
	.opts = prefetch_opts,
	.args_size = sizeof(struct prefetch_args),
	.min_operands = 1,
	.max_operands = 1,
	.main = prefetch_main,
};
