/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/push_progress.h"

#include <stdio.h>

#include "store/progress.h"
#include "store/size.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define TICK_S 0.1

void push_progress_begin(struct push_progress *p, const struct fetch_digest *digest, uint64_t size)
{
	p->digest = digest;
	p->size = size;
	p->got = 0;
	clock_gettime(CLOCK_MONOTONIC, &p->begin);
	p->drawn = p->begin;
}

static void draw(const struct push_progress *p)
{
	hr_autobuf struct hr_buf line = { 0 };
	char text[STORE_SIZE_TEXT], digest[PROGRESS_DIGEST];

	if (p->digest) {
		hr_buf_printf(&line, "%s  ", progress_digest(p->digest, digest));
		progress_bar(p->got, p->size, progress_seconds_since(&p->begin), progress_columns(),
			     &line);
	} else {
		hr_buf_printf(&line, "reading the image: %s", store_size_text(p->got, text));
	}
	fprintf(stderr, PROGRESS_CLEAR "%s", (const char *)line.p);
}

void push_progress_add(struct push_progress *p, uint64_t n)
{
	p->got += n;
	if (!p->bars || p->quiet || progress_seconds_since(&p->drawn) < TICK_S)
		return;
	clock_gettime(CLOCK_MONOTONIC, &p->drawn);
	draw(p);
}

void push_progress_end(struct push_progress *p, const char *outcome)
{
	char size[STORE_SIZE_TEXT], digest[PROGRESS_DIGEST];

	if (p->quiet)
		return;
	if (p->bars)
		fputs(PROGRESS_CLEAR, stderr);
	if (outcome)
		fprintf(stderr, "layer %s: %s: %s\n", progress_digest(p->digest, digest),
			store_size_text(p->size, size), outcome);
}
