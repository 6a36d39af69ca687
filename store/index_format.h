/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the fields of an image index stand, for its reader and its builder; hpcrun-store(5) is
 * normative.
 */
#ifndef STORE_INDEX_FORMAT_H
#define STORE_INDEX_FORMAT_H

#define INDEX_MAGIC "hpcrIMG1"

enum { /* the header */
       INDEX_H_INODES = 8,
       INDEX_H_ENTRIES = 12,
       INDEX_H_EXTENTS = 16,
       INDEX_H_CHUNKS = 20,
       INDEX_H_XATTRS = 24,
       INDEX_H_CONFIG_BYTES = 28,
       INDEX_H_HEAP_BYTES = 32,
       INDEX_H_FILE_BYTES = 40,
       INDEX_H_MANIFEST = 48,
       INDEX_H_CONFIG = 80,
       INDEX_H_ZERO = 112,
       INDEX_HEADER_BYTES = 128,
};

enum {
	INODE_MODE = 0,
	INODE_NLINK = 4,
	INODE_SIZE = 8,
	INODE_MTIME = 16,
	INODE_MTIME_NS = 24,
	INODE_UID = 28,
	INODE_GID = 32,
	INODE_FIRST = 36,
	INODE_COUNT = 40,
	INODE_PARENT = 44,
	INODE_FIRST_XATTR = 48,
	INODE_N_XATTRS = 52,
	INODE_DEV = 56,
	INODE_ZERO = 60,
	INDEX_INODE_BYTES = 64,
};

enum { ENTRY_NAME = 0, ENTRY_INODE = 4, INDEX_ENTRY_BYTES = 8 };

enum { EXTENT_FILE_OFF = 0, EXTENT_CHUNK = 8, EXTENT_CHUNK_OFF = 12, INDEX_EXTENT_BYTES = 16 };

enum {
	CHUNK_DIGEST = 0,
	CHUNK_CRC = 32,
	CHUNK_SIZE = 40,
	CHUNK_ZERO = 44,
	INDEX_CHUNK_BYTES = 48,
};

enum { XATTR_NAME = 0, XATTR_VALUE = 4, XATTR_ZERO = 8, INDEX_XATTR_BYTES = 16 };

#endif
