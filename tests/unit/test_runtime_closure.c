/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime, libraries of a host in an image: who provides what, and what does not fit. */
#include "config.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/closure.h"
#include "runtime/inject.h"
#include "tests/unit/elf_build.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/le.h"
#include "util/poison.h"

#define LIB(dir, name) dir "/usr/lib/" name, name
#define LIBC_2_31      "GLIBC_2.14 { global: a; }; GLIBC_2.31 { global: b; } GLIBC_2.14;\n"
#define LIBC_2_36      LIBC_2_31 "GLIBC_2.34 { global: c; } GLIBC_2.31;\n"
#define LIBC_CODE      "int a(void) { return 1; } int b(void) { return 2; }\n"
#define NEW_LIBC_CODE  LIBC_CODE "int c(void) { return 3; }\n"

/* Each line may link against those above it. */
static const struct elf_build_lib libs[] = {
	/* the host: two MPIs, and what they need in several kinds */
	{ LIB("host", "libc.so.6"), NEW_LIBC_CODE, LIBC_2_36, NULL },
	{ LIB("host", "libver.so.1"), "int v1(void) { return 1; } int v2(void) { return 2; }\n",
	  "V_1 { global: v1; }; V_2 { global: v2; } V_1;\n", NULL },
	{ LIB("host", "libsym.so.1"), "int s1; int s2;\n", NULL, NULL },
	{ "host/opt/site/libsite.so.1", "libsite.so.1",
	  "int a(void); int site(void) { return a(); }\n", NULL, "host/usr/lib/libc.so.6" },
	{ LIB("host", "libmpi.so.12"),
	  "int a(void); int v2(void); int site(void); extern int s2;\n"
	  "int MPI_Init(void) { return a() + v2() + site() + s2; }\n",
	  NULL,
	  "host/usr/lib/libver.so.1 host/usr/lib/libsym.so.1 host/opt/site/libsite.so.1 "
	  "host/usr/lib/libc.so.6 -Wl,-rpath,'$ORIGIN/../../opt/site'" },
	{ LIB("host", "libnew.so.12"), "int c(void); int MPI_Init(void) { return c(); }\n", NULL,
	  "host/usr/lib/libc.so.6" },
	{ LIB("host", "liblost.so.1"), "int lost(void) { return 1; }\n", NULL, NULL },
	{ LIB("host", "libbroken.so.1"), "int lost(void); int x(void) { return lost(); }\n", NULL,
	  "host/usr/lib/liblost.so.1" },

	/* images: the C library alone, and more */
	{ LIB("bare", "libc.so.6"), LIBC_CODE, LIBC_2_31, NULL },
	{ LIB("same", "libc.so.6"), LIBC_CODE, LIBC_2_31, NULL },
	{ LIB("same", "libver.so.1"),
	  "int v1(void) { return 1; } int v2(void) { return 2; } int v3(void) { return 3; }\n",
	  "V_1 { global: v1; }; V_2 { global: v2; } V_1; V_3 { global: v3; } V_2;\n", NULL },
	{ LIB("same", "libsym.so.1"), "int s2; int s3;\n", NULL, NULL },
	{ LIB("same", "libmpi.so.12"), "int MPI_Init(void) { return 0; }\n", NULL, NULL },
	{ "same/usr/local/lib/libmpi.so.12", "libmpi.so.12", "int MPI_Init(void) { return 0; }\n",
	  NULL, NULL },
	{ LIB("local", "libc.so.6"), LIBC_CODE, LIBC_2_31, NULL },
	{ "local/usr/local/lib/libver.so.1", "libver.so.1",
	  "int v1(void) { return 1; } int v2(void) { return 2; }\n",
	  "V_1 { global: v1; }; V_2 { global: v2; } V_1;\n", NULL },
	{ "local/usr/local/lib/libsym.so.1", "libsym.so.1", "int s2;\n", NULL, NULL },
	{ LIB("older", "libc.so.6"), LIBC_CODE, LIBC_2_31, NULL },
	{ LIB("older", "libver.so.1"), "int v1(void) { return 1; }\n", "V_1 { global: v1; };\n",
	  NULL },
	{ LIB("older", "libsym.so.1"), "int s1;\n", NULL, NULL },
	{ LIB("apart", "libc.so.6"), LIBC_CODE, LIBC_2_31, NULL },
	{ LIB("apart", "libver.so.1"), "int v1(void) { return 1; } int w(void) { return 2; }\n",
	  "V_1 { global: v1; }; W_1 { global: w; };\n", NULL },
	{ LIB("apart", "libsym.so.1"), "int s1; int s9;\n", NULL, NULL },
	{ LIB("foreign", "libc.so.6"), LIBC_CODE, LIBC_2_31, NULL },
};

