/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of HTTP headers that servers send. Private to fetch/. */
#ifndef FETCH_HEADER_H
#define FETCH_HEADER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Retry-After: seconds or an HTTP date seen from NOW; false when it is neither.
 * Capped at 10 min. */
bool fetch_retry_after_parse(const char *s, time_t now, uint64_t *ms);

/* Content-Range "bytes FIRST-LAST/TOTAL"; false when it is anything else. */
struct fetch_range {
	uint64_t first, last, total;
};
bool fetch_range_parse(const char *s, struct fetch_range *out);

/* The TOTAL of "bytes * / TOTAL" without the blanks, as it comes with a 416; else 0. S may be
 * NULL. */
uint64_t fetch_unsatisfied_total(const char *s);

/*
 * Range of an upload that was broken off: "0-1023", 1024 bytes are there; NULL: none. False when it
 * is anything else.
 */
bool fetch_upload_range_parse(const char *s, uint64_t *bytes);

#endif
