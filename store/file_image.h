/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An image that is a file, read in place: a squashfs, or a SIF with one inside.
 *
 * For: hpcrun-serve and import. Nothing is copied: the metadata is read once, by hpcrun-sqfs, into
 * an index that the node cache keeps; the blocks of the file are its chunks. Opening it again maps
 * two files. The file may be one that lies elsewhere (url_image.h): then its metadata is brought,
 * and its blocks are the caller's to bring.
 * Sequence: store_file_open(); store_file_image() for its index; store_file_source() for chunks.h;
 * store_file_close().
 * Source: hpcrun-store(5) FILES RUN IN PLACE.
 */
#ifndef STORE_FILE_IMAGE_H
#define STORE_FILE_IMAGE_H

#include <sys/stat.h>

#include "store/cache.h"
#include "store/chunks.h"
#include "store/image.h"
#include "util/err.h"

struct store_file;

/*
 * Open the file at PATH. CACHE, or NULL, keeps its index.
 *
 * Errors:  HR_NOTFOUND no such file; HR_DENIED; HR_USAGE it is of no kind that can be run in place,
 *          or encrypted and the like; HR_CORRUPT what is wrong with it; HR_SYS.
 */
int store_file_open(const char *path, struct store_cache *cache, struct store_file **out,
		    struct hr_err *e) HR_MUST_USE;

/*
 * Open PATH if it is a regular file; *st receives what it is.
 *
 * Errors:  HR_NOTFOUND, HR_DENIED, HR_USAGE it is something else, with a hint; not naming PATH.
 */
int store_file_open_fd(const char *path, struct stat *st, struct hr_err *e) HR_MUST_USE;

/* A file that lies elsewhere. */
struct store_file_remote {
	const char *name; /* for messages */
	uint64_t bytes;
	struct fetch_digest version; /* stands for the file as it is now */
	/* Write LEN bytes at OFF of it to the same place of FD. */
	int (*bring)(void *arg, int fd, uint64_t off, uint64_t len, struct hr_err *e);
	void *arg;
};
/* The same for such a file. Its source has OPEN and LEARN alone. Errors: also those of BRING. */
int store_file_open_remote(const struct store_file_remote *remote, struct store_cache *cache,
			   struct store_file **out, struct hr_err *e) HR_MUST_USE;
void store_file_close(struct store_file *f);
void store_file_closep(struct store_file **f);

/* Its index and locations; borrowed. */
struct store_image *store_file_image(struct store_file *f);
/* Reads blocks of the file; valid while F is open. Threads: any. */
struct store_chunk_source store_file_source(struct store_file *f);

#endif
