/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/stats.h"
#include "util/poison.h"

static int memory_file(void)
{
	int fd = memfd_create("stats", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* A descriptor of its own of the same file, as another process opens it. */
static int reopen(int fd)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	f = fopen(path, "r+");
	assert_non_null(f);
	return fileno(f);
}

static void what_one_counts_another_reads(void **state)
{
	hr_autofd int fd = memory_file();
	struct hr_stats *a, *b, copy;
	struct hr_err e = { 0 };
	uint8_t bytes[sizeof(copy)];

	(void)state;
	assert_int_equal(hr_stats_create(fd, &a, &e), 0);
	assert_int_equal(hr_stats_map(fd, &b, &e), 0);
	hr_stats_add(&a->reads, 2);
	hr_stats_add(&b->reads, 3);
	hr_stats_max(&b->wait_longest_us, 7);
	hr_stats_max(&a->wait_longest_us, 6);
	hr_stats_text(a->image, sizeof(a->image), "lab/app:1");
	assert_int_equal(hr_pread_all(fd, bytes, sizeof(bytes), 0, "stats", &e), 0);
	assert_int_equal(hr_stats_parse(bytes, sizeof(bytes), &copy, &e), 0);
	assert_int_equal(copy.reads, 5);
	assert_int_equal(copy.wait_longest_us, 7);
	assert_string_equal(copy.image, "lab/app:1");
}

/* Neither the end of the one that locked it nor the closing of the descriptor is the end. */
static void in_use_until_the_last_mapping_is_gone(void **state)
{
	hr_autofd int fd = memory_file(), other = reopen(fd);
	struct hr_stats *s;
	struct hr_err e = { 0 };
	int status, gate[2];
	pid_t child;
	char c = 0;

	(void)state;
	assert_false(hr_stats_in_use(other));
	assert_int_equal(hr_stats_create(fd, &s, &e), 0);
	assert_true(hr_stats_in_use(other));
	assert_int_equal(pipe(gate), 0);
	child = fork();
	if (child == 0) {
		close(fd);
		_exit(read(gate[0], &c, 1) == 1 ? 0 : 1);
	}
	assert_true(child > 0);
	munmap(s, sizeof(*s));
	hr_fd_cleanup(&fd);
	fd = -1;
	assert_true(hr_stats_in_use(other));
	assert_int_equal(write(gate[1], &c, 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_false(hr_stats_in_use(other));
	close(gate[0]);
	close(gate[1]);
}

static void ill_formed_bytes_are_refused(void **state)
{
	static const struct hr_stats fine = { .magic = HR_STATS_MAGIC,
					      .version = HR_STATS_VERSION };
	static const struct {
		const char *what, *says;
		size_t off; /* of a byte that becomes 0xff */
		size_t cut;
	} rows[] = {
		{ "short", "bytes, expected", 0, 1 },
		{ "another magic", "version", offsetof(struct hr_stats, magic), 0 },
		{ "another version", "version", offsetof(struct hr_stats, version), 0 },
		{ "too many steps", "count", offsetof(struct hr_stats, steps_n), 0 },
		{ "too many origins", "count", offsetof(struct hr_stats, origins_n), 0 },
		{ "an unknown state", "count", offsetof(struct hr_stats, state), 0 },
	};
	struct hr_stats out;

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		uint8_t bytes[sizeof(fine)];
		struct hr_err e = { 0 };

		memcpy(bytes, &fine, sizeof(bytes));
		assert_int_equal(hr_stats_parse(bytes, sizeof(bytes), &out, &e), 0);
		if (!rows[i].cut)
			bytes[rows[i].off] = 0xff;
		if (hr_stats_parse(bytes, sizeof(bytes) - rows[i].cut, &out, &e) == 0)
			fail_msg("%s is accepted", rows[i].what);
		assert_int_equal(e.kind, HR_CORRUPT);
		if (!strstr(e.text, rows[i].says))
			fail_msg("%s: %s", rows[i].what, e.text);
	}
}

static void a_file_of_another_size_is_not_mapped(void **state)
{
	hr_autofd int fd = memory_file();
	struct hr_stats *s;
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(hr_stats_map(fd, &s, &e), -1);
	assert_int_equal(e.kind, HR_CORRUPT);
}

static void origins_have_a_place_each_as_long_as_there_are(void **state)
{
	static struct hr_stats s;
	char name[32];

	(void)state;
	assert_ptr_equal(hr_stats_origin(&s, "https://a/x?token=1"), &s.origins[0]);
	assert_string_equal(s.origins[0].name, "https://a/x");
	assert_ptr_equal(hr_stats_origin(&s, "https://a/x?token=2"), &s.origins[0]);
	for (int i = 1; i < HR_STATS_ORIGINS + 2; i++) {
		snprintf(name, sizeof(name), "/store/%d", i);
		assert_ptr_equal(hr_stats_origin(&s, name),
				 &s.origins[i < HR_STATS_ORIGINS ? i : HR_STATS_ORIGINS - 1]);
	}
	assert_int_equal(s.origins_n, HR_STATS_ORIGINS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_one_counts_another_reads),
		cmocka_unit_test(in_use_until_the_last_mapping_is_gone),
		cmocka_unit_test(ill_formed_bytes_are_refused),
		cmocka_unit_test(a_file_of_another_size_is_not_mapped),
		cmocka_unit_test(origins_have_a_place_each_as_long_as_there_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
