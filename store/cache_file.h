/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large files in the node cache, each a file of its own that looks to stat(2) as the image says, so
 * that a session can mount it over its path.
 *
 * For: hpcrun-serve. Not for: knowing what is in the file; the caller verifies what it writes, and
 * what is there from an earlier boot. A file gets its name when it is whole and on disk. Beside it
 * lies its seal: which boot the content was verified in, and how far a file that is being made has
 * come. Who uses a file holds a lock on the seal, so does who makes it.
 *
 * Sequence: store_cache_file_open(). WHOLE: use it. Else, to make it: store_cache_file_claim(),
 * whose answer says what is to be done: OLD store_cache_file_read() and verify all; NONE
 * store_cache_file_begin(), store_cache_file_write(); in the end store_cache_file_finish(), or
 * store_cache_file_discard() when it is wrong; store_cache_file_close().
 * Source: hpcrun-store(5) NODE CACHE.
 */
#ifndef STORE_CACHE_FILE_H
#define STORE_CACHE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fetch/fetch.h"
#include "store/cache.h"
#include "util/err.h"

#define STORE_CACHE_FILE_PATH (FETCH_DIGEST_HEX + 16) /* room for "files/AB/HEX" */

/* What a file is to be. */
struct store_cache_file_want {
	struct fetch_digest name;
	uint64_t size;
	int64_t mtime;
	uint32_t mtime_ns;
	uint32_t mode; /* permission bits */
};

enum store_cache_file_state {
	STORE_CACHE_FILE_NONE,	/* not there, or not all of it */
	STORE_CACHE_FILE_OLD,	/* there, not verified since the node was booted */
	STORE_CACHE_FILE_WHOLE, /* there, and good */
	STORE_CACHE_FILE_TAKEN	/* another process makes it */
};

struct store_cache_file;

/*
 * Whether files of this cache can be mounted into a container and executed there.
 *
 * Errors:  HR_DENIED, saying what is in the way.
 */
int store_cache_file_can(struct store_cache *c, struct hr_err *e) HR_MUST_USE;

/*
 * Open a file; while it is open no process evicts it. MAKE: its seal is made if it is not there.
 *
 * A file that is not as it should be is reported and removed; its state is NONE then.
 * Errors:  HR_NOTFOUND it is not there, without MAKE; HR_DENIED it is there for another group of
 *          the user; HR_SYS.
 */
int store_cache_file_open(struct store_cache *c, const struct store_cache_file_want *want,
			  bool make, struct store_cache_file **out, struct hr_err *e) HR_MUST_USE;
/*
 * Open what is there under NAME, or of one whose chunks come in any order, for reading alone,
 * whatever it was to be: all that is read of it has to be verified.
 *
 * Errors:  HR_NOTFOUND; HR_SYS.
 */
int store_cache_file_open_named(struct store_cache *c, const struct fetch_digest *name,
				struct store_cache_file **out, struct hr_err *e) HR_MUST_USE;
void store_cache_file_close(struct store_cache_file *f);
void store_cache_file_closep(struct store_cache_file **f);

enum store_cache_file_state store_cache_file_state(const struct store_cache_file *f);
/* What it is called; borrowed. */
const struct fetch_digest *store_cache_file_name(const struct store_cache_file *f);
/* Below the directory of the cache; borrowed. */
const char *store_cache_file_path(const struct store_cache_file *f);
/* Device and inode number of a file that is there. */
void store_cache_file_identity(const struct store_cache_file *f, uint64_t *dev, uint64_t *ino);

/*
 * Claim the making or verifying for this process and look again at what there is. Anything but
 * NONE and OLD means that there is nothing to do. The claim ends with store_cache_file_close().
 *
 * Errors:  as of store_cache_file_open().
 */
int store_cache_file_claim(struct store_cache_file *f, enum store_cache_file_state *state,
			   struct hr_err *e) HR_MUST_USE;

/*
 * Begin a file, or go on with one that a process left behind since the node was booted: *done
 * bytes are there and verified.
 *
 * Errors:  HR_SYS, ENOSPC among them: room for all of it is taken now.
 */
int store_cache_file_begin(struct store_cache_file *f, uint64_t *done,
			   struct hr_err *e) HR_MUST_USE;
int store_cache_file_write(struct store_cache_file *f, uint64_t off, const void *p, size_t n,
			   struct hr_err *e) HR_MUST_USE;
/*
 * Begin a file of which the chunks come in any order. Those that are written can be read at once,
 * through references of their packs: what is there stays when it is not finished.
 *
 * Errors:  as of store_cache_file_begin(); HR_SYS, EEXIST: there is such a one already.
 */
int store_cache_file_begin_loose(struct store_cache_file *f, struct hr_err *e) HR_MUST_USE;
/* All below DONE is written. */
int store_cache_file_done(struct store_cache_file *f, uint64_t done, struct hr_err *e) HR_MUST_USE;
int store_cache_file_read(struct store_cache_file *f, uint64_t off, void *p, size_t n,
			  struct hr_err *e) HR_MUST_USE;

/*
 * All is written, or verified: bring it to the disk and give it its name and seal. It is WHOLE
 * then.
 *
 * Errors:  HR_DENIED this file system cannot hold it as it should look; HR_SYS.
 */
int store_cache_file_finish(struct store_cache_file *f, struct hr_err *e) HR_MUST_USE;
void store_cache_file_discard(struct store_cache_file *f);

#endif
