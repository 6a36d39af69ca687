/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the fields of a SIF file stand, for its reader (sif.c) and its writer (sif_write.c). */
#ifndef STORE_SIF_FORMAT_H
#define STORE_SIF_FORMAT_H

#define SIF_LAUNCH  "#!/usr/bin/env run-singularity\n" /* and a NUL */
#define SIF_MAGIC   "SIF_MAGIC"			       /* and a NUL */
#define SIF_VERSION "01"			       /* and a NUL */

enum { /* the header */
       SIF_H_LAUNCH = 0,
       SIF_H_MAGIC = 32,
       SIF_H_VERSION = 42,
       SIF_H_ARCH = 45,
       SIF_H_UUID = 48,
       SIF_H_CREATED = 64,
       SIF_H_MODIFIED = 72,
       SIF_H_FREE = 80,
       SIF_H_TOTAL = 88,
       SIF_H_TABLE_OFF = 96,
       SIF_H_TABLE_LEN = 104,
       SIF_H_DATA_OFF = 112,
       SIF_H_DATA_LEN = 120,
};

enum { /* a descriptor */
       SIF_D_TYPE = 0,
       SIF_D_USED = 4,
       SIF_D_ID = 5,
       SIF_D_GROUP = 9,
       SIF_D_LINK = 13,
       SIF_D_OFF = 17,
       SIF_D_LEN = 25,
       SIF_D_LEN_PADDED = 33,
       SIF_D_CREATED = 41,
       SIF_D_MODIFIED = 49,
       SIF_D_NAME = 73,
       SIF_D_FS = 201, /* the rest is of partitions */
       SIF_D_PART = 205,
       SIF_D_ARCH = 209,
       SIF_D_HASH = 201, /* the rest is of signatures */
       SIF_D_KEY = 205,
};

#define SIF_TYPE_FIRST	   0x4001u
#define SIF_TYPE_PARTITION 0x4004u
#define SIF_TYPE_SIGNATURE 0x4005u
#define SIF_GROUP_NONE	   0xf0000000u
#define SIF_GROUP_ONE	   0xf0000001u /* the first group; 0xf0000000 alone: none */

enum { SIF_FS_SQUASHFS = 1, SIF_FS_EXT3, SIF_FS_ARCHIVE, SIF_FS_RAW, SIF_FS_ENCRYPTED };
enum { SIF_PART_SYSTEM = 1, SIF_PART_PRIMARY, SIF_PART_DATA, SIF_PART_OVERLAY };

/* The architectures of SIF, by number from "00", as OCI calls them. */
#define SIF_ARCHES                                                                                 \
	{                                                                                          \
		"unknown", "386", "amd64", "arm", "arm64", "ppc64", "ppc64le", "mips", "mipsle",   \
			"mips64", "mips64le", "s390x", "riscv64"                                   \
	}

#endif
