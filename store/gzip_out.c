/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/gzip_out.h"

#include <stdlib.h>

#include <isa-l/igzip_lib.h>

#include "util/cleanup.h"
#include "util/poison.h"

#define OUT_BYTES (256u << 10)

struct store_gzip {
	fetch_sink *sink;
	void *arg;
	uint8_t *level, *out;
	struct isal_zstream z;
};

struct store_gzip *store_gzip_new(fetch_sink *sink, void *arg)
{
	struct store_gzip *g = hr_xmalloc(sizeof(*g));

	g->sink = sink;
	g->arg = arg;
	g->level = hr_xmalloc(ISAL_DEF_LVL1_DEFAULT);
	g->out = hr_xmalloc(OUT_BYTES);
	isal_deflate_init(&g->z);
	g->z.level = 1; /* the next ones take twice the time for a few per cent */
	g->z.level_buf = g->level;
	g->z.level_buf_size = ISAL_DEF_LVL1_DEFAULT;
	g->z.gzip_flag = IGZIP_GZIP;
	return g;
}

/* Until all input is taken, and at the end all output given. */
static int run(struct store_gzip *g, struct hr_err *e)
{
	do {
		size_t n;

		g->z.next_out = g->out;
		g->z.avail_out = OUT_BYTES;
		HR_BUG_ON(isal_deflate(&g->z) != COMP_OK); /* it knows errors of the caller only */
		n = OUT_BYTES - g->z.avail_out;
		if (n > 0 && g->sink(g->arg, g->out, n, e) < 0)
			return -1;
	} while (g->z.avail_in > 0 || g->z.avail_out == 0 ||
		 (g->z.end_of_stream && g->z.internal_state.state != ZSTATE_END));
	return 0;
}

int store_gzip_add(void *gzip, const void *p, size_t n, struct hr_err *e)
{
	struct store_gzip *g = gzip;

	HR_BUG_ON(n > UINT32_MAX);
	g->z.next_in = (uint8_t *)(uintptr_t)p;
	g->z.avail_in = (uint32_t)n;
	return n > 0 ? run(g, e) : 0;
}

int store_gzip_end(struct store_gzip *g, struct hr_err *e)
{
	g->z.avail_in = 0;
	g->z.end_of_stream = 1;
	return run(g, e);
}

void store_gzip_free(struct store_gzip *g)
{
	if (!g)
		return;
	free(g->level);
	free(g->out);
	free(g);
}
