/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON as this program accepts it from strangers: bounded in depth and number of values, no
 * duplicate keys, no trailing bytes, no NUL in strings. Private to fetch/; pure.
 *
 * Getters below fail with HR_CORRUPT naming the key; WHAT is the document's name in messages.
 */
#ifndef FETCH_JSON_H
#define FETCH_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "util/err.h"
#include "util/mem.h"

#define FETCH_JSON_DEPTH 32

/*
 * Parse a document that must be an object.
 *
 * Bounds:  FETCH_JSON_DEPTH levels, 2^16 arrays and objects, 2^20 values: memory stays under about
 *          a hundred bytes for each value whatever the text is.
 * Owns:    *out; json_decref, or fetch_json_freep for HR_CLEANUP.
 * Errors:  HR_CORRUPT with line and column.
 */
int fetch_json_parse(const void *doc, size_t len, const char *what, json_t **out,
		     struct hr_err *e) HR_MUST_USE;
void fetch_json_freep(json_t **j);

/* A member; "missing" when it is absent or null. The result is borrowed from O. */
int fetch_json_object(const json_t *o, const char *key, json_t **out, struct hr_err *e) HR_MUST_USE;
int fetch_json_array(const json_t *o, const char *key, json_t **out, struct hr_err *e) HR_MUST_USE;
int fetch_json_string(const json_t *o, const char *key, const char **out,
		      struct hr_err *e) HR_MUST_USE;
/* An integer 0..2^63-1; 1.0 and "1" are none. */
int fetch_json_size(const json_t *o, const char *key, uint64_t *out, struct hr_err *e) HR_MUST_USE;

/* The same, but absent or null is fine and leaves NULL in *out. */
int fetch_json_string_opt(const json_t *o, const char *key, const char **out,
			  struct hr_err *e) HR_MUST_USE;
int fetch_json_object_opt(const json_t *o, const char *key, json_t **out,
			  struct hr_err *e) HR_MUST_USE;
/* An array of strings, copied to the end of *out; absent or null adds nothing. */
int fetch_json_strings_opt(const json_t *o, const char *key, struct hr_strv *out,
			   struct hr_err *e) HR_MUST_USE;

#endif
