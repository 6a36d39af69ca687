/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun-serve-net: an image behind a URL, of a store or a file, paged in through the node cache.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "store/cache_place.h"
#include "store/foresee.h"
#include "store/memory_dir.h"
#include "store/pager.h"
#include "store/prefetch.h"
#include "store/serve.h"
#include "store/sha256mb.h"
#include "store/upstream.h"
#include "store/url_image.h"
#include "store/web.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/serve_proto.h"
#include "util/source.h"
#include "util/poison.h"

#define THREADS 16 /* requests at the same time; half of them for what nobody waits for */

static int open_copied_image(struct serve *s, const char *image, const char *path, struct hr_err *e)
{
	char *only[] = { (char *)(uintptr_t)path, NULL };
	const struct store_paths one = { .v = only, .n = 1 };

	if (store_image_open(&one, image, &s->img, e) < 0)
		return -1;
	s->ix = store_image_index(s->img);
	return 0;
}

static void on_end(struct serve *s)
{
	store_prefetch_end(s->end_arg);
}

/* What the threads of this process share; it lives until the process ends. */
struct net {
	struct serve *serve;
	bool goes_on; /* another server told the user what there is to tell */
	struct store_outage *outage;
	struct fetch_client *client;
	struct store_cache *cache;
	char *dir;			 /* of the cache */
	struct store *copy;		 /* metadata of the store on this node */
	struct hr_err lost;		 /* why the disk cannot have all of this, if it cannot */
	struct store_upstream *upstream; /* or NULL */
	struct hr_strv origins;
};

/* The registry behind the stores, unless the configuration forbids it. */
static struct store_upstream *make_upstream(const struct serve *s, const struct serve_web *w,
					    const char *url, const char *cache)
{
	const struct store_upstream_options o = { .img = s->img,
						  .image = w->image,
						  .advisor = hr_xstrdup(url),
						  .cache = hr_xstrdup(cache),
						  .sha256 = fetch_digest_of,
						  .stats = s->stats };

	return w->conf->upstream ? store_upstream_new(&o) : NULL;
}

static bool has(void *arg, uint32_t chunk)
{
	return store_pager_has(arg, chunk);
}

/* OBJECT, or NULL: the image is a file of its own, and no store is asked for a trace. */
static struct store_pager *make_pager(struct serve *s, const struct serve_web *w,
				      const struct store_pager_object *object,
				      struct store_trace *trace, const struct net *n)
{
	const struct store_pager_options o = { .ix = s->ix,
					       .loc = store_image_loc(s->img),
					       .origins = &n->origins,
					       .object = object,
					       .client = n->client,
					       .trace = trace,
					       .cache = n->cache,
					       .copy = n->copy,
					       .upstream = n->upstream,
					       .stats = s->stats,
					       .outage_s = w->conf->outage_s,
					       .guess = w->conf->prefetch != HR_PREFETCH_NONE,
					       .notice = serve_tell,
					       .notice_arg = s,
					       .threads = THREADS };

	return store_pager_new(&o);
}

/* URL of the store whose trace is asked for, or NULL. */
static int start_prefetch(struct serve *s, const struct serve_web *w, const char *url,
			  struct store_pager *pager, struct store_trace *trace, const struct net *n,
			  struct hr_err *e)
{
	const struct store_prefetch_options o = {
		.ix = s->ix,
		.loc = store_image_loc(s->img),
		.pager = pager,
		.trace = trace,
		.client = n->client,
		.url = url ? hr_xstrdup(url) : NULL,
		.copy = n->copy,
		.program = w->app,
		.mode = (enum hr_conf_prefetch)w->conf->prefetch
	};
	struct store_prefetch *prefetch;

	if (store_prefetch_start(&o, &prefetch, e) < 0)
		return -1;
	s->end = on_end;
	s->end_arg = prefetch;
	return 0;
}

