/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "store/layout.h"
#include "store/loc.h"
#include "store/record.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opt.h"
#include "util/poison.h"

struct store_image {
	struct store *store;
	struct store_index *index;
	struct fetch_digest index_name;
	int index_fd, loc_fd;
	void *loc_map;
	size_t loc_bytes;
	struct store_loc loc;
	atomic_int *pack_fds; /* -1 until the first read of the pack */
};

void store_image_close(struct store_image *img)
{
	if (!img)
		return;
	for (uint32_t i = 0; img->pack_fds && i < img->loc.n_packs; i++)
		if (atomic_load(&img->pack_fds[i]) >= 0)
			close(atomic_load(&img->pack_fds[i]));
	free(img->pack_fds);
	hr_fd_cleanup(&img->index_fd);
	hr_fd_cleanup(&img->loc_fd);
	if (img->loc_map)
		munmap(img->loc_map, img->loc_bytes);
	store_index_free(img->index);
	store_close(img->store);
	free(img);
}

void store_image_closep(struct store_image **img)
{
	store_image_close(*img);
}

const struct store *store_image_store(const struct store_image *img)
{
	return img->store;
}

const struct store_index *store_image_index(const struct store_image *img)
{
	return img->index;
}

const struct store_loc *store_image_loc(const struct store_image *img)
{
	return &img->loc;
}

void store_image_fds(const struct store_image *img, int *index, int *loc)
{
	*index = img->index_fd;
	*loc = img->loc_fd;
}

static int load_index(struct store_image *img, const struct fetch_digest *manifest,
		      const struct fetch_digest *index, struct hr_err *e)
{
	hr_autofd int fd = store_object_open(img->store, STORE_INDEX, index, NULL, e);
	struct fetch_digest of;

	if (fd < 0 || store_index_open(fd, &img->index, e) < 0)
		return -1;
	store_index_manifest(img->index, &of);
	if (!fetch_digest_equal(&of, manifest))
		return hr_fail(e, HR_CORRUPT, 0, "the image index is that of another image");
	img->index_name = *index;
	img->index_fd = hr_steal_fd(&fd);
	return 0;
}

int store_image_check_index(const struct store_image *img, store_chunk_sha256 *sha256,
			    struct hr_err *e)
{
	char got_hex[FETCH_DIGEST_HEX], hex[FETCH_DIGEST_HEX];
	struct fetch_digest got;
	size_t len;
	const uint8_t *p = store_index_bytes(img->index, &len);

	sha256(p, len, &got);
	if (fetch_digest_equal(&got, &img->index_name))
		return 0;
	hr_hint(e, "the stored copy is damaged; fetch it again with 'hpcrun pull --force'");
	return hr_fail(e, HR_CORRUPT, 0, "the image index is %s, expected %s",
		       fetch_digest_hex(&got, got_hex), fetch_digest_hex(&img->index_name, hex));
}

static int map_loc(struct store_image *img, int fd, uint64_t bytes, struct hr_err *e)
{
	void *map;

	if (bytes == 0 || bytes > SIZE_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "the location file has %" PRIu64 " bytes", bytes);
	map = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return hr_fail(e, HR_SYS, errno, "cannot map the location file");
	img->loc_map = map;
	img->loc_bytes = (size_t)bytes;
	if (store_loc_parse(map, img->loc_bytes, store_index_chunks(img->index), &img->loc, e) < 0)
		return -1;
	img->pack_fds = hr_xmalloc(((size_t)img->loc.n_packs + 1) * sizeof(*img->pack_fds));
	for (uint32_t i = 0; i < img->loc.n_packs; i++)
		atomic_init(&img->pack_fds[i], -1);
	return 0;
}

static int load_loc(struct store_image *img, const struct fetch_digest *index, struct hr_err *e)
{
	uint64_t bytes = 0;
	hr_autofd int fd = store_object_open(img->store, STORE_INDEX_LOC, index, &bytes, e);

	if (fd < 0 || map_loc(img, fd, bytes, e) < 0)
		return -1;
	img->loc_fd = hr_steal_fd(&fd);
	return 0;
}

static struct store_image *new_image(void)
{
	struct store_image *img = hr_xmalloc(sizeof(*img));

	img->index_fd = img->loc_fd = -1;
	return img;
}

