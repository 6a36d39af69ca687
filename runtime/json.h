/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Members of JSON documents that a site or a vendor wrote: typed, named in messages, and none that
 * is not known. Pure.
 *
 * Each getter fails with HR_CORRUPT naming the member. Absent is not null: null is refused.
 */
#ifndef RT_JSON_H
#define RT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "util/err.h"
#include "util/mem.h"

/*
 * Parse N bytes that must be an object, without duplicate members and trailing bytes.
 *
 * Owns:    *OUT is the caller's (json_auto_t, json_decref).
 * Errors:  HR_CORRUPT with line and column.
 */
int rt_json_parse(const uint8_t *p, size_t n, json_t **out, struct hr_err *e) HR_MUST_USE;

/* Refuse members of O that are not among KEYS (NULL-ended), with the nearest known one as hint. */
int rt_json_only(json_t *o, const char *const *keys, struct hr_err *e) HR_MUST_USE;

/* NULL in *OUT when it is absent; borrowed from O. */
int rt_json_object(json_t *o, const char *key, json_t **out, struct hr_err *e) HR_MUST_USE;
int rt_json_array(json_t *o, const char *key, json_t **out, struct hr_err *e) HR_MUST_USE;
int rt_json_string(json_t *o, const char *key, const char **out, struct hr_err *e) HR_MUST_USE;

/* The same, but it must be there; a string must not be empty. */
int rt_json_need_object(json_t *o, const char *key, json_t **out, struct hr_err *e) HR_MUST_USE;
int rt_json_need_array(json_t *o, const char *key, json_t **out, struct hr_err *e) HR_MUST_USE;
int rt_json_need_string(json_t *o, const char *key, const char **out, struct hr_err *e) HR_MUST_USE;

/* *OUT is left as it is when the member is absent. */
int rt_json_bool(json_t *o, const char *key, bool *out, struct hr_err *e) HR_MUST_USE;
int rt_json_u64(json_t *o, const char *key, uint64_t min, uint64_t max, uint64_t *out,
		struct hr_err *e) HR_MUST_USE;
/* An array of strings, added to *OUT. */
int rt_json_strings(json_t *o, const char *key, struct hr_strv *out, struct hr_err *e) HR_MUST_USE;

#endif