static void start_foresee(struct serve *s, const struct serve_web *w, struct store_pager *pager)
{
	const struct store_foresee_source source = { store_pager_foreseen, store_pager_bring,
						     pager };

	s->foresee = store_foresee_start(s->ix, &source);
	store_foresee_program(s->foresee, w->app);
}

static void start_native(struct serve *s, const struct serve_web *w, struct store_pager *pager,
			 const struct net *n)
{
	const struct serve_native_options o = { .cache_dir = n->dir,
						.program = w->app,
						.cache_bytes = w->conf->cache_bytes,
						.all = w->conf->prefetch == HR_PREFETCH_ALL,
						.source = { .plain = store_pager_peek,
							    .arg = pager },
						.has = has,
						.moved = store_pager_moved,
						.sha256_many = store_sha256_many };

	s->native = serve_native_start(s, &o);
}

/* Page the image in: what reads ask for, what they will ask for next, and its large files. */
static int start_paging(struct serve *s, const struct serve_web *w, const char *url,
			const struct store_pager_object *object, struct net *n, struct hr_err *e)
{
	struct store_trace *trace = store_trace_new(s->ix);
	struct store_pager *pager = make_pager(s, w, object, trace, n);
	const struct store_chunk_source source = store_pager_source(pager);

	if (n->lost.kind != HR_OK)
		store_pager_no_cache(pager, &n->lost);
	else
		serve_tell_place(s, w, n->dir);
	s->chunks = store_chunks_new(s->ix, &source, w->memory, fetch_digest_of);
	store_chunks_count(s->chunks, s->stats, NULL);
	if (store_pager_start(pager, s->chunks, e) < 0 ||
	    start_prefetch(s, w, object ? NULL : url, pager, trace, n, e) < 0)
		return -1;
	if (w->conf->prefetch != HR_PREFETCH_NONE && n->cache)
		start_foresee(s, w, pager);
	if (w->native && !object) /* files are named by digests, which are not known */
		start_native(s, w, pager, n);
	return 0;
}

/* What is told the user of a store that does not answer: once, not again by a server that takes
 * over. */
static void tell_once(void *arg, const char *text)
{
	const struct net *n = arg;

	if (n->goes_on)
		hr_warn("%s", text);
	else
		serve_tell(n->serve, text);
}

static int sync_name(struct net *n, const char *url, const struct store_name *name,
		     struct hr_err *e)
{
	const struct store_web web = { .client = n->client,
				       .url = url,
				       .copy = n->copy,
				       .notice = tell_once,
				       .notice_arg = n,
				       .outage = n->outage };

	return store_web_sync(&web, name, e);
}

/* What all nodes of the job step take IMAGE for, brought into the copy. */
static int settle_tag(const struct serve_web *w, const char *url, struct net *n,
		      const struct store_name *name, char out[FETCH_DIGEST_TEXT], struct hr_err *e)
{
	struct store_name settled = { .by_digest = true, .manifest = name->manifest };

	if (!name->by_digest) {
		struct fetch_digest m;

		if (store_ref_resolve(n->copy, &name->ref, &m, e) < 0)
			return -1;
		settled.manifest = m;
		if (store_outage_settle(w->outage, w->stores, w->image, &settled.manifest, e) < 0)
			return -1;
		if (!fetch_digest_equal(&m, &settled.manifest) &&
		    sync_name(n, url, &settled, e) < 0)
			return -1;
	}
	fetch_digest_text(&settled.manifest, out);
	return 0;
}

/* A disk that is full, read-only or broken; who refuses to use one gives no errno. */
static bool disk_failed(const struct hr_err *e)
{
	return e->kind == HR_SYS && e->sys != 0;
}

/* Where the disk, as E says, does not take the metadata, memory does. On failure E is as it was. */
static int copy_in_memory(struct net *n, const char *url, struct hr_err *e)
{
	struct hr_err none = { 0 };
	int fd = n->lost.kind == HR_OK && disk_failed(e) ? store_memory_dir(&none) : -1;
	hr_autofree char *dir = NULL;

	if (fd < 0) {
		hr_debug("no metadata in memory: %s", none.text);
		return -1;
	}
	n->lost = *e;
	hr_err_clear(e);
	store_close(n->copy);
	n->copy = NULL;
	dir = hr_xasprintf("/proc/self/fd/%d", fd); /* open until the process ends */
	return store_web_copy(dir, url, &n->copy, e);
}

