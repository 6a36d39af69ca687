/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which C library an image has, told from its tree alone: nothing of it is run or mounted.
 *
 * For: hpcrun plan. Not for: what a run does; there the symbols decide that each library needs
 * (runtime/closure.h).
 */
#ifndef STORE_IMAGE_LIBC_H
#define STORE_IMAGE_LIBC_H

#include "store/chunks.h"
#include "store/index.h"

struct store_libc {
	enum { STORE_LIBC_UNKNOWN, STORE_LIBC_GLIBC, STORE_LIBC_MUSL } kind;
	unsigned int major, minor; /* of glibc */
};

/*
 * Look for it where distributions have it, through symlinks. CHUNKS are used by no other thread.
 * What is damaged or unusual is unknown.
 */
struct store_libc store_image_libc(const struct store_index *ix, struct store_chunks *chunks);

/* That of the programs of this host; unknown where it is not the GNU C library. */
struct store_libc store_host_libc(void);

/*
 * Can a library of HOST be loaded beside the C library of an image? 1 yes, 0 no, -1: that depends
 * on the library.
 */
int store_libc_fits(const struct store_libc *image, const struct store_libc *host);

#endif