int store_image_open_fds(int index, int loc, struct store_image **out, struct hr_err *e)
{
	HR_CLEANUP(store_image_closep) struct store_image *img = new_image();
	struct stat st;

	if (fstat(loc, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot look at the location file");
	if (store_index_open(index, &img->index, e) < 0 ||
	    map_loc(img, loc, (uint64_t)st.st_size, e) < 0)
		return -1;
	*out = hr_steal(&img);
	return 0;
}

/* What a record promises must be there: a file that is missing now is damage, not "not found". */
static int load(struct store_image *img, const struct fetch_digest *manifest, struct hr_err *e)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record record = { 0 };

	if (store_image_record_read(img->store, manifest, &record, e) < 0)
		return -1;
	if (load_index(img, manifest, &record.index, e) == 0 &&
	    load_loc(img, &record.index, e) == 0)
		return 0;
	if (e->kind == HR_NOTFOUND)
		e->kind = HR_CORRUPT;
	return -1;
}

int store_name_parse(const char *name, struct store_name *w, struct hr_err *e)
{
	struct hr_err no_digest = { 0 };

	w->by_digest = fetch_digest_parse(name, &w->manifest, &no_digest) == 0;
	if (w->by_digest)
		return 0;
	return fetch_ref_parse(name, &w->ref, e);
}

void store_name_release(struct store_name *n)
{
	fetch_ref_release(&n->ref);
}

/* 0 when the image is opened, -1 with HR_NOTFOUND when this store does not have it. */
static int open_in(const struct store_paths *stores, size_t i, const struct store_name *w,
		   struct store_image **out, struct hr_err *e)
{
	HR_CLEANUP(store_image_closep) struct store_image *img = new_image();
	struct fetch_digest manifest = w->manifest;

	if (store_open(stores->v[i], STORE_READ, &stores->trusted, &img->store, e) < 0)
		return -1;
	if (!w->by_digest && store_ref_resolve(img->store, &w->ref, &manifest, e) < 0)
		return -1;
	if (load(img, &manifest, e) < 0)
		return -1;
	*out = hr_steal(&img);
	return 0;
}

/* ---- what was meant in place of an image that no store has ---- */

/* The tags of a repository. */
struct tags {
	const struct fetch_ref *of;
	struct hr_strv v;
};

static int add_tag(void *arg, const struct fetch_ref *ref, const struct store_ref_record *r,
		   struct hr_err *e)
{
	struct tags *t = arg;

	(void)r;
	(void)e;
	if (ref->tag && strcmp(ref->registry, t->of->registry) == 0 &&
	    strcmp(ref->repo, t->of->repo) == 0)
		hr_strv_add(&t->v, ref->tag);
	return 0;
}

/* The same tag of each store that has one. */
static bool is_one(const struct hr_strv *tags)
{
	size_t same = 0;

	while (same < tags->n && strcmp(tags->v[same], tags->v[0]) == 0)
		same++;
	return tags->n > 0 && same == tags->n;
}

char *store_image_near_tag(const struct store_paths *stores, const char *name)
{
	HR_CLEANUP(store_name_release) struct store_name w = { 0 };
	struct hr_err ignored = { 0 }; /* it is a hint only */
	struct tags tags = { .of = &w.ref };
	const char *near = NULL;
	char *tag;

	if (store_name_parse(name, &w, &ignored) < 0 || w.by_digest || w.ref.has_digest)
		return NULL;
	for (size_t i = 0; i < stores->n; i++) {
		HR_CLEANUP(store_closep) struct store *st = NULL;

		hr_err_clear(&ignored);
		if (!store_is_url(stores->v[i]) &&
		    store_open(stores->v[i], STORE_READ, &stores->trusted, &st, &ignored) == 0 &&
		    store_ref_each(st, add_tag, &tags, &ignored) < 0)
			hr_debug("%s", ignored.text);
	}
	if (tags.v.n > 0)
		near = hr_nearest(w.ref.tag, (const char *const *)tags.v.v);
	if (!near && is_one(&tags.v)) /* of 'latest', which was not written, say */
		near = tags.v.v[0];
	tag = near && strcmp(near, w.ref.tag) != 0 ? hr_xstrdup(near) : NULL;
	hr_strv_release(&tags.v);
	return tag;
}

int store_image_missing(const struct store_paths *stores, const char *name, struct hr_err *e)
{
	hr_autofree char *near = store_image_near_tag(stores, name);
	hr_autobuf struct hr_buf list = { 0 };
	size_t urls = 0;

	for (size_t i = 0; i < stores->n; i++) {
		hr_buf_printf(&list, "%s'%s'", i == 0 ? "" : ", ", stores->v[i]);
		urls += store_is_url(stores->v[i]);
	}
	if (near)
		hr_hint(e,
			"did you mean tag '%s', which is here? else fetch it with 'hpcrun pull %s'",
			near, name);
	if (stores->n > 0 && urls == stores->n)
		hr_hint(e, "a store behind a URL gets its images where it is kept; is the URL that "
			   "of its directory, where 'format' is? 'hpcrun doctor' looks");
	else
		hr_hint(e, "fetch it with 'hpcrun pull %s'%s", name,
			stores->urls > 0 ? "; stores behind URLs are for 'run' and 'prefetch' alone"
					 : "");
	return hr_fail(e, HR_NOTFOUND, 0, "image '%s' is not in the store%s %s", name,
		       HR_PLURAL(stores->n), list.len > 0 ? (const char *)list.p : "(none)");
}

int store_image_open(const struct store_paths *stores, const char *name, struct store_image **out,
		     struct hr_err *e)
{
	struct store_name w = { 0 };
	int r = -1;

	if (store_name_parse(name, &w, e) < 0)
		return -1;
	for (size_t i = 0; i < stores->n; i++) {
		r = open_in(stores, i, &w, out, e);
		if (r == 0 || e->kind != HR_NOTFOUND)
			break;
		hr_err_clear(e);
	}
	store_name_release(&w);
	if (r == 0)
		return 0;
	if (e->kind == HR_OK)
		return store_image_missing(stores, name, e);
	if (e->kind == HR_CORRUPT)
		hr_hint(e,
			"the stored copy is damaged; fetch it again with 'hpcrun pull --force %s'",
			name);
	return hr_wrap(e, "cannot open image '%s'", name);
}

/* ---- frames ---- */

static int pack_fd(struct store_image *img, uint32_t pack, struct hr_err *e)
{
	int fd = atomic_load(&img->pack_fds[pack]), none = -1;
	struct fetch_digest name = store_loc_pack(&img->loc, pack).name;

	if (fd >= 0)
		return fd;
	fd = store_object_open(img->store, STORE_PACK, &name, NULL, e);
	if (fd < 0)
		return -1;
	if (!atomic_compare_exchange_strong(&img->pack_fds[pack], &none, fd)) {
		close(fd); /* another thread was faster */
		return none;
	}
	return fd;
}

void store_image_hold(struct store_image *img)
{
	struct rlimit limit = { .rlim_cur = 0 };

	getrlimit(RLIMIT_NOFILE, &limit);
	for (uint32_t i = 0; img->store && i < img->loc.n_packs && i < limit.rlim_cur / 2; i++) {
		struct hr_err later = { 0 };

		if (pack_fd(img, i, &later) < 0)
			hr_debug("%s", later.text);
	}
}

/* Another host has replaced or removed the file: the name may lead to one that can be read. The
 * number of the descriptor stays, for other threads may be using it. */
static int reopen(struct store_image *img, uint32_t pack, int fd, struct hr_err *e)
{
	struct fetch_digest name = store_loc_pack(&img->loc, pack).name;
	hr_autofd int fresh = store_object_open(img->store, STORE_PACK, &name, NULL, e);

	if (fresh < 0)
		return -1;
	if (dup3(fresh, fd, O_CLOEXEC) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot take another descriptor for a pack");
	return 0;
}

static int read_frame(struct store_image *img, const struct store_loc_chunk *at, uint8_t *out,
		      struct hr_err *e)
{
	static const char what[] = "the pack";
	int fd = pack_fd(img, at->pack, e);

	if (fd < 0)
		return -1;
	if (hr_pread_all(fd, out, at->frame_len, at->frame_off, what, e) == 0)
		return 0;
	if (e->sys != ESTALE)
		return -1;
	hr_err_clear(e);
	return reopen(img, at->pack, fd, e) < 0
		       ? -1
		       : hr_pread_all(fd, out, at->frame_len, at->frame_off, what, e);
}

static int frame(void *arg, uint32_t chunk, uint8_t *out, size_t cap, size_t *len, struct hr_err *e)
{
	struct store_image *img = arg;
	struct store_loc_chunk at = store_loc_chunk(&img->loc, chunk);

	if (at.frame_len > cap)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the location file says a frame of %" PRIu32 " bytes", at.frame_len);
	if (read_frame(img, &at, out, e) < 0)
		return -1;
	*len = at.frame_len;
	return 0;
}

static void where(void *arg, uint32_t chunk, struct hr_buf *out)
{
	struct store_image *img = arg;
	struct store_loc_chunk at = store_loc_chunk(&img->loc, chunk);
	struct fetch_digest name = store_loc_pack(&img->loc, at.pack).name;
	char path[STORE_OBJECT_PATH];

	hr_buf_printf(out, "'%s/%s' at %" PRIu64, img->store->path,
		      store_object_path(STORE_PACK, &name, path), at.frame_off);
}

struct store_chunk_source store_image_source(struct store_image *img)
{
	return (struct store_chunk_source) { .frame = frame, .where = where, .arg = img };
}
