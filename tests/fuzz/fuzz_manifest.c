/* SPDX-License-Identifier: BSD-3-Clause */
/* The JSON documents of a registry, each read as every kind: an error is explained. */
#include "config.h"

#include <string.h>

#include "fetch/auth.h"
#include "fetch/fetch.h"
#include "tests/fuzz/fuzz.h"
#include "util/poison.h"

static void check_error(const struct hr_err *e)
{
	FUZZ_CHECK(e->kind != HR_OK && e->text[0] != '\0');
}

static void check_manifest(const uint8_t *p, size_t n)
{
	struct fetch_manifest m = { 0 };
	struct hr_err e = { 0 };

	if (fetch_manifest_parse(p, n, &m, &e) < 0) {
		check_error(&e);
		FUZZ_CHECK(e.kind == HR_CORRUPT);
	} else {
		FUZZ_CHECK(m.n_layers <= FETCH_LAYERS_MAX);
		for (size_t i = 0; i < m.n_layers; i++)
			FUZZ_CHECK(m.layers[i].size <= INT64_MAX);
	}
	fetch_manifest_release(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct fetch_descriptor d = { 0 };
	struct fetch_config c = { 0 };
	struct fetch_token t = { 0 };
	enum fetch_doc_kind kind;
	struct hr_err e = { 0 }, f = { 0 }, g = { 0 }, h = { 0 };

	check_manifest(p, n);
	if (fetch_doc_kind(p, n, &kind, &e) < 0)
		check_error(&e);
	if (fetch_config_parse(p, n, &c, &f) < 0)
		check_error(&f);
	if (fetch_platform_pick(p, n, "amd64", &d, &g) < 0)
		check_error(&g);
	if (fetch_token_parse(p, n, &t, &h) < 0)
		check_error(&h);
	else
		FUZZ_CHECK(t.text[0] != '\0' && !strpbrk(t.text, " \r\n"));
	fetch_config_release(&c);
	free(t.text);
	return 0;
}