static int open_net(struct serve *s, const struct serve_web *w, const char *url, struct net *n,
		    struct hr_err *e)
{
	const struct fetch_options o = { .insecure_registries = &w->conf->insecure_registries,
					 .ca_file = w->conf->ca_file,
					 .proxy = w->conf->http_proxy };

	n->serve = s;
	n->goes_on = w->goes_on;
	n->outage = w->outage;
	if (fetch_client_new(&o, &n->client, e) < 0)
		return -1;
	n->dir = store_cache_place(w->cache, w->conf);
	if (store_cache_open(n->dir, &n->cache, e) == 0 &&
	    store_web_copy(n->dir, url, &n->copy, e) == 0)
		return 0;
	return copy_in_memory(n, url, e);
}

static void free_net(struct net *n)
{
	fetch_client_free(n->client);
	store_cache_close(n->cache);
	store_close(n->copy);
	free(n->dir);
	free(n);
}

static int sync_copy(const struct serve_web *w, const char *url, const struct store_name *name,
		     struct net *n, struct hr_err *e)
{
	/* by the index that the programs' files have their numbers of; and without a wait, should
	 * the store be silent */
	if (w->goes_on && store_web_is_sound(n->copy, name))
		return 0;
	if (sync_name(n, url, name, e) == 0)
		return 0;
	if (w->goes_on && e->kind == HR_NOTFOUND && store_web_has(n->copy, name)) {
		/* removed since; packs, as long as there are any, are what they were */
		hr_warn("%s; going on with the copy on this node", e->text);
		hr_err_clear(e);
		return 0;
	}
	if (copy_in_memory(n, url, e) < 0)
		return -1;
	return sync_name(n, url, name, e);
}

/* A file behind a URL; what an earlier run has touched is noted as for a store. */
static int open_url(struct serve *s, const struct serve_web *w, const char *url, struct hr_err *e)
{
	struct net *n = hr_xmalloc(sizeof(*n));
	struct store_url_options o = { .url = url, .notice = tell_once, .notice_arg = n };
	struct store_url_image *u;

	if (open_net(s, w, url, n, e) < 0)
		return -1;
	o.client = n->client;
	o.cache = n->cache;
	o.copy = n->copy;
	if (store_url_image_open(&o, &u, e) < 0)
		return -1;
	hr_strv_add(&n->origins, url);
	s->img = store_file_image(store_url_image_file(u));
	s->ix = store_image_index(s->img);
	s->cache = n->cache;
	return start_paging(s, w, url, store_url_image_object(u), n, e);
}

int serve_open_web(struct serve *s, const struct serve_web *w, const char *url, struct hr_err *e)
{
	HR_CLEANUP(store_name_release) struct store_name name = { 0 };
	char manifest[FETCH_DIGEST_TEXT];
	struct net *n;

	if (hr_source_of(w->image) == HR_SOURCE_URL)
		return open_url(s, w, url, e);
	if (store_name_parse(w->manifest ? w->manifest : w->image, &name, e) < 0)
		return -1;
	n = hr_xmalloc(sizeof(*n));
	if (open_net(s, w, url, n, e) < 0)
		return -1;
	if (sync_copy(w, url, &name, n, e) < 0 || settle_tag(w, url, n, &name, manifest, e) < 0) {
		free_net(n); /* another store of the chain may have it */
		return -1;
	}
	store_web_origins(w->conf, url, &n->origins);
	if (open_copied_image(s, manifest, n->copy->path, e) < 0)
		return -1;
	s->cache = n->cache;
	n->upstream = make_upstream(s, w, url, n->dir);
	return start_paging(s, w, url, NULL, n, e);
}
