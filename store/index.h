/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The image index, hpcrun-store(5) IMAGE INDEX: one file with the merged tree of all layers, read
 * in place, and the builder that makes it.
 *
 * For: everything that serves or lists a tree. Not for: where chunks lie (loc.h), what is in them.
 *
 * Reading: store_index_open() or store_index_parse() looks at the header alone, so a damaged index
 * may open. Every accessor checks what it touches and returns false (or -1) when it is damaged
 * there; nothing read out of an index is trusted before. Threads: any number, no locks.
 *
 * Building: store_index_builder_new(); in the order of the inode numbers: the strings, extents,
 * entries and xattrs of an inode, then the inode; store_index_builder_finish().
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "util/buf.h"
#include "util/err.h"

#define STORE_DEV_MAJOR(d) ((d) >> 20) /* of the dev below */
#define STORE_DEV_MINOR(d) ((d)&0xfffffu)

struct store_inode {
	uint32_t mode;	/* file type and permission bits of the image */
	uint32_t nlink; /* of a directory: 2 and its subdirectories */
	uint64_t size;	/* bytes of a regular file, of a symlink's target; else 0 */
	int64_t mtime;	/* seconds */
	uint32_t mtime_ns;
	uint32_t uid, gid;
	uint32_t first;	 /* directory: first entry; file: first extent; symlink: target's string */
	uint32_t count;	 /* of entries or extents */
	uint32_t parent; /* of a directory; else 0 */
	uint32_t first_xattr, n_xattrs;
	uint32_t dev; /* major << 20 | minor */
};

/* A directory entry. */
struct store_entry {
	struct store_string
		name; /* 1 to STORE_NAME_MAX bytes, no slash, no NUL, not "." nor ".." */
	uint32_t ino;
};

/* The part of a file that begins at an offset and lies in one chunk or hole. */
struct store_piece {
	uint64_t len;	/* bytes, at least 1; up to the end of the extent or of the file */
	uint32_t chunk; /* number, or STORE_HOLE */
	uint32_t off;	/* where in the chunk */
};

/* ---- reading ---- */

struct store_index;

/*
 * Read the index in the N bytes at P.
 *
 * Owns:    P is borrowed until the index is freed.
 * Errors:  HR_CORRUPT when the header is unknown or contradicts N.
 */
int store_index_parse(const uint8_t *p, size_t n, struct store_index **out,
		      struct hr_err *e) HR_MUST_USE;
/* The same for a file, by mmap; FD stays the caller's and may be closed. Errors: also HR_SYS. */
int store_index_open(int fd, struct store_index **out, struct hr_err *e) HR_MUST_USE;
void store_index_free(struct store_index *ix);
void store_index_freep(struct store_index **ix);

/* The whole index, borrowed; *len is its bytes. */
const uint8_t *store_index_bytes(const struct store_index *ix, size_t *len);
uint32_t store_index_inodes(const struct store_index *ix); /* at least 1; the root is 0 */
uint32_t store_index_chunks(const struct store_index *ix);
uint32_t store_index_xattrs(const struct store_index *ix);
uint64_t store_index_file_bytes(const struct store_index *ix); /* of all regular files */
void store_index_manifest(const struct store_index *ix, struct fetch_digest *out);
void store_index_config_digest(const struct store_index *ix, struct fetch_digest *out);
/* The image config, verbatim; borrowed. */
const uint8_t *store_index_config(const struct store_index *ix, size_t *len);

bool store_index_inode(const struct store_index *ix, uint32_t ino,
		       struct store_inode *out) HR_MUST_USE;

/*
 * Entry I of a directory.
 *
 * Bounds:  I < dir->count; an entry that lies outside the table is damaged, as are a bad name and
 *          a number that is no inode.
 */
bool store_index_entry(const struct store_index *ix, const struct store_inode *dir, uint32_t i,
		       struct store_entry *out) HR_MUST_USE;
