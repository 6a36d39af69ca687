/* SPDX-License-Identifier: BSD-3-Clause */
/* store: the tar reader: entries of all formats as text, and what must be refused. */
#include "config.h"

#include <dirent.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/tar.h"
#include "store/tar_format.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

/* ---- writing archives ---- */

static void pad(struct hr_buf *b)
{
	hr_buf_pad(b, STORE_TAR_BLOCK);
}

static void set_sum(uint8_t *h)
{
	unsigned int sum = 0;

	memset(h + 148, ' ', 8);
	for (int i = 0; i < STORE_TAR_BLOCK; i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum);
}

/* A ustar header; the last one of B, so that a test can change it. */
static uint8_t *header(struct hr_buf *b, char type, const char *name, const char *size)
{
	uint8_t h[STORE_TAR_BLOCK] = { 0 };

	memcpy(h, name, strnlen(name, 100));
	memcpy(h + 100, "0000644", 7);
	memcpy(h + 108, "0000001", 7);
	memcpy(h + 116, "0000002", 7);
	memcpy(h + 124, size, strnlen(size, 12));
	memcpy(h + 136, "00000000012", 11);
	h[156] = (uint8_t)type;
	memcpy(h + 257, "ustar\00000", 8);
	set_sum(h);
	hr_buf_add(b, h, sizeof(h));
	return b->p + b->len - STORE_TAR_BLOCK;
}

static void data(struct hr_buf *b, const void *p, size_t n)
{
	hr_buf_add(b, p, n);
	pad(b);
}

static void entry(struct hr_buf *b, char type, const char *name, const void *p, size_t n)
{
	char size[24];

	snprintf(size, sizeof(size), "%011zo", n);
	header(b, type, name, size);
	data(b, p, n);
}

/* "key=value" to "LEN key=value\n", as often as there are arguments. */
static void pax(struct hr_buf *b, const char *record, size_t n)
{
	hr_autobuf struct hr_buf text = { 0 };
	size_t len = n + 3;

	while (len != (size_t)snprintf(NULL, 0, "%zu ", len) + n + 1)
		len++;
	hr_buf_printf(&text, "%zu ", len);
	hr_buf_add(&text, record, n);
	hr_buf_str(&text, "\n");
	entry(b, 'x', "pax", text.p, text.len);
}
#define PAX(b, s) pax(b, s, sizeof(s) - 1)

static void end(struct hr_buf *b)
{
	uint8_t zeros[2 * STORE_TAR_BLOCK] = { 0 };

	hr_buf_add(b, zeros, sizeof(zeros));
}

/* ---- reading them, as text ---- */

struct source {
	const uint8_t *p;
	size_t n, step;
};

static int more(void *arg, const uint8_t **p, size_t *n, struct hr_err *e)
{
	struct source *s = arg;

	(void)e;
	*n = s->n < s->step ? s->n : s->step;
	*p = s->p;
	s->p += *n;
	s->n -= *n;
	return 0;
}

static int print_data(struct store_tar *t, struct hr_buf *out, struct hr_err *e)
{
	const uint8_t *p;
	uint64_t off, at = UINT64_MAX;
	size_t n;
	int r;

	while ((r = store_tar_data(t, &off, &p, &n, e)) > 0) {
		if (off != at)
			hr_buf_printf(out, " @%llu:", (unsigned long long)off);
		hr_buf_add(out, p, n);
		at = off + n;
	}
	return r;
}

