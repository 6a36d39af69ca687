/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/foresee_python.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define PART   4096u /* bytes of a file, of which each has a chunk with its number */
#define WAIT_S 20
#define END    ".cpython-311.pyc"
#define EXT    ".cpython-311-x86_64-linux-gnu.so"

/* The tree, by inode number. */
enum {
	ROOT,
	LIB, /* what comes with the interpreter */
	LIB_CACHE,
	OS,
	RE,
	DYNLOAD,
	FAST,
	NUMBERS, /* a directory of the name of what is elsewhere */
	SITE,
	SITE_CACHE,
	OTHER,
	SINGLE,
	NUM,
	NUM_CACHE,
	NUM_INIT,
	PKG,
	PKG_C, /* a directory without modules beside a library of its name */
	PKG_C_SO,
	PKG_CACHE,
	PKG_INIT,
	PKG_LAZY,
	PKG_M,
	SPACE, /* a package without a module of its own */
	SPACE_CACHE,
	SPACE_A,
	SUB,
	SUB_CACHE,
	SUB_INIT,
	SUB_S,
	TOOL, /* of a Python that is not known */
	TOOL_CACHE,
	TOOL_A,
	TOOL_B,
	INODES
};

static const struct node {
	uint32_t parent;
	const char *name; /* sorted in each directory */
	/* NULL: a directory; of a file what it imports, with its dots in front, and a colon before
	 * a name that is taken out of it */
	const char *imports;
} nodes[INODES] = {
	[ROOT] = { ROOT, "", NULL },
	[LIB] = { ROOT, "lib", NULL },
	[LIB_CACHE] = { LIB, "__pycache__", NULL },
	[OS] = { LIB_CACHE, "os" END, "" },
	[RE] = { LIB_CACHE, "re" END, "" },
	[DYNLOAD] = { LIB, "lib-dynload", NULL },
	[FAST] = { DYNLOAD, "_fast" EXT, "" },
	[NUMBERS] = { LIB, "num", NULL },
	[SITE] = { ROOT, "site", NULL },
	[SITE_CACHE] = { SITE, "__pycache__", NULL },
	[OTHER] = { SITE_CACHE, "other" END, "" },
	[SINGLE] = { SITE_CACHE, "single" END, "_fast ..beyond ...over.it" },
	[NUM] = { SITE, "num", NULL },
	[NUM_CACHE] = { NUM, "__pycache__", NULL },
	[NUM_INIT] = { NUM_CACHE, "__init__" END, "" },
	[PKG] = { SITE, "pkg", NULL },
	[PKG_C] = { PKG, "_C", NULL },
	[PKG_C_SO] = { PKG, "_C" EXT, "" },
	[PKG_CACHE] = { PKG, "__pycache__", NULL },
	[PKG_INIT] = { PKG_CACHE, "__init__" END,
		       ".:_C .:sub pkg.space.a num ../x missing os single.not.there" },
	[PKG_LAZY] = { PKG_CACHE, "lazy" END, "" },
	[PKG_M] = { PKG_CACHE, "m" END, "" },
	[SPACE] = { PKG, "space", NULL },
	[SPACE_CACHE] = { SPACE, "__pycache__", NULL },
	[SPACE_A] = { SPACE_CACHE, "a" END, "" },
	[SUB] = { PKG, "sub", NULL },
	[SUB_CACHE] = { SUB, "__pycache__", NULL },
	[SUB_INIT] = { SUB_CACHE, "__init__" END, "..m:Class .s" },
	[SUB_S] = { SUB_CACHE, "s" END, "" },
	[TOOL] = { ROOT, "tool", NULL },
	[TOOL_CACHE] = { TOOL, "__pycache__", NULL },
	[TOOL_A] = { TOOL_CACHE, "a.pypy.pyc", "?" },
	[TOOL_B] = { TOOL_CACHE, "b.pypy.pyc", "?" },
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool asked[INODES];
static struct store_index *ix;
static struct hr_buf bytes;

/* ---- the source ---- */

static void fetch(void *arg, const uint32_t *chunk, size_t n, size_t n_soon)
{
	(void)arg;
	HR_BUG_ON(n_soon > n);
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n; i++)
		asked[chunk[i]] = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void put_string(struct hr_buf *b, const char *p, size_t n)
{
	hr_buf_str(b, "z");
	hr_buf_le(b, n, 1);
	hr_buf_add(b, p, n);
}

/* One import as its two constants and its name. */
static void put_import(const char *word, struct hr_buf *consts, struct hr_buf *names)
{
	size_t level = strspn(word, "."), len = strcspn(word, " :");

	if (memchr(word, '/', len)) /* a path, which no source has: a name as it is */
		level = 0;
	hr_buf_str(consts, "i");
	hr_buf_le(consts, level, 4);
	put_string(names, word + level, len - level);
	if (word[len] != ':') {
		hr_buf_str(consts, "N");
		return;
	}
	hr_buf_le(consts, ')', 1);
	hr_buf_le(consts, 1, 1);
	put_string(consts, word + len + 1, strcspn(word + len + 1, " "));
}

/* A module of Python 3.11. */
static void make_module(const char *imports, struct hr_buf *out)
{
	hr_autobuf struct hr_buf code = { 0 }, consts = { 0 }, names = { 0 };
	uint32_t n = 0;

	for (const char *word = imports; *word; n++) {
		const uint8_t one[] = { 100, (uint8_t)(2 * n), 100, (uint8_t)(2 * n + 1),
					108, (uint8_t)n };

		hr_buf_add(&code, one, sizeof(one));
		put_import(word, &consts, &names);
		word += strcspn(word, " ");
		word += *word == ' ';
	}
	hr_buf_le(out, 3495, 2);
	hr_buf_str(out, "\r\n");
	hr_buf_pad(out, 16);
	hr_buf_str(out, "c");
	for (int i = 0; i < 5; i++)
		hr_buf_le(out, 0, 4);
	hr_buf_str(out, "s");
	hr_buf_le(out, code.len, 4);
	hr_buf_add(out, code.p ? (const void *)code.p : "", code.len);
	hr_buf_str(out, "(");
	hr_buf_le(out, (uint64_t)2 * n, 4);
	hr_buf_add(out, consts.p ? (const void *)consts.p : "", consts.len);
	hr_buf_str(out, "(");
	hr_buf_le(out, n, 4);
	hr_buf_add(out, names.p ? (const void *)names.p : "", names.len);
}

static bool bring(void *arg, uint32_t chunk, uint8_t *out)
{
	hr_autobuf struct hr_buf module = { 0 };
	const char *imports = nodes[chunk].imports;

	(void)arg;
	make_module(imports, &module);
	HR_BUG_ON(module.len > PART);
	memset(out, 0, PART);
	if (strcmp(imports, "?") != 0)
		memcpy(out, module.p, module.len);
	return true;
}

/* Until somebody has asked for a file. */
static void wait_for(uint32_t ino)
{
	struct timespec until;
	bool got;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&lock);
	while (!asked[ino] && pthread_cond_timedwait(&changed, &lock, &until) == 0)
		;
	got = asked[ino];
	pthread_mutex_unlock(&lock);
	if (!got)
		fail_msg("'%s' is not asked for", nodes[ino].name);
}

