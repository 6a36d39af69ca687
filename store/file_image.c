/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/file_image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sif.h"
#include "store/sqfs.h"
#include "store/sqfs_child.h"
#include "store/sqfs_meta.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/le.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define TURN_WAIT_MS 60000 /* for who makes the same index; then one in memory will do */

struct store_file {
	char *path; /* or URL */
	int fd;	    /* of a remote file: what was brought of it, while it is opened */
	const struct store_file_remote *remote; /* likewise; or NULL */
	struct stat st;				/* when it was opened */
	uint64_t bytes;				/* of the file */
	uint64_t off, space;			/* of the squashfs in it */
	struct store_sqfs_super super;
	struct fetch_digest name; /* stands for the file as it is now */
	int index_fd;		  /* writable: check sums are noted in it */
	struct store_image *img;
};

void store_file_close(struct store_file *f)
{
	if (!f)
		return;
	store_image_close(f->img);
	hr_fd_cleanup(&f->index_fd);
	hr_fd_cleanup(&f->fd);
	free(f->path);
	free(f);
}

void store_file_closep(struct store_file **f)
{
	store_file_close(*f);
}

struct store_image *store_file_image(struct store_file *f)
{
	return f->img;
}

/* ---- which file, and what is in it ---- */

int store_file_open_fd(const char *path, struct stat *st, struct hr_err *e)
{
	hr_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return hr_fail(e,
			       errno == ENOENT || errno == ENOTDIR ? HR_NOTFOUND
			       : errno == EACCES		   ? HR_DENIED
								   : HR_SYS,
			       errno, "cannot open it");
	if (fstat(fd, st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot look at it");
	if (S_ISDIR(st->st_mode)) {
		hr_hint(e, "bring a directory into the store with 'hpcrun import %.120s NAME'",
			path);
		return hr_fail(e, HR_USAGE, 0, "it is a directory, not a file with an image");
	}
	if (!S_ISREG(st->st_mode))
		return hr_fail(e, HR_USAGE, 0, "it is not a regular file");
	return hr_steal_fd(&fd);
}

/*
 * What stands for the file: where it is, how long it is, when it was changed last. The time of
 * change, not of modification, for nobody can set it.
 */
static void name_file(struct store_file *f)
{
	hr_le64_put(f->name.b, f->st.st_dev);
	hr_le64_put(f->name.b + 8, f->st.st_ino);
	hr_le64_put(f->name.b + 16, (uint64_t)f->st.st_size);
	hr_le64_put(f->name.b + 24,
		    (uint64_t)f->st.st_ctim.tv_sec * 1000000000u + (uint64_t)f->st.st_ctim.tv_nsec);
}

static const char *host_arch(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return "ppc64le";
#else
	return "unknown";
#endif
}

static int read_at(const struct store_file *f, void *p, size_t n, uint64_t off, const char *what,
		   struct hr_err *e)
{
	if (f->remote && f->remote->bring(f->remote->arg, f->fd, off, n, e) < 0)
		return -1;
	return hr_pread_all(f->fd, p, n, off, what, e);
}

/* The file system in a SIF file. */
static int find_in_sif(struct store_file *f, const uint8_t *head, size_t n, struct hr_err *e)
{
	struct store_sif_span table, fs;
	hr_autofree uint8_t *rows = NULL;

	if (store_sif_table(head, n, f->bytes, &table, e) < 0)
		return -1;
	rows = hr_alloc_bounded(table.len, 1,
				STORE_SIF_DESCRIPTORS_MAX * STORE_SIF_DESCRIPTOR_BYTES, e);
	if (!rows || read_at(f, rows, table.len, table.off, "the SIF descriptors", e) < 0 ||
	    store_sif_find(rows, table.len, f->bytes, host_arch(), &fs, e) < 0)
		return -1;
	f->off = fs.off;
	f->space = fs.len;
	return 0;
}

static int find_fs(struct store_file *f, struct hr_err *e)
{
	uint8_t head[STORE_SIF_HEADER_BYTES] = { 0 };
	size_t n = f->bytes < sizeof(head) ? (size_t)f->bytes : sizeof(head);

	if (read_at(f, head, n, 0, "the file", e) < 0)
		return -1;
	f->space = f->bytes;
	if (store_sif_is(head, n)) {
		if (find_in_sif(f, head, n, e) < 0)
			return -1;
		n = f->space < sizeof(head) ? (size_t)f->space : sizeof(head);
		if (read_at(f, head, n, f->off, "the partition", e) < 0)
			return -1;
	} else if (!store_sqfs_is(head, n)) {
		hr_hint(e,
			"archives and directories are brought into the store by 'hpcrun import'");
		return hr_fail(e, HR_USAGE, 0, "it is neither a squashfs nor a SIF file");
	}
	return store_sqfs_super_parse(head, n, f->space, &f->super, e);
}

/* ---- its index ---- */

/* The two files of an index under work. */
struct pair {
	int index, loc;
};

static void pair_release(struct pair *p)
{
	hr_fd_cleanup(&p->index);
	hr_fd_cleanup(&p->loc);
}

static int use(struct store_file *f, struct pair *p, struct hr_err *e)
{
	struct fetch_digest of;

	if (store_image_open_fds(p->index, p->loc, &f->img, e) < 0)
		return -1;
	store_index_manifest(store_image_index(f->img), &of);
	if (!fetch_digest_equal(&of, &f->name)) {
		store_image_close(hr_steal(&f->img));
		return hr_fail(e, HR_CORRUPT, 0, "the index is that of another file");
	}
	f->index_fd = hr_steal_fd(&p->index);
	return 0;
}

/* From the cache; -1 when there is none that can be used. */
static int use_cached(struct store_file *f, struct store_cache *cache)
{
	struct hr_err e = { 0 }; /* then it is made again */
	HR_CLEANUP(pair_release)
	struct pair p = { store_cache_extra_open(cache, &f->name, STORE_CACHE_INDEX, &e), -1 };

	if (p.index >= 0)
		p.loc = store_cache_extra_open(cache, &f->name, STORE_CACHE_LOC, &e);
	if (p.loc >= 0 && use(f, &p, &e) == 0)
		return 0;
	hr_debug("no cached index of '%s': %s", f->path, e.text);
	return -1;
}

static int bring_metadata(const struct store_file *f, struct hr_err *e)
{
	const struct store_sqfs_super *s = &f->super;
	uint64_t n = s->bytes - s->metadata;

	if (!f->remote)
		return 0;
	if (n > STORE_SQFS_TABLES_MAX)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the tables of the squashfs have %" PRIu64
			       " bytes, at most %" PRIu64,
			       n, STORE_SQFS_TABLES_MAX);
	return f->remote->bring(f->remote->arg, f->fd, f->off + s->metadata, n, e);
}

/* Make it anew, in CACHE, or in memory when there is none or it is full. */
static int make(struct store_file *f, struct store_cache *cache, struct hr_err *e)
{
	struct hr_err uncached = { 0 };
	HR_CLEANUP(pair_release) struct pair p = { -1, -1 };

	if (cache)
		p.index = store_cache_extra_new(cache, &f->name, STORE_CACHE_INDEX, &uncached);
	if (p.index >= 0)
		p.loc = store_cache_extra_new(cache, &f->name, STORE_CACHE_LOC, &uncached);
	if (p.loc < 0) {
		pair_release(&p);
		p.index = memfd_create("hpcrun-index", MFD_CLOEXEC);
		p.loc = memfd_create("hpcrun-loc", MFD_CLOEXEC);
		cache = NULL;
	}
	if (p.index < 0 || p.loc < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a memory file");
	if (bring_metadata(f, e) < 0 ||
	    store_sqfs_child_run(f->fd, f->off, f->space, &f->name, p.index, p.loc, e) < 0) {
		if (cache)
			store_cache_extra_discard(cache, &f->name);
		return -1;
	}
	if (cache && (store_cache_extra_keep(cache, &f->name, STORE_CACHE_LOC, &uncached) < 0 ||
		      store_cache_extra_keep(cache, &f->name, STORE_CACHE_INDEX, &uncached) < 0))
		hr_debug("the index is not kept: %s", uncached.text);
	return use(f, &p, e);
}

static int open_index(struct store_file *f, struct store_cache *cache, struct hr_err *e)
{
	hr_autofd int turn = -1;

	if (find_fs(f, e) < 0 || store_sqfs_load(f->super.compressor, e) < 0)
		return -1;
	if (!cache)
		return make(f, NULL, e);
	if (use_cached(f, cache) == 0)
		return 0;
	/* two that begin at once would fetch the tables twice, and what is learnt of blocks would
	 * go into the index that is replaced; without the turn ours is in nobody's way */
	turn = store_cache_turn(cache, &f->name, TURN_WAIT_MS);
	if (turn >= 0 && use_cached(f, cache) == 0)
		return 0;
	return make(f, turn >= 0 ? cache : NULL, e);
}

static struct store_file *new_file(const char *path)
{
	struct store_file *f = hr_xmalloc(sizeof(*f));

	f->path = hr_xstrdup(path);
	f->fd = f->index_fd = -1;
	return f;
}

int store_file_open(const char *path, struct store_cache *cache, struct store_file **out,
		    struct hr_err *e)
{
	HR_CLEANUP(store_file_closep) struct store_file *f = new_file(path);

	f->fd = store_file_open_fd(path, &f->st, e);
	if (f->fd < 0)
		return hr_wrap(e, "cannot open image '%s'", path);
	f->bytes = (uint64_t)f->st.st_size;
	name_file(f);
	if (open_index(f, cache, e) < 0)
		return hr_wrap(e, "cannot open image '%s'", path);
	*out = hr_steal(&f);
	return 0;
}

int store_file_open_remote(const struct store_file_remote *remote, struct store_cache *cache,
			   struct store_file **out, struct hr_err *e)
{
	HR_CLEANUP(store_file_closep) struct store_file *f = new_file(remote->name);

	f->remote = remote;
	f->bytes = remote->bytes;
	f->name = remote->version;
	f->fd = memfd_create("hpcrun-remote", MFD_CLOEXEC);
	if (f->fd < 0 || ftruncate(f->fd, (off_t)f->bytes) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a memory file");
	if (open_index(f, cache, e) < 0)
		return hr_wrap(e, "cannot open image '%s'", remote->name);
	f->remote = NULL;
	hr_fd_cleanup(&f->fd);
	f->fd = -1;
	*out = hr_steal(&f);
	return 0;
}

/* ---- its blocks ---- */

/*
 * Whether somebody wrote to the file. Not by the time of the change of its status: who removes or
 * renames it, or changes its mode, does no harm to those who have it open.
 */
static bool changed(const struct store_file *f)
{
	struct stat now;

	return fstat(f->fd, &now) == 0 &&
	       (now.st_size != f->st.st_size || now.st_mtim.tv_sec != f->st.st_mtim.tv_sec ||
		now.st_mtim.tv_nsec != f->st.st_mtim.tv_nsec);
}

static int frame(void *arg, uint32_t chunk, uint8_t *out, size_t cap, size_t *len, struct hr_err *e)
{
	struct store_file *f = arg;
	struct store_loc_chunk at = store_loc_chunk(store_image_loc(f->img), chunk);

	if (at.frame_len > cap)
		return hr_fail(e, HR_CORRUPT, 0, "the index says a block of %" PRIu32 " bytes",
			       at.frame_len);
	*len = at.frame_len;
	/* never mapped: a file that is cut short would end us */
	if (hr_pread_all(f->fd, out, at.frame_len, at.frame_off, "the image file", e) < 0)
		return changed(f) ? hr_wrap(e, "the file was changed while it is in use") : -1;
	if (changed(f))
		return hr_fail(e, HR_CORRUPT, 0, "the file was changed while it is in use");
	return 0;
}

static int open_frame(void *arg, ZSTD_DCtx *zstd, const uint8_t *frame_bytes, size_t len,
		      const struct store_chunk *want, uint8_t *out, struct hr_err *e)
{
	struct store_file *f = arg;
	struct store_sqfs_place at;
	int r = store_sqfs_place_get(&want->digest, &at, e);

	if (r == 0 && (at.bytes != want->bytes || at.compressor != f->super.compressor ||
		       (at.size & ~STORE_SQFS_UNCOMPRESSED) != len))
		r = hr_fail(e, HR_CORRUPT, 0, "the index contradicts itself");
	if (r == 0)
		r = store_sqfs_open(zstd, &at, frame_bytes, out, e);
	return r;
}

static void learn(void *arg, uint32_t chunk, uint64_t crc)
{
	struct store_file *f = arg;
	struct hr_err e = { 0 }; /* it is learnt again */
	uint8_t b[8];

	hr_le64_put(b, crc);
	if (hr_pwrite_all(f->index_fd, b, sizeof(b),
			  store_index_crc_at(store_image_index(f->img), chunk), "the index",
			  &e) < 0)
		hr_debug("a check sum is not noted: %s", e.text);
}

static void where(void *arg, uint32_t chunk, struct hr_buf *out)
{
	struct store_file *f = arg;
	struct store_loc_chunk at = store_loc_chunk(store_image_loc(f->img), chunk);

	hr_buf_printf(out, "'%s' at %" PRIu64, f->path, at.frame_off);
}

struct store_chunk_source store_file_source(struct store_file *f)
{
	return (struct store_chunk_source) {
		.frame = frame, .open = open_frame, .learn = learn, .where = where, .arg = f
	};
}
