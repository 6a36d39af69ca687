/* SPDX-License-Identifier: BSD-3-Clause */
/* store: text records and location files: what is written is parsed again, what is not is refused.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/loc.h"
#include "store/record.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/poison.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"

static const struct {
	const char *what, *text, *message;
} ref_rows[] = {
	{ "good", "manifest " D1 "\ndocument " D2 "\npulled 12\nserver h:5000\n", NULL },
	{ "empty", "", "line 1: expected 'manifest', got the end" },
	{ "no newline at the end", "manifest " D1 "\ndocument " D2 "\npulled 12\nserver h",
	  "line 4: expected 'server', got the end" },
	{ "order", "document " D1 "\nmanifest " D2 "\npulled 12\nserver h\n",
	  "line 1: expected 'manifest' and a value" },
	{ "no value", "manifest \n", "line 1: expected 'manifest' and a value" },
	{ "short digest", "manifest sha256:11\n", "line 1: digest has 2 digits, expected 64" },
	{ "sign", "manifest " D1 "\ndocument " D2 "\npulled -1\nserver h\n",
	  "line 3: pulled: '-1'" },
	{ "leading zero", "manifest " D1 "\ndocument " D2 "\npulled 012\nserver h\n",
	  "line 3: pulled has a leading zero" },
	{ "escape", "manifest " D1 "\ndocument " D2 "\npulled 1\nserver \033[2J\n",
	  "line 4: server is not printable" },
	{ "one more line", "manifest " D1 "\ndocument " D2 "\npulled 1\nserver h\nx y\n",
	  "4 bytes behind line 4" },
};

static void references(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(ref_rows); i++) {
		HR_CLEANUP(store_ref_record_release) struct store_ref_record r = { 0 };
		hr_autobuf struct hr_buf again = { 0 };
		const char *text = ref_rows[i].text;
		struct hr_err e = { 0 };
		int got = store_ref_record_parse((const uint8_t *)text, strlen(text), &r, &e);

		if ((got == 0) != !ref_rows[i].message ||
		    (got < 0 && (e.kind != HR_CORRUPT || !strstr(e.text, ref_rows[i].message))))
			fail_msg("row '%s': %d '%s'", ref_rows[i].what, got, e.text);
		if (got < 0)
			continue;
		store_ref_record_write(&r, &again);
		assert_string_equal((const char *)again.p, text);
	}
}

/* A reference from a server whose name has N bytes, the last of them LAST. */
static int parse_server(size_t n, char last, struct hr_err *e)
{
	HR_CLEANUP(store_ref_record_release) struct store_ref_record r = { 0 };
	hr_autobuf struct hr_buf b = { 0 };

	hr_buf_str(&b, "manifest " D1 "\ndocument " D2 "\npulled 1\nserver ");
	for (size_t i = 0; i + 1 < n; i++)
		hr_buf_str(&b, "h");
	hr_buf_add(&b, &last, 1);
	hr_buf_str(&b, "\n");
	return store_ref_record_parse(b.p, b.len, &r, e);
}

static void values_have_a_length_and_printable_bytes(void **state)
{
	static const struct {
		size_t n;
		char last;
		const char *message;
	} rows[] = {
		{ 1, 'h', NULL },
		{ 1023, 'h', NULL },
		{ 1024, 'h', "line 4: value of 1024 bytes, at most 1023" },
		{ 9, '\0', "line 4: a NUL in the value" },
		{ 9, '~', NULL },
		{ 9, '\x7f', "line 4: server is not printable" },
		{ 9, '\x80', "line 4: server is not printable" },
		{ 9, ' ', "line 4: server is not printable" },
		{ STORE_RECORD_LIMIT, 'h', "at most 1048576" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		int got = parse_server(rows[i].n, rows[i].last, &e);

		if ((got == 0) != !rows[i].message ||
		    (got < 0 && (e.kind != HR_CORRUPT || !strstr(e.text, rows[i].message))))
			fail_msg("row %zu: %d '%s'", i, got, e.text);
	}
}

static void what_came_from_a_registry_is_told_apart(void **state)
{
	static const struct {
		const char *server;
		bool fetched;
	} rows[] = { { "docker.io", true },
		     { "host:5000", true },
		     { "import", false },
		     { "-", false },
		     { "--", true } };

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autofree char *server = hr_xstrdup(rows[i].server);
		struct store_ref_record r = { .server = server };

		assert_int_equal(store_ref_record_is_fetched(&r), rows[i].fetched);
	}
}

