/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime/libtree: which of many libraries of one name the loader of a host would take. */
#include "config.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/libtree.h"
#include "tests/unit/elf_build.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/le.h"
#include "util/poison.h"

#define CODE   "int version(void) { return 1; }\n"
#define GPU    "libgpu.so.1"
#define OTHERS 10000

/* A host with two versions of a driver, beside each other's directories for other processors. */
static const struct elf_build_lib libs[] = {
	{ "host/opt/new/glibc-hwcaps/x86-64-v3/libgpu.so.1", GPU, CODE, NULL, NULL },
	{ "host/usr/lib32/libgpu.so.1", GPU, CODE, NULL, NULL },
	{ "host/usr/aarch64/libgpu.so.1", GPU, CODE, NULL, NULL },
	{ "host/opt/new/libgpu.so.1", GPU, CODE, NULL, NULL },
	{ "host/opt/old/libgpu.so.1", GPU, CODE, NULL, NULL },
	{ "host/usr/lib/libgpu.so.1", GPU, CODE, NULL, NULL },
};

/* What the cache has of them, in its order: ldconfig puts the better before the worse. */
static const struct {
	const char *soname, *path;
	uint64_t hwcap;
} entries[] = {
	{ GPU, "/opt/new/glibc-hwcaps/x86-64-v3/libgpu.so.1", 0x4000000000000002 },
	{ GPU, "/usr/lib32/libgpu.so.1", 0 },
	{ GPU, "/usr/aarch64/libgpu.so.1", 0 },
	{ GPU, "/opt/removed/libgpu.so.1", 0 },
	{ GPU, "/opt/new/libgpu.so.1", 0 },
	{ GPU, "/opt/old/libgpu.so.1", 0 },
};

static void patch(const char *file, size_t at, uint8_t value)
{
	hr_autofd int fd = open(file, O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, &value, 1, (off_t)at), 1);
}

static void add_entry(struct hr_buf *table, struct hr_buf *strings, size_t strings_at,
		      const char *soname, const char *path, uint64_t hwcap)
{
	size_t name_at = strings_at + strings->len;

	hr_buf_add(strings, soname, strlen(soname) + 1);
	hr_buf_le(table, 0, 4);
	hr_buf_le(table, name_at, 4);
	hr_buf_le(table, strings_at + strings->len, 4);
	hr_buf_le(table, 0, 4);
	hr_buf_le(table, hwcap, 8);
	hr_buf_add(strings, path, strlen(path) + 1);
}

/* In the format of glibc 2.2 and newer: header, entries, strings. */
static void write_cache(const char *file)
{
	const size_t n = OTHERS + HR_COUNT(entries), strings_at = 48 + n * 24;
	hr_autobuf struct hr_buf b = { 0 }, strings = { 0 };
	struct hr_err e = { 0 };

	hr_buf_str(&b, "glibc-ld.so.cache1.1");
	hr_buf_le(&b, n, 4);
	hr_buf_le(&b, 0, 8);
	hr_buf_le(&b, 0, 8);
	hr_buf_le(&b, 0, 8);
	for (size_t i = 0; i < OTHERS; i++) {
		char name[32], path[64];

		snprintf(name, sizeof(name), "libgpu-part-%05zu.so.1", i);
		snprintf(path, sizeof(path), "/usr/lib/%s", name);
		add_entry(&b, &strings, strings_at, name, path, 0);
	}
	for (size_t i = 0; i < HR_COUNT(entries); i++)
		add_entry(&b, &strings, strings_at, entries[i].soname, entries[i].path,
			  entries[i].hwcap);
	hr_buf_add(&b, strings.p, strings.len);
	assert_int_equal(hr_file_replace(AT_FDCWD, file, b.p, b.len, 0644, &e), 0);
}

static int setup(void **state)
{
	struct hr_err e = { 0 };

	(void)state;
	elf_build_dir();
	for (size_t i = 0; i < HR_COUNT(libs); i++)
		elf_build(&libs[i]);
	patch("host/usr/lib32/libgpu.so.1", EI_CLASS, ELFCLASS32);
	patch("host/usr/lib32/libgpu.so.1", offsetof(Elf64_Ehdr, e_machine), EM_386);
#ifdef __aarch64__
	patch("host/usr/aarch64/libgpu.so.1", offsetof(Elf64_Ehdr, e_machine), EM_X86_64);
#else
	patch("host/usr/aarch64/libgpu.so.1", offsetof(Elf64_Ehdr, e_machine), EM_AARCH64);
#endif
	assert_int_equal(hr_mkdir_all(AT_FDCWD, "host/etc", 0755, &e), 0);
	write_cache("host/etc/ld.so.cache");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	elf_build_end();
	return 0;
}

/* H19: among 10,000 entries, the one that the loader of this machine takes. */
static void of_many_in_the_cache(void **state)
{
	static const struct {
		const char *gone, *path; /* what is removed first; what is found then, or NULL */
	} rows[] = {
		{ NULL, "/opt/new/libgpu.so.1" },
		{ "host/opt/new/libgpu.so.1", "/opt/old/libgpu.so.1" },
		{ "host/opt/old/libgpu.so.1", "/usr/lib/libgpu.so.1" },
		{ "host/usr/lib/libgpu.so.1", NULL },
	};
	hr_autofd int root = open("host", O_PATH | O_DIRECTORY | O_CLOEXEC);
	hr_autofd int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct rt_elf like = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(rt_elf_read(self, "this program", &like, &e), 0);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		HR_CLEANUP(rt_libtree_closep) struct rt_libtree *t = NULL;
		struct rt_lib lib;
		int r;

		assert_true(!rows[i].gone || unlink(rows[i].gone) == 0);
		assert_int_equal(rt_libtree_open(root, "the host", NULL, NULL, NULL, &t, &e), 0);
		r = rt_libtree_find(t, GPU, &like, &lib, &e);
		assert_int_equal(r, rows[i].path != NULL);
		if (r == 1)
			assert_string_equal(lib.path, rows[i].path);
		rt_lib_release(&lib);
	}
	rt_elf_release(&like);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_many_in_the_cache),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
