/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/foresee.h"

#include <elf.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define PART   4096u /* bytes of a chunk; a file of two has two */
#define WAIT_S 20

/* A library with more: three chunks amid its code and at its end, and holes elsewhere. */
#define BIG	   (512u << 10)
#define CALLED	   (320u << 10) /* near a function that is called by a constructor */
#define NAMED	   (416u << 10) /* a function whose address a constructor takes */
#define DATA	   (BIG - PART) /* what can be written */
#define CODE_END   (448u << 10)
#define INIT_LIST  (PART + 1024)
#define INIT_CODE  (PART + 2048)
#define BIG_CALLED (2 * INODES)
#define BIG_NAMED  (2 * INODES + 1)
#define BIG_DATA   (2 * INODES + 2)
#define CHUNKS	   (2 * INODES + 3)

/* The tree, by inode number; the first chunk of file I is 2 * I, the second 2 * I + 1. */
enum {
	ROOT,
	LIB,
	LIB_A,	    /* needs libb.so and libnowhere.so */
	LIB_B_LINK, /* libb.so -> libb.so.1 */
	LIB_B,
	LIB_BIG,
	OTHER,
	LIB_C, /* in a directory that is not a usual one */
	USER,
	BIN,
	PROGRAM, /* usr/bin/program: needs libc2.so, which is in OTHER */
	SITE,
	LONE,
	LONE_CACHE,
	LONE_MODULE,
	INODES
};

