/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of the chunks of an import: hashed, looked up, compressed and appended to packs, on
 * all cores, in bounded memory.
 *
 * Sequence: import_work_new(); for each layer import_layer_work_new(), and in the layer's thread
 * import_work_room() and import_work_chunk() for each chunk (cut.h calls them);
 * import_layer_work_wait(); import_layer_work_publish(); import_layer_work_free();
 * import_work_free().
 * Threads: layers any number; one layer, one thread.
 */
#ifndef STORE_IMPORT_WORK_H
#define STORE_IMPORT_WORK_H

#include <stdatomic.h>

#include "store/dict.h"
#include "store/layout.h"
#include "store/loc.h"

struct import_work;
struct import_layer_work;

struct import_work_options {
	const struct store *st;
	const struct store_dict *dict; /* or NULL: store everything again */
	unsigned int workers;
	unsigned int layers; /* that may be under work at once */
	int level;	     /* of zstd */
	atomic_bool *stop;   /* when true every wait ends */
};

int import_work_new(const struct import_work_options *o, struct import_work **out,
		    struct hr_err *e) HR_MUST_USE;
void import_work_free(struct import_work *w);

/* Bytes of content stored anew, their compressed bytes, bytes that were here already. */
struct import_layer_sums {
	_Atomic uint64_t stored, packed, known;
};

/* SUMS is borrowed, and grows as the work goes on. */
struct import_layer_work *import_layer_work_new(struct import_work *w,
						struct import_layer_sums *sums);
/* Packs that were not published are discarded. */
void import_layer_work_free(struct import_layer_work *l);

/* Room for a chunk; waits while all of it is in use. NULL with *e filled. */
uint8_t *import_work_room(struct import_layer_work *l, struct hr_err *e);
/* Give room back unused. */
void import_work_drop(struct import_layer_work *l, uint8_t *room);
/* A chunk of N bytes in ROOM, which is given back. Packs hold chunks in the order of these calls.
 */
int import_work_chunk(struct import_layer_work *l, uint32_t ticket, uint8_t *room, uint32_t n,
		      struct hr_err *e) HR_MUST_USE;

/* Wait until all chunks of the layer are in packs, and sync these. */
int import_layer_work_wait(struct import_layer_work *l, struct hr_err *e) HR_MUST_USE;
/*
 * Publish the layer's packs, and wait until those of other layers that it refers to are.
 *
 * Called when the layer was verified; waits for nobody who waits for this layer.
 */
int import_layer_work_publish(struct import_layer_work *l, struct hr_err *e) HR_MUST_USE;

/*
 * The chunks of all layers, each once, and which of them each ticket of this layer is: what
 * store_layer_build_finish() wants. Borrowed; no other layer can go on until
 * import_layer_work_unlock().
 */
void import_layer_work_lock(struct import_layer_work *l, const uint32_t **chunk_of,
			    const struct store_chunk **chunks, uint32_t *n_chunks);
void import_layer_work_unlock(struct import_layer_work *l);
/* Append the location file of N chunks, by their numbers among all chunks. After publishing. */
void import_layer_work_loc(struct import_layer_work *l, const uint32_t *chunks, uint32_t n,
			   struct hr_buf *out);

#endif
