/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/repair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/import_layer.h"
#include "store/index.h"
#include "store/meta.h"
#include "store/repack.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define DOWNLOADS 3

struct damaged {
	enum store_kind kind;
	struct fetch_digest digest;
	bool missing;
};

struct store_repair {
	struct damaged *v;
	size_t n;
	const struct store_repair_options *o;
};

struct store_repair *store_repair_new(void)
{
	return hr_xmalloc(sizeof(struct store_repair));
}

void store_repair_free(struct store_repair *r)
{
	if (!r)
		return;
	free(r->v);
	free(r);
}

void store_repair_freep(struct store_repair **r)
{
	store_repair_free(*r);
}

void store_repair_add(struct store_repair *r, const struct store_damage *d)
{
	if (d->is_ref)
		return; /* all references are looked at */
	r->v = hr_xrealloc(r->v, (r->n + 1) * sizeof(*r->v));
	r->v[r->n++] = (struct damaged) { d->kind, d->digest, d->why->kind == HR_NOTFOUND };
}

/* ---- out of the way ---- */

/* What is damaged must not be taken for good; packs hold good chunks, too. */
static int put_away(const struct store_repair *r, struct hr_err *e)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct damaged *d = &r->v[i];

		if (d->missing || d->kind == STORE_META)
			continue;
		if ((d->kind == STORE_PACK
			     ? store_repack_mark(r->o->st, &d->digest, e)
			     : store_object_remove(r->o->st, d->kind, &d->digest, e)) < 0)
			return -1;
	}
	return store_sync_names(r->o->st, e);
}

/* ---- images ---- */

static bool has_docs(const struct store *st, const struct store_ref_record *ref,
		     const struct store_image_record *image)
{
	return store_object_exists(st, STORE_DOC, &ref->document) &&
	       store_object_exists(st, STORE_DOC, &ref->manifest) &&
	       store_object_exists(st, STORE_DOC, &image->config);
}

/* Whether all is there that an image reaches, and nothing in packs that are to be replaced. */
static bool is_whole(const struct store *st, const struct store_ref_record *ref)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record r = { 0 };
	struct hr_err none = { 0 }; /* then it is not whole */
	uint32_t chunks;

	if (store_image_record_read(st, &ref->manifest, &r, &none) < 0 || !has_docs(st, ref, &r) ||
	    !store_object_exists(st, STORE_INDEX, &r.index) ||
	    !store_import_packs_are_here(st, STORE_INDEX_LOC, &r.index, &chunks))
		return false;
	for (size_t i = 0; i < r.n_layers; i++)
		if (!store_object_exists(st, STORE_BLOB, &r.layers[i].blob) ||
		    !store_object_exists(st, STORE_LAYER, &r.layers[i].diff_id) ||
		    !store_import_packs_are_here(st, STORE_LAYER_LOC, &r.layers[i].diff_id,
						 &chunks))
			return false;
	return true;
}

/* Fetch what NAME meant here, DOCUMENT, or, NULL, what its tag means now. */
static int fetch(const struct store_repair *r, const struct fetch_ref *ref,
		 const struct fetch_digest *document, struct hr_err *e)
{
	struct fetch_ref exact = *ref; /* borrows its strings */
	struct store_import_registry registry = { r->o->client, &exact };
	struct store_import_source from;
	struct store_import_status status = { 0 };
	struct store_import_result result;
	struct store_import_options o = { .st = r->o->st,
					  .source = &from,
					  .ref = ref,
					  .downloads = DOWNLOADS,
					  .workers = r->o->workers,
					  .level = r->o->level,
					  .max_bytes = r->o->max_bytes,
					  .stop = r->o->stop };
	int done;

	if (document) {
		exact.has_digest = true;
		exact.digest = *document;
	}
	from = store_import_registry_source(&registry);
	done = store_import_pull(&o, &status, &result, e);
	store_import_status_release(&status);
	return done;
}

/* The image is whole, but its reference may say what cannot be true of the pull. */
static void mend_record(const struct store_repair *r, const char *name, const struct fetch_ref *ref,
			const struct store_ref_record *now)
{
	char unknown[] = STORE_SERVER_UNKNOWN;
	struct store_ref_record mended = *now; /* borrows its string */
	struct hr_err why = { 0 };

	mended.pulled = (uint64_t)time(NULL);
	if (store_ref_record_check(now, mended.pulled, &why) == 0)
		return;
	hr_err_clear(&why);
	if (now->pulled <= mended.pulled)
		mended.pulled = now->pulled;
	if (store_ref_record_check(&mended, mended.pulled, &why) < 0) {
		hr_err_clear(&why);
		mended.server = unknown;
	}
	r->o->image(r->o->arg, name,
		    store_ref_write(r->o->st, ref, &mended, &why) < 0 ? &why : NULL);
}

static int repair_ref(const struct store_repair *r, const char *name, struct hr_err *e)
{
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
	HR_CLEANUP(store_ref_record_release) struct store_ref_record now = { 0 };
	struct hr_err why = { 0 };
	bool known;
	int done;

	if (fetch_ref_parse(name, &ref, &why) < 0) {
		r->o->image(r->o->arg, name, &why);
		return 0;
	}
	known = store_ref_read(r->o->st, &ref, &now, &why) == 0;
	hr_err_clear(&why);
	if (known && is_whole(r->o->st, &now)) {
		mend_record(r, name, &ref, &now);
		return 0;
	}
	if (known && !store_ref_record_is_fetched(&now)) {
		hr_fail(&why, HR_NOTFOUND, 0, "it came from files; import it again");
		r->o->image(r->o->arg, name, &why);
		return 0;
	}
	done = fetch(r, &ref, known ? &now.document : NULL, &why);
	if (done < 0 && why.sys == EINTR) {
		*e = why;
		return -1;
	}
	*r->o->stop = false; /* a layer that fails sets it to end its own pull */
	r->o->image(r->o->arg, name, done < 0 ? &why : NULL);
	return 0;
}

/* ---- all ---- */

int store_repair_run(struct store_repair *r, const struct store_repair_options *o, struct hr_err *e)
{
	HR_CLEANUP(hr_strv_release) struct hr_strv names = { 0 };

	r->o = o;
	if (put_away(r, e) < 0 || store_ref_names(o->st, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (repair_ref(r, names.v[i], e) < 0)
			return -1;
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].kind == STORE_META && !r->v[i].missing &&
		    store_meta_remake(o->st, &r->v[i].digest, e) < 0)
			return -1;
	return store_sync_names(o->st, e);
}
