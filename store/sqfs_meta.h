/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The metadata of a squashfs: inodes, directories, the ends of files, owners, xattrs. A pure parser
 * of hostile bytes: no I/O, each place and each count is checked before it is used.
 *
 * For: hpcrun-sqfs, by sqfs_index.c. Not for: the superblock and the data blocks (sqfs.h). The
 * export table is not read: nobody asks for a file by its number.
 * Sequence: store_sqfs_meta_open(); store_sqfs_inode_get() of super->root, and from there down by
 * store_sqfs_dir_open() and store_sqfs_dir_next(); store_sqfs_meta_close().
 * Source: Linux, Documentation/filesystems/squashfs.rst, fs/squashfs/squashfs_fs.h.
 */
#ifndef STORE_SQFS_META_H
#define STORE_SQFS_META_H

#include <stddef.h>
#include <stdint.h>

#include "store/sqfs.h"
#include "store/store.h"
#include "util/err.h"

#define STORE_SQFS_NONE	      0xffffffffu	  /* no fragment, no xattrs */
#define STORE_SQFS_XATTR_USER 0			  /* the first of the prefixes */
#define STORE_SQFS_TABLES_MAX (UINT64_C(1) << 30) /* bytes of all tables as they are stored */

struct store_sqfs_meta;

/*
 * Decompress the tables. P has the bytes of the file system from s->metadata to its end.
 *
 * Errors:  HR_CORRUPT naming the table and the place in the file system.
 * Owns:    P can go afterwards.
 */
int store_sqfs_meta_open(const struct store_sqfs_super *s, const uint8_t *p,
			 struct store_sqfs_meta **out, struct hr_err *e) HR_MUST_USE;
void store_sqfs_meta_close(struct store_sqfs_meta *m);
void store_sqfs_meta_closep(struct store_sqfs_meta **m);

/* Bytes of all inodes: what is read of them in all is not more, unless it is read twice. */
uint64_t store_sqfs_meta_inode_bytes(const struct store_sqfs_meta *m);

/* Whichever of the two forms it has; pointers are borrowed from the tables. */
struct store_sqfs_inode {
	uint32_t bytes;	 /* of the inode itself */
	uint32_t number; /* 1 to super->inodes */
	uint32_t mode;	 /* with the type of the file */
	uint32_t uid, gid, mtime;
	uint32_t dev;	       /* as in struct store_attr */
	uint32_t xattr;	       /* number of its set of xattrs, or STORE_SQFS_NONE */
	uint64_t size;	       /* of a file, a target, a listing; else 0 */
	const uint8_t *target; /* of a symlink, SIZE bytes */
	struct {
		uint64_t start;		/* of the first block */
		const uint8_t *sizes;	/* of the blocks, le32; of 0: a hole */
		uint32_t n;		/* number of blocks */
		uint32_t fragment, off; /* where the end of the file lies */
	} file;
	struct {
		uint32_t block, off;
	} dir;
};

/* AT names an inode, as super->root and directories do. Errors: HR_CORRUPT. */
int store_sqfs_inode_get(const struct store_sqfs_meta *m, uint64_t at, struct store_sqfs_inode *out,
			 struct hr_err *e) HR_MUST_USE;

/* A listing under way. */
struct store_sqfs_dir {
	const uint8_t *p;
	uint64_t left;	/* bytes */
	uint32_t run;	/* entries until the next header */
	uint32_t block; /* of their inodes */
};

struct store_sqfs_entry {
	struct store_string name; /* without a NUL behind it */
	uint64_t inode;
};

int store_sqfs_dir_open(const struct store_sqfs_meta *m, const struct store_sqfs_inode *inode,
			struct store_sqfs_dir *out, struct hr_err *e) HR_MUST_USE;
/* 1 and the next entry, 0 at the end. Errors: HR_CORRUPT; names of any bytes are given as is. */
int store_sqfs_dir_next(struct store_sqfs_dir *d, struct store_sqfs_entry *out,
			struct hr_err *e) HR_MUST_USE;

/* The block that gathers the ends of files; number is below super->fragments. */
struct store_sqfs_fragment {
	uint64_t off;
	uint32_t size; /* as stored; STORE_SQFS_UNCOMPRESSED */
};
struct store_sqfs_fragment store_sqfs_fragment_get(const struct store_sqfs_meta *m,
						   uint32_t number);

/* A set of xattrs under way. */
struct store_sqfs_xattrs {
	const struct store_sqfs_meta *m;
	uint64_t pos;
	uint32_t left;
};

struct store_sqfs_xattr {
	unsigned int prefix;	   /* STORE_SQFS_XATTR_USER and others */
	struct store_string name;  /* without the prefix, without a NUL behind it */
	struct store_string value; /* likewise */
};

/* The set NUMBER; none at all when the file system has no table of them, as Linux has it. */
int store_sqfs_xattrs_open(const struct store_sqfs_meta *m, uint32_t number,
			   struct store_sqfs_xattrs *out, struct hr_err *e) HR_MUST_USE;
/* 1 and the next xattr, 0 at the end. Errors: HR_CORRUPT. */
int store_sqfs_xattrs_next(struct store_sqfs_xattrs *x, struct store_sqfs_xattr *out,
			   struct hr_err *e) HR_MUST_USE;

#endif
