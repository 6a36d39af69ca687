/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Image indexes for tests of those who read them. Append one to an empty buffer, and parse it.
 */
#ifndef TESTS_UNIT_INDEX_SAMPLE_H
#define TESTS_UNIT_INDEX_SAMPLE_H

#include "store/index.h"
#include "util/buf.h"

#define INDEX_SAMPLE_CONFIG "{\"os\":\"linux\"}"

extern const struct fetch_digest index_sample_manifest, index_sample_config;

/*
 * The image most tests use:
 *   0 /            4 entries
 *   1 /bin -> usr/bin
 *   2 /data        3 MiB: 1 MiB of chunk 0, 1 MiB of hole, 1 MiB of chunk 1; two xattrs
 *   3 /empty       no extents
 *   4 /usr         1 entry
 *   5 /usr/bin     2 entries: env (6) and data (2, a hardlink)
 *   6 /usr/bin/env 100 bytes in chunk 2 at 50
 */
void index_sample(struct hr_buf *out);

/* The same with /above -> ../../data, /absolute -> /usr//bin, /loop -> ./loop; without /empty. */
void index_sample_links(struct hr_buf *out);

/* End an index that B builds. */
void index_sample_finish(struct store_index_builder *b, struct hr_buf *out);

/* What is no index fails the test. */
struct store_index *index_sample_parse(const struct hr_buf *b);

#endif
