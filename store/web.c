/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/web.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>
#include <string.h>

#include "store/cache_meta.h"
#include "store/loc.h"
#include "store/meta.h"
#include "store/record.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define INDEX_LIMIT UINT32_MAX

/* OBJECT, its address, appended to B; the node remembers whether there was an answer. */
static int ask(const struct store_web *w, const char *object, uint64_t limit, struct hr_buf *b,
	       struct hr_err *e)
{
	uint64_t begun = hr_now_ms();
	int r = fetch_web_read(w->client, object, limit, b, e);

	store_outage_note(w->copy, r < 0 ? e : NULL, begun);
	if (r == 0 || e->kind != HR_NET)
		fetch_client_hurry(w->client, false);
	return r;
}

static int get_object(const struct store_web *w, enum store_kind kind, const struct fetch_digest *d,
		      uint64_t limit, struct hr_buf *b, struct hr_err *e)
{
	char path[STORE_OBJECT_PATH];
	hr_autofree char *object = hr_xasprintf("%s/%s", w->url, store_object_path(kind, d, path));

	return ask(w, object, limit, b, e);
}

/* ---- what lies on this node is checked by a sum before each use: a sha256 would take too long */

#define SUM_MAGIC "hpcrSUM1"
#define SUM_BYTES 24

static int make_sum(const struct store *copy, const struct fetch_digest *index, struct hr_buf *sum,
		    struct hr_err *e)
{
	static const enum store_kind kinds[] = { STORE_INDEX, STORE_INDEX_LOC };

	hr_buf_str(sum, SUM_MAGIC);
	for (size_t i = 0; i < HR_COUNT(kinds); i++) {
		hr_autobuf struct hr_buf b = { 0 };

		if (store_object_read(copy, kinds[i], index, INDEX_LIMIT, &b, e) < 0)
			return -1;
		hr_buf_le(sum, store_crc64(b.p, b.len), 8);
	}
	return 0;
}

/* Whether COPY has the index and the locations as they came. */
static bool is_sound(const struct store *copy, const struct fetch_digest *index)
{
	hr_autobuf struct hr_buf want = { 0 }, got = { 0 };
	struct hr_err damaged = { 0 }; /* or not there: then they are fetched */

	return store_object_read(copy, STORE_INDEX_SUM, index, SUM_BYTES, &want, &damaged) == 0 &&
	       make_sum(copy, index, &got, &damaged) == 0 && want.len == got.len &&
	       memcmp(want.p, got.p, got.len) == 0;
}

static int write_sum(const struct store *copy, const struct fetch_digest *index, struct hr_err *e)
{
	hr_autobuf struct hr_buf sum = { 0 };

	if (make_sum(copy, index, &sum, e) < 0)
		return -1;
	return store_object_write(copy, STORE_INDEX_SUM, index, sum.p, sum.len, e);
}

static int check_index(const char *url, const struct hr_buf *index, const struct fetch_digest *want,
		       struct hr_err *e)
{
	char got_hex[FETCH_DIGEST_HEX], hex[FETCH_DIGEST_HEX];
	struct fetch_digest got;

	fetch_digest_of(index->p, index->len, &got);
	if (fetch_digest_equal(&got, want))
		return 0;
	return hr_fail(e, HR_CORRUPT, 0, "the image index of store '%s' is %s, expected %s", url,
		       fetch_digest_hex(&got, got_hex), fetch_digest_hex(want, hex));
}

/* An object for the copy; checked against its name when CHECKED. */
static int sync_object(const struct store_web *w, enum store_kind kind,
		       const struct fetch_digest *d, bool checked, struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };

	if (get_object(w, kind, d, INDEX_LIMIT, &b, e) < 0)
		return -1;
	if (checked && check_index(w->url, &b, d, e) < 0)
		return -1;
	return store_object_write(w->copy, kind, d, b.p, b.len, e);
}

