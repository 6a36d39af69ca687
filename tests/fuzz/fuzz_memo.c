/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An entry of the cache of libraries, of any content: what is accepted is written the same again;
 * and whatever it says, nothing but absolute paths of the host and plain names come out of an
 * answer.
 */
#include "config.h"

#include <string.h>

#include "runtime/gpu_apply.h"
#include "runtime/hostlibs.h"
#include "runtime/memo.h"
#include "tests/fuzz/fuzz.h"
#include "util/poison.h"

static void check_names(const char *path, const struct hr_strv *names)
{
	FUZZ_CHECK(path[0] == '/');
	for (size_t i = 0; i < names->n; i++)
		FUZZ_CHECK(names->v[i][0] != '\0' && !strchr(names->v[i], '/'));
}

static void check_answer(const struct rt_memo *m)
{
	struct rt_hostlibs_job job = { .image = "fuzz" };
	struct rt_hostlibs libs;
	struct rt_gpu gpu = { 0 };
	struct hr_err e = { 0 };

	if (rt_hostlibs_recall(&job, m, &libs, &e) < 0)
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
	for (size_t i = 0; i < libs.inject.n; i++) {
		check_names(libs.inject.v[i].src, &libs.inject.v[i].names);
		for (size_t j = 0; j < libs.inject.v[i].covers.n; j++)
			FUZZ_CHECK(libs.inject.v[i].covers.v[j][0] == '/');
	}
	rt_hostlibs_release(&libs);
	if (rt_gpu_recall_libs(m, &gpu))
		for (size_t i = 0; i < gpu.n_libs; i++)
			check_names(gpu.libs[i].path, &gpu.libs[i].names);
	else
		FUZZ_CHECK(gpu.n_libs == 0);
	rt_gpu_release(&gpu);
}

static void check_entry(const uint8_t *p, size_t n)
{
	struct hr_buf b = { 0 }, again = { 0 };
	struct rt_memo m, second;
	struct hr_err e = { 0 };

	if (rt_memo_parse(p, n, &m, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
	} else {
		rt_memo_write(&m, &b);
		FUZZ_CHECK(rt_memo_parse(b.p, b.len, &second, &e) == 0);
		rt_memo_write(&second, &again);
		FUZZ_CHECK(b.len == again.len && memcmp(b.p, again.p, b.len) == 0);
		check_answer(&m);
		rt_memo_release(&second);
	}
	rt_memo_release(&m);
	hr_buf_release(&b);
	hr_buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct rt_memo m = { 0 };

	check_entry(p, n);
	/* past the sum, which only an entry of ours has */
	for (size_t at = 0, len; at < n; at += len + 1) {
		char *s = hr_xstrndup((const char *)p + at, n - at);

		len = strlen(s);
		hr_strv_take(&m.answer, s);
	}
	check_answer(&m);
	rt_memo_release(&m);
	return 0;
}