static void set_machine(const char *file, uint16_t machine)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };

	assert_int_equal(hr_file_read(AT_FDCWD, file, 1 << 20, &b, &e), 0);
	hr_le16_put(b.p + offsetof(Elf64_Ehdr, e_machine), machine);
	assert_int_equal(hr_file_replace(AT_FDCWD, file, b.p, b.len, 0755, &e), 0);
}

static int setup(void **state)
{
	struct hr_err e = { 0 };

	(void)state;
	elf_build_dir();
	for (size_t i = 0; i < HR_COUNT(libs); i++)
		elf_build(&libs[i]);
	assert_int_equal(unlink("host/usr/lib/liblost.so.1"), 0);
	set_machine("foreign/usr/lib/libc.so.6", EM_AARCH64);
	assert_int_equal(symlink("libmpi.so.12", "same/usr/lib/libmpich.so.12"), 0);
	assert_int_equal(hr_mkdir_all(AT_FDCWD, "musl/lib", 0755, &e), 0);
	assert_int_equal(hr_mkdir_all(AT_FDCWD, "empty", 0755, &e), 0);
	assert_int_equal(
		hr_file_replace(AT_FDCWD, "musl/lib/ld-musl-x86_64.so.1", "x", 1, 0755, &e), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	elf_build_end();
	return 0;
}

static struct rt_libtree *open_tree(const char *name)
{
	int fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct rt_libtree *t = NULL;
	struct hr_err e = { 0 };

	assert_int_equal(rt_libtree_open(fd, strcmp(name, "host") == 0 ? "the host" : "the image",
					 NULL, NULL, NULL, &t, &e),
			 0);
	return t;
}

static void close_tree(struct rt_libtree *t)
{
	close(rt_libtree_root(t));
	rt_libtree_close(t);
}

/* Add LIBRARY of the host, forced, and check it against IMAGE. */
static void check(const char *library, const char *image, struct rt_closure *c)
{
	static const char *const names[] = { "libmpich.so.12", NULL };
	struct rt_libtree *host = open_tree("host"), *tree = open_tree(image);
	struct hr_err e = { 0 };

	if (rt_closure_add(c, host, library, names, true, &e) < 0 ||
	    rt_closure_check(c, host, tree, &e) < 0)
		fail_msg("%s", e.text);
	close_tree(host);
	close_tree(tree);
}

static const struct rt_closure_lib *find(const struct rt_closure *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		for (size_t j = 0; j < c->v[i].names.n; j++)
			if (strcmp(c->v[i].names.v[j], name) == 0)
				return &c->v[i];
	fail_msg("'%s' is not in the closure", name);
	return NULL;
}

static void a_closure_has_all_that_is_needed_by_rpath_too(void **state)
{
	struct rt_closure c = { 0 };

	(void)state;
	check("libmpi.so.12", "bare", &c);
	assert_int_equal(c.n, 5);
	assert_string_equal(find(&c, "libsite.so.1")->lib.file, "libsite.so.1");
	assert_true(find(&c, "libc.so.6")->glibc);
	assert_int_equal(c.misfits.n, 0);
	rt_closure_release(&c);
}

static void each_library_has_one_provider(void **state)
{
	static const struct {
		const char *image, *library;
		enum rt_closure_verdict verdict;
	} rows[] = {
		{ "bare", "libmpi.so.12", RT_LIB_HOST },  { "bare", "libver.so.1", RT_LIB_HOST },
		{ "bare", "libsym.so.1", RT_LIB_HOST },	  { "bare", "libc.so.6", RT_LIB_IMAGE },
		{ "same", "libmpi.so.12", RT_LIB_HOST },  { "same", "libver.so.1", RT_LIB_IMAGE },
		{ "same", "libsym.so.1", RT_LIB_IMAGE },  { "same", "libsite.so.1", RT_LIB_HOST },
		{ "local", "libver.so.1", RT_LIB_HOST },  { "local", "libsym.so.1", RT_LIB_HOST },
		{ "older", "libver.so.1", RT_LIB_HOST },  { "older", "libsym.so.1", RT_LIB_HOST },
		{ "older", "libmpi.so.12", RT_LIB_HOST }, { "older", "libc.so.6", RT_LIB_IMAGE },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_closure c = { 0 };

		check("libmpi.so.12", rows[i].image, &c);
		if (find(&c, rows[i].library)->verdict != rows[i].verdict)
			fail_msg("%s in %s: %s", rows[i].library, rows[i].image,
				 find(&c, rows[i].library)->why);
		assert_int_equal(c.misfits.n, 0);
		rt_closure_release(&c);
	}
}

static void what_does_not_fit_is_said_with_both_versions(void **state)
{
	static const struct {
		const char *library, *image, *message;
	} rows[] = {
		{ "libnew.so.12", "bare",
		  "'libnew.so.12' of the host needs GLIBC_2.34 of 'libc.so.6', and the image "
		  "offers GLIBC_2.31" },
		{ "libmpi.so.12", "foreign",
		  "the image is for AArch64, 64-bit, the host's libraries are for x86-64, "
		  "64-bit" },
		{ "libmpi.so.12", "musl",
		  "the image is built on the C library musl, the host's libraries need the GNU C "
		  "library" },
		{ "libmpi.so.12", "empty",
		  "the image has no libc.so.6, which the host's libraries need" },
		{ "libmpi.so.12", "apart",
		  "both have 'libver.so.1', the host libver.so.1 and the image libver.so.1, and "
		  "neither has all that the other has" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_closure c = { 0 };

		check(rows[i].library, rows[i].image, &c);
		assert_true(c.misfits.n > 0);
		assert_string_equal(c.misfits.v[0], rows[i].message);
		rt_closure_release(&c);
	}
}

static void every_copy_of_the_image_is_covered_once(void **state)
{
	struct rt_closure c = { 0 };
	struct rt_inject in = { 0 };
	const struct rt_closure_lib *l;

	(void)state;
	check("libmpi.so.12", "same", &c);
	l = find(&c, "libmpi.so.12");
	assert_true(l == find(&c, "libmpich.so.12"));
	/* usr/lib and usr/local/lib; the symlink and the other way to usr/lib are the same file */
	assert_int_equal(l->covers.n, 2);
	rt_inject_add(&in, &c);
	rt_inject_add(&in, &c);	   /* again: nothing new */
	assert_int_equal(in.n, 2); /* libmpi and libsite */
	assert_int_equal(in.v[0].names.n, 2);
	assert_int_equal(in.v[0].covers.n, 2);
	rt_inject_release(&in);
	rt_closure_release(&c);
}

static void modules_are_looked_at_and_not_injected_unless_needed_by_name(void **state)
{
	static const struct {
		const char *first, *second;
		unsigned int first_flags, second_flags;
		const char *library;
		bool bound;
	} rows[] = {
		/* a module alone; one that another library needs, found before and after it */
		{ "libver.so.1", "libnew.so.12", RT_CLOSURE_BOUND, 0, "libver.so.1", true },
		{ "libver.so.1", "libmpi.so.12", RT_CLOSURE_BOUND, 0, "libver.so.1", false },
		{ "libmpi.so.12", "libver.so.1", 0, RT_CLOSURE_BOUND, "libver.so.1", false },
		{ "libmpi.so.12", "libnew.so.12", 0, RT_CLOSURE_BOUND, "libnew.so.12", true },
	};
	struct rt_libtree *host = open_tree("host"), *image = open_tree("bare");

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_closure c = { 0 };
		struct rt_inject in = { 0 };
		struct hr_err e = { 0 };
		bool injected = false;

		assert_int_equal(
			rt_closure_add(&c, host, rows[i].first, NULL, rows[i].first_flags, &e), 0);
		assert_int_equal(
			rt_closure_add(&c, host, rows[i].second, NULL, rows[i].second_flags, &e),
			0);
		assert_int_equal(rt_closure_check(&c, host, image, &e), 0);
		assert_int_equal(find(&c, rows[i].library)->bound, rows[i].bound);
		rt_inject_add(&in, &c);
		for (size_t j = 0; j < in.n; j++)
			injected = injected || strcmp(in.v[j].names.v[0], rows[i].library) == 0;
		assert_int_equal(injected, !rows[i].bound);
		rt_inject_release(&in);
		rt_closure_release(&c);
	}
	close_tree(host);
	close_tree(image);
}

static void what_is_missing_on_the_host_is_named(void **state)
{
	static const struct {
		const char *library, *message;
	} rows[] = {
		{ "libnone.so.1", "library 'libnone.so.1' is not on the host" },
		{ "/usr/lib/libnone.so.1", "library '/usr/lib/libnone.so.1' is not on the host" },
		{ "libbroken.so.1",
		  "library 'liblost.so.1', which '/usr/lib/libbroken.so.1' needs, is not on the "
		  "host" },
	};
	struct rt_libtree *host = open_tree("host");

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_closure c = { 0 };
		struct hr_err e = { 0 };

		assert_int_equal(rt_closure_add(&c, host, rows[i].library, NULL, true, &e), -1);
		assert_int_equal(e.kind, HR_NOTFOUND);
		assert_string_equal(e.text, rows[i].message);
		rt_closure_release(&c);
	}
	close_tree(host);
}

