/* SPDX-License-Identifier: BSD-3-Clause */
/* The head of a SIF file with one partition; pure. Source: as sif.h. */
#ifndef STORE_SIF_WRITE_H
#define STORE_SIF_WRITE_H

#include <stdint.h>

#include "util/buf.h"

#define STORE_SIF_DATA_OFF 32768u /* where the partition begins, as Apptainer has it */

/*
 * Append all that stands before the partition, STORE_SIF_DATA_OFF bytes: PARTITION_BYTES of
 * squashfs for ARCH, as in OCI, made at NOW, named by the 16 bytes of UUID.
 */
void store_sif_write(uint64_t partition_bytes, const char *arch, int64_t now,
		     const uint8_t uuid[16], struct hr_buf *out);

#endif
