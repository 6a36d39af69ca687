/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/import.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "store/crew.h"
#include "store/dict.h"
#include "store/import_layer.h"
#include "store/import_merge.h"
#include "store/lease.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

/* A pull on its way. */
struct pull {
	const struct store_import_options *o;
	struct store_import_status *status;
	struct hr_buf document, manifest_doc, config_doc;
	struct fetch_digest document_digest, manifest_digest;
	struct fetch_manifest manifest;
	struct fetch_config config;

	struct store_import_work *work;
	pthread_mutex_t lock; /* of what follows */
	size_t *todo;	      /* layers, largest first */
	size_t n_todo, next;
	struct hr_err failure;
};

static void pull_release(struct pull *p)
{
	hr_buf_release(&p->document);
	hr_buf_release(&p->manifest_doc);
	hr_buf_release(&p->config_doc);
	fetch_manifest_release(&p->manifest);
	fetch_config_release(&p->config);
	free(p->todo);
	pthread_mutex_destroy(&p->lock);
}

/* ---- documents ---- */

/* The manifest for this platform, through an index if the tag names one. */
static int get_manifest(struct pull *p, struct hr_err *e)
{
	const struct store_import_source *from = p->o->source;
	struct fetch_descriptor d;
	enum fetch_doc_kind kind;

	if (from->document(from->arg, NULL, &p->document, &p->document_digest, e) < 0 ||
	    fetch_doc_kind(p->document.p, p->document.len, &kind, e) < 0)
		return -1;
	if (kind == FETCH_DOC_MANIFEST) {
		p->manifest_digest = p->document_digest;
		hr_buf_add(&p->manifest_doc, p->document.p, p->document.len);
	} else {
		if (fetch_platform_pick(p->document.p, p->document.len, fetch_host_arch(), &d, e) <
		    0)
			return -1;
		if (from->document(from->arg, &d.digest, &p->manifest_doc, &p->manifest_digest, e) <
		    0)
			return -1;
	}
	return fetch_manifest_parse(p->manifest_doc.p, p->manifest_doc.len, &p->manifest, e);
}

static int add_to_buf(void *arg, const void *p, size_t n, struct hr_err *e)
{
	(void)e;
	hr_buf_add(arg, p, n);
	return 0;
}

/* The config out of the store, if it is there and what its digest says. */
static bool config_is_here(struct pull *p)
{
	struct fetch_digest got;
	struct hr_err missing = { 0 }; /* then it is fetched */

	if (!p->o->st || p->o->force ||
	    store_object_read(p->o->st, STORE_DOC, &p->manifest.config.digest, FETCH_CONFIG_LIMIT,
			      &p->config_doc, &missing) < 0)
		return false;
	fetch_digest_of(p->config_doc.p, p->config_doc.len, &got);
	if (fetch_digest_equal(&got, &p->manifest.config.digest))
		return true;
	p->config_doc.len = 0;
	return false;
}

static int get_config(struct pull *p, struct hr_err *e)
{
	const struct fetch_descriptor *d = &p->manifest.config;
	const struct store_import_source *from = p->o->source;

	p->config_doc.len = 0; /* of a first attempt */
	fetch_config_release(&p->config);
	if (d->size > FETCH_CONFIG_LIMIT)
		return hr_fail(e, HR_CORRUPT, 0, "the image config has %llu bytes, at most %u",
			       (unsigned long long)d->size, FETCH_CONFIG_LIMIT);
	if ((!config_is_here(p) && from->blob(from->arg, d, add_to_buf, &p->config_doc, e) < 0) ||
	    fetch_config_parse(p->config_doc.p, p->config_doc.len, &p->config, e) < 0)
		return hr_wrap(e, "image config");
	if (p->config.n_diff_ids != p->manifest.n_layers)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the manifest has %zu layer%s, the image config %zu",
			       p->manifest.n_layers, HR_PLURAL(p->manifest.n_layers),
			       p->config.n_diff_ids);
	return 0;
}