static void a_hostile_tree_leads_nowhere(void **state)
{
	static const struct elf_build_lib bait = { "bait/libbait.so.1", "libbait.so.1", "int x;\n",
						   NULL, NULL };
	struct rt_libtree *t;
	struct rt_lib lib;
	struct hr_err e = { 0 };

	(void)state;
	elf_build(&bait);
	assert_int_equal(hr_mkdir_all(AT_FDCWD, "trap/usr/lib", 0755, &e), 0);
	assert_int_equal(symlink("../../../bait/libbait.so.1", "trap/usr/lib/libbait.so.1"), 0);
	assert_int_equal(mkfifo("trap/usr/lib/libpipe.so.1", 0644), 0);
	assert_int_equal(symlink("libloop.so.1", "trap/usr/lib/libloop.so.1"), 0);
	assert_int_equal(mkdir("trap/usr/lib/libdir.so.1", 0755), 0);
	t = open_tree("trap");
	assert_int_equal(rt_libtree_find(t, "libbait.so.1", NULL, &lib, &e), 0);
	assert_int_equal(rt_libtree_find(t, "libpipe.so.1", NULL, &lib, &e), 0);
	assert_int_equal(rt_libtree_find(t, "libloop.so.1", NULL, &lib, &e), 0);
	assert_int_equal(rt_libtree_find(t, "libdir.so.1", NULL, &lib, &e), 0);
	close_tree(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_closure_has_all_that_is_needed_by_rpath_too),
		cmocka_unit_test(each_library_has_one_provider),
		cmocka_unit_test(what_does_not_fit_is_said_with_both_versions),
		cmocka_unit_test(every_copy_of_the_image_is_covered_once),
		cmocka_unit_test(modules_are_looked_at_and_not_injected_unless_needed_by_name),
		cmocka_unit_test(what_is_missing_on_the_host_is_named),
		cmocka_unit_test(a_hostile_tree_leads_nowhere),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