/* Look NAME up in a directory: 1 and *ino when it is there, 0 when not, -1 when damaged. */
int store_index_lookup(const struct store_index *ix, const struct store_inode *dir,
		       const char *name, size_t len, uint32_t *ino) HR_MUST_USE;
/*
 * What PATH names, from the root, by the rules of path_resolution(7): false when it is not there, a
 * symlink leads nowhere, or something is damaged.
 */
bool store_index_find(const struct store_index *ix, const char *path,
		      struct store_inode *out) HR_MUST_USE;
/* The same from directory DIR, unless PATH begins with a slash; *ino is its number. */
bool store_index_find_in(const struct store_index *ix, uint32_t dir, const char *path,
			 uint32_t *ino, struct store_inode *out) HR_MUST_USE;

/* The regular file NAME in the first of the directories that PATH usually has; a path from the root
 * is that file. */
bool store_index_find_program(const struct store_index *ix, const char *name, uint32_t *ino,
			      struct store_inode *out) HR_MUST_USE;

/* Where byte OFF of a regular file lies; OFF < file->size. */
bool store_index_piece(const struct store_index *ix, const struct store_inode *file, uint64_t off,
		       struct store_piece *out) HR_MUST_USE;
bool store_index_target(const struct store_index *ix, const struct store_inode *symlink,
			struct store_string *out) HR_MUST_USE;
/* Attribute I of an inode, I < n_xattrs. */
bool store_index_xattr(const struct store_index *ix, const struct store_inode *inode, uint32_t i,
		       struct store_string *name, struct store_string *value) HR_MUST_USE;
bool store_index_chunk(const struct store_index *ix, uint32_t i,
		       struct store_chunk *out) HR_MUST_USE;

/* Where in the index the check sum of chunk I stands, I < the number of chunks. */
uint64_t store_index_crc_at(const struct store_index *ix, uint32_t i);

/* ---- building ---- */

struct store_index_builder;

struct store_index_builder *store_index_builder_new(void);
void store_index_builder_free(struct store_index_builder *b);
void store_index_builder_freep(struct store_index_builder **b);

/*
 * These return the number (string: the offset) of what was added, for an inode's fields. They do
 * not fail: what does not fit the format makes store_index_builder_finish() fail.
 *
 * A chunk or a string that was added before gives its number again. The extents of a file, the
 * entries of a directory (sorted by name as bytes; store_index_name_cmp) and the xattrs of an
 * inode must be adjacent. "first" of an inode with a count of 0 is stored as 0.
 */
uint32_t store_index_builder_string(struct store_index_builder *b, const void *p, size_t n);
uint32_t store_index_builder_chunk(struct store_index_builder *b, const struct fetch_digest *digest,
				   uint64_t crc, uint32_t bytes);
uint32_t store_index_builder_entry(struct store_index_builder *b, const char *name, size_t len,
				   uint32_t ino);
uint32_t store_index_builder_extent(struct store_index_builder *b, uint64_t file_off,
				    uint32_t chunk, uint32_t chunk_off);
uint32_t store_index_builder_xattr(struct store_index_builder *b, const char *name, size_t name_len,
				   const void *value, size_t value_len);
uint32_t store_index_builder_inode(struct store_index_builder *b, const struct store_inode *inode);
/* The chunks added so far, and one of them; for loc.h and counts. */
uint32_t store_index_builder_chunks(const struct store_index_builder *b);

/* The order of directory entries: as bytes, a prefix first. */
int store_index_name_cmp(const char *a, size_t a_len, const char *b, size_t b_len);

/*
 * Append the whole index to OUT.
 *
 * Errors:  HR_CORRUPT when the image is too big for the format, or holds no inode.
 */
int store_index_builder_finish(const struct store_index_builder *b,
			       const struct fetch_digest *manifest,
			       const struct fetch_digest *config, const void *config_bytes,
			       size_t config_len, struct hr_buf *out, struct hr_err *e) HR_MUST_USE;

#endif
