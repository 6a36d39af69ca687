/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An image that a store holds, opened for reading: its index, and where its chunks lie.
 *
 * For: hpcrun-serve and the verbs that read an image. Opening maps two files and reads two short
 * records, whatever the size of the image.
 * Sequence: store_image_open(); img->index with index.h; store_image_source() for chunks.h;
 * store_image_close().
 */
#ifndef STORE_IMAGE_H
#define STORE_IMAGE_H

#include "store/chunks.h"
#include "store/index.h"
#include "store/layout.h"
#include "store/loc.h"
#include "util/err.h"
#include "util/mem.h"

struct store_image;

/* What a name asks for: a manifest digest, or a reference. */
struct store_name {
	bool by_digest;
	struct fetch_digest manifest;
	struct fetch_ref ref;
};

/* Errors: HR_USAGE. Owns: *out; store_name_release frees it. */
int store_name_parse(const char *name, struct store_name *out, struct hr_err *e) HR_MUST_USE;
void store_name_release(struct store_name *n);

/*
 * Open an image from the first of STORES (paths, in order) that has it. NAME is a reference as
 * users write it, or a manifest digest, "sha256:...".
 *
 * A store that is not there is passed over, unless it is the only one.
 * Errors:  HR_USAGE NAME is no reference; HR_NOTFOUND no store has it; HR_DENIED a store is not
 *          trusted; HR_CORRUPT the image is damaged, with the remedy as hint.
 */
int store_image_open(const struct store_paths *stores, const char *name, struct store_image **out,
		     struct hr_err *e) HR_MUST_USE;
/*
 * The tag that comes nearest to that of NAME, of those that the directories among STORES have of
 * its repository; the only one they have of it if none is near; else NULL.
 *
 * Owns:    the caller frees the result.
 */
char *store_image_near_tag(const struct store_paths *stores, const char *name);
/* Fail with HR_NOTFOUND: NAME is in none of STORES; returns -1. */
int store_image_missing(const struct store_paths *stores, const char *name, struct hr_err *e);
void store_image_close(struct store_image *img);
void store_image_closep(struct store_image **img);

/*
 * Open an index and its locations that lie in no store: of a file that is read in place. The
 * descriptors stay the caller's.
 *
 * Errors:  HR_CORRUPT, HR_SYS.
 */
int store_image_open_fds(int index, int loc, struct store_image **out,
			 struct hr_err *e) HR_MUST_USE;

/* What it was opened from, or NULL; borrowed. */
const struct store *store_image_store(const struct store_image *img);
const struct store_index *store_image_index(const struct store_image *img);
/* Where its chunks lie; borrowed. */
const struct store_loc *store_image_loc(const struct store_image *img);
/* Compare the whole index with the digest it is named by. Errors: HR_CORRUPT. */
int store_image_check_index(const struct store_image *img, store_chunk_sha256 *sha256,
			    struct hr_err *e) HR_MUST_USE;
/* Its two files, open as long as IMG is, for a process that is to read them as well; -1 when it
 * came from descriptors. */
void store_image_fds(const struct store_image *img, int *index, int *loc);
/*
 * Open all packs now: what gc removes meanwhile can still be read then, where the file system keeps
 * open files. At most half of the descriptors that this process may have are used; packs that
 * cannot be opened are left for the first read, which says why. Threads: any.
 */
void store_image_hold(struct store_image *img);
/* Reads frames from the packs of the image's store; valid while IMG is open. Threads: any. */
struct store_chunk_source store_image_source(struct store_image *img);

#endif