static const struct node {
	uint32_t parent;
	const char *name; /* sorted in each directory */
	mode_t type;
	const char *target; /* or what an ELF file needs, two names at most, with a space between */
} nodes[INODES] = {
	[ROOT] = { ROOT, "", S_IFDIR, NULL },
	[LIB] = { ROOT, "lib", S_IFDIR, NULL },
	[LIB_A] = { LIB, "liba.so", S_IFREG, "libb.so libnowhere.so" },
	[LIB_B_LINK] = { LIB, "libb.so", S_IFLNK, "libb.so.1" },
	[LIB_B] = { LIB, "libb.so.1", S_IFREG, "" },
	[LIB_BIG] = { LIB, "libbig.so", S_IFREG, "" },
	[OTHER] = { ROOT, "other", S_IFDIR, NULL },
	[LIB_C] = { OTHER, "libc2.so", S_IFREG, "" },
	[USER] = { ROOT, "usr", S_IFDIR, NULL },
	[BIN] = { USER, "bin", S_IFDIR, NULL },
	[PROGRAM] = { BIN, "program", S_IFREG, "libc2.so" },
	[SITE] = { ROOT, "zsite", S_IFDIR, NULL },
	[LONE] = { SITE, "zone", S_IFDIR, NULL },
	[LONE_CACHE] = { LONE, "__pycache__", S_IFDIR, NULL },
	[LONE_MODULE] = { LONE_CACHE, "z.pyc", S_IFREG, NULL },
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool asked[CHUNKS];
static bool soon[CHUNKS];
static struct store_index *ix;
static struct hr_buf bytes;

/* ---- the source ---- */

static void fetch(void *arg, const uint32_t *chunk, size_t n, size_t n_soon)
{
	(void)arg;
	HR_BUG_ON(n_soon > n);
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n; i++) {
		asked[chunk[i]] = true;
		soon[chunk[i]] = soon[chunk[i]] || i < n_soon;
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void put_tag(uint8_t *p, uint64_t tag, uint64_t value)
{
	hr_le64_put(p, tag);
	hr_le64_put(p + 8, value);
}

/* A library of 2 * PART bytes, with its dynamic section in the second half and strings at 512. */
static void make_elf(const char *needs, uint8_t *out)
{
	const struct {
		uint32_t type, flags;
		uint64_t off, len;
	} segments[] = { { PT_LOAD, PF_R, 0, 2 * PART }, { PT_DYNAMIC, PF_R, PART, 128 } };
	const char *second = strchr(needs, ' ');
	uint8_t *p = out + PART;

	memcpy(out, ELFMAG, SELFMAG);
	out[EI_CLASS] = ELFCLASS64;
	out[EI_DATA] = ELFDATA2LSB;
	hr_le16_put(out + 16, ET_DYN);
	hr_le64_put(out + 32, 64);
	hr_le16_put(out + 54, 56);
	hr_le16_put(out + 56, HR_COUNT(segments));
	for (size_t i = 0; i < HR_COUNT(segments); i++) {
		hr_le32_put(out + 64 + 56 * i, segments[i].type);
		hr_le32_put(out + 64 + 56 * i + 4, segments[i].flags);
		hr_le64_put(out + 64 + 56 * i + 8, segments[i].off);
		hr_le64_put(out + 64 + 56 * i + 16, segments[i].off);
		hr_le64_put(out + 64 + 56 * i + 32, segments[i].len);
	}
	memcpy(out + 512, needs, strlen(needs) + 1);
	put_tag(p, DT_STRTAB, 512);
	put_tag(p += 16, DT_STRSZ, 512);
	if (needs[0])
		put_tag(p += 16, DT_NEEDED, 0);
	if (second) {
		out[512 + (second - needs)] = '\0';
		put_tag(p + 16, DT_NEEDED, (uint64_t)(second + 1 - needs));
	}
}

static void put_segment(uint8_t *out, unsigned int i, uint32_t flags, uint64_t off, uint64_t end)
{
	uint8_t *p = out + 64 + 56 * (size_t)i;

	hr_le32_put(p, PT_LOAD);
	hr_le32_put(p + 4, flags);
	hr_le64_put(p + 8, off);
	hr_le64_put(p + 16, off);
	hr_le64_put(p + 32, end - off);
	hr_le16_put(out + 56, (uint16_t)(i + 1));
}

/* Two constructors, the first of which calls a function far away; the second goes on elsewhere. */
static void make_big(uint8_t *out)
{
	uint8_t *p = out + PART + 32; /* behind what make_elf() says */

	make_elf("", out);
	hr_le16_put(out + 18, EM_X86_64);
	put_segment(out, 2, PF_R | PF_X, PART, CODE_END);
	put_segment(out, 3, PF_R | PF_W, DATA, BIG);
	put_tag(p, DT_INIT_ARRAY, INIT_LIST);
	put_tag(p + 16, DT_INIT_ARRAYSZ, 16);
	hr_le64_put(out + INIT_LIST, INIT_CODE + 64);
	hr_le64_put(out + INIT_LIST + 8, INIT_CODE);
	out[INIT_CODE + 7] = 0xe8; /* call */
	hr_le32_put(out + INIT_CODE + 8, CALLED - (40u << 10) - (INIT_CODE + 12));
	memcpy(out + INIT_CODE + 64, "\xe9\x3b\0\0\0\x90", 6); /* jmp, 64 bytes from its begin */
	memcpy(out + INIT_CODE + 128, "\x48\x8d\x3d", 3);      /* lea */
	hr_le32_put(out + INIT_CODE + 131, NAMED - (INIT_CODE + 135));
}

static bool bring(void *arg, uint32_t chunk, uint8_t *out)
{
	const struct node *n = &nodes[chunk / 2];
	uint8_t elf[2 * PART] = { 0 };

	(void)arg;
	HR_BUG_ON(n->type != S_IFREG); /* nothing else is looked into */
	if (n == &nodes[LIB_BIG])
		make_big(elf);
	else if (n->target)
		make_elf(n->target, elf);
	memcpy(out, elf + (chunk % 2 ? PART : 0), PART);
	return true;
}

/* Until somebody has asked for a chunk. */
static void wait_for(uint32_t chunk)
{
	struct timespec until;
	bool got;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&lock);
	while (!asked[chunk] && pthread_cond_timedwait(&changed, &lock, &until) == 0)
		;
	got = asked[chunk];
	pthread_mutex_unlock(&lock);
	if (!got)
		fail_msg("chunk %u of '%s' is not asked for", chunk % 2, nodes[chunk / 2].name);
}

static void assert_not_asked(uint32_t ino)
{
	bool got;

	pthread_mutex_lock(&lock);
	got = asked[2 * (size_t)ino];
	pthread_mutex_unlock(&lock);
	assert_false(got);
}

/* ---- the tree ---- */

static void add_big(struct store_index_builder *b, struct store_inode *inode)
{
	(void)store_index_builder_extent(b, 2 * PART, STORE_HOLE, 0);
	(void)store_index_builder_extent(b, CALLED, BIG_CALLED, 0);
	(void)store_index_builder_extent(b, CALLED + PART, STORE_HOLE, 0);
	(void)store_index_builder_extent(b, NAMED, BIG_NAMED, 0);
	(void)store_index_builder_extent(b, NAMED + PART, STORE_HOLE, 0);
	(void)store_index_builder_extent(b, DATA, BIG_DATA, 0);
	inode->count += 6;
	inode->size = BIG;
}

static int build(void **state)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	struct fetch_digest digest = { { 0 } };
	struct store_inode inodes[INODES] = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	for (uint32_t i = 0; i < CHUNKS; i++) {
		hr_le32_put(digest.b, i);
		(void)store_index_builder_chunk(b, &digest, 0, PART);
	}
	for (uint32_t i = 0; i < INODES; i++) {
		const struct node *n = &nodes[i];

		inodes[i] = (struct store_inode) { .mode = n->type | 0755, .nlink = 1 };
		inodes[i].parent = n->type == S_IFDIR ? n->parent : 0;
		for (uint32_t k = 1; k < INODES; k++)
			if (n->type == S_IFDIR && nodes[k].parent == i) {
				uint32_t at = store_index_builder_entry(b, nodes[k].name,
									strlen(nodes[k].name), k);

				if (inodes[i].count++ == 0)
					inodes[i].first = at;
			}
		if (n->type == S_IFLNK) {
			inodes[i].first =
				store_index_builder_string(b, n->target, strlen(n->target));
			inodes[i].size = strlen(n->target);
		}
		if (n->type == S_IFREG) {
			inodes[i].first = store_index_builder_extent(b, 0, 2 * i, 0);
			(void)store_index_builder_extent(b, PART, 2 * i + 1, 0);
			inodes[i].count = 2;
			inodes[i].size = 2 * PART;
			if (i == LIB_BIG)
				add_big(b, &inodes[i]);
		}
		store_index_builder_inode(b, &inodes[i]);
	}
	assert_int_equal(store_index_builder_finish(b, &digest, &digest, "{}", 2, &bytes, &e), 0);
	assert_int_equal(store_index_parse(bytes.p, bytes.len, &ix, &e), 0);
	return 0;
}

