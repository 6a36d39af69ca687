/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Foresees what a program will read, by how programs begin: a dynamic loader reads certain parts of
 * each library, then those that it names; an interpreter imports one module of a package after the
 * other. Each of them asks for one thing, waits for it, and asks for the next.
 *
 * For: hpcrun-serve-net, where each of those waits is a round trip. Not for: correctness; what is
 * foreseen wrongly is fetched in vain, which the source bounds. Not for what is read in order
 * (serve_ahead.h) or was read by an earlier run (prefetch.h).
 *
 * Sequence: store_foresee_start(); from any thread the others, which do not wait; it then lives as
 * long as the process.
 */
#ifndef STORE_FORESEE_H
#define STORE_FORESEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/index.h"

struct store_foresee;

struct store_foresee_source {
	/* Fetch N chunks together, which are almost certain to be wanted, the first N_SOON before
	 * others. */
	void (*fetch)(void *arg, const uint32_t *chunk, size_t n, size_t n_soon);
	/* A chunk, waiting for it; OUT has room for STORE_CHUNK_MAX. False when it cannot be had.
	 */
	bool (*bring)(void *arg, uint32_t chunk, uint8_t *out);
	void *arg;
};

/* NULL when there is no thread for it. IX is borrowed for ever. */
struct store_foresee *store_foresee_start(const struct store_index *ix,
					  const struct store_foresee_source *from);

/* F of the following may be NULL. */

/* A program is about to be run, by its name or its path in the image. */
void store_foresee_program(struct store_foresee *f, const char *program);
/* Somebody has read the beginning of file INO, which is that of an ELF file. */
void store_foresee_loaded(struct store_foresee *f, uint32_t ino);
/* Somebody has looked NAME up in directory DIR, and it is there. */
void store_foresee_found(struct store_foresee *f, uint32_t dir, const char *name);

#endif
