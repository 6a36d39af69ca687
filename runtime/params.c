/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/params.h"

#include <stdlib.h>
#include <string.h>

#include "util/le.h"
#include "util/poison.h"

#define MAGIC	   0x32707268u /* "hrp2" */
#define PARTS	   8
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

void rt_host_release(struct rt_host *host)
{
	hr_strv_release(&host->env);
	hr_strv_release(&host->dirs);
	free(host->report);
	host->report = NULL;
}

static size_t list_bytes(const struct hr_strv *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += strlen(l->v[i]) + 1;
	return n;
}

void rt_params_list(struct hr_buf *b, const struct hr_strv *l)
{
	for (size_t i = 0; i < l->n; i++)
		hr_buf_add(b, l->v[i], strlen(l->v[i]) + 1);
}

static size_t string_bytes(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

static void add_string(struct hr_buf *b, const char *s)
{
	if (s)
		hr_buf_add(b, s, strlen(s) + 1);
}

void rt_params_write(struct hr_buf *b, const struct hr_buf *filter, const struct rt_image *im,
		     const struct rt_host *host)
{

	hr_buf_le(b, MAGIC, 4);
	hr_buf_le(b, filter->len, 4);
	hr_buf_le(b, list_bytes(&im->env), 4);
	hr_buf_le(b, list_bytes(&im->entrypoint), 4);
	hr_buf_le(b, list_bytes(&im->cmd), 4);
	hr_buf_le(b, string_bytes(im->workdir), 4);
	hr_buf_le(b, list_bytes(&host->env), 4);
	hr_buf_le(b, list_bytes(&host->dirs), 4);
	hr_buf_le(b, string_bytes(host->report), 4);
	hr_buf_add(b, filter->p, filter->len);
	rt_params_list(b, &im->env);
	rt_params_list(b, &im->entrypoint);
	rt_params_list(b, &im->cmd);
	add_string(b, im->workdir);
	rt_params_list(b, &host->env);
	rt_params_list(b, &host->dirs);
	add_string(b, host->report);
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
				    .workdir_bytes = bytes[4],
				    .host_env = part[5],
				    .host_env_bytes = bytes[5],
				    .host_dirs = part[6],
				    .host_dirs_bytes = bytes[6],
				    .report = part[7],
				    .report_bytes = bytes[7] };
	return 0;
}
