/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A YAML document as JSON values, for files that vendors' tools write in either. Pure.
 *
 * The JSON-like part of YAML only: one document, no anchors, aliases or tags, and keys that are
 * strings and not duplicated. Plain words are null, booleans and decimal integers as YAML 1.2's
 * core schema has them; any other word is a string.
 */
#ifndef RT_YAML_H
#define RT_YAML_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "util/err.h"

#define RT_YAML_DEPTH 32

/*
 * Parse N bytes that must be a mapping.
 *
 * Bounds:  RT_YAML_DEPTH levels.
 * Owns:    *OUT is the caller's (json_auto_t, json_decref).
 * Errors:  HR_CORRUPT with the line.
 */
int rt_yaml_parse(const uint8_t *p, size_t n, json_t **out, struct hr_err *e) HR_MUST_USE;

#endif