/* The index and the locations, unless they are in the copy. */
static int sync_index(const struct store_web *w, const struct fetch_digest *index, struct hr_err *e)
{
	if (is_sound(w->copy, index))
		return 0;
	if (sync_object(w, STORE_INDEX, index, true, e) == 0 &&
	    sync_object(w, STORE_INDEX_LOC, index, false, e) == 0)
		return write_sum(w->copy, index, e);
	if (e->kind == HR_NOTFOUND) /* the record promised it */
		e->kind = HR_CORRUPT;
	return -1;
}

/* The parts of a metadata file as far as they tell whether they are right. */
static int check_meta(const char *url, const struct store_meta *m,
		      const struct fetch_digest *manifest, struct store_image_record *record,
		      struct hr_err *e)
{
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	struct fetch_digest of;
	struct store_loc loc;

	if (store_image_record_parse(m->record.p, m->record.len, record, e) < 0 ||
	    check_index(url, &m->index, &record->index, e) < 0 ||
	    store_index_parse(m->index.p, m->index.len, &ix, e) < 0)
		return -1;
	store_index_manifest(ix, &of);
	if (!fetch_digest_equal(&of, manifest))
		return hr_fail(e, HR_CORRUPT, 0, "the image index is that of another image");
	return store_loc_parse(m->loc.p, m->loc.len, store_index_chunks(ix), &loc, e);
}

/* Everything at once, of an image that was never here. */
static int sync_meta(const struct store_web *w, const struct fetch_digest *manifest,
		     struct hr_err *e)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record record = { 0 };
	HR_CLEANUP(store_meta_release) struct store_meta b = { 0 };
	hr_autobuf struct hr_buf file = { 0 };

	if (get_object(w, STORE_META, manifest, INDEX_LIMIT, &file, e) < 0 ||
	    store_meta_open(file.p, file.len, &b, e) < 0 ||
	    check_meta(w->url, &b, manifest, &record, e) < 0 ||
	    store_object_write(w->copy, STORE_INDEX, &record.index, b.index.p, b.index.len, e) <
		    0 ||
	    store_object_write(w->copy, STORE_INDEX_LOC, &record.index, b.loc.p, b.loc.len, e) <
		    0 ||
	    write_sum(w->copy, &record.index, e) < 0)
		return -1;
	return store_object_write(w->copy, STORE_IMAGE, manifest, b.record.p, b.record.len, e);
}

/* The image record is small and says where everything is: fetched each time, written last. */
static int sync_image(const struct store_web *w, const struct fetch_digest *manifest,
		      struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };
	HR_CLEANUP(store_image_record_release) struct store_image_record record = { 0 };

	if (!store_object_exists(w->copy, STORE_IMAGE, manifest)) {
		if (sync_meta(w, manifest, e) == 0)
			return 0;
		/* a store made before there were metadata files, or a damaged one: there is another
		 * way */
		hr_debug("no metadata file: %s", e->text);
		hr_err_clear(e);
	}
	if (get_object(w, STORE_IMAGE, manifest, STORE_RECORD_LIMIT, &text, e) < 0)
		return -1;
	if (store_image_record_parse(text.p, text.len, &record, e) < 0)
		return hr_wrap(e, "store '%s', image record", w->url);
	if (sync_index(w, &record.index, e) < 0)
		return -1;
	return store_object_write(w->copy, STORE_IMAGE, manifest, text.p, text.len, e);
}

static int sync_ref(const struct store_web *w, const struct fetch_ref *ref, struct hr_err *e)
{
	hr_autofree char *path = store_ref_path(ref);
	hr_autofree char *object = hr_xasprintf("%s/%s", w->url, path);
	HR_CLEANUP(store_ref_record_release) struct store_ref_record record = { 0 };
	hr_autobuf struct hr_buf text = { 0 };

	if (ask(w, object, STORE_RECORD_LIMIT, &text, e) < 0)
		return -1;
	if (store_ref_record_parse(text.p, text.len, &record, e) < 0)
		return hr_wrap(e, "'%s'", object);
	if (sync_image(w, &record.manifest, e) < 0)
		return -1;
	return store_ref_write(w->copy, ref, &record, e);
}

/*
 * The same without the sum, which store_web_forget_loc() took: the index is what its digest says,
 * and the locations, of which some are known to be wrong, may be damaged as well: digests decide.
 */
