/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/import_layer.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/evp.h>

#include "store/cut.h"
#include "store/import_pipe.h"
#include "store/import_rows.h"
#include "store/inflate.h"
#include "store/lease.h"
#include "store/tar.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

/* A layer under work: this thread fetches and inflates, one hashes, one reads the archive. */
struct run {
	const struct store_import_options *o;
	struct store_import_layer *layer;
	struct store_import_pipe *pipe;
	struct store_import_layer_work *work;
	uint64_t plain_bytes; /* of the uncompressed layer, by the writer of the pipe */

	struct fetch_digest diff_id; /* by the hash thread */
	struct hr_err hash_failed;

	struct store_import_rows rows; /* by the archive thread */
	struct hr_err archive_failed;
};

/* ---- this thread: the blob, inflated into the pipe ---- */

static uint8_t *on_room(void *arg, size_t *cap, struct hr_err *e)
{
	struct run *r = arg;
	uint8_t *room = store_import_pipe_room(r->pipe, cap);

	/* the reader that broke the pipe knows why; finish() prefers its message */
	if (!room)
		hr_fail(e, HR_SYS, EPIPE, "stopped");
	return room;
}

static int on_done(void *arg, size_t n, struct hr_err *e)
{
	struct run *r = arg;

	r->plain_bytes += n;
	if (r->plain_bytes > r->o->max_bytes) {
		hr_fail(e, HR_CORRUPT, 0, "the layer has more than %" PRIu64 " bytes uncompressed",
			r->o->max_bytes);
		hr_hint(e, "import_max_bytes in hpcrun.conf(5) sets this limit");
		return -1;
	}
	store_import_pipe_done(r->pipe, n);
	return 0;
}

struct sink {
	struct run *run;
	struct store_inflate *inflate;
};

static int on_blob(void *arg, const void *p, size_t n, struct hr_err *e)
{
	struct sink *s = arg;

	if (*s->run->o->stop)
		return hr_fail(e, HR_SYS, EINTR, "stopped");
	s->run->layer->got += n;
	return store_inflate_feed(s->inflate, p, n, e);
}

static int fetch_into_pipe(struct run *r, struct hr_err *e)
{
	struct store_inflate_out out = { on_room, on_done, r };
	HR_CLEANUP(store_inflate_freep)
	struct store_inflate *inflate = store_inflate_new(r->layer->blob.compression, &out);
	struct sink sink = { r, inflate };

	if (fetch_blob_get(r->o->client, r->o->ref, &r->layer->blob, on_blob, &sink, e) < 0)
		return -1;
	return store_inflate_end(inflate, e);
}

/* ---- the hash thread ---- */

static void *hash_main(void *arg)
{
	struct run *r = arg;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	const uint8_t *p;
	size_t n = 1;
	bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL);

	while (ok && n > 0) {
		if (store_import_pipe_read(r->pipe, IMPORT_READER_HASH, &p, &n) < 0)
			goto out; /* somebody else failed */
		ok = n == 0 || EVP_DigestUpdate(md, p, n);
	}
	if (!ok || !EVP_DigestFinal_ex(md, r->diff_id.b, NULL)) {
		hr_fail(&r->hash_failed, HR_SYS, 0, "libcrypto cannot compute a sha256");
		store_import_pipe_break(r->pipe);
	}
out:
	EVP_MD_CTX_free(md);
	return NULL;
}

/* ---- the archive thread ---- */

static int on_source(void *arg, const uint8_t **p, size_t *n, struct hr_err *e)
{
	struct run *r = arg;

	if (store_import_pipe_read(r->pipe, IMPORT_READER_ARCHIVE, p, n) < 0)
		return hr_fail(e, HR_SYS, EPIPE, "stopped");
	return 0;
}

static uint8_t *on_cut_room(void *arg, struct hr_err *e)
{
	return store_import_work_room(((struct run *)arg)->work, e);
}

static int on_cut_chunk(void *arg, uint32_t ticket, uint8_t *buf, uint32_t n, struct hr_err *e)
{
	return store_import_work_chunk(((struct run *)arg)->work, ticket, buf, n, e);
}

static void on_cut_extent(void *arg, const struct store_extent *x)
{
	store_layer_build_extent(&((struct run *)arg)->rows.builder, x);
}

static void on_cut_drop(void *arg, uint8_t *buf)
{
	store_import_work_drop(((struct run *)arg)->work, buf);
}

