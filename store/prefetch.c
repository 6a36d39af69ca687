/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/prefetch.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/limit.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define TRACE_LIMIT (64u << 20) /* bytes */
#define LOOK_MS	    500
#define SAVE_EVERY                                                                                 \
	20 /* looks: a job step may end by SIGKILL, so the trace is not left to the end */
#define FILL_TENTHS                                                                                \
	3 /* of the bytes touched: paging one by one is dearer than reading everything */

struct store_prefetch {
	struct store_prefetch_options o;
	struct fetch_digest name;
	pthread_mutex_t lock; /* of the file of the trace, and of saved */
	uint32_t saved;	      /* chunks in it */
};

/* The trace of an earlier run, from this node or else from the store. */
static int find_trace(struct fetch_client *client, const char *url, const struct store *copy,
		      const struct fetch_digest *name, struct hr_buf *b, struct hr_err *e)
{
	char path[STORE_OBJECT_PATH];
	hr_autofree char *object = NULL;

	if (store_object_read(copy, STORE_TRACE, name, TRACE_LIMIT, b, e) == 0)
		return 0;
	if (e->kind != HR_NOTFOUND || !url)
		return -1;
	hr_err_clear(e);
	object = hr_xasprintf("%s/%s", url, store_object_path(STORE_TRACE, name, path));
	return fetch_web_read(client, object, TRACE_LIMIT, b, e);
}

int store_prefetch_order(const struct store_index *ix, struct fetch_client *client, const char *url,
			 const struct store *copy, const char *program, uint32_t **order,
			 uint32_t *n, struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct fetch_digest manifest, name;

	store_index_manifest(ix, &manifest);
	store_trace_name(&manifest, program, &name);
	if (find_trace(client, url, copy, &name, &b, e) < 0)
		return -1;
	return store_trace_parse(b.p, b.len, ix, order, n, e);
}

static void replay(struct store_prefetch *p)
{
	hr_autofree uint32_t *order = NULL;
	struct hr_err e = { 0 };
	uint32_t n = 0;

	if (store_prefetch_order(p->o.ix, p->o.client, p->o.url, p->o.copy, p->o.program, &order,
				 &n, &e) < 0) {
		hr_debug("no trace: %s", e.text);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		store_pager_later(p->o.pager, order[i]);
}

/* Keep what this run touched. The file names it by program, so that a later run of it replaces it
 * as a whole. */
static void save(struct store_prefetch *p)
{
	uint32_t n = store_trace_count(p->o.trace);
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };

	pthread_mutex_lock(&p->lock);
	if (n > p->saved) {
		store_trace_write(p->o.trace, &b);
		if (store_object_write(p->o.copy, STORE_TRACE, &p->name, b.p, b.len, &e) == 0)
			p->saved = n;
		else
			hr_debug("the trace is not kept: %s", e.text);
	}
	pthread_mutex_unlock(&p->lock);
}

static void *thread_main(void *arg)
{
	const struct timespec pause = { 0, LOOK_MS * 1000000L };
	struct store_prefetch *p = arg;
	bool filled = p->o.mode == HR_PREFETCH_NONE;
	struct hr_err e = { 0 }; /* what killed servers left is removed another time */
	uint64_t removed = 0;

	if (store_tmp_clean(p->o.copy, false, &removed, &e) < 0)
		hr_debug("%s", e.text);
	if (p->o.mode != HR_PREFETCH_NONE)
		replay(p);
	for (unsigned int look = 1;; look++) {
		if (!filled &&
		    (p->o.mode == HR_PREFETCH_ALL || store_trace_has(p->o.trace, FILL_TENTHS))) {
			store_pager_fill(p->o.pager);
			filled = true;
		}
		if (look % SAVE_EVERY == 0)
			save(p);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

int store_prefetch_start(const struct store_prefetch_options *o, struct store_prefetch **out,
			 struct hr_err *e)
{
	struct store_prefetch *p = hr_xmalloc(sizeof(*p));
	struct fetch_digest manifest;
	pthread_t thread;
	int r;

	p->o = *o;
	pthread_mutex_init(&p->lock, NULL);
	store_index_manifest(o->ix, &manifest);
	store_trace_name(&manifest, o->program, &p->name);
	r = pthread_create(&thread, NULL, thread_main, p);
	if (r != 0) {
		free(p);
		(void)hr_fail(e, HR_SYS, r, "cannot make a thread for prefetching");
		hr_limit_hint(e);
		return -1;
	}
	pthread_detach(thread);
	*out = p;
	return 0;
}

void store_prefetch_end(struct store_prefetch *p)
{
	save(p);
}
