/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All chunks that an import has met, each once, and in which pack each lies; for import_work.c,
 * which does the locking.
 */
#ifndef STORE_IMPORT_CHUNKS_H
#define STORE_IMPORT_CHUNKS_H

#include <stdbool.h>

#include "store/loc.h"
#include "store/store.h"

struct store_import_chunks;

struct store_import_chunks *store_import_chunks_new(void);
void store_import_chunks_free(struct store_import_chunks *c);

/*
 * The number of a chunk. *fresh: nobody has it, the caller has to store it and then place it.
 *
 * KNOWN and IN (NULL: none) say where a pack that was there before has it.
 */
uint32_t store_import_chunks_add(struct store_import_chunks *c, const struct store_chunk *chunk,
				 const struct store_loc_chunk *known,
				 const struct store_loc_pack *in, bool *fresh);
/* Say where a fresh chunk lies; where->pack is a number of store_import_chunks_add_pack(). */
void store_import_chunks_place(struct store_import_chunks *c, uint32_t id,
			       const struct store_loc_chunk *where);

/* A pack that is being written; and its name, when it was published. */
uint32_t store_import_chunks_add_pack(struct store_import_chunks *c);
void store_import_chunks_publish_pack(struct store_import_chunks *c, uint32_t pack,
				      const struct store_loc_pack *name);

/* Does chunk ID lie in a published pack? */
bool store_import_chunks_ready(const struct store_import_chunks *c, uint32_t id);
/* All of them; borrowed until the next one is added. */
const struct store_chunk *store_import_chunks_all(const struct store_import_chunks *c, uint32_t *n);
/* Append the location file of N chunks that are ready. */
void store_import_chunks_loc(const struct store_import_chunks *c, const uint32_t *ids, uint32_t n,
			     struct hr_buf *out);

#endif
