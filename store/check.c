/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/check_parts.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define RANGE_BYTES (16u << 20) /* of a pack, for one thread at a time */

bool check_stopped(const struct check *ck)
{
	return ck->o->cancel && *ck->o->cancel;
}

void check_count_bytes(struct check *ck, uint64_t n)
{
	ck->bytes += n;
	if (ck->o->bytes)
		*ck->o->bytes += n;
}

/* ---- telling ---- */

/* What says nothing about the store, but about this process or the machine. */
static bool is_our_failure(const struct hr_err *e)
{
	return e->sys == ENOMEM || e->sys == EMFILE || e->sys == ENFILE || e->sys == EINTR;
}

static bool is_told(const struct check *ck, const char *path)
{
	for (size_t i = 0; i < ck->told.n; i++)
		if (strcmp(ck->told.v[i], path) == 0)
			return true;
	return false;
}

bool check_is_told(struct check *ck, enum store_kind kind, const struct fetch_digest *d)
{
	char path[STORE_OBJECT_PATH];
	bool told;

	store_object_path(kind, d, path);
	pthread_mutex_lock(&ck->lock);
	told = is_told(ck, path);
	pthread_mutex_unlock(&ck->lock);
	return told;
}

static void tell(struct check *ck, const struct store_damage *d)
{
	pthread_mutex_lock(&ck->lock);
	if (is_our_failure(d->why)) {
		if (ck->failure.kind == HR_OK)
			ck->failure = *d->why;
	} else if (!is_told(ck, d->path)) {
		hr_strv_add(&ck->told, d->path);
		ck->out->damaged++;
		ck->o->damaged(ck->o->arg, d);
	}
	pthread_mutex_unlock(&ck->lock);
}

void check_damaged(struct check *ck, enum store_kind kind, const struct fetch_digest *d,
		   struct hr_err *e)
{
	char path[STORE_OBJECT_PATH];
	const struct store_damage damage = {
		.path = store_object_path(kind, d, path), .kind = kind, .digest = *d, .why = e
	};

	tell(ck, &damage);
	hr_err_clear(e);
}

/* ---- packs ---- */

static int by_name(const void *a, const void *b)
{
	return memcmp(((const struct check_pack *)a)->name.b,
		      ((const struct check_pack *)b)->name.b, FETCH_DIGEST_LEN);
}

struct check_pack *check_pack_find(struct check *ck, const struct fetch_digest *name)
{
	const struct check_pack key = { .name = *name };
	struct check_pack *p =
		ck->n_packs ? bsearch(&key, ck->packs, ck->n_packs, sizeof(*p), by_name) : NULL;

	if (!p)
		return NULL;
	pthread_mutex_lock(&p->lock);
	if (!p->looked)
		check_pack_load(ck, p);
	pthread_mutex_unlock(&p->lock);
	return p->usable ? p : NULL;
}

struct check_pack *check_pack_get(struct check *ck, const struct fetch_digest *name, const char *by)
{
	struct check_pack *p;
	struct hr_err e = { 0 };

	if (!store_object_exists(ck->o->st, STORE_PACK, name)) {
		hr_fail(&e, HR_NOTFOUND, 0, "it is missing, and '%s' names it", by);
		check_damaged(ck, STORE_PACK, name, &e);
		return NULL;
	}
	p = check_pack_find(ck, name);
	if (p) {
		pthread_mutex_lock(&p->lock);
		p->reached = true;
		pthread_mutex_unlock(&p->lock);
	}
	return p;
}

static int add_pack(void *arg, const struct fetch_digest *d, uint64_t bytes, struct hr_err *e)
{
	struct check *ck = arg;

	(void)e;
	ck->packs = hr_xgrow(ck->packs, ck->n_packs, &ck->cap_packs, sizeof(*ck->packs));
	ck->packs[ck->n_packs] = (struct check_pack) { .name = *d, .bytes = bytes };
	ck->n_packs++;
	return 0;
}

static int list_packs(struct check *ck, struct hr_err *e)
{
	if (store_object_each(ck->o->st, STORE_PACK, add_pack, ck, e) < 0)
		return -1;
	if (ck->n_packs)
		qsort(ck->packs, ck->n_packs, sizeof(*ck->packs), by_name);
	for (size_t i = 0; i < ck->n_packs; i++)
		pthread_mutex_init(&ck->packs[i].lock, NULL);
	return 0;
}

static void add_range(struct check *ck, struct check_pack *p, uint32_t first, uint32_t end)
{
	ck->ranges = hr_xgrow(ck->ranges, ck->n_ranges, &ck->cap_ranges, sizeof(*ck->ranges));
	ck->ranges[ck->n_ranges++] = (struct check_range) { p, first, end };
}