static int cut_file(struct store_tar *tar, struct store_cut *cut, uint64_t size, struct hr_err *e)
{
	const uint8_t *p;
	uint64_t off;
	size_t n;
	int r;

	if (store_cut_begin(cut, size, e) < 0)
		return -1;
	while ((r = store_tar_data(tar, &off, &p, &n, e)) > 0)
		if (store_cut_data(cut, off, p, n, e) < 0)
			return -1;
	return r < 0 ? -1 : store_cut_end(cut, e);
}

static int read_archive(struct run *r, struct store_tar *tar, struct store_cut *cut,
			struct hr_err *e)
{
	HR_CLEANUP(store_tar_entry_release) struct store_tar_entry n = { .hardlink = false };
	int got;

	while ((got = store_tar_next(tar, &n, e)) > 0) {
		int keep = store_import_row_begin(&r->rows, &n, e);

		if (keep < 0)
			return -1;
		if (keep == 0)
			continue;
		if (r->rows.row.kind == STORE_ENTRY_NODE && S_ISREG(n.attr.mode) &&
		    cut_file(tar, cut, n.attr.size, e) < 0)
			return -1;
		if (store_import_row_end(&r->rows, &n, e) < 0)
			return -1;
	}
	if (got < 0 || store_cut_finish(cut, e) < 0)
		return -1;
	return store_tar_drain(tar, e);
}

static void *archive_main(void *arg)
{
	struct run *r = arg;
	struct store_cut_owner owner = { on_cut_room, on_cut_chunk, on_cut_extent, on_cut_drop, r };
	struct store_tar tar;
	struct store_cut cut;

	store_tar_init(&tar, on_source, r);
	store_cut_init(&cut, &owner);
	if (read_archive(r, &tar, &cut, &r->archive_failed) < 0)
		store_import_pipe_break(r->pipe);
	store_cut_release(&cut);
	store_tar_release(&tar);
	return NULL;
}

/* ---- all three ---- */

/* How much a failure says: that a thread of ours stopped is no news, that the user stopped us is.
 */
static int weight(const struct hr_err *e)
{
	if (e->kind == HR_OK)
		return 0;
	return e->sys == EPIPE ? 1 : e->sys == EINTR ? 2 : 3;
}

/* Of several failures the one that is the cause. */
static int judge(struct run *r, struct hr_err *mine, struct hr_err *e)
{
	const struct hr_err *all[] = { mine, &r->archive_failed, &r->hash_failed };
	const struct hr_err *cause = mine;

	for (size_t i = 0; i < HR_COUNT(all); i++)
		if (weight(all[i]) > weight(cause))
			cause = all[i];
	if (weight(cause) == 0)
		return 0;
	*e = *cause;
	return -1;
}

static int run_threads(struct run *r, struct hr_err *e)
{
	struct hr_err mine = { 0 };
	pthread_t hash, archive;
	sigset_t all, old;
	int no_hash, no_archive;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the main thread */
	no_hash = pthread_create(&hash, NULL, hash_main, r);
	no_archive = pthread_create(&archive, NULL, archive_main, r);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (no_hash || no_archive)
		hr_fail(&mine, HR_SYS, no_hash ? no_hash : no_archive, "cannot start a thread");
	if (mine.kind != HR_OK || fetch_into_pipe(r, &mine) < 0)
		store_import_pipe_break(r->pipe);
	else
		store_import_pipe_close(r->pipe);
	if (!no_hash)
		pthread_join(hash, NULL);
	if (!no_archive)
		pthread_join(archive, NULL);
	return judge(r, &mine, e);
}

static int check_diff_id(const struct run *r, struct hr_err *e)
{
	char got[FETCH_DIGEST_TEXT], want[FETCH_DIGEST_TEXT];

	if (fetch_digest_equal(&r->diff_id, &r->layer->diff_id))
		return 0;
	return hr_fail(e, HR_CORRUPT, 0, "its DiffID is %s, the image config says %s",
		       fetch_digest_text(&r->diff_id, got),
		       fetch_digest_text(&r->layer->diff_id, want));
}