static int print_archive(const struct hr_buf *b, size_t step, struct hr_buf *out, struct hr_err *e)
{
	HR_CLEANUP(store_tar_entry_release) struct store_tar_entry n = { .hardlink = false };
	struct source s = { b->p, b->len, step };
	struct store_tar t;
	int r;

	hr_buf_str(out, "");
	store_tar_init(&t, more, &s);
	while ((r = store_tar_next(&t, &n, e)) > 0) {
		hr_buf_printf(out, "[%s %s",
			      n.hardlink	     ? "h"
			      : S_ISREG(n.attr.mode) ? "f"
			      : S_ISDIR(n.attr.mode) ? "d"
			      : S_ISLNK(n.attr.mode) ? "l"
			      : S_ISCHR(n.attr.mode) ? "c"
						     : "?",
			      n.path.p);
		if (n.target.len > 0)
			hr_buf_printf(out, " ->%s", n.target.p);
		if (n.attr.dev)
			hr_buf_printf(out, " %u,%u", n.attr.dev >> 20, n.attr.dev & 0xfffff);
		if (n.attr.size)
			hr_buf_printf(out, " %llu", (unsigned long long)n.attr.size);
		if (n.attr.mtime != 10 || n.attr.mtime_ns)
			hr_buf_printf(out, " t%lld.%u", (long long)n.attr.mtime, n.attr.mtime_ns);
		if (!n.hardlink && (n.attr.uid != 1 || n.attr.gid != 2))
			hr_buf_printf(out, " u%u:%u", n.attr.uid, n.attr.gid);
		for (size_t i = 0; i < n.n_xattrs; i++)
			hr_buf_printf(out, " %.*s=%.*s", (int)n.xattrs[i].name.len,
				      n.xattrs[i].name.p, (int)n.xattrs[i].value.len,
				      n.xattrs[i].value.p);
		r = print_data(&t, out, e);
		if (r < 0)
			break;
		hr_buf_str(out, "]");
	}
	if (r == 0)
		r = store_tar_drain(&t, e);
	store_tar_release(&t);
	return r;
}

/* ---- cases ---- */

