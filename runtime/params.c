/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/params.h"

#include <stdlib.h>
#include <string.h>

#include "util/le.h"
#include "util/poison.h"

#define MAGIC	   0x31707268u /* "hrp1" */
#define PARTS	   5
#define HEAD_BYTES (4 * (PARTS + 1))
#define INSN_BYTES 8

void rt_image_release(struct rt_image *im)
{
	hr_strv_release(&im->env);
	hr_strv_release(&im->entrypoint);
	hr_strv_release(&im->cmd);
	free(im->workdir);
	im->workdir = NULL;
}

static size_t list_bytes(const struct hr_strv *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += strlen(l->v[i]) + 1;
	return n;
}

static void add_list(struct hr_buf *b, const struct hr_strv *l)
{
	for (size_t i = 0; i < l->n; i++)
		hr_buf_add(b, l->v[i], strlen(l->v[i]) + 1);
}

void rt_params_write(struct hr_buf *b, const struct hr_buf *filter, const struct rt_image *im)
{
	size_t workdir = im->workdir ? strlen(im->workdir) + 1 : 0;

	hr_buf_le(b, MAGIC, 4);
	hr_buf_le(b, filter->len, 4);
	hr_buf_le(b, list_bytes(&im->env), 4);
	hr_buf_le(b, list_bytes(&im->entrypoint), 4);
	hr_buf_le(b, list_bytes(&im->cmd), 4);
	hr_buf_le(b, workdir, 4);
	hr_buf_add(b, filter->p, filter->len);
	add_list(b, &im->env);
	add_list(b, &im->entrypoint);
	add_list(b, &im->cmd);
	if (workdir > 0)
		hr_buf_add(b, im->workdir, workdir);
}

int rt_params_parse(const uint8_t *p, size_t n, struct rt_params *out, struct hr_err *e)
{
	const char *part[PARTS];
	size_t bytes[PARTS], at = HEAD_BYTES;

	if (n < HEAD_BYTES || n > RT_PARAMS_MAX || hr_le32(p) != MAGIC)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the session's parameters (%zu bytes) are not of this version", n);
	for (size_t i = 0; i < PARTS; i++) {
		bytes[i] = hr_le32(p + 4 * (i + 1));
		part[i] = (const char *)p + at;
		if (bytes[i] > n - at)
			return hr_fail(e, HR_CORRUPT, 0,
				       "part %zu of the session's parameters ends behind them", i);
		at += bytes[i];
		if (i > 0 && bytes[i] > 0 && p[at - 1] != '\0')
			return hr_fail(e, HR_CORRUPT, 0,
				       "part %zu of the session's parameters has no end", i);
	}
	if (at != n || bytes[0] % INSN_BYTES != 0)
		return hr_fail(e, HR_CORRUPT, 0, "the session's parameters are %zu bytes, not %zu",
			       n, at);
	*out = (struct rt_params) { .filter = part[0],
				    .filter_bytes = bytes[0],
				    .env = part[1],
				    .env_bytes = bytes[1],
				    .entrypoint = part[2],
				    .entrypoint_bytes = bytes[2],
				    .cmd = part[3],
				    .cmd_bytes = bytes[3],
				    .workdir = part[4],
				    .workdir_bytes = bytes[4] };
	return 0;
}
