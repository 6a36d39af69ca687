/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An image with a large file, a node cache, and a maker of large files, for tests of these.
 *
 * Sequence: rig_setup_all() and rig_teardown_all() for the group; rig_setup() and rig_teardown()
 * for each test, which begins with an empty cache and a source that does all that it is asked.
 */
#ifndef TESTS_NATIVE_RIG_H
#define TESTS_NATIVE_RIG_H

#include "store/native.h"
#include "store/native_make.h"

#define MIB (1u << 20)

/* Inodes. /dir/big: MiB of chunk 0, MiB of hole, 5 bytes of chunk 1; /dir/small; /part: a part of
 * chunk 0. */
enum { ROOT, BIG, SMALL, PART, DIRECTORY };

struct rig {
	char top[64]; /* the cache's directory */
	struct store_cache *cache;
	struct store_index *ix;
	struct store_native_maker *maker;
	uint8_t chunk0[MIB];
	/* what the source was asked, and is to do: */
	unsigned int asked;   /* for so many chunks */
	unsigned int allowed; /* as many, before a stop */
	bool wrong;	      /* it tells another byte */
	uint32_t absent;      /* the chunk that it does not have */
};

extern struct rig rig;
extern const struct fetch_digest rig_manifest;
extern const uint8_t rig_chunk1[5];

int rig_setup_all(void **state);
int rig_teardown_all(void **state);
int rig_setup(void **state);
int rig_teardown(void **state);

/* The source of the maker, for makers of the test's own. */
const uint8_t *rig_content(uint32_t chunk, uint32_t *n);
bool rig_plain(void *arg, uint32_t chunk, uint8_t *out, uint32_t n);
bool rig_has(void *arg, uint32_t chunk);
bool rig_go_on(void *arg);

struct store_inode rig_inode(uint32_t ino);

/* ---- /dir/big ---- */

struct store_cache_file_want rig_big_want(void);
enum store_native_made rig_make_big(struct store_cache_file **f, struct hr_err *e);
/* The same, which must succeed. */
void rig_make_it(void);
enum store_cache_file_state rig_state(void);
/* The file with this ending, in the cache. */
void rig_path(const char *suffix, char out[256]);

#endif
