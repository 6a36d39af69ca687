/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gzip as it is written: bytes in, compressed bytes to a sink. The same bytes every time.
 *
 * For: layers that are sent to registries. Not for: reading (inflate.h).
 * Sequence: store_gzip_new(); store_gzip_add() (a fetch_sink); store_gzip_end();
 * store_gzip_free().
 */
#ifndef STORE_GZIP_OUT_H
#define STORE_GZIP_OUT_H

#include "fetch/fetch.h"

struct store_gzip;

struct store_gzip *store_gzip_new(fetch_sink *sink, void *arg);
/* Errors: what the sink returns. */
int store_gzip_add(void *gzip, const void *p, size_t n, struct hr_err *e) HR_MUST_USE;
int store_gzip_end(struct store_gzip *z, struct hr_err *e) HR_MUST_USE;
void store_gzip_free(struct store_gzip *z);

#endif