static struct store_foresee *start(void)
{
	const struct store_foresee_source from = { fetch, bring, NULL };
	struct store_foresee *f = store_foresee_start(ix, &from);

	pthread_mutex_lock(&lock);
	memset(asked, 0, sizeof(asked));
	memset(soon, 0, sizeof(soon));
	pthread_mutex_unlock(&lock);
	assert_non_null(f);
	return f;
}

static void test_library_brings_what_it_needs(void **state)
{
	struct store_foresee *f = start();

	(void)state;
	store_foresee_loaded(f, LIB_A);
	wait_for(2 * LIB_A);
	wait_for(2 * LIB_A + 1);
	wait_for(2 * LIB_B); /* through a link */
	wait_for(2 * LIB_B + 1);
	assert_not_asked(LIB_C);
}

/* What is read while libraries are mapped comes before what is read when they are started. */
static void test_constructors(void **state)
{
	struct store_foresee *f = start();

	(void)state;
	store_foresee_loaded(f, LIB_BIG);
	wait_for(BIG_CALLED);
	wait_for(BIG_NAMED);
	wait_for(BIG_DATA);
	pthread_mutex_lock(&lock);
	assert_true(soon[BIG_DATA]);
	assert_false(soon[BIG_CALLED]);
	pthread_mutex_unlock(&lock);
}

static void test_program_and_new_directory(void **state)
{
	struct store_foresee *f = start();

	(void)state;
	store_foresee_program(f, "program");
	wait_for(2 * PROGRAM + 1);
	/* behind it in the queue: then what it needs was looked for, and not found */
	store_foresee_loaded(f, LIB_B);
	wait_for(2 * LIB_B);
	assert_not_asked(LIB_C);
	f = start();
	store_foresee_found(f, OTHER, "libd.so.2");
	store_foresee_program(f, "/usr/bin/program");
	wait_for(2 * LIB_C + 1);
}

/* Of no Python that is known: then what lies beside it. */
static void test_modules(void **state)
{
	struct store_foresee *f = start();

	(void)state;
	store_foresee_found(f, SITE, "zone");
	store_foresee_found(f, LONE, "__pycache__");
	store_foresee_found(f, LONE_CACHE, "z.pyc");
	wait_for(2 * LONE_MODULE + 1);
}

static void test_nothing(void **state)
{
	struct store_foresee *f = start();

	(void)state;
	store_foresee_loaded(NULL, LIB_A);
	store_foresee_found(NULL, LONE_CACHE, "z.pyc");
	store_foresee_program(NULL, "program");
	store_foresee_program(f, "");
	store_foresee_program(f, "missing");
	store_foresee_loaded(f, INODES);
	store_foresee_loaded(f, LIB);
	store_foresee_loaded(f, LIB_B_LINK);
	store_foresee_found(f, INODES, "z.pyc");
	store_foresee_found(f, LONE_MODULE, "z.pyc");
	store_foresee_loaded(f, LIB_B);
	wait_for(2 * LIB_B);
	assert_not_asked(PROGRAM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_library_brings_what_it_needs),
		cmocka_unit_test(test_constructors),
		cmocka_unit_test(test_program_and_new_directory),
		cmocka_unit_test(test_modules),
		cmocka_unit_test(test_nothing),
	};
	int failed = cmocka_run_group_tests(tests, build, NULL);

	/* the threads live on */
	return failed;
}
