/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the file system lies in a SIF file: a pure parser of its header and its descriptors.
 *
 * For: running and importing .sif files. Not for: what is in the partition (sqfs_super.h), or
 * signatures, which are passed over.
 * Sequence: store_sif_is(); store_sif_table(); read that; store_sif_find().
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

#endif