static void c_file(struct hr_buf *b)
{
	entry(b, '0', "a", "xy", 2);
	end(b);
}
static void c_v7(struct hr_buf *b)
{
	uint8_t *h = header(b, '\0', "d/", "0");

	memset(h + 257, 0, 8);
	memcpy(h + 345, "no prefix", 9);
	set_sum(h);
	entry(b, '\0', "f", "x", 1);
}
static void c_prefix(struct hr_buf *b)
{
	uint8_t *h = header(b, '0', "name", "0");

	memcpy(h + 345, "some/dir", 8);
	set_sum(h);
	end(b);
}
static void c_gnu(struct hr_buf *b)
{
	entry(b, 'L', "././@LongLink", "very/long/name", 15);
	entry(b, 'K', "././@LongLink", "very/long/target", 17);
	memcpy(header(b, '2', "short", "0") + 257, "ustar  ", 8);
	set_sum(b->p + b->len - STORE_TAR_BLOCK);
	end(b);
}
static void c_pax(struct hr_buf *b)
{
	PAX(b, "path=p/x");
	entry(b, '0', "short", "x", 1);
	PAX(b, "mtime=-1.25");
	header(b, '5', "d", "0");
	PAX(b, "uid=4294967296");
	header(b, '5', "e", "0");
	PAX(b, "SCHILY.xattr.user.a=b=c");
	header(b, '5', "x", "0");
	PAX(b, "mtime=99999999999999999999999.5");
	header(b, '5', "far", "0");
	end(b);
}
static void c_pax_size(struct hr_buf *b)
{
	PAX(b, "size=3");
	header(b, '0', "a", "00000000000");
	data(b, "abc", 3);
	entry(b, '0', "b", "", 0);
}
static void c_pax_global(struct hr_buf *b)
{
	entry(b, 'g', "global", "19 comment=0123456\n", 19);
	entry(b, '0', "a", "", 0);
}
static void c_base_256(struct hr_buf *b)
{
	uint8_t *h = header(b, '0', "a", "");

	memcpy(h + 124, "\x80\0\0\0\0\0\0\0\0\0\0\2", 12);
	memcpy(h + 136, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 12);
	set_sum(h);
	data(b, "xy", 2);
}
static void c_device(struct hr_buf *b)
{
	uint8_t *h = header(b, '3', "null", "0");

	memcpy(h + 329, "0000001", 7);
	memcpy(h + 337, "0000003", 7);
	set_sum(h);
}
static void c_hardlink_data(struct hr_buf *b)
{
	memcpy(header(b, '1', "h", "00000001000") + 157, "a", 1);
	set_sum(b->p + b->len - STORE_TAR_BLOCK);
	for (int i = 0; i < 512; i++)
		hr_buf_add(b, "x", 1);
	entry(b, '0', "after", "", 0);
}
static void c_hardlink_size_only(struct hr_buf *b)
{
	header(b, '1', "h", "00000001000");
	entry(b, '0', "after", "", 0);
}
static void c_junk_behind(struct hr_buf *b)
{
	c_file(b);
	hr_buf_str(b, "junk that is no entry");
}
static void c_no_end(struct hr_buf *b)
{
	entry(b, '0', "a", "xy", 2);
}
static void c_no_padding(struct hr_buf *b)
{
	entry(b, '0', "a", "xy", 2);
	b->len -= 510;
}
static void c_one_zero_block(struct hr_buf *b)
{
	c_file(b);
	b->len -= 512;
}
static void c_unknown(struct hr_buf *b)
{
	entry(b, 'Z', "odd", "xy", 2);
}
static void c_signed_sum(struct hr_buf *b)
{
	uint8_t *h = header(b, '0', "caf\xc3\xa9", "0");
	int sum = 0;

	memset(h + 148, ' ', 8);
	for (int i = 0; i < STORE_TAR_BLOCK; i++)
		sum += (int8_t)h[i];
	snprintf((char *)h + 148, 8, "%06o", (unsigned int)sum);
}
static void c_gnu_sparse(struct hr_buf *b)
{
	uint8_t *h = header(b, 'S', "s", "00000000003");

	memcpy(h + 257, "ustar  ", 8);
	memcpy(h + 386, "00000000012", 11); /* 1 byte at 10 */
	memcpy(h + 398, "00000000001", 11);
	h[482] = 1;
	memcpy(h + 483, "00000000144", 11); /* 100 bytes */
	set_sum(h);
	hr_buf_add(b, "00000000062\00000000000002", 23); /* 2 bytes at 50 */
	pad(b);
	data(b, "abc", 3);
}
static void c_sparse_0_1(struct hr_buf *b)
{
	static const char records[] = "23 GNU.sparse.size=100\n28 GNU.sparse.map=10,1,50,2\n"
				      "26 GNU.sparse.name=real/s\n";

	entry(b, 'x', "pax", records, sizeof(records) - 1);
	header(b, '0', "s", "00000000003");
	data(b, "abc", 3);
}
static void c_sparse_1_0(struct hr_buf *b)
{
	static const char records[] = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
				      "27 GNU.sparse.realsize=100\n";

	entry(b, 'x', "pax", records, sizeof(records) - 1);
	header(b, '0', "s", "00000001003");
	hr_buf_str(b, "2\n10\n1\n50\n2\n");
	pad(b);
	data(b, "abc", 3);
}
static void r_dangling(struct hr_buf *b)
{
	PAX(b, "path=x");
}
static void r_dangling_end(struct hr_buf *b)
{
	PAX(b, "path=x");
	end(b);
}
static void r_two_pax(struct hr_buf *b)
{
	PAX(b, "path=x");
	PAX(b, "path=y");
	c_file(b);
}
static void r_nul(struct hr_buf *b)
{
	PAX(b, "path=a\0b");
	c_file(b);
}
static void r_negative_pax(struct hr_buf *b)
{
	PAX(b, "size=-1");
	c_file(b);
}
static void r_bad_time(struct hr_buf *b)
{
	PAX(b, "mtime=soon");
	c_file(b);
}
static void r_length(struct hr_buf *b)
{
	entry(b, 'x', "pax", "99 path=a\n", 10);
	c_file(b);
}
static void r_length_0(struct hr_buf *b)
{
	entry(b, 'x', "pax", "0 path=a\n", 9);
	c_file(b);
}
static void r_huge_pax(struct hr_buf *b)
{
	header(b, 'x', "pax", "07777777777");
}
static void r_sum(struct hr_buf *b)
{
	header(b, '0', "a", "0")[0] = 'b';
}
static void r_octal(struct hr_buf *b)
{
	header(b, '0', "a", "0000000009");
}
static void r_negative(struct hr_buf *b)
{
	memset(header(b, '0', "a", "") + 124, 0xff, 12);
	set_sum(b->p + b->len - STORE_TAR_BLOCK);
}
static void r_2_63(struct hr_buf *b)
{
	memcpy(header(b, '0', "a", "") + 124, "\x80\0\0\0\x80\0\0\0\0\0\0\0", 12);
	set_sum(b->p + b->len - STORE_TAR_BLOCK);
}
static void r_lone_zeros(struct hr_buf *b)
{
	c_file(b);
	b->len -= 512;
	c_file(b);
}
static void r_in_data(struct hr_buf *b)
{
	header(b, '0', "a", "00000000010");
	hr_buf_str(b, "x");
}
static void r_in_header(struct hr_buf *b)
{
	c_file(b);
	b->len = 1100;
}
static void r_type_d(struct hr_buf *b)
{
	entry(b, 'D', "a", "Yx\0", 3);
}
static void r_sparse_overlap(struct hr_buf *b)
{
	static const char records[] = "23 GNU.sparse.size=100\n28 GNU.sparse.map=50,2,10,1\n";

	entry(b, 'x', "pax", records, sizeof(records) - 1);
	header(b, '0', "s", "00000000003");
}
static void r_sparse_past(struct hr_buf *b)
{
	static const char records[] = "22 GNU.sparse.size=51\n28 GNU.sparse.map=10,1,50,2\n";

	entry(b, 'x', "pax", records, sizeof(records) - 1);
	header(b, '0', "s", "00000000003");
}
static void r_sparse_sum(struct hr_buf *b)
{
	static const char records[] = "23 GNU.sparse.size=100\n28 GNU.sparse.map=10,1,50,2\n";

	entry(b, 'x', "pax", records, sizeof(records) - 1);
	header(b, '0', "s", "00000000004");
}

