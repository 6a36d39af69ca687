/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the file system lies in a SIF file: a pure parser of its header and its descriptors.
 *
 * For: running and importing .sif files, and telling what is in one. Not for: what is in the
 * partition (sqfs.h), or whether a signature is right: that nobody here checks.
 * Sequence: store_sif_is(); store_sif_table(); read that; store_sif_find(), or
 * store_sif_object_get() for each row.
 * Source: SIF specification, github.com/apptainer/sif, pkg/sif: "Header", "rawDescriptor".
 */
#ifndef STORE_SIF_H
#define STORE_SIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define STORE_SIF_HEADER_BYTES	   128
#define STORE_SIF_DESCRIPTOR_BYTES 585
#define STORE_SIF_KEY_BYTES	   20
#define STORE_SIF_DESCRIPTORS_MAX  4096 /* Apptainer writes 48 */

/* Whether the N bytes at P are the beginning of a SIF file. */
bool store_sif_is(const uint8_t *p, size_t n);

/* A place in the file. */
struct store_sif_span {
	uint64_t off, len;
};

/*
 * Where the descriptors are, from the header: N bytes at P, of a file of FILE_BYTES.
 *
 * Errors:  HR_CORRUPT: another version, counts or places that cannot be.
 */
int store_sif_table(const uint8_t *p, size_t n, uint64_t file_bytes, struct store_sif_span *out,
		    struct hr_err *e) HR_MUST_USE;

/*
 * The primary system partition among the N bytes of descriptors at P, a squashfs for ARCH, as in
 * OCI ("amd64").
 *
 * Errors:  HR_CORRUPT naming the descriptor: it lies outside the file, there is none or there are
 *          two; HR_USAGE it is encrypted, or no squashfs, or for another machine, with a hint.
 */
int store_sif_find(const uint8_t *p, size_t n, uint64_t file_bytes, const char *arch,
		   struct store_sif_span *out, struct hr_err *e) HR_MUST_USE;

/* What a descriptor says, but for the partition's own words. */
struct store_sif_object {
	uint32_t type, id;
	uint32_t group; /* 0: none */
	struct store_sif_span at;
	char name[129];
	bool primary; /* the partition that is run */
	/* of signatures: */
	uint32_t of_object, of_group; /* one of them, or 0 */
	uint32_t hash;
	uint8_t key[STORE_SIF_KEY_BYTES]; /* fingerprint; zeros: not said */
};

/*
 * Object I of the N bytes of descriptors at P: 1, or 0 when its row is not in use.
 *
 * Errors:  HR_CORRUPT it lies outside the file.
 */
int store_sif_object_get(const uint8_t *p, size_t n, uint64_t file_bytes, size_t i,
			 struct store_sif_object *out, struct hr_err *e) HR_MUST_USE;
/* Whether a signature is one of an object. */
bool store_sif_signs(const struct store_sif_object *signature, const struct store_sif_object *o);
/* In the words of Apptainer; "unknown" when it is. */
const char *store_sif_type_name(const struct store_sif_object *o);
const char *store_sif_hash_name(const struct store_sif_object *signature);

#endif