/* The layer is verified: packs, then locations, then the index, and the alias last. */
static int publish(struct run *r, struct hr_err *e)
{
	const struct store_import_layer *layer = r->layer;
	struct store_blob_record alias = { layer->diff_id, layer->blob.size };
	hr_autobuf struct hr_buf index = { 0 }, loc = { 0 }, blob = { 0 };
	hr_autofree uint32_t *order = NULL;
	const struct store_chunk *chunks;
	const uint32_t *chunk_of;
	uint32_t n_chunks, n;

	if (store_import_layer_work_publish(r->work, e) < 0)
		return -1;
	store_import_layer_work_lock(r->work, &chunk_of, &chunks, &n_chunks);
	store_layer_build_finish(&r->rows.builder, chunk_of, chunks, n_chunks, r->plain_bytes,
				 &layer->diff_id, &index, &order, &n);
	store_import_layer_work_unlock(r->work);
	store_import_layer_work_loc(r->work, order, n, &loc);
	store_blob_record_write(&alias, &blob);
	if (store_object_write(r->o->st, STORE_LAYER_LOC, &layer->diff_id, loc.p, loc.len, e) < 0 ||
	    store_object_write(r->o->st, STORE_LAYER, &layer->diff_id, index.p, index.len, e) < 0)
		return -1;
	return store_object_write(r->o->st, STORE_BLOB, &layer->blob.digest, blob.p, blob.len, e);
}

static void warn_odd(const struct run *r)
{
	char text[FETCH_DIGEST_TEXT];

	if (r->rows.odd > 0)
		hr_warn("layer %s: passed over %" PRIu64
			" entries that mean nothing, the first is '%s'",
			fetch_digest_text(&r->layer->blob.digest, text), r->rows.odd,
			r->rows.first_odd);
}

static int import(const struct store_import_options *o, struct store_import_work *w,
		  struct store_import_layer *layer, struct hr_err *e)
{
	struct run r = { .o = o, .layer = layer };
	int failed;

	layer->state = STORE_IMPORT_RUNNING;
	r.pipe = store_import_pipe_new();
	r.work = store_import_layer_work_new(w, &layer->sums);
	failed = run_threads(&r, e) < 0 || check_diff_id(&r, e) < 0 ||
		 store_import_layer_work_wait(r.work, e) < 0 || publish(&r, e) < 0;
	if (!failed)
		warn_odd(&r);
	store_import_layer_work_free(r.work);
	store_import_rows_release(&r.rows);
	store_import_pipe_free(r.pipe);
	return failed ? -1 : 0;
}

/* ---- is it here? ---- */

/* Whether the packs that a location file names are there. */
static bool packs_are_here(const struct store *st, const struct fetch_digest *diff_id,
			   uint32_t n_chunks)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err damaged = { 0 }; /* then the layer is fetched again */
	struct store_loc l;

	if (store_object_read(st, STORE_LAYER_LOC, diff_id, SIZE_MAX / 2, &b, &damaged) < 0 ||
	    store_loc_parse(b.p, b.len, n_chunks, &l, &damaged) < 0)
		return false;
	for (uint32_t i = 0; i < l.n_packs; i++) {
		struct store_loc_pack p = store_loc_pack(&l, i);

		if (!store_object_exists(st, STORE_PACK, &p.name))
			return false;
	}
	return true;
}

bool store_import_layer_is_here(const struct store *st, const struct store_import_layer *layer)
{
	hr_autobuf struct hr_buf alias = { 0 }, index = { 0 };
	struct store_blob_record blob;
	struct hr_err damaged = { 0 }; /* then the layer is fetched again */
	struct store_layer l;

	return store_object_read(st, STORE_BLOB, &layer->blob.digest, STORE_RECORD_LIMIT, &alias,
				 &damaged) == 0 &&
	       store_blob_record_parse(alias.p, alias.len, &blob, &damaged) == 0 &&
	       blob.size == layer->blob.size && fetch_digest_equal(&blob.layer, &layer->diff_id) &&
	       store_object_read(st, STORE_LAYER, &layer->diff_id, SIZE_MAX / 2, &index,
				 &damaged) == 0 &&
	       store_layer_parse(index.p, index.len, &l, &damaged) == 0 &&
	       packs_are_here(st, &layer->diff_id, l.n_chunks);
}

int store_import_layer_run(const struct store_import_options *o, struct store_import_work *w,
			   struct store_import_layer *layer, struct hr_err *e)
{
	struct store_lease *lease = NULL;
	char text[FETCH_DIGEST_TEXT];
	int r = 0;

	if (store_lease_take(o->st, STORE_LEASE_IMPORT, &layer->blob.digest, o->stop, NULL, &lease,
			     e) < 0)
		return -1;
	if (!o->force && store_import_layer_is_here(o->st, layer)) {
		layer->state = STORE_IMPORT_HERE;
	} else {
		r = import(o, w, layer, e);
		if (r == 0)
			layer->state = STORE_IMPORT_DONE;
	}
	store_lease_release(lease);
	if (r < 0 && e->sys != EINTR)
		hr_wrap(e, "layer %s", fetch_digest_text(&layer->blob.digest, text));
	return r;
}
