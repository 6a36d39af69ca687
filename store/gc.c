/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/gc.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include "store/digest_set.h"
#include "store/lease.h"
#include "store/loc.h"
#include "store/record.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/poison.h"

#define GRACE_S (24 * 3600)

/* ---- mark: what is reached ---- */

struct marks {
	struct store_digest_set images, docs, indexes, layers, packs;
};

struct marking {
	const struct store *st;
	struct marks *marks;
	uint64_t grace_s;
	struct store_digest_set recent;
};

static void marks_release(struct marks *m)
{
	store_digest_set_release(&m->images);
	store_digest_set_release(&m->docs);
	store_digest_set_release(&m->indexes);
	store_digest_set_release(&m->layers);
	store_digest_set_release(&m->packs);
}

static void mark_image(struct marks *m, const struct store_image_record *image)
{
	store_digest_set_add(&m->docs, &image->config);
	store_digest_set_add(&m->indexes, &image->index);
	for (size_t i = 0; i < image->n_layers; i++)
		store_digest_set_add(&m->layers, &image->layers[i].diff_id);
}

static int mark_manifest(struct marking *m, const struct fetch_digest *manifest, struct hr_err *e)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record image = { 0 };

	store_digest_set_add(&m->marks->images, manifest);
	store_digest_set_add(&m->marks->docs, manifest);
	if (store_image_record_read(m->st, manifest, &image, e) < 0)
		return -1;
	mark_image(m->marks, &image);
	return 0;
}

static int mark_ref(void *arg, const struct fetch_ref *ref, const struct store_ref_record *r,
		    struct hr_err *e)
{
	hr_autofree char *name = fetch_ref_text(ref);
	struct marking *m = arg;

	store_digest_set_add(&m->marks->docs, &r->document);
	if (mark_manifest(m, &r->manifest, e) == 0)
		return 0;
	if (e->kind != HR_NOTFOUND) {
		hr_hint(e, "pull it again with --force, or remove it with 'hpcrun rmi %s'", name);
		return hr_wrap(e, "the record of image '%s'", name);
	}
	hr_warn("the image of '%s' is not there, pull it again", name);
	hr_err_clear(e);
	return 0;
}

/* An image that no reference names may still be run by those who found it when one did. */
static int note_recent(void *arg, const struct fetch_digest *d, uint64_t bytes, struct hr_err *e)
{
	struct marking *m = arg;
	uint64_t age;

	(void)bytes;
	(void)e;
	if (!store_digest_set_has(&m->marks->images, d) &&
	    store_object_age(m->st, STORE_IMAGE, d, &age) && age < m->grace_s)
		store_digest_set_add(&m->recent, d);
	return 0;
}

static int mark_recent(struct marking *m, uint64_t *spared, struct hr_err *e)
{
	if (store_object_each(m->st, STORE_IMAGE, note_recent, m, e) < 0)
		return -1;
	for (size_t i = 0; i < m->recent.n; i++) {
		struct hr_err damaged = { 0 }; /* then nobody runs it */

		*spared += mark_manifest(m, &m->recent.v[i], &damaged) == 0;
	}
	store_digest_set_release(&m->recent);
	return 0;
}

static int mark_packs_in(struct marks *m, int fd, uint64_t size, struct hr_err *e)
{
	static const char what[] = "location file";
	uint8_t header[STORE_LOC_HEADER_BYTES], row[STORE_LOC_PACK_BYTES];
	uint32_t n_packs, n_chunks;

	if (hr_pread_all(fd, header, sizeof(header), 0, what, e) < 0 ||
	    store_loc_header_parse(header, size, &n_packs, &n_chunks, e) < 0)
		return -1;
	for (uint32_t i = 0; i < n_packs; i++) {
		struct store_loc_pack p;

		if (hr_pread_all(fd, row, sizeof(row), sizeof(header) + (uint64_t)i * sizeof(row),
				 what, e) < 0)
			return -1;
		p = store_loc_pack_get(row);
		store_digest_set_add(&m->packs, &p.name);
	}
	return 0;
}

