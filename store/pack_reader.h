/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chunks out of the packs of a store on files, one after the other.
 *
 * For: commands that go through packs in their order: check, compact, export. Not for: a server,
 * which reads any chunk at any time and keeps what it read (chunks.h).
 * Sequence: _new(); _open() a pack and _read() its frames, over and over; _free().
 */
#ifndef STORE_PACK_READER_H
#define STORE_PACK_READER_H

#include "store/layout.h"

/* With room for one frame, about 1 MiB. Threads: one at a time. */
struct store_pack_reader;
struct store_pack_reader *store_pack_reader_new(const struct store *st);
void store_pack_reader_free(struct store_pack_reader *r);

/*
 * The pack that _read() reads from now on; the one that it reads already costs nothing.
 *
 * Errors:  those of store_object_open().
 */
int store_pack_reader_open(struct store_pack_reader *r, const struct fetch_digest *pack,
			   struct hr_err *e) HR_MUST_USE;

/*
 * Read the frame of LEN bytes at OFF and decompress it to want->bytes bytes at OUT.
 *
 * Owns:    *frame (FRAME may be NULL) is the frame as it lies in the pack, until the next _read().
 * Errors:  HR_CORRUPT, HR_SYS. Neither sum nor digest is looked at: store_frame_verify().
 */
int store_pack_reader_read(struct store_pack_reader *r, uint64_t off, uint32_t len,
			   const struct store_chunk *want, uint8_t *out, const uint8_t **frame,
			   struct hr_err *e) HR_MUST_USE;

#endif
