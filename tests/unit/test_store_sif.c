/* SPDX-License-Identifier: BSD-3-Clause */
/* SIF headers and descriptors: the one that is right, and each field as it must not be. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/sif.h"
#include "store/sif_format.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define ROWS	   2
#define TABLE_OFF  STORE_SIF_HEADER_BYTES
#define FILE_BYTES 100000u

struct sif {
	uint8_t header[STORE_SIF_HEADER_BYTES];
	uint8_t rows[ROWS][STORE_SIF_DESCRIPTOR_BYTES]; /* the second is the partition */
};

static void make(struct sif *s)
{
	uint8_t *d = s->rows[1];

	memset(s, 0, sizeof(*s));
	memcpy(s->header + SIF_H_MAGIC, SIF_MAGIC, sizeof(SIF_MAGIC));
	memcpy(s->header + SIF_H_VERSION, SIF_VERSION, sizeof(SIF_VERSION));
	hr_le64_put(s->header + SIF_H_TOTAL, ROWS);
	hr_le64_put(s->header + SIF_H_TABLE_OFF, TABLE_OFF);
	hr_le64_put(s->header + SIF_H_TABLE_LEN, sizeof(s->rows));
	hr_le32_put(d + SIF_D_TYPE, SIF_TYPE_PARTITION);
	d[SIF_D_USED] = 1;
	hr_le64_put(d + SIF_D_OFF, 4096);
	hr_le64_put(d + SIF_D_LEN, FILE_BYTES - 4096);
	hr_le32_put(d + SIF_D_FS, SIF_FS_SQUASHFS);
	hr_le32_put(d + SIF_D_PART, SIF_PART_PRIMARY);
	memcpy(d + SIF_D_ARCH, "02", 3);
}

static int find(const struct sif *s, struct store_sif_span *fs, struct hr_err *e)
{
	struct store_sif_span table;

	if (store_sif_table(s->header, sizeof(s->header), FILE_BYTES, &table, e) < 0)
		return -1;
	assert_int_equal(table.off, TABLE_OFF);
	return store_sif_find(s->rows[0], table.len, FILE_BYTES, "amd64", fs, e);
}

static void test_partition_is_found(void **state)
{
	struct store_sif_span fs;
	struct hr_err e = { 0 };
	struct sif s;

	(void)state;
	make(&s);
	assert_int_equal(find(&s, &fs, &e), 0);
	assert_int_equal(fs.off, 4096);
	assert_int_equal(fs.len, FILE_BYTES - 4096);
}

/* Fields of the header (row -1) or of the partition's descriptor, and what is said of them. */
static const struct {
	const char *what;
	bool header;
	size_t at, bytes;
	uint64_t value;
	const char *text; /* NULL: it is taken */
} rows[] = {
	{ "magic", true, SIF_H_MAGIC, 1, 'X', "SIF_MAGIC" },
	{ "version", true, SIF_H_VERSION, 1, '9', "another version" },
	{ "no descriptors", true, SIF_H_TOTAL, 8, 0, "counts 0 descriptors" },
	{ "most descriptors", true, SIF_H_TOTAL, 8, UINT64_MAX, "descriptors, expected" },
	{ "table too short", true, SIF_H_TABLE_LEN, 8, ROWS * 585 - 1, "bytes" },
	{ "table longer", true, SIF_H_TABLE_LEN, 8, UINT64_MAX, NULL },
	{ "table in the header", true, SIF_H_TABLE_OFF, 8, TABLE_OFF - 1, "outside" },
	{ "table at the end", true, SIF_H_TABLE_OFF, 8, FILE_BYTES - ROWS * 585 + 1, "outside" },
	{ "table wraps", true, SIF_H_TABLE_OFF, 8, UINT64_MAX, "outside" },
	{ "unused", false, SIF_D_USED, 1, 0, "no primary" },
	{ "no partition", false, SIF_D_TYPE, 4, 0x4001, "no primary" },
	{ "data partition", false, SIF_D_PART, 4, SIF_PART_DATA, "no primary" },
	{ "one byte too long", false, SIF_D_LEN, 8, FILE_BYTES - 4095, "the file has" },
	{ "empty", false, SIF_D_LEN, 8, 0, "the file has" },
	{ "wraps", false, SIF_D_OFF, 8, UINT64_MAX, "the file has" },
	{ "over the header", false, SIF_D_OFF, 8, 127, "the file has" },
	{ "ext3", false, SIF_D_FS, 4, SIF_FS_EXT3, "is ext3, not squashfs" },
	{ "encrypted", false, SIF_D_FS, 4, SIF_FS_ENCRYPTED, "is encrypted" },
	{ "type 0", false, SIF_D_FS, 4, 0, "unknown type" },
	{ "type 9", false, SIF_D_FS, 4, 9, "unknown type" },
	{ "arm64", false, SIF_D_ARCH + 1, 1, '4', "for arm64, this machine is amd64" },
	{ "arch 99", false, SIF_D_ARCH, 2, 0x3939, "unknown number" },
	{ "arch no number", false, SIF_D_ARCH, 1, 'x', "names no architecture" },
};

static void test_fields_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct store_sif_span fs;
		struct hr_err e = { 0 };
		struct sif s;
		uint8_t value[8];
		int r;

		make(&s);
		hr_le64_put(value, rows[i].value);
		memcpy((rows[i].header ? s.header : s.rows[1]) + rows[i].at, value, rows[i].bytes);
		r = find(&s, &fs, &e);
		if (r != (rows[i].text ? -1 : 0) || (rows[i].text && !strstr(e.text, rows[i].text)))
			fail_msg("%s: %d, '%s'", rows[i].what, r, e.text);
	}
}

static void test_two_partitions_are_refused(void **state)
{
	struct store_sif_span fs;
	struct hr_err e = { 0 };
	struct sif s;

	(void)state;
	make(&s);
	memcpy(s.rows[0], s.rows[1], sizeof(s.rows[0]));
	assert_int_equal(find(&s, &fs, &e), -1);
	assert_non_null(strstr(e.text, "two primary"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_partition_is_found),
		cmocka_unit_test(test_fields_are_checked),
		cmocka_unit_test(test_two_partitions_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
