/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The blob of a layer from where it is, inflated, read as an archive and cut into chunks, on the
 * fly.
 *
 * For: an import, which stores the chunks (import_layer.c), and a refill, which looks for some of
 * them (refill.c). What becomes of a chunk is the owner's to say.
 * Sequence: fill a struct store_import_stream; store_import_stream_run(); use the results;
 * store_import_rows_release() the rows.
 */
#ifndef STORE_IMPORT_STREAM_H
#define STORE_IMPORT_STREAM_H

#include <stdatomic.h>

#include "fetch/fetch.h"
#include "store/import_rows.h"
#include "store/import_source.h"

struct store_import_stream {
	const struct store_import_source *source;
	const struct fetch_descriptor *blob;
	uint64_t max_bytes;	 /* of the uncompressed layer */
	const atomic_bool *stop; /* or NULL; true: end soon */
	_Atomic uint64_t *got;	 /* or NULL; grows with the bytes of the blob */
	/* Where chunks go, as in cut.h; called by one thread, which is not the caller's. */
	uint8_t *(*room)(void *arg, struct hr_err *e);
	int (*chunk)(void *arg, uint32_t ticket, uint8_t *buf, uint32_t n, struct hr_err *e);
	void (*drop)(void *arg, uint8_t *buf);
	void *arg;

	/* results */
	struct store_import_rows rows;
	uint64_t plain_bytes; /* of the uncompressed layer */
	struct fetch_digest diff_id;
};

/*
 * Errors:  those of fetch_blob_get(); HR_CORRUPT naming what is wrong with the archive; what CHUNK
 *          or ROOM returned; HR_SYS EINTR when *stop became true.
 */
int store_import_stream_run(struct store_import_stream *s, struct hr_err *e) HR_MUST_USE;

#endif
