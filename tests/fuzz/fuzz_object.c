/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The objects of a store but for the image index, each read as every kind: layer indexes, location
 * files, tables of packs, text records. What is accepted lies inside and is written as it was read.
 */
#include "config.h"

#include <string.h>

#include "store/layer.h"
#include "store/loc.h"
#include "store/pack.h"
#include "store/record.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/poison.h"

static void check_error(const struct hr_err *e)
{
	FUZZ_CHECK(e->kind == HR_CORRUPT && e->text[0] != '\0');
}

static void check_string(const struct store_string *s)
{
	FUZZ_CHECK(strlen(s->p) == s->len);
}

static void check_xattr(const struct store_layer *l, uint32_t i)
{
	struct store_xattr x = store_layer_xattr(l, i);

	check_string(&x.name);
}

static void check_layer(const uint8_t *p, size_t n)
{
	struct store_layer l;
	struct hr_err e = { 0 };

	if (store_layer_parse(p, n, &l, &e) < 0) {
		check_error(&e);
		return;
	}
	for (uint32_t i = 0; i < l.n_entries; i++) {
		struct store_layer_entry entry = store_layer_entry(&l, i);

		check_string(&entry.path);
		if (entry.target.p)
			check_string(&entry.target);
		for (uint32_t k = 0; k < entry.n_extents; k++)
			(void)store_layer_extent(&l, entry.first_extent + k);
		for (uint32_t k = 0; k < entry.n_xattrs; k++)
			check_xattr(&l, entry.first_xattr + k);
	}
	for (uint32_t i = 0; i < l.n_chunks; i++)
		(void)store_layer_chunk(&l, i);
}

static void check_loc(const uint8_t *p, size_t n)
{
	uint32_t n_packs, n_chunks;
	struct store_loc l;
	struct hr_err e = { 0 };

	if (n < STORE_LOC_HEADER_BYTES)
		return;
	if (store_loc_header_parse(p, n, &n_packs, &n_chunks, &e) < 0) {
		check_error(&e);
		return;
	}
	if (store_loc_parse(p, n, n_chunks, &l, &e) < 0) {
		check_error(&e);
		return;
	}
	for (uint32_t i = 0; i < l.n_packs; i++)
		(void)store_loc_pack(&l, i);
	for (uint32_t i = 0; i < l.n_chunks; i++)
		FUZZ_CHECK(store_loc_chunk(&l, i).pack < l.n_packs);
	FUZZ_CHECK(store_loc_parse(p, n, n_chunks + 1, &l, &e) < 0);
}

static void check_pack(const uint8_t *p, size_t n)
{
	struct store_pack_table t;
	uint64_t plain_off = 0, frame_off = 0, bytes;
	struct hr_err e = { 0 };

	if (n < 16)
		return;
	bytes = hr_le64(p + n - 16) + 8 + n; /* a pack as large as the table says */
	if (store_pack_table_parse(p, n, bytes, &t, &e) < 0) {
		check_error(&e);
		return;
	}
	for (uint32_t i = 0; i < t.n; i++) {
		struct store_pack_row row = store_pack_row(&t, i, &plain_off);

		FUZZ_CHECK(row.frame_off == frame_off);
		frame_off += row.frame_len;
	}
	FUZZ_CHECK(frame_off == t.frames_bytes && frame_off < bytes);
}

static void check_records(const uint8_t *p, size_t n)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct store_ref_record ref = { 0 };
	struct store_blob_record blob;
	struct store_image_record image = { 0 };
	struct hr_err e = { 0 }, f = { 0 }, g = { 0 };

	if (store_ref_record_parse(p, n, &ref, &e) == 0)
		store_ref_record_write(&ref, &b);
	else
		check_error(&e);
	if (store_blob_record_parse(p, n, &blob, &f) == 0)
		store_blob_record_write(&blob, &b);
	else
		check_error(&f);
	if (store_image_record_parse(p, n, &image, &g) == 0)
		store_image_record_write(&image, &b);
	else
		check_error(&g);
	FUZZ_CHECK(b.len == 0 || (b.len == n && memcmp(b.p, p, n) == 0));
	store_ref_record_release(&ref);
	store_image_record_release(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	check_layer(p, n);
	check_loc(p, n);
	check_pack(p, n);
	check_records(p, n);
	return 0;
}
