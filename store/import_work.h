/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of the chunks of an import: hashed, looked up, compressed and appended to packs, on
 * all cores, in bounded memory.
 *
 * Sequence: store_import_work_new(); for each layer store_import_layer_work_new(), and in the
 * layer's thread store_import_work_room() and store_import_work_chunk() for each chunk (cut.h calls
 * them); store_import_layer_work_wait(); store_import_layer_work_publish();
 * store_import_layer_work_free(); store_import_work_free(). Threads: layers any number; one layer,
 * one thread.
 */
#ifndef STORE_IMPORT_WORK_H
#define STORE_IMPORT_WORK_H

#include <stdatomic.h>

#include "store/dict.h"
#include "store/layout.h"
#include "store/loc.h"

struct store_import_work;
struct store_import_layer_work;

struct store_import_work_options {
	const struct store *st;
	const struct store_dict *dict; /* or NULL: store everything again */
	unsigned int workers;
	unsigned int layers; /* that may be under work at once */
	int level;	     /* of zstd */
	atomic_bool *stop;   /* when true every wait ends */
};

int store_import_work_new(const struct store_import_work_options *o, struct store_import_work **out,
			  struct hr_err *e) HR_MUST_USE;
void store_import_work_free(struct store_import_work *w);

/* Bytes of content stored anew, their compressed bytes, bytes that were here already. */
struct store_import_layer_sums {
	_Atomic uint64_t stored, packed, known;
};

/* SUMS is borrowed, and grows as the work goes on. */
struct store_import_layer_work *store_import_layer_work_new(struct store_import_work *w,
							    struct store_import_layer_sums *sums);
/* Packs that were not published are discarded. */
void store_import_layer_work_free(struct store_import_layer_work *l);

/* Room for a chunk; waits while all of it is in use. NULL with *e filled. */
uint8_t *store_import_work_room(struct store_import_layer_work *l, struct hr_err *e);
/* Give room back unused. */
void store_import_work_drop(struct store_import_layer_work *l, uint8_t *room);
/* A chunk of N bytes in ROOM, which is given back. Packs hold chunks in the order of these calls.
 */
int store_import_work_chunk(struct store_import_layer_work *l, uint32_t ticket, uint8_t *room,
			    uint32_t n, struct hr_err *e) HR_MUST_USE;

/* Wait until all chunks of the layer are in packs, and sync these. */
int store_import_layer_work_wait(struct store_import_layer_work *l, struct hr_err *e) HR_MUST_USE;
/*
 * Publish the layer's packs, and wait until those of other layers that it refers to are.
 *
 * Called when the layer was verified; waits for nobody who waits for this layer.
 */
int store_import_layer_work_publish(struct store_import_layer_work *l,
				    struct hr_err *e) HR_MUST_USE;

/*
 * The chunks of all layers, each once, and which of them each ticket of this layer is: what
 * store_layer_build_finish() wants. Borrowed; no other layer can go on until
 * store_import_layer_work_unlock().
 */
void store_import_layer_work_lock(struct store_import_layer_work *l, const uint32_t **chunk_of,
				  const struct store_chunk **chunks, uint32_t *n_chunks);
void store_import_layer_work_unlock(struct store_import_layer_work *l);
/* Append the location file of N chunks, by their numbers among all chunks. After publishing. */
void store_import_layer_work_loc(struct store_import_layer_work *l, const uint32_t *chunks,
				 uint32_t n, struct hr_buf *out);

#endif