static bool is_usable(const struct store *copy, const struct fetch_digest *index)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct fetch_digest got;
	struct hr_err damaged = { 0 };

	if (store_object_exists(copy, STORE_INDEX_SUM, index) ||
	    !store_object_exists(copy, STORE_INDEX_LOC, index) ||
	    store_object_read(copy, STORE_INDEX, index, INDEX_LIMIT, &b, &damaged) < 0)
		return false;
	fetch_digest_of(b.p, b.len, &got);
	return fetch_digest_equal(&got, index);
}

/* What COPY has the index of the image by. */
static bool find_index(const struct store *copy, const struct store_name *name,
		       struct fetch_digest *index)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record record = { 0 };
	struct fetch_digest manifest = name->manifest;
	struct hr_err e = { 0 }; /* incomplete, for whatever reason */

	if ((!name->by_digest && store_ref_resolve(copy, &name->ref, &manifest, &e) < 0) ||
	    store_image_record_read(copy, &manifest, &record, &e) < 0)
		return false;
	*index = record.index;
	return true;
}

bool store_web_is_sound(const struct store *copy, const struct store_name *name)
{
	struct fetch_digest index;

	return find_index(copy, name, &index) && is_sound(copy, &index);
}

bool store_web_has(const struct store *copy, const struct store_name *name)
{
	struct fetch_digest index;

	return find_index(copy, name, &index) &&
	       (is_sound(copy, &index) || is_usable(copy, &index));
}

/* One that was silent a moment ago is given little time, until it answers. */
static int sync_name(const struct store_web *w, const struct store_name *name, struct hr_err *e)
{
	bool hurry = !w->outage->patient && store_outage_lately(w->copy);
	int r;

	fetch_client_hurry(w->client, hurry);
	r = name->by_digest ? sync_image(w, &name->manifest, e) : sync_ref(w, &name->ref, e);
	fetch_client_hurry(w->client, false);
	if (r < 0 && e->kind == HR_NET && hurry)
		w->outage->hurried++;
	return r;
}

int store_web_sync(const struct store_web *w, const struct store_name *name, struct hr_err *e)
{
	int r = sync_name(w, name, e);
	hr_autofree char *line = NULL;

	if (r < 0 && e->kind == HR_DENIED && e->sys == EACCES) {
		/* what a bucket that must not be listed says of a key that is not there */
		hr_warn("%s; taken as: the image is not there", e->text);
		e->kind = HR_NOTFOUND;
	}
	if (r == 0 || e->kind != HR_NET || !store_web_has(w->copy, name))
		return r;
	line = hr_xasprintf("%s; going on with the copy on this node", e->text);
	w->notice(w->notice_arg, line);
	hr_err_clear(e);
	return 0;
}

void store_web_forget_loc(struct store *copy, const struct store_index *ix)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record record = { 0 };
	struct fetch_digest manifest;
	struct hr_err e = { 0 }; /* then there is nothing to forget */

	store_index_manifest(ix, &manifest);
	if (store_image_record_read(copy, &manifest, &record, &e) < 0 ||
	    store_object_remove(copy, STORE_INDEX_SUM, &record.index, &e) < 0)
		hr_debug("%s", e.text);
}

int store_web_copy(const char *cache, const char *url, struct store **out, struct hr_err *e)
{
	struct fetch_digest d;
	char hex[FETCH_DIGEST_HEX];
	hr_autofree char *path = NULL;

	/* a name made of the URL */
	fetch_digest_of(url, strlen(url), &d);
	path = hr_xasprintf("%s/stores/%.16s", cache, fetch_digest_hex(&d, hex));
	if (store_open(path, STORE_WRITE, NULL, out, e) == 0)
		return 0;
	if (e->kind != HR_CORRUPT)
		return -1;
	/* damaged, or another version's: all that is in it can be had again */
	hr_debug("%s; it is copied anew", e->text);
	hr_err_clear(e);
	store_cache_meta_clear_copy(path);
	return store_open(path, STORE_WRITE, NULL, out, e);
}

void store_web_origins(const struct hr_conf *conf, const char *url, struct hr_strv *out)
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