static void make_layers(struct pull *p)
{
	struct store_import_status *s = p->status;

	s->n_layers = p->manifest.n_layers;
	s->layers = hr_xmalloc(s->n_layers * sizeof(*s->layers));
	for (size_t i = 0; i < s->n_layers; i++) {
		s->layers[i].blob = p->manifest.layers[i];
		s->layers[i].diff_id = p->config.diff_ids[i];
	}
}

static void look_for_layers(const struct store *st, struct store_import_status *s)
{
	for (size_t i = 0; i < s->n_layers; i++)
		if (store_import_layer_is_here(st, &s->layers[i]))
			s->layers[i].state = STORE_IMPORT_HERE;
}

uint64_t store_import_missing(const struct store_import_status *s, size_t *n)
{
	uint64_t bytes = 0;

	*n = 0;
	for (size_t i = 0; i < s->n_layers; i++) {
		bool counted = s->layers[i].state == STORE_IMPORT_HERE;

		for (size_t k = 0; k < i && !counted; k++)
			counted = fetch_digest_equal(&s->layers[k].blob.digest,
						     &s->layers[i].blob.digest);
		if (counted)
			continue;
		bytes += s->layers[i].blob.size;
		++*n;
	}
	return bytes;
}

/* ---- layers ---- */

static void stop_all(struct pull *p, const struct hr_err *e)
{
	pthread_mutex_lock(&p->lock);
	/* that others stopped because of the first failure is no news */
	if (p->failure.kind == HR_OK || (p->failure.sys == EINTR && e->sys != EINTR))
		p->failure = *e;
	pthread_mutex_unlock(&p->lock);
	*p->o->stop = true;
}

static void get_some_layers(void *arg)
{
	struct pull *p = arg;

	for (;;) {
		struct hr_err e = { 0 };
		size_t i;

		pthread_mutex_lock(&p->lock);
		i = p->next < p->n_todo ? p->next++ : p->n_todo;
		pthread_mutex_unlock(&p->lock);
		if (i == p->n_todo || *p->o->stop)
			return;
		if (store_import_layer_run(p->o, p->work, &p->status->layers[p->todo[i]], &e) < 0)
			stop_all(p, &e);
	}
}

static int by_size(const void *a, const void *b, void *arg)
{
	const struct store_import_layer *layers = arg;
	uint64_t x = layers[*(const size_t *)a].blob.size, y = layers[*(const size_t *)b].blob.size;

	return x > y ? -1 : x < y;
}

/* Each layer once, the largest first: its hash is the longest job that cannot be divided. */
static void plan_layers(struct pull *p)
{
	const struct store_import_layer *layers = p->status->layers;

	p->todo = hr_xmalloc(p->status->n_layers * sizeof(*p->todo) + 1);
	for (size_t i = 0; i < p->status->n_layers; i++) {
		bool seen = false;

		for (size_t k = 0; k < i && !seen; k++)
			seen = fetch_digest_equal(&layers[k].diff_id, &layers[i].diff_id);
		if (!seen)
			p->todo[p->n_todo++] = i;
	}
	if (p->n_todo)
		qsort_r(p->todo, p->n_todo, sizeof(*p->todo), by_size, p->status->layers);
}

/* Layers that stand twice in the image are as far as their first. */
static void copy_states(struct pull *p)
{
	struct store_import_layer *layers = p->status->layers;

	for (size_t i = 0; i < p->status->n_layers; i++)
		for (size_t k = 0; k < i && layers[i].state == STORE_IMPORT_WAITING; k++)
			if (fetch_digest_equal(&layers[k].diff_id, &layers[i].diff_id))
				layers[i].state = STORE_IMPORT_HERE;
}

static int run_downloads(struct pull *p, struct hr_err *e)
{
	size_t n = p->n_todo < p->o->downloads ? p->n_todo : p->o->downloads;

	store_crew_run((unsigned int)n, get_some_layers, p);
	if (p->failure.kind == HR_OK && *p->o->stop)
		return hr_fail(e, HR_SYS, EINTR, "interrupted");
	if (p->failure.kind == HR_OK)
		return 0;
	*e = p->failure;
	return -1;
}

