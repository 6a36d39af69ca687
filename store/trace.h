/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which chunks of an image a program touches first, in order: recorded by every run, replayed by
 * the next cold one.
 *
 * For: pager.h and whoever warms a node. Advice only: a wrong trace costs time, never correctness.
 * Sequence: store_trace_new(); store_trace_touch() from any thread; store_trace_write();
 * store_trace_free(). Source: hpcrun-store(5) TRACES.
 */
#ifndef STORE_TRACE_H
#define STORE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fetch/fetch.h"
#include "store/index.h"
#include "util/buf.h"
#include "util/err.h"

struct store_trace;

/* A trace of IX, which is borrowed, without a touch. */
struct store_trace *store_trace_new(const struct store_index *ix);
void store_trace_free(struct store_trace *t);
/* Note a touch; only the first of a chunk counts. Threads: any. */
void store_trace_touch(struct store_trace *t, uint32_t chunk);
/* How many chunks were touched. */
uint32_t store_trace_count(struct store_trace *t);
/* Those from number FROM on, in the order of their touch, into OUT, which has room for all chunks
 * of the image; returns how many. */
uint32_t store_trace_since(struct store_trace *t, uint32_t from, uint32_t *out);
/* Whether these are more than TENTHS tenths of the image, by the bytes of the chunks. */
bool store_trace_has(struct store_trace *t, unsigned int tenths);
/* Append the trace as a file. */
void store_trace_write(struct store_trace *t, struct hr_buf *out);

/* The name of the trace of an image and a program; PROGRAM is the last part of its path, "" for the
 * image's own. */
void store_trace_name(const struct fetch_digest *manifest, const char *program,
		      struct fetch_digest *out);

/* The image that the trace in LEN bytes at P is of. Errors: HR_CORRUPT it is no trace. */
int store_trace_manifest(const uint8_t *p, size_t len, struct fetch_digest *out,
			 struct hr_err *e) HR_MUST_USE;

/*
 * Read a trace of IX: *order receives *n chunk numbers, each once, all of them below the number of
 * chunks.
 *
 * Errors:  HR_CORRUPT, also when it is of another image.
 * Owns:    *order is the caller's.
 */
int store_trace_parse(const uint8_t *p, size_t len, const struct store_index *ix, uint32_t **order,
		      uint32_t *n, struct hr_err *e) HR_MUST_USE;

#endif