/* Those that the location file of one index names. */
static int mark_packs_of(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
			 struct marks *m, struct hr_err *e)
{
	char path[STORE_OBJECT_PATH];
	uint64_t size;
	hr_autofd int fd = store_object_open(st, kind, d, &size, e);

	if (fd < 0 && e->kind == HR_NOTFOUND) {
		hr_err_clear(e); /* damage, but it reaches nothing */
		return 0;
	}
	if (fd < 0)
		return -1;
	if (mark_packs_in(m, fd, size, e) == 0)
		return 0;
	if (e->sys != ESTALE)
		hr_hint(e, "pull its image again with --force");
	return hr_wrap(e, "'%s/%s'", st->path, store_object_path(kind, d, path));
}

/* Mark the packs that the location files of a set of indexes name. Another host that repairs an
 * image replaces these files. */
static int mark_packs(const struct store *st, enum store_kind kind,
		      const struct store_digest_set *of, struct marks *m, struct hr_err *e)
{
	for (size_t i = 0; i < of->n; i++) {
		unsigned int stale = 0;
		int r;

		do
			r = mark_packs_of(st, kind, &of->v[i], m, e);
		while (r < 0 && hr_io_stale(&stale, e));
		if (r < 0)
			return -1;
	}
	return 0;
}

static int mark(const struct store *st, uint64_t grace_s, struct marks *m, uint64_t *spared,
		struct hr_err *e)
{
	struct marking arg = { st, m, grace_s, { 0 } };
	int unread = store_ref_each(st, mark_ref, &arg, e);

	if (unread < 0)
		return -1;
	if (unread > 0) {
		hr_hint(e, "remove their files below '%s/refs', or pull them again", st->path);
		return hr_fail(e, HR_CORRUPT, 0, "%d reference%s cannot be read", unread,
			       HR_PLURAL(unread));
	}
	store_digest_set_seal(&m->images);
	if (grace_s > 0 && mark_recent(&arg, spared, e) < 0)
		return -1;
	store_digest_set_seal(&m->images);
	store_digest_set_seal(&m->docs);
	store_digest_set_seal(&m->indexes);
	store_digest_set_seal(&m->layers);
	if (mark_packs(st, STORE_INDEX_LOC, &m->indexes, m, e) < 0 ||
	    mark_packs(st, STORE_LAYER_LOC, &m->layers, m, e) < 0)
		return -1;
	store_digest_set_seal(&m->packs);
	return 0;
}

/* ---- sweep: everything else ---- */

struct sweep {
	struct store *st;
	const struct store_gc_options *o;
	enum store_kind kind;
	const struct store_digest_set *keep;
	uint64_t *count;
	uint64_t *bytes;
};

/* A blob alias goes with its layer. A damaged one costs a download when it goes. */
static int is_alias_kept(const struct sweep *s, const struct fetch_digest *d, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };
	struct store_blob_record blob;
	struct hr_err damaged = { 0 };

	if (store_object_read(s->st, STORE_BLOB, d, STORE_RECORD_LIMIT, &text, e) < 0)
		return -1;
	return store_blob_record_parse(text.p, text.len, &blob, &damaged) == 0 &&
	       store_digest_set_has(s->keep, &blob.layer);
}

/* Was a pack replaced so short a time ago that somebody may read it still? */
static bool is_in_use(const struct sweep *s, const struct fetch_digest *d)
{
	uint64_t age;

	return s->kind == STORE_PACK && store_object_age(s->st, STORE_PACK_OLD, d, &age) &&
	       age < s->o->replaced_s;
}

/* A pack goes with the mark that it was replaced; a mark of nothing goes alone. */
static bool is_mark_kept(const struct sweep *s, const struct fetch_digest *d)
{
	return s->kind == STORE_PACK_OLD && store_object_exists(s->st, STORE_PACK, d);
}

