/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checked sizes and allocation, and numbers from text.
 *
 * For: every size, count or number that comes from outside. Small fixed allocations use
 * hr_xmalloc and friends, which abort when memory is gone (not under FUSE callbacks).
 */
#ifndef HR_MEM_H
#define HR_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* a + b or a * b into *out; false, *out untouched, when it does not fit in 64 bits. */
bool hr_add(uint64_t a, uint64_t b, uint64_t *out) HR_MUST_USE;
bool hr_mul(uint64_t a, uint64_t b, uint64_t *out) HR_MUST_USE;

/*
 * Allocate N zeroed elements of SIZE bytes, at most LIMIT bytes in all. NULL with *e filled
 * otherwise.
 *
 * Bounds:  N * SIZE of 0 gives one byte.
 * Owns:    the caller frees.
 * Errors:  HR_CORRUPT over LIMIT or overflow; HR_SYS out of memory.
 */
void *hr_alloc_bounded(uint64_t n, uint64_t size, uint64_t limit, struct hr_err *e) HR_MUST_USE;

/* malloc, realloc, strdup, asprintf that abort out of memory; the caller frees. */
void *hr_xmalloc(size_t n) HR_MUST_USE; /* zeroed */
void *hr_xrealloc(void *p, size_t n) HR_MUST_USE;
char *hr_xstrdup(const char *s) HR_MUST_USE;
char *hr_xstrndup(const char *s, size_t n) HR_MUST_USE;
char *hr_xasprintf(const char *fmt, ...) HR_PRINTF(1, 2) HR_MUST_USE;

/* The next of the words in *LIST, with any of SEPARATORS between, in a new string, and *LIST behind
 * it; NULL behind the last. An empty word is none. */
char *hr_next_word(const char **list, const char *separators) HR_MUST_USE;

/*
 * Room for one more element behind the N of an array that holds *CAP of SIZE bytes: P, or a larger
 * copy for which *CAP is set. An empty array is NULL with a *CAP of 0.
 */
void *hr_xgrow(void *p, size_t n, size_t *cap, size_t size) HR_MUST_USE;

/* The leading digits of S into *out; the first byte behind them, or NULL without digits or on
 * overflow. */
const char *hr_parse_digits(const char *s, uint64_t *out) HR_MUST_USE;

/*
 * Parse all of S as an unsigned decimal number in [MIN, MAX].
 *
 * Bounds:  no sign, no blank, no suffix, no empty string; leading zeros are accepted.
 * Errors:  HR_USAGE naming WHAT, the text and the bounds.
 */
int hr_parse_u64(const char *s, const char *what, uint64_t min, uint64_t max, uint64_t *out,
		 struct hr_err *e) HR_MUST_USE;

/* The same with an optional suffix K, M, G or T (powers of 1024), and an optional "iB" or "B"
 * behind it. */
int hr_parse_size(const char *s, const char *what, uint64_t min, uint64_t max, uint64_t *out,
		  struct hr_err *e) HR_MUST_USE;

/* Growing list of strings, each owned by the list. A zeroed struct is an empty list. */
struct hr_strv {
	char **v; /* NULL, or n strings and a NULL behind them */
	size_t n;
};
void hr_strv_add(struct hr_strv *l, const char *s); /* copies S */
void hr_strv_take(struct hr_strv *l, char *s);	    /* owns S from now on */
bool hr_strv_has(const struct hr_strv *l, const char *s);
void hr_strv_release(struct hr_strv *l);

#endif