/* What waits for gc is nobody's. */
static bool is_replaced(const struct check *ck, const struct check_pack *p)
{
	return !p->reached && store_object_exists(ck->o->st, STORE_PACK_OLD, &p->name);
}

/* Divide the packs, so that few large ones keep all threads busy, too. */
static void plan_ranges(struct check *ck)
{
	for (size_t i = 0; i < ck->n_packs; i++) {
		struct check_pack *p = &ck->packs[i];
		uint32_t first = 0;
		uint64_t bytes = 0;

		if (ck->some_frames ? !p->wanted
				    : is_replaced(ck, p) || !check_pack_find(ck, &p->name))
			continue;
		ck->out->objects++;
		for (uint32_t k = 0; k < p->n; k++) {
			bytes += p->rows[k].frame_len;
			if (bytes < RANGE_BYTES && k + 1 < p->n)
				continue;
			add_range(ck, p, first, k + 1);
			first = k + 1;
			bytes = 0;
		}
	}
}

static void tell_packs(struct check *ck)
{
	for (size_t i = 0; i < ck->n_packs; i++) {
		struct check_pack *p = &ck->packs[i];

		if (p->bad == 0)
			continue;
		if (p->bad > 1)
			hr_wrap(&p->first_bad, "%u of %u frames are damaged, the first", p->bad,
				p->n);
		check_damaged(ck, STORE_PACK, &p->name, &p->first_bad);
	}
}

/* ---- threads ---- */

static void check_some_objects(void *arg)
{
	struct check *ck = arg;
	size_t i;

	while ((i = ck->next++) < ck->n_objects && !check_stopped(ck))
		check_object(ck, ck->objects[i].kind, &ck->objects[i].digest);
}

static void check_some_ranges(void *arg)
{
	struct check *ck = arg;
	struct check_reader *r = check_reader_new(ck);
	size_t i;

	while ((i = ck->next++) < ck->n_ranges && !check_stopped(ck))
		check_pack_range(ck, r, &ck->ranges[i]);
	check_reader_free(r);
}

static int run(struct check *ck, void (*some)(void *ck), struct hr_err *e)
{
	ck->next = 0;
	store_crew_run(ck->o->threads, some, ck);
	if (check_stopped(ck))
		return hr_fail(e, HR_SYS, EINTR, "stopped before all was checked");
	if (ck->failure.kind == HR_OK)
		return 0;
	*e = ck->failure;
	return -1;
}

/* ---- what is to be checked ---- */

static void add_object(struct check *ck, enum store_kind kind, const struct fetch_digest *d)
{
	ck->objects = hr_xgrow(ck->objects, ck->n_objects, &ck->cap_objects, sizeof(*ck->objects));
	ck->objects[ck->n_objects++] = (struct check_object) { kind, *d };
}

struct listing {
	struct check *ck;
	enum store_kind kind;
};

static int list_object(void *arg, const struct fetch_digest *d, uint64_t bytes, struct hr_err *e)
{
	struct listing *l = arg;

	(void)bytes;
	(void)e;
	add_object(l->ck, l->kind, d);
	return 0;
}

static int list_kind(struct check *ck, enum store_kind kind, struct hr_err *e)
{
	struct listing l = { ck, kind };

	return store_object_each(ck->o->st, kind, list_object, &l, e);
}

static void damaged_ref(struct check *ck, const char *text, const struct fetch_ref *ref,
			const struct hr_err *why)
{
	hr_autofree char *path = ref->registry ? store_ref_path(ref) : hr_xstrdup(text);
	hr_autobuf struct hr_buf shown = { 0 };
	struct store_damage d = { .is_ref = true, .why = why };

	hr_buf_untrusted(&shown, path, strlen(path));
	d.path = (const char *)shown.p;
	tell(ck, &d);
}

static void check_reached(struct check *ck, enum store_kind kind, const struct fetch_digest *d)
{
	struct hr_err e = { 0 };

	if (store_object_exists(ck->o->st, kind, d))
		return;
	hr_fail(&e, HR_NOTFOUND, 0, "it is missing");
	check_damaged(ck, kind, d, &e);
}

static int check_refs(struct check *ck, struct hr_err *e)
{
	HR_CLEANUP(hr_strv_release) struct hr_strv texts = { 0 };

	if (store_ref_names(ck->o->st, &texts, e) < 0)
		return -1;
	for (size_t i = 0; i < texts.n; i++) {
		HR_CLEANUP(store_ref_record_release) struct store_ref_record r = { 0 };
		HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
		struct hr_err why = { 0 };

		ck->out->objects++;
		if (fetch_ref_parse(texts.v[i], &ref, &why) < 0 ||
		    store_ref_read(ck->o->st, &ref, &r, &why) < 0) {
			if (why.kind != HR_NOTFOUND) /* else it was removed since it was listed */
				damaged_ref(ck, texts.v[i], &ref, &why);
			continue;
		}
		if (store_ref_record_check(&r, (uint64_t)time(NULL), &why) < 0)
			damaged_ref(ck, texts.v[i], &ref, &why);
		check_reached(ck, STORE_IMAGE, &r.manifest);
		check_reached(ck, STORE_DOC, &r.document);
	}
	return 0;
}