static void what_cannot_be_true_of_a_pull_is_found(void **state)
{
	enum { NOW = 1000000 };
	static const struct {
		uint64_t pulled;
		const char *server, *message; /* NULL: it can */
	} rows[] = {
		{ 0, "docker.io", NULL },
		{ NOW + 86400, "h.example:5000", NULL },
		{ NOW + 86401, "h.example:5000", "in the future: at 1086401 s" },
		{ INT64_MAX, "import", "in the future" },
		{ 1, "import", NULL },
		{ 1, "-", NULL },
		{ 1, "[::1]:5000", NULL },
		{ 1, "--", "'--' is no host" },
		{ 1, "h.example/x", "no host" },
		{ 1, "h.example:", "no host" },
		{ 1, "nodots", "no host" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autofree char *server = hr_xstrdup(rows[i].server);
		struct store_ref_record r = { .server = server, .pulled = rows[i].pulled };
		struct hr_err e = { 0 };

		if ((store_ref_record_check(&r, NOW, &e) < 0) != (rows[i].message != NULL) ||
		    (rows[i].message && !strstr(e.text, rows[i].message)))
			fail_msg("row %zu: '%s'", i, e.text);
	}
}

static void images_keep_their_layers_and_lose_unprintable_dates(void **state)
{
	struct store_record_layer layers[2] = { 0 };
	char created[] = "2020\nlayer x";
	struct store_image_record in = {
		.created = created, .size = 5, .occupies = 3, .layers = layers, .n_layers = 2
	};
	HR_CLEANUP(store_image_record_release) struct store_image_record out = { 0 };
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	layers[1].blob.b[0] = 7;
	store_image_record_write(&in, &b);
	assert_int_equal(store_image_record_parse(b.p, b.len, &out, &e), 0);
	assert_string_equal(out.created, "-");
	assert_int_equal(out.size, 5);
	assert_int_equal(out.compressed, 0);
	assert_int_equal(out.occupies, 3);
	assert_int_equal(out.n_layers, 2);
	assert_int_equal(out.layers[1].blob.b[0], 7);
	for (size_t cut = 0; cut < b.len; cut++) {
		HR_CLEANUP(store_image_record_release) struct store_image_record part = { 0 };
		struct hr_err why = { 0 };

		/* a record that ends after a whole layer line is a record */
		if (store_image_record_parse(b.p, cut, &part, &why) == 0)
			assert_int_equal(b.p[cut - 1], '\n');
		else
			assert_int_equal(why.kind, HR_CORRUPT);
	}
}

static void images_have_4096_layers_at_most(void **state)
{
	char created[] = "-";

	(void)state;
	for (size_t n = FETCH_LAYERS_MAX - 1; n <= FETCH_LAYERS_MAX + 1; n++) {
		hr_autofree struct store_record_layer *layers = hr_xmalloc(n * sizeof(*layers));
		struct store_image_record in = { .created = created,
						 .layers = layers,
						 .n_layers = n };
		HR_CLEANUP(store_image_record_release) struct store_image_record out = { 0 };
		hr_autobuf struct hr_buf b = { 0 };
		struct hr_err e = { 0 };

		store_image_record_write(&in, &b);
		assert_int_equal(store_image_record_parse(b.p, b.len, &out, &e),
				 n > FETCH_LAYERS_MAX ? -1 : 0);
		if (n > FETCH_LAYERS_MAX)
			assert_string_equal(e.text, "4097 layers, at most 4096");
		else
			assert_int_equal(out.n_layers, n);
	}
}

static const struct {
	const char *what;
	size_t at; /* the 4 bytes to change */
	uint32_t value;
	size_t cut;
	const char *message;
} loc_rows[] = {
	{ "as written", 0, 0, 0, NULL },
	{ "magic", 4, 0, 0, "does not begin with hpcrLOC1" },
	{ "a pack too many", 8, 2, 0, "bytes, expected" },
	{ "packs without end", 8, UINT32_MAX, 0, "bytes, expected" },
	{ "a chunk too many", 12, 3, 0, "bytes, expected" },
	{ "no byte behind the end", 0, 0, 1, "bytes, expected" },
	{ "zero of a pack", 16 + 36, 1, 0, "pack 0: a field is not zero" },
	{ "pack of a chunk", 56 + 20, 1, 0, "chunk 0: it is in pack 1 of 1" },
	{ "last frame", 56 + 24, 8, 0, NULL },
	{ "frame of a chunk", 56 + 24, 9, 0, "chunk 0: it is frame 9 of 9" },
	{ "empty frame", 56 + 16, 0, 0, "out of range" },
	{ "offset", 56 + 4, 0x7fffffff, 0, NULL },
	{ "offset that wraps", 56 + 4, 0x80000000, 0, "out of range" },
	{ "uncompressed offset that wraps", 56 + 12, 0x80000000, 0, "out of range" },
	{ "zero of a chunk", 56 + 32 + 28, 1, 0, "chunk 1: a field is not zero" },
};

static void locations(void **state)
{
	struct store_loc_pack pack = { .name = { { 9 } }, .frames = 9 };
	struct store_loc_chunk chunks[2] = { { 10, 20, 30, 0, 0 }, { 40, 50, 60, 0, 1 } };

	(void)state;
	for (size_t i = 0; i < HR_COUNT(loc_rows); i++) {
		hr_autobuf struct hr_buf b = { 0 };
		struct hr_err e = { 0 };
		struct store_loc l;
		int got;

		store_loc_write(&pack, 1, chunks, 2, &b);
		if (loc_rows[i].at)
			hr_le32_put(b.p + loc_rows[i].at, loc_rows[i].value);
		got = store_loc_parse(b.p, b.len - loc_rows[i].cut, 2, &l, &e);
		if ((got == 0) != !loc_rows[i].message ||
		    (got < 0 && (e.kind != HR_CORRUPT || !strstr(e.text, loc_rows[i].message))))
			fail_msg("row '%s': %d '%s'", loc_rows[i].what, got, e.text);
		if (i == 0) {
			struct store_loc_chunk c = store_loc_chunk(&l, 1);

			assert_int_equal(store_loc_parse(b.p, b.len, 3, &l, &e), -1);
			assert_string_equal(e.text, "locations of 2 chunks, expected 3");

			assert_int_equal(c.frame_off, 40);
			assert_int_equal(c.plain_off, 50);
			assert_int_equal(c.frame_len, 60);
			assert_int_equal(c.frame, 1);
			assert_int_equal(store_loc_pack(&l, 0).name.b[0], 9);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references),
		cmocka_unit_test(values_have_a_length_and_printable_bytes),
		cmocka_unit_test(what_came_from_a_registry_is_told_apart),
		cmocka_unit_test(what_cannot_be_true_of_a_pull_is_found),
		cmocka_unit_test(images_keep_their_layers_and_lose_unprintable_dates),
		cmocka_unit_test(images_have_4096_layers_at_most),
		cmocka_unit_test(locations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
