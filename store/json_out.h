/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What verbs print as JSON: members of what is being made, and its end on standard output. Not for:
 * reading JSON, which is fetch/'s.
 */
#ifndef STORE_JSON_OUT_H
#define STORE_JSON_OUT_H

#include <jansson.h>
#include <stdint.h>

#include "fetch/fetch.h"
#include "util/mem.h"

/* Set KEY; VALUE is taken. NULL: unknown, or text that is not UTF-8, which JSON cannot hold. */
void store_json_set(json_t *o, const char *key, json_t *value);
/* The same at the end of an array. */
void store_json_add(json_t *array, json_t *value);
/* Values for them. */
json_t *store_json_u64(uint64_t v);
json_t *store_json_digest(const struct fetch_digest *d);
json_t *store_json_strings(const struct hr_strv *l);

/* Print what is made, which is taken: for people to read, too; or as one line of many. */
void store_json_print(json_t *o);
void store_json_print_line(json_t *o);

#endif