static int get_layers(struct pull *p, struct hr_err *e)
{
	struct store_import_work_options w = { .st = p->o->st,
					       .workers = p->o->workers,
					       .layers = p->o->downloads,
					       .level = p->o->level,
					       .stop = p->o->stop };
	struct store_dict *dict = NULL;
	int r = -1;

	plan_layers(p);
	if (!p->o->force && store_dict_open(p->o->st, &dict, e) < 0)
		return -1;
	w.dict = dict;
	if (store_import_work_new(&w, &p->work, e) == 0) {
		r = run_downloads(p, e);
		store_import_work_free(p->work);
		p->work = NULL;
	}
	store_dict_close(dict);
	copy_states(p);
	return r;
}

/* ---- the image ---- */

/*
 * Whether the image was made here before, all of it. That its layers are here is not enough: those
 * that were fetched again because a pack was lost may lie in other packs now.
 */
static bool image_is_here(const struct pull *p)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record r = { 0 };
	const struct store *st = p->o->st;
	struct hr_err damaged = { 0 }; /* then it is made again */
	uint32_t located;

	return store_image_record_read(st, &p->manifest_digest, &r, &damaged) == 0 &&
	       store_object_exists(st, STORE_INDEX, &r.index) &&
	       store_import_packs_are_here(st, STORE_INDEX_LOC, &r.index, &located);
}

/* Whether the reference meant the same before, and all that it reaches is here. */
static bool is_unchanged(struct pull *p)
{
	HR_CLEANUP(store_ref_record_release) struct store_ref_record r = { 0 };
	const struct store *st = p->o->st;
	struct hr_err changed = { 0 }; /* or damaged: then it is pulled */

	if (p->o->force || store_ref_read(st, p->o->ref, &r, &changed) < 0 ||
	    !fetch_digest_equal(&r.manifest, &p->manifest_digest) ||
	    !fetch_digest_equal(&r.document, &p->document_digest))
		return false;
	if (!image_is_here(p) || !store_object_exists(st, STORE_DOC, &p->document_digest) ||
	    !store_object_exists(st, STORE_DOC, &p->manifest_digest) ||
	    !store_object_exists(st, STORE_DOC, &p->manifest.config.digest) ||
	    get_config(p, &changed) < 0)
		return false;
	for (size_t i = 0; i < p->manifest.n_layers; i++) {
		const struct store_import_layer l = { .blob = p->manifest.layers[i],
						      .diff_id = p->config.diff_ids[i] };

		if (!store_import_layer_is_here(st, &l))
			return false;
	}
	return true;
}

static int write_doc(const struct pull *p, const struct hr_buf *b, const struct fetch_digest *d,
		     struct hr_err *e)
{
	return store_object_write(p->o->st, STORE_DOC, d, b->p, b->len, e);
}

static int write_docs(const struct pull *p, struct hr_err *e)
{
	if (!fetch_digest_equal(&p->document_digest, &p->manifest_digest) &&
	    write_doc(p, &p->document, &p->document_digest, e) < 0)
		return -1;
	if (write_doc(p, &p->manifest_doc, &p->manifest_digest, e) < 0)
		return -1;
	return write_doc(p, &p->config_doc, &p->manifest.config.digest, e);
}

static int make_image(struct pull *p, struct hr_err *e)
{
	struct store_import_merge_image image = {
		.manifest = p->manifest_digest,
		.config = p->manifest.config.digest,
		.config_doc = &p->config_doc,
		.created = p->config.created,
		.layers = p->status->layers,
		.n_layers = p->status->n_layers,
	};

	return store_import_merge(p->o->st, &image, e);
}

static int write_ref(const struct pull *p, struct hr_err *e)
{
	HR_CLEANUP(store_ref_record_release)
	struct store_ref_record r = { p->manifest_digest, p->document_digest, (uint64_t)time(NULL),
				      hr_xstrdup(p->o->source->name) };

	/* what the reference reaches must be there before it */
	if (store_sync_names(p->o->st, e) < 0)
		return -1;
	return store_ref_write(p->o->st, p->o->ref, &r, e);
}