static int sweep_object(void *arg, const struct fetch_digest *d, uint64_t bytes, struct hr_err *e)
{
	const struct sweep *s = arg;
	char path[STORE_OBJECT_PATH];
	int kept =
		s->kind == STORE_BLOB ? is_alias_kept(s, d, e) : store_digest_set_has(s->keep, d);

	if (kept != 0 || is_in_use(s, d) || is_mark_kept(s, d))
		return kept < 0 ? -1 : 0;
	if (s->o->cancel && *s->o->cancel)
		return hr_fail(e, HR_SYS, EINTR, "stopped before all was removed");
	if (!s->o->dry && store_object_remove(s->st, s->kind, d, e) < 0)
		return -1;
	++*s->count;
	*s->bytes += bytes;
	if (s->o->removed)
		s->o->removed(s->o->arg, store_object_path(s->kind, d, path), bytes);
	return 0;
}

static int sweep(struct store *st, const struct marks *m, const struct store_gc_options *o,
		 struct store_gc_result *out, struct hr_err *e)
{
	static const struct store_digest_set none;
	/* order matters: see gc.h; whether the names before are made durable first */
	const struct {
		enum store_kind kind;
		bool sync_before;
		const struct store_digest_set *keep;
		uint64_t *count;
	} steps[] = {
		{ STORE_META, false, &m->images, &out->others },
		{ STORE_IMAGE, false, &m->images, &out->images },
		{ STORE_BLOB, false, &m->layers, &out->others },
		{ STORE_INDEX, true, &m->indexes, &out->others },
		{ STORE_LAYER, false, &m->layers, &out->layers },
		{ STORE_DOC, false, &m->docs, &out->others },
		{ STORE_INDEX_LOC, true, &m->indexes, &out->others },
		{ STORE_LAYER_LOC, false, &m->layers, &out->others },
		{ STORE_PACK, true, &m->packs, &out->packs },
		{ STORE_PACK_OLD, false, &none, &out->others },
		/* derived from packs: when some went it is made anew by the next import */
		{ STORE_DICT, true, &none, &out->others },
	};

	for (size_t i = 0; i < HR_COUNT(steps); i++) {
		struct sweep s = {
			st, o, steps[i].kind, steps[i].keep, steps[i].count, &out->bytes
		};

		if (steps[i].kind == STORE_DICT && out->packs == 0)
			break;
		if (steps[i].sync_before && !o->dry && store_sync_names(st, e) < 0)
			return -1;
		if (store_object_each(st, steps[i].kind, sweep_object, &s, e) < 0)
			return -1;
	}
	return store_tmp_clean(st, o->dry, &out->bytes, e);
}

uint64_t store_gc_replaced_s(uint64_t grace_s)
{
	return grace_s > GRACE_S ? grace_s : GRACE_S;
}

uint64_t store_gc_default_grace_s(const struct store *st)
{
	static const unsigned long forgetful[] = {
		NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC, AFS_SUPER_MAGIC,
		FUSE_SUPER_MAGIC, 0xff534d42, /* CIFS */
		0x19830326,		      /* BeeGFS */
	};
	struct statfs fs;

	if (fstatfs(st->fd, &fs) < 0)
		return 0;
	for (size_t i = 0; i < HR_COUNT(forgetful); i++)
		if (((unsigned long)fs.f_type & 0xfffffffful) == forgetful[i])
			return GRACE_S;
	return 0;
}

int store_gc(struct store *st, const struct store_gc_options *o, struct store_gc_result *out,
	     struct hr_err *e)
{
	HR_CLEANUP(marks_release) struct marks m = { 0 };
	struct store_lease *lease = NULL;
	int r = 0;

	memset(out, 0, sizeof(*out));
	if (!o->dry)
		r = o->wait ? store_lease_take(st, STORE_LEASE_GC, NULL, o->cancel, NULL, &lease, e)
			    : store_lease_try(st, STORE_LEASE_GC, NULL, o->cancel, &lease, e);
	if (r < 0)
		return -1;
	r = mark(st, o->grace_s, &m, &out->spared, e);
	if (r == 0)
		r = sweep(st, &m, o, out, e);
	store_lease_release(lease);
	return r < 0 ? hr_wrap(e, "cannot remove the garbage of store '%s'", st->path) : 0;
}
