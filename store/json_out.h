/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What verbs print as JSON: members of an object that is being made, and the whole. Not for:
 * reading JSON, which is fetch/'s.
 */
#ifndef STORE_JSON_OUT_H
#define STORE_JSON_OUT_H

#include <jansson.h>
#include <stdint.h>

#include "fetch/fetch.h"

/* Set KEY; VALUE is taken. NULL: unknown, or text that is not UTF-8, which JSON cannot hold. */
void store_json_set(json_t *o, const char *key, json_t *value);
/* Values for it. */
json_t *store_json_u64(uint64_t v);
json_t *store_json_digest(const struct fetch_digest *d);

/* Print a value on stdout: for people to read, too, or, of a stream of them, as one line. */
void store_json_print(const json_t *v);
void store_json_print_line(const json_t *v);

#endif