static int sum_up(const struct pull *p, struct store_import_result *out, struct hr_err *e)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record r = { 0 };

	if (store_image_record_read(p->o->st, &p->manifest_digest, &r, e) < 0)
		return -1;
	*out = (struct store_import_result) { .manifest = p->manifest_digest,
					      .document = p->document_digest,
					      .size = r.size,
					      .compressed = r.compressed };
	for (size_t i = 0; i < p->status->n_layers; i++)
		out->stored += p->status->layers[i].sums.packed;
	return 0;
}

static int sum_up_unchanged(struct pull *p, struct store_import_result *out, struct hr_err *e)
{
	struct store_import_status *s = p->status;

	if (!p->o->if_changed) {
		make_layers(p);
		for (size_t i = 0; i < s->n_layers; i++)
			s->layers[i].state = STORE_IMPORT_HERE;
		s->ready = true;
	}
	if (sum_up(p, out, e) < 0)
		return -1;
	out->unchanged = true;
	return 0;
}

static int pull_locked(struct pull *p, struct store_import_result *out, struct hr_err *e)
{
	uint64_t removed = 0;

	if (store_tmp_clean(p->o->st, false, &removed, e) < 0)
		return -1;
	if (get_config(p, e) < 0)
		return -1;
	make_layers(p);
	if (p->o->admit) {
		look_for_layers(p->o->st, p->status);
		if (p->o->admit(p->o->admit_arg, p->status, e) < 0)
			return -1;
	}
	p->status->ready = true;
	if (get_layers(p, e) < 0)
		return -1;
	if ((p->o->force || !image_is_here(p)) && make_image(p, e) < 0)
		return -1;
	if (write_docs(p, e) < 0 || write_ref(p, e) < 0)
		return -1;
	return sum_up(p, out, e);
}

int store_import_pull(const struct store_import_options *o, struct store_import_status *status,
		      struct store_import_result *out, struct hr_err *e)
{
	struct pull p = { .o = o, .status = status };
	struct store_lease *lease = NULL;
	bool waited = false;
	int r = -1;

	pthread_mutex_init(&p.lock, NULL);
	if (get_manifest(&p, e) < 0)
		goto out;
	if (is_unchanged(&p)) {
		r = sum_up_unchanged(&p, out, e);
		goto out;
	}
	if (store_lease_take(o->st, STORE_LEASE_IMPORT, &p.manifest_digest, o->stop, &waited,
			     &lease, e) < 0)
		goto out;
	/* the process we waited for may have done just what we want */
	r = waited && is_unchanged(&p) ? sum_up_unchanged(&p, out, e) : pull_locked(&p, out, e);
out:
	store_lease_release(lease);
	pull_release(&p);
	return r;
}

int store_import_plan(const struct store_import_options *o, struct store_import_status *status,
		      struct store_import_prospect *out, struct hr_err *e)
{
	struct pull p = { .o = o, .status = status };
	int r = -1;

	pthread_mutex_init(&p.lock, NULL);
	if (get_manifest(&p, e) < 0 || get_config(&p, e) < 0)
		goto out;
	make_layers(&p);
	if (o->st)
		look_for_layers(o->st, status);
	status->ready = true;
	out->manifest = p.manifest_digest;
	out->here = o->st && image_is_here(&p);
	out->platform = hr_xasprintf("%s/%s", p.config.os ? p.config.os : "?",
				     p.config.architecture ? p.config.architecture : "?");
	out->created = hr_xstrdup(p.config.created ? p.config.created : "-");
	r = 0;
out:
	pull_release(&p);
	return r;
}

void store_import_prospect_release(struct store_import_prospect *p)
{
	free(p->platform);
	free(p->created);
}

void store_import_status_release(struct store_import_status *s)
{
	free(s->layers);
	s->layers = NULL;
	s->n_layers = 0;
	s->ready = false;
}
