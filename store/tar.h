/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A strict reader of tar streams: ustar, pax, GNU and V7 headers as layers have them, nothing else.
 *
 * Our own, because the same layer must give the same index in every store, whatever library is
 * installed, and because what the formats leave open (two sizes for one entry, a NUL in a name, a
 * header without an entry) must be refused here, not guessed: two readers that guess differently
 * are how entries are smuggled.
 *
 * Sequence: store_tar_init(); store_tar_next() until 0, after each store_tar_data() until 0 (what
 * is not read is skipped); store_tar_drain(), so that the source sees its own end;
 * store_tar_release().
 * Source: POSIX.1-2017 pax, "ustar Interchange Format", "pax Extended Header"; GNU tar manual,
 * "Basic Tar Format" and "Storing Sparse Files".
 */
#ifndef STORE_TAR_H
#define STORE_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/layer.h"
#include "util/buf.h"
#include "util/err.h"

#define STORE_TAR_BLOCK 512

/* Gives the next bytes of the stream, valid until the next call; *n is 0 at its end. */
typedef int store_tar_source(void *arg, const uint8_t **p, size_t *n, struct hr_err *e);

/* A piece of a sparse file that is not a hole. */
struct store_tar_piece {
	uint64_t off, len;
};

struct store_tar_entry {
	struct hr_buf path;   /* as in the archive, without a NUL; not normalised */
	struct hr_buf target; /* of a symlink or hardlink */
	bool hardlink;
	struct store_attr attr; /* mode 0 of a hardlink; size is that of the file */
	struct store_xattr
		*xattrs; /* all names, as in the archive; borrowed until the next entry */
	size_t n_xattrs;
};

struct store_tar {
	store_tar_source *source;
	void *arg;
	const uint8_t *p; /* unread bytes of the current piece of the stream */
	size_t n;
	uint64_t at; /* offset of the next byte in the stream */
	bool ended;  /* the source has */
	uint8_t block[STORE_TAR_BLOCK];
	bool peeked; /* block holds the next header already */

	uint64_t left;		     /* stored bytes of the entry that were not read */
	uint64_t padding;	     /* behind them */
	struct store_tar_piece *map; /* of a sparse entry, ascending; else one piece or none */
	size_t n_map, cap_map;
	size_t piece;	   /* the one that is being read */
	uint64_t piece_at; /* bytes of it that were read */

	struct hr_buf pax, long_path, long_target;
	bool has_pax, has_long_path, has_long_target;
	struct store_xattr *xattrs;
	size_t cap_xattrs;
};

void store_tar_init(struct store_tar *t, store_tar_source *source, void *arg);
void store_tar_release(struct store_tar *t);
void store_tar_entry_release(struct store_tar_entry *n);

/*
 * Read the next header into *N, whose buffers are used again.
 *
 * Returns 1; 0 at the end of the archive.
 * Bounds:  a pax header or a GNU long name has at most 1 MiB, a sparse map 1 Mi pieces, an entry
 *          65536 xattrs.
 * Errors:  HR_CORRUPT saying at which offset of the stream what is wrong; what the source returned.
 */
int store_tar_next(struct store_tar *t, struct store_tar_entry *n, struct hr_err *e) HR_MUST_USE;

/*
 * Borrow the next bytes of the entry's content: N bytes at P belong at *off of the file; what lies
 * between is zeros.
 *
 * Returns 1; 0 at the end of the entry. The bytes are valid until the next call.
 */
int store_tar_data(struct store_tar *t, uint64_t *off, const uint8_t **p, size_t *n,
		   struct hr_err *e) HR_MUST_USE;

/* Read the source to its end; what follows the archive is part of the layer, but no entry. */
int store_tar_drain(struct store_tar *t, struct hr_err *e) HR_MUST_USE;

#endif
