/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun-serve-net: an image of a store behind a URL, paged in through the node cache. */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "store/cache_place.h"
#include "store/pager.h"
#include "store/serve.h"
#include "store/web.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

#define THREADS                                                                                    \
	8 /* requests at the same time: enough to fill 1 Gbit/s at 20 ms with frames of 300 KB */

/* The copies of the stores' metadata, each below a name made of its URL. */
static int open_copy(const char *cache, const char *url, struct store **out, struct hr_err *e)
{
	struct fetch_digest d;
	char hex[FETCH_DIGEST_HEX];
	hr_autofree char *path = NULL;

	fetch_digest_of(url, strlen(url), &d);
	path = hr_xasprintf("%s/stores/%.16s", cache, fetch_digest_hex(&d, hex));
	return store_open(path, STORE_WRITE, out, e);
}

/* The mirrors begin elsewhere on each node, so that they share the load; the store itself is last.
 */
static void list_origins(const struct hr_conf *conf, const char *url, struct hr_strv *out)
{
	char host[256] = "";
	struct fetch_digest d;
	size_t begin = 0, n = conf->mirrors.n;

	if (gethostname(host, sizeof(host) - 1) == 0 && n > 0) {
		fetch_digest_of(host, strlen(host), &d);
		begin = (size_t)(d.b[0] << 8 | d.b[1]) % n;
	}
	for (size_t i = 0; i < n; i++)
		hr_strv_add(out, conf->mirrors.v[(begin + i) % n]);
	hr_strv_add(out, url);
}

static int open_copied_image(struct serve *s, const struct serve_web *w, const char *path,
			     struct hr_err *e)
{
	char *only[] = { (char *)(uintptr_t)path, NULL };
	const struct hr_strv one = { only, 1 };

	if (store_image_open(&one, w->image, &s->img, e) < 0)
		return -1;
	s->ix = store_image_index(s->img);
	return 0;
}

/* Everything below lives until the process ends. */
static int start_pager(struct serve *s, const struct serve_web *w, const char *url,
		       struct fetch_client *client, struct store_cache *cache, struct hr_err *e)
{
	struct hr_strv *origins = hr_xmalloc(sizeof(*origins));
	struct store_pager_options o = { .ix = s->ix,
					 .loc = store_image_loc(s->img),
					 .origins = origins,
					 .client = client,
					 .cache = cache,
					 .outage_s = w->conf->outage_s,
					 .threads = THREADS };
	struct store_chunk_source source;
	struct store_pager *pager;

	list_origins(w->conf, url, origins);
	pager = store_pager_new(&o);
	source = store_pager_source(pager);
	s->chunks = store_chunks_new(s->ix, &source, w->memory, fetch_digest_of);
	return store_pager_start(pager, s->chunks, e);
}

int serve_open_web(struct serve *s, const struct serve_web *w, const char *url, struct hr_err *e)
{
	const struct fetch_options o = { .insecure_registries = &w->conf->insecure_registries,
					 .ca_file = w->conf->ca_file,
					 .proxy = w->conf->http_proxy };
	HR_CLEANUP(store_name_release) struct store_name name = { 0 };
	HR_CLEANUP(store_closep) struct store *copy = NULL;
	hr_autofree char *dir = store_cache_place(w->cache, w->conf);
	struct fetch_client *client = NULL; /* lives as long as the pager */
	struct store_cache_usage left;
	struct store_cache *cache = NULL;
	struct hr_err full = { 0 };

	if (store_name_parse(w->image, &name, e) < 0 || fetch_client_new(&o, &client, e) < 0)
		return -1;
	if (store_cache_open(dir, &cache, e) < 0 || open_copy(dir, url, &copy, e) < 0)
		return -1;
	if (store_cache_evict(cache, w->conf->cache_bytes, &left, &full) < 0)
		hr_warn("cannot make room in the cache: %s", full.text);
	if (store_web_sync(client, url, &name, copy, e) < 0) {
		fetch_client_free(client);
		store_cache_close(cache);
		return -1;
	}
	if (open_copied_image(s, w, copy->path, e) < 0)
		return -1;
	return start_pager(s, w, url, client, cache, e);
}
