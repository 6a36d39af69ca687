/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/import_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include <openssl/evp.h>

#include "store/cut.h"
#include "store/import_pipe.h"
#include "store/inflate.h"
#include "store/tar.h"
#include "util/cleanup.h"
#include "util/poison.h"

/* A stream at work: this thread fetches and inflates, one hashes, one reads the archive. */
struct run {
	struct store_import_stream *s;
	struct store_import_pipe *pipe;
	struct hr_err hash_failed;    /* by the hash thread */
	struct hr_err archive_failed; /* by the archive thread */
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

	r->s->plain_bytes += n;
	if (r->s->plain_bytes > r->s->max_bytes) {
		hr_fail(e, HR_CORRUPT, 0, "the layer has more than %" PRIu64 " bytes uncompressed",
			r->s->max_bytes);
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
	const struct store_import_stream *of = s->run->s;

	if (of->stop && *of->stop)
		return hr_fail(e, HR_SYS, EINTR, "stopped");
	if (of->got)
		*of->got += n;
	return store_inflate_feed(s->inflate, p, n, e);
}

static int fetch_into_pipe(struct run *r, struct hr_err *e)
{
	struct store_inflate_out out = { on_room, on_done, r };
	HR_CLEANUP(store_inflate_freep)
	struct store_inflate *inflate = store_inflate_new(r->s->blob->compression, &out);
	struct sink sink = { r, inflate };
	const struct store_import_source *from = r->s->source;

	if (from->blob(from->arg, r->s->blob, on_blob, &sink, e) < 0)
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
	if (!ok || !EVP_DigestFinal_ex(md, r->s->diff_id.b, NULL)) {
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
	const struct store_import_stream *s = ((struct run *)arg)->s;

	return s->room(s->arg, e);
}

static int on_cut_chunk(void *arg, uint32_t ticket, uint8_t *buf, uint32_t n, struct hr_err *e)
{
	const struct store_import_stream *s = ((struct run *)arg)->s;

	return s->chunk(s->arg, ticket, buf, n, e);
}

static void on_cut_extent(void *arg, const struct store_extent *x)
{
	store_layer_build_extent(&((struct run *)arg)->s->rows.builder, x);
}

static void on_cut_drop(void *arg, uint8_t *buf)
{
	const struct store_import_stream *s = ((struct run *)arg)->s;

	s->drop(s->arg, buf);
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
	struct store_import_rows *rows = &r->s->rows;
	int got;

	while ((got = store_tar_next(tar, &n, e)) > 0) {
		int keep = store_import_row_begin(rows, &n, e);

		if (keep < 0)
			return -1;
		if (keep == 0)
			continue;
		if (rows->row.kind == STORE_ENTRY_NODE && S_ISREG(n.attr.mode) &&
		    cut_file(tar, cut, n.attr.size, e) < 0)
			return -1;
		if (store_import_row_end(rows, &n, e) < 0)
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

int store_import_stream_run(struct store_import_stream *s, struct hr_err *e)
{
	struct run run = { .s = s, .pipe = store_import_pipe_new() }, *r = &run;
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
	store_import_pipe_free(run.pipe);
	return judge(r, &mine, e);
}
