/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/prefetch.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "store/in_order.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/limit.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define TRACE_LIMIT (64u << 20) /* bytes */
#define LOOK_MS	    50		/* while chunks are touched for the first time, and */
#define IDLE_MS	    500		/* when none were for so many looks: */
#define IDLE_LOOKS  20
#define SAVE_MS	    10000 /* a job step may end by SIGKILL: the trace is not left to the end */
#define FEW_CHUNKS  64	  /* a program that touches no more is not looked at closely */
#define AHEAD_MAX   (64u << 20) /* compressed bytes before who reads in order */
#define FILL_TENTHS                                                                                \
	3 /* of the bytes touched: paging one by one is dearer than reading everything */

struct store_prefetch {
	struct store_prefetch_options o;
	struct fetch_digest name;
	pthread_mutex_t lock; /* of the file of the trace, and of saved */
	uint32_t saved;	      /* chunks in it */
	/* the thread's own from here on */
	struct store_in_order *in_order; /* NULL: little was touched so far */
	uint32_t *touched;		 /* room for all chunks */
	uint32_t looked;		 /* chunks of the trace that it has looked at */
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

/* Fetch what comes next when the image is read in order. Returns whether chunks were touched. */
static bool look(struct store_prefetch *p)
{
	const uint32_t *next;
	uint32_t n;
	size_t n_next;

	if (!p->in_order) {
		if (store_trace_count(p->o.trace) < FEW_CHUNKS)
			return false;
		p->in_order = store_in_order_new(p->o.ix, p->o.loc);
		p->touched =
			hr_xmalloc(((size_t)store_index_chunks(p->o.ix) + 1) * sizeof(*p->touched));
	}
	n = store_trace_since(p->o.trace, p->looked, p->touched);
	if (n == 0)
		return false;
	p->looked += n;
	store_in_order_touched(p->in_order, p->touched, n);
	n_next = store_in_order_next(p->in_order, AHEAD_MAX, &next);
	if (n_next > 0)
		store_pager_foreseen(p->o.pager, next, n_next, 0);
	return true;
}

/* All of the image, what its reader comes to next first. */
static void fill(struct store_prefetch *p)
{
	const uint32_t *next = NULL;
	size_t n = p->in_order ? store_in_order_all(p->in_order, &next) : 0;

	store_pager_fill(p->o.pager, next, n);
}

static void pause_ms(unsigned int ms)
{
	const struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

static void *thread_main(void *arg)
{
	struct store_prefetch *p = arg;
	bool filled = p->o.mode == HR_PREFETCH_NONE;
	struct hr_err e = { 0 }; /* what killed servers left is removed another time */
	unsigned int idle = 0, unsaved_ms = 0;
	uint64_t removed = 0;

	if (store_tmp_clean(p->o.copy, false, &removed, &e) < 0)
		hr_debug("%s", e.text);
	if (p->o.mode != HR_PREFETCH_NONE)
		replay(p);
	for (;;) {
		unsigned int ms;

		idle = !filled && look(p) ? 0 : idle + 1;
		if (!filled &&
		    (p->o.mode == HR_PREFETCH_ALL || store_trace_has(p->o.trace, FILL_TENTHS))) {
			fill(p);
			filled = true;
		}
		ms = idle < IDLE_LOOKS ? LOOK_MS : IDLE_MS;
		pause_ms(ms);
		unsaved_ms += ms;
		if (unsaved_ms >= SAVE_MS) {
			save(p);
			unsaved_ms = 0;
		}
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