static const struct {
	const char *what;
	void (*make)(struct hr_buf *b);
	const char *text; /* or a part of the message, after "! " */
} rows[] = {
	{ "a file", c_file, "[f a 2 @0:xy]" },
	{ "V7", c_v7, "[d d/][f f 1 @0:x]" },
	{ "a ustar prefix", c_prefix, "[f some/dir/name]" },
	{ "GNU long names", c_gnu, "[l very/long/name ->very/long/target 16]" },
	{ "pax", c_pax,
	  "[f p/x 1 @0:x][d d t-2.750000000][d e u65534:2][d x user.a=b=c]"
	  "[d far t9223372036854775798.500000000]" },
	{ "a pax size wins", c_pax_size, "[f a 3 @0:abc][f b]" },
	{ "a global header", c_pax_global, "[f a]" },
	{ "numbers of base 256", c_base_256, "[f a 2 t-2.0 @0:xy]" },
	{ "a device", c_device, "[c null 1,3]" },
	{ "a hardlink with data", c_hardlink_data, "[h h ->a][f after]" },
	{ "a hardlink with a size alone", c_hardlink_size_only, "[h h][f after]" },
	{ "junk behind the end", c_junk_behind, "[f a 2 @0:xy]" },
	{ "no end", c_no_end, "[f a 2 @0:xy]" },
	{ "no end and no padding", c_no_padding, "[f a 2 @0:xy]" },
	{ "one block of zeros at the end", c_one_zero_block, "[f a 2 @0:xy]" },
	{ "an unknown type", c_unknown, "[f odd 2 @0:xy]" },
	{ "a check sum of signed bytes", c_signed_sum, "[f caf\xc3\xa9]" },
	{ "old GNU sparse", c_gnu_sparse, "[f s 100 @10:a @50:bc]" },
	{ "pax sparse 0.1", c_sparse_0_1, "[f real/s 100 @10:a @50:bc]" },
	{ "pax sparse 1.0", c_sparse_1_0, "[f s 100 @10:a @50:bc]" },
	{ "a pax header at the end", r_dangling, "! between a header and its entry" },
	{ "a pax header before the end", r_dangling_end, "! between a header and its entry" },
	{ "two pax headers", r_two_pax, "! two pax headers for one entry" },
	{ "a NUL in a name", r_nul, "! pax record 'path': a NUL in the value" },
	{ "a negative pax size", r_negative_pax, "! pax record 'size': not a number" },
	{ "a time that is none", r_bad_time, "! pax record 'mtime': not a time" },
	{ "a pax length that lies", r_length, "! malformed pax record at byte 0" },
	{ "a pax length of 0", r_length_0, "! malformed pax record at byte 0" },
	{ "a pax header of a gigabyte", r_huge_pax, "! a pax header of 1073741823 bytes" },
	{ "a wrong check sum", r_sum, "! wrong check sum" },
	{ "a digit 9", r_octal, "! its size is not a number" },
	{ "a negative size", r_negative, "! its size is negative" },
	{ "a size of 2^63", r_2_63, "! its size is 2^63 or more" },
	{ "one block of zeros between", r_lone_zeros, "! one block of zeros between entries" },
	{ "an end in data", r_in_data, "! ends in the data of a file" },
	{ "an end in a header", r_in_header, "! ends in a header" },
	{ "GNU's list of a directory", r_type_d, "! type 'D' is not known" },
	{ "a sparse map out of order", r_sparse_overlap, "! sparse piece 1" },
	{ "a sparse map past the end", r_sparse_past, "! sparse piece 1" },
	{ "a sparse map of other sums", r_sparse_sum, "! a sparse map of 3 bytes, 4 are stored" },
};

