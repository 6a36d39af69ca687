/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The uncompressed bytes of a layer, from the thread that makes them to the two that read them
 * side by side: one hashes them (DiffID), one reads the archive. A ring of blocks, so that nobody
 * copies and nobody runs ahead.
 *
 * Sequence, writer: store_import_pipe_room(), store_import_pipe_done() ...;
 * store_import_pipe_close(). Sequence, each reader: store_import_pipe_read() until *n is 0. Whoever
 * fails calls store_import_pipe_break().
 */
#ifndef STORE_IMPORT_PIPE_H
#define STORE_IMPORT_PIPE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum store_import_reader { IMPORT_READER_HASH, IMPORT_READER_ARCHIVE, IMPORT_READERS };

struct store_import_pipe;

struct store_import_pipe *store_import_pipe_new(void);
void store_import_pipe_free(struct store_import_pipe *p);

/* Room for the next bytes, *cap of them; waits for the slower reader. NULL when broken. */
uint8_t *store_import_pipe_room(struct store_import_pipe *p, size_t *cap);
void store_import_pipe_done(struct store_import_pipe *p, size_t n);
/* There is no more. */
void store_import_pipe_close(struct store_import_pipe *p);

/* Borrow the next bytes until the reader's next call; *n is 0 at the end. -1 when broken. */
int store_import_pipe_read(struct store_import_pipe *p, enum store_import_reader who,
			   const uint8_t **at, size_t *n);

/* Wake everybody up with a failure. */
void store_import_pipe_break(struct store_import_pipe *p);

#endif
