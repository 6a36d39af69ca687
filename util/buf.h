/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A growing byte buffer, for building documents and messages. A zeroed struct is an empty buffer.
 *
 * Not for: bulk data of unbounded size; out of memory aborts.
 * Sequence: struct hr_buf b = { 0 }; hr_buf_add(&b, ...); use b.p, b.len; hr_buf_release(&b).
 */
#ifndef HR_BUF_H
#define HR_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define hr_autobuf __attribute__((cleanup(hr_buf_release)))

struct hr_buf {
	uint8_t *p; /* len bytes, and always a NUL behind them once something was added */
	size_t len;
	size_t cap;
};

void hr_buf_reserve(struct hr_buf *b, size_t more); /* room for MORE bytes behind len */
void hr_buf_add(struct hr_buf *b, const void *p, size_t n);
void hr_buf_str(struct hr_buf *b, const char *s);
void hr_buf_printf(struct hr_buf *b, const char *fmt, ...) HR_PRINTF(2, 3);
void hr_buf_le(struct hr_buf *b, uint64_t v, unsigned int bytes); /* 1..8 bytes, little-endian */
void hr_buf_pad(struct hr_buf *b, size_t align); /* zeros up to a multiple of ALIGN */
void hr_buf_release(struct hr_buf *b);

/*
 * Append text that an image or a server chose, for a terminal or a log: bytes below 0x20, 0x7f, C1
 * codes and broken UTF-8 are written as \xNN, so nothing reaches the terminal as an escape.
 */
void hr_buf_untrusted(struct hr_buf *b, const char *s, size_t n);

#endif