static void archives(void **state)
{
	static const size_t steps[] = { 1, 511, 512, 1000, 1 << 20 };

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf b = { 0 };

		rows[i].make(&b);
		for (size_t k = 0; k < HR_COUNT(steps); k++) {
			hr_autobuf struct hr_buf got = { 0 };
			struct hr_err e = { 0 };
			bool bad = rows[i].text[0] == '!';
			int r = print_archive(&b, steps[k], &got, &e);

			if (bad ? r == 0 || !strstr(e.text, rows[i].text + 2) ||
					    e.kind != HR_CORRUPT
				: r < 0 || strcmp((const char *)got.p, rows[i].text) != 0)
				fail_msg("row '%s', steps of %zu: %d '%s' '%s'", rows[i].what,
					 steps[k], r, (const char *)got.p, e.text);
		}
	}
}

/* The reader ends, whatever the bytes, and never reads outside them. */
static size_t bytes_in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static unsigned int open_files(void)
{
	hr_autodir DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n;
}

/* C24: what is refused leaves nothing behind, however often it comes. */
static void refused_ten_thousand_times(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf b = { 0 };
		unsigned int files = open_files();
		size_t before;

		if (rows[i].text[0] != '!')
			continue;
		rows[i].make(&b);
		before = bytes_in_use();
		for (int round = 0; round < 10000; round++) {
			hr_autobuf struct hr_buf got = { 0 };
			struct hr_err e = { 0 };

			if (print_archive(&b, 4096, &got, &e) == 0)
				fail_msg("row '%s' is accepted", rows[i].what);
		}
		if (bytes_in_use() > before + 4096 || open_files() != files)
			fail_msg("row '%s': %zu bytes more are in use", rows[i].what,
				 bytes_in_use() - before);
	}
}

static void changed_bytes_never_crash(void **state)
{
	(void)state;
	srand(3);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf b = { 0 };

		rows[i].make(&b);
		for (int round = 0; round < 300; round++) {
			hr_autobuf struct hr_buf got = { 0 };
			struct hr_err e = { 0 };
			size_t at = (size_t)rand() % b.len;
			uint8_t was = b.p[at];

			b.p[at] = (uint8_t)rand();
			if (round % 2 && at / 512 * 512 + 512 <= b.len)
				set_sum(b.p + at / 512 * 512); /* so that it gets further */
			if (print_archive(&b, 4096, &got, &e) < 0)
				assert_string_not_equal(e.text, "");
			b.p[at] = was;
		}
	}
}

static void numbers(void **state)
{
	static const struct {
		const char *field;
		size_t n;
		bool ok;
		int64_t value;
	} numbers[] = {
		{ "0000017", 8, true, 15 },
		{ "   17 ", 7, true, 15 },
		{ "17\0\0\0", 5, true, 15 },
		{ "\0\0", 2, true, 0 },
		{ "18", 2, false, 0 },
		{ "1 7", 3, false, 0 },
		{ "-7", 2, false, 0 },
		{ "\x80\x01", 2, true, 1 },
		{ "\xff\xff", 2, true, -1 },
		{ "\x80\x80\0\0\0\0\0\0\0", 9, true, INT64_MAX },
		{ "\xc0\0\0\0\0\0\0\0\0", 9, true, INT64_MIN },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(numbers); i++) {
		int64_t v = 0;
		bool ok = store_tar_number((const uint8_t *)numbers[i].field, numbers[i].n, &v);

		if (ok != numbers[i].ok || (ok && v != numbers[i].value))
			fail_msg("row %zu: %d %lld", i, ok, (long long)v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(archives),
		cmocka_unit_test(refused_ten_thousand_times),
		cmocka_unit_test(changed_bytes_never_crash),
		cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
