/* SPDX-License-Identifier: BSD-3-Clause */
/* The numbers of hpcrun-store(5) LAYER INDEX, for layer.c and layer_build.c alone. */
#ifndef STORE_LAYER_FORMAT_H
#define STORE_LAYER_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define LAYER_MAGIC	   "hpcrLAY1"
#define LAYER_HEADER	   128
#define LAYER_ENTRY_BYTES  64
#define LAYER_EXTENT_BYTES 16
#define LAYER_CHUNK_BYTES  48
#define LAYER_XATTR_BYTES  16
#define LAYER_CRC_AT	   72 /* of the check sum, in the header */

/* The check sum of the N bytes at P but for its own 8. */
uint64_t store_layer_crc(const uint8_t *p, size_t n);

#endif
