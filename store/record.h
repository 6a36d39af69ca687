/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text records of a store: references, blob aliases, image records. Pure parsers and writers.
 *
 * Source: hpcrun-store(5) TEXT RECORDS.
 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fetch/fetch.h"
#include "util/buf.h"
#include "util/err.h"

#define STORE_RECORD_LIMIT (1u << 20) /* bytes */

struct store_ref_record {
	struct fetch_digest manifest; /* for this platform */
	struct fetch_digest document; /* what the tag answered: the manifest, or an index */
	uint64_t pulled;	      /* seconds since 1970 */
	char *server;		      /* the host, or one of these: */
};
#define STORE_SERVER_FILES   "import" /* it came from files */
#define STORE_SERVER_UNKNOWN "-"

struct store_blob_record {
	struct fetch_digest layer; /* DiffID */
	uint64_t size;		   /* of the compressed blob */
};

struct store_record_layer {
	struct fetch_digest diff_id, blob;
};

struct store_image_record {
	struct fetch_digest index, config;
	char *created;			   /* as in the config, or "-" */
	uint64_t size;			   /* bytes of all regular files */
	uint64_t compressed;		   /* bytes of all blobs */
	uint64_t occupies;		   /* bytes of the frames of its chunks in this store */
	struct store_record_layer *layers; /* lowest first */
	size_t n_layers;
};

/*
 * Parse all N bytes at P: the keys in their order, each line ended, nothing behind.
 *
 * Errors:  HR_CORRUPT naming the line and what was expected.
 * Owns:    *out; the _release function frees it, also after an error.
 */
int store_ref_record_parse(const uint8_t *p, size_t n, struct store_ref_record *out,
			   struct hr_err *e) HR_MUST_USE;
/*
 * Whether its time and its server can be true at NOW, seconds since 1970; nothing that is read
 * depends on them.
 *
 * Errors:  HR_CORRUPT.
 */
int store_ref_record_check(const struct store_ref_record *r, uint64_t now,
			   struct hr_err *e) HR_MUST_USE;
int store_blob_record_parse(const uint8_t *p, size_t n, struct store_blob_record *out,
			    struct hr_err *e) HR_MUST_USE;
int store_image_record_parse(const uint8_t *p, size_t n, struct store_image_record *out,
			     struct hr_err *e) HR_MUST_USE;
void store_ref_record_release(struct store_ref_record *r);
void store_image_record_release(struct store_image_record *r);

/* Whether it came from a registry, which can be asked for it again. */
bool store_ref_record_is_fetched(const struct store_ref_record *r);

/* Append a record. Text that cannot stand in a line is written as "-". */
void store_ref_record_write(const struct store_ref_record *r, struct hr_buf *b);
void store_blob_record_write(const struct store_blob_record *r, struct hr_buf *b);
void store_image_record_write(const struct store_image_record *r, struct hr_buf *b);

#endif