static void assert_not_asked(uint32_t ino)
{
	bool got;

	pthread_mutex_lock(&lock);
	got = asked[ino];
	pthread_mutex_unlock(&lock);
	if (got)
		fail_msg("'%s' is asked for", nodes[ino].name);
}

/* ---- the tree ---- */

static int build(void **state)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	struct fetch_digest digest = { { 0 } };
	struct hr_err e = { 0 };

	(void)state;
	for (uint32_t i = 0; i < INODES; i++) {
		hr_le32_put(digest.b, i);
		(void)store_index_builder_chunk(b, &digest, 0, PART);
	}
	for (uint32_t i = 0; i < INODES; i++) {
		const struct node *n = &nodes[i];
		struct store_inode inode = { .mode = S_IFREG | 0644, .nlink = 1 };

		if (n->imports) {
			inode.first = store_index_builder_extent(b, 0, i, 0);
			inode.count = 1;
			inode.size = PART;
		} else {
			inode.mode = S_IFDIR | 0755;
			inode.parent = n->parent;
		}
		for (uint32_t k = 1; !n->imports && k < INODES; k++)
			if (nodes[k].parent == i) {
				uint32_t at = store_index_builder_entry(b, nodes[k].name,
									strlen(nodes[k].name), k);

				if (inode.count++ == 0)
					inode.first = at;
			}
		store_index_builder_inode(b, &inode);
	}
	assert_int_equal(store_index_builder_finish(b, &digest, &digest, "{}", 2, &bytes, &e), 0);
	assert_int_equal(store_index_parse(bytes.p, bytes.len, &ix, &e), 0);
	return 0;
}

static struct store_foresee_python *start(void)
{
	const struct store_foresee_source from = { fetch, bring, NULL };
	struct store_foresee_python *p = store_foresee_python_start(ix, &from, NULL);

	pthread_mutex_lock(&lock);
	memset(asked, 0, sizeof(asked));
	pthread_mutex_unlock(&lock);
	assert_non_null(p);
	return p;
}

/* ---- tests ---- */

static void test_interpreter(void **state)
{
	struct store_foresee_python *p = start();

	(void)state;
	store_foresee_python_found(p, LIB_CACHE, "os" END);
	wait_for(RE);
	assert_not_asked(FAST);
	store_foresee_python_found(p, SITE_CACHE, "single" END);
	wait_for(FAST);
	assert_not_asked(OTHER);
}

static void test_package(void **state)
{
	struct store_foresee_python *p = start();

	(void)state;
	store_foresee_python_found(p, LIB_CACHE, "os" END);
	store_foresee_python_found(p, PKG_CACHE, "__init__" END);
	wait_for(PKG_C_SO);
	wait_for(SPACE_A);
	wait_for(NUM_INIT);
	wait_for(SINGLE);
	wait_for(PKG_M);
	wait_for(SUB_S);
	wait_for(FAST);
	assert_not_asked(PKG_LAZY);
	assert_not_asked(OTHER);
}

static void test_unknown_version(void **state)
{
	struct store_foresee_python *p = start();

	(void)state;
	store_foresee_python_found(p, TOOL_CACHE, "a.pypy.pyc");
	wait_for(TOOL_B);
	assert_not_asked(OS);
}

static void test_nothing(void **state)
{
	struct store_foresee_python *p = start();

	(void)state;
	store_foresee_python_found(NULL, PKG_CACHE, "__init__" END);
	store_foresee_python_found(p, INODES, "m" END);
	store_foresee_python_found(p, PKG_INIT, "m" END);
	store_foresee_python_found(p, PKG_CACHE, "missing" END);
	store_foresee_python_found(p, PKG_CACHE, "zzz" END);
	store_foresee_python_found(p, PKG, "_C" EXT);
	store_foresee_python_found(p, TOOL_CACHE, "a.pypy.pyc");
	wait_for(TOOL_B);
	assert_not_asked(PKG_INIT);
	assert_not_asked(PKG_M);
	assert_not_asked(PKG_C_SO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interpreter),
		cmocka_unit_test(test_package),
		cmocka_unit_test(test_unknown_version),
		cmocka_unit_test(test_nothing),
	};
	int failed = cmocka_run_group_tests(tests, build, NULL);

	/* the threads live on */
	return failed;
}
