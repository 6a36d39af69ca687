/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists of large files from anywhere: the one that a session is sent, and the one that the node
 * cache keeps. An error is explained; what is read lies inside; written again it is the same.
 */
#include "config.h"

#include <string.h>

#include "store/native.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/serve_proto.h"
#include "util/poison.h"

static void sent(const uint8_t *p, size_t n)
{
	hr_autobuf struct hr_buf again = { 0 };
	const uint8_t *at = p;
	size_t left = n;
	struct hr_err e = { 0 };
	struct hr_native r;
	int got;

	while ((got = hr_native_next(&at, &left, &r, &e)) > 0) {
		FUZZ_CHECK(r.source[0] == '/' && r.target[0] == '/');
		FUZZ_CHECK(at == p + (n - left));
		hr_native_add(&again, &r);
	}
	if (got < 0)
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
	FUZZ_CHECK(again.len == n - left && (again.len == 0 || memcmp(again.p, p, again.len) == 0));
}

static void kept(const uint8_t *p, size_t n)
{
	HR_CLEANUP(store_native_list_release) struct store_native_list l = { 0 };
	struct fetch_digest manifest = { { 0 } };
	hr_autobuf struct hr_buf again = { 0 };
	struct hr_err e = { 0 };

	if (n >= 48)
		memcpy(manifest.b, p + 16, sizeof(manifest.b));
	if (store_native_list_parse(p, n, &manifest, &l, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0' && l.n == 0);
		return;
	}
	store_native_list_write(&l, &manifest, &again);
	FUZZ_CHECK(again.len <= n); /* less when a path was in it twice */
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	sent(p, n);
	kept(p, n);
	return 0;
}