/* ---- the whole ---- */

static void release(struct check *ck)
{
	for (size_t i = 0; i < ck->n_packs; i++) {
		pthread_mutex_destroy(&ck->packs[i].lock);
		free(ck->packs[i].rows);
		free(ck->packs[i].wanted);
	}
	free(ck->packs);
	free(ck->objects);
	free(ck->ranges);
	hr_strv_release(&ck->told);
	pthread_mutex_destroy(&ck->lock);
}

/* Check the objects that were listed. Those that are made from others come behind these. */
static int check_objects(struct check *ck, struct hr_err *e)
{
	int r = run(ck, check_some_objects, e);

	ck->out->objects += ck->n_objects;
	ck->n_objects = 0;
	return r;
}

static int check_packs(struct check *ck, struct hr_err *e)
{
	int r;

	plan_ranges(ck);
	r = run(ck, check_some_ranges, e);
	tell_packs(ck);
	return r;
}

static void begin(struct check *ck, const struct store_check_options *o,
		  struct store_check_result *out)
{
	memset(ck, 0, sizeof(*ck));
	memset(out, 0, sizeof(*out));
	pthread_mutex_init(&ck->lock, NULL);
	ck->o = o;
	ck->out = out;
}

static int end(struct check *ck, int r, struct hr_err *e)
{
	ck->out->bytes = ck->bytes;
	ck->out->chunks = ck->chunks;
	release(ck);
	return r < 0 ? hr_wrap(e, "cannot check store '%s'", ck->o->st->path) : 0;
}

static int check_all(struct check *ck, struct hr_err *e)
{
	static const enum store_kind kinds[] = { STORE_DOC,   STORE_BLOB,  STORE_LAYER,
						 STORE_INDEX, STORE_TRACE, STORE_DICT };

	if (list_packs(ck, e) < 0 || check_refs(ck, e) < 0)
		return -1;
	for (size_t i = 0; i < HR_COUNT(kinds); i++)
		if (list_kind(ck, kinds[i], e) < 0)
			return -1;
	if (check_objects(ck, e) < 0 || list_kind(ck, STORE_IMAGE, e) < 0 ||
	    check_objects(ck, e) < 0 || list_kind(ck, STORE_META, e) < 0 ||
	    check_objects(ck, e) < 0)
		return -1;
	return check_packs(ck, e);
}

int store_check_all(const struct store_check_options *o, struct store_check_result *out,
		    struct hr_err *e)
{
	struct check ck;

	begin(&ck, o, out);
	return end(&ck, check_all(&ck, e), e);
}

/* What the record of an image names. */
static int list_image(struct check *ck, const struct fetch_digest *manifest, struct hr_err *e)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record r = { 0 };

	add_object(ck, STORE_DOC, manifest);
	if (store_image_record_read(ck->o->st, manifest, &r, e) < 0) {
		if (e->kind != HR_CORRUPT)
			return -1;
		hr_err_clear(e); /* told when it is checked */
		return 0;
	}
	add_object(ck, STORE_DOC, &r.config);
	add_object(ck, STORE_INDEX, &r.index);
	for (size_t i = 0; i < r.n_layers; i++) {
		add_object(ck, STORE_LAYER, &r.layers[i].diff_id);
		add_object(ck, STORE_BLOB, &r.layers[i].blob);
	}
	return 0;
}

static int check_one(struct check *ck, const struct fetch_digest *manifest, struct hr_err *e)
{
	static const enum store_kind made[] = { STORE_IMAGE, STORE_META };

	ck->some_frames = true;
	if (list_packs(ck, e) < 0 || list_image(ck, manifest, e) < 0 || check_objects(ck, e) < 0)
		return -1;
	for (size_t i = 0; i < HR_COUNT(made); i++) {
		add_object(ck, made[i], manifest);
		if (check_objects(ck, e) < 0)
			return -1;
	}
	return check_packs(ck, e);
}

int store_check_image(const struct store_check_options *o, const struct fetch_digest *manifest,
		      struct store_check_result *out, struct hr_err *e)
{
	struct check ck;

	begin(&ck, o, out);
	return end(&ck, check_one(&ck, manifest, e), e);
}
