/* SPDX-License-Identifier: BSD-3-Clause */
/* The numbers of hpcrun-store(5) LAYER INDEX, for layer.c and layer_build.c alone. */
#ifndef STORE_LAYER_FORMAT_H
#define STORE_LAYER_FORMAT_H

#define LAYER_MAGIC	   "hpcrLAY1"
#define LAYER_HEADER	   128
#define LAYER_ENTRY_BYTES  64
#define LAYER_EXTENT_BYTES 16
#define LAYER_CHUNK_BYTES  48
#define LAYER_XATTR_BYTES  16

#endif
