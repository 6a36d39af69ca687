/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large files of an image that lie in the node cache as files of their own: which can, what they
 * are called, and the list of those that a program reads. Pure: no I/O.
 *
 * For: hpcrun-serve. Not for: the files in the cache (cache_file.h), making them (native_make.h).
 * Source: hpcrun-store(5) NODE CACHE.
 */
#ifndef STORE_NATIVE_H
#define STORE_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/cache_file.h"
#include "store/frame.h"
#include "store/index.h"
#include "util/buf.h"
#include "util/err.h"

#define STORE_NATIVE_MIN (UINT64_C(1) << 20) /* bytes; smaller files lie with others in a chunk */
#define STORE_NATIVE_MAX 1024		     /* files of a list: each becomes a mount */

/*
 * Whether a file of its own can look like this one to stat(2) and listxattr(2): a large regular
 * file that its owner may read, with one name and no extended attribute.
 */
bool store_native_fits(const struct store_inode *file);
/* The same in a cache of CACHE_BYTES, of which one file takes a quarter at most. */
bool store_native_suits(const struct store_inode *file, uint64_t cache_bytes);

/*
 * What the file is to be in the cache. Its name is the digest of all that a reader can see.
 *
 * Returns: false when the index is damaged, or the file has a part of a chunk only: a file that is
 *          there already is checked chunk by chunk, too.
 */
bool store_native_want(const struct store_index *ix, const struct store_inode *file,
		       store_chunk_sha256 *sha256, struct store_cache_file_want *out) HR_MUST_USE;
/* The same, of a file whose name is known; does not hash. */
void store_native_want_named(const struct store_inode *file, const struct fetch_digest *name,
			     struct store_cache_file_want *out);

/* ---- lists ---- */

/* A file of an image: its path, without a slash in front, and its name in the cache. */
struct store_native {
	struct fetch_digest name;
	char *path;
	uint64_t sum; /* of the path */
};

/* A zeroed struct is an empty list. */
struct store_native_list {
	struct store_native *v;
	size_t n;
};

/* Append; what is in it already (by path), or does not fit, is left out. Copies PATH. */
void store_native_list_add(struct store_native_list *l, const char *path,
			   const struct fetch_digest *name);
void store_native_list_release(struct store_native_list *l);

/* Append a list of files of the image MANIFEST to OUT. */
void store_native_list_write(const struct store_native_list *l, const struct fetch_digest *manifest,
			     struct hr_buf *out);
/* Errors: HR_CORRUPT, also when it is of another image. Owns: *out is the caller's. */
int store_native_list_parse(const uint8_t *p, size_t n, const struct fetch_digest *manifest,
			    struct store_native_list *out, struct hr_err *e) HR_MUST_USE;

/* The list of a program in the cache directory: room for its path there. */
#define STORE_NATIVE_LIST_PATH (FETCH_DIGEST_HEX + 32)
void store_native_list_path(const struct fetch_digest *manifest, const char *program,
			    char path[STORE_NATIVE_LIST_PATH]);

/* ---- paths of an image ---- */

/* The inode at PATH, no symlink on the way. */
bool store_native_lookup(const struct store_index *ix, const char *path, uint32_t *ino,
			 struct store_inode *out);

/* Call FOUND with the path of each file that WANTED (NULL: all) chooses. Bounds: damaged
 * directories are passed over, and what lies deeper than any path that can be used. */
struct store_native_walk {
	bool (*wanted)(void *arg, uint32_t ino);
	void (*found)(void *arg, uint32_t ino, const struct store_inode *file, const char *path);
	void *arg;
};
void store_native_walk(const struct store_index *ix, const struct store_native_walk *w);

#endif
