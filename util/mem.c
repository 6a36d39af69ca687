/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/mem.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/poison.h"

#define GROW_FIRST 16 /* elements of an array that grows */

bool hr_add(uint64_t a, uint64_t b, uint64_t *out)
{
	uint64_t r;

	if (__builtin_add_overflow(a, b, &r))
		return false;
	*out = r;
	return true;
}

bool hr_mul(uint64_t a, uint64_t b, uint64_t *out)
{
	uint64_t r;

	if (__builtin_mul_overflow(a, b, &r))
		return false;
	*out = r;
	return true;
}

void *hr_alloc_bounded(uint64_t n, uint64_t size, uint64_t limit, struct hr_err *e)
{
	uint64_t bytes;
	void *p;

	if (!hr_mul(n, size, &bytes) || bytes > limit || bytes > SIZE_MAX) {
		hr_fail(e, HR_CORRUPT, 0,
			"%" PRIu64 " elements of %" PRIu64 " bytes pass the limit of %" PRIu64
			" bytes",
			n, size, limit);
		return NULL;
	}
	p = calloc(1, bytes ? (size_t)bytes : 1);
	if (!p)
		hr_fail(e, HR_SYS, ENOMEM, "cannot allocate %" PRIu64 " bytes", bytes);
	return p;
}

void *hr_xmalloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	HR_BUG_ON(!p);
	return p;
}

void *hr_xrealloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	HR_BUG_ON(!p);
	return p;
}

void *hr_xgrow(void *p, size_t n, size_t *cap, size_t size)
{
	uint64_t more, bytes;

	if (n < *cap)
		return p;
	HR_BUG_ON(!hr_mul(*cap ? *cap : GROW_FIRST / 2, 2, &more) || !hr_mul(more, size, &bytes) ||
		  bytes > SIZE_MAX);
	*cap = (size_t)more;
	return hr_xrealloc(p, (size_t)bytes);
}

char *hr_xstrdup(const char *s)
{
	return hr_xstrndup(s, strlen(s));
}

char *hr_xstrndup(const char *s, size_t n)
{
	char *p;

	n = strnlen(s, n);
	p = hr_xmalloc(n + 1);
	memcpy(p, s, n);
	return p;
}

char *hr_xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *p = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	HR_BUG_ON(n < 0);
	return p;
}

char *hr_next_word(const char **list, const char *separators)
{
	const char *word = *list + strspn(*list, separators);
	size_t len = strcspn(word, separators);

	*list = word + len;
	return len > 0 ? hr_xstrndup(word, len) : NULL;
}

const char *hr_parse_digits(const char *s, uint64_t *out)
{
	uint64_t v = 0;

	if (!isdigit((unsigned char)*s))
		return NULL;
	for (; isdigit((unsigned char)*s); s++)
		if (!hr_mul(v, 10, &v) || !hr_add(v, (uint64_t)(*s - '0'), &v))
			return NULL;
	*out = v;
	return s;
}

static int bad_number(const char *s, const char *what, uint64_t min, uint64_t max, struct hr_err *e)
{
	return hr_fail(e, HR_USAGE, 0, "%s: '%s' is not a number from %" PRIu64 " to %" PRIu64,
		       what, s, min, max);
}

int hr_parse_u64(const char *s, const char *what, uint64_t min, uint64_t max, uint64_t *out,
		 struct hr_err *e)
{
	uint64_t v = 0;
	const char *end = hr_parse_digits(s, &v);

	if (!end || *end != '\0' || v < min || v > max)
		return bad_number(s, what, min, max, e);
	*out = v;
	return 0;
}

int hr_parse_size(const char *s, const char *what, uint64_t min, uint64_t max, uint64_t *out,
		  struct hr_err *e)
{
	static const char units[] = "KMGT";
	uint64_t v = 0;
	const char *end = hr_parse_digits(s, &v);
	const char *u;

	if (!end)
		return bad_number(s, what, min, max, e);
	if (*end != '\0' && (u = strchr(units, toupper((unsigned char)*end)))) {
		if (!hr_mul(v, UINT64_C(1024) << (10 * (u - units)), &v))
			return bad_number(s, what, min, max, e);
		end++;
		if (end[0] == 'i' && end[1] == 'B')
			end++;
	}
	if (*end == 'B')
		end++;
	if (*end != '\0' || v < min || v > max)
		return bad_number(s, what, min, max, e);
	*out = v;
	return 0;
}

void hr_strv_add(struct hr_strv *l, const char *s)
{
	hr_strv_take(l, hr_xstrdup(s));
}

void hr_strv_take(struct hr_strv *l, char *s)
{
	l->v = hr_xrealloc(l->v, (l->n + 2) * sizeof(*l->v));
	l->v[l->n++] = s;
	l->v[l->n] = NULL;
}

bool hr_strv_has(const struct hr_strv *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], s) == 0)
			return true;
	return false;
}

void hr_strv_release(struct hr_strv *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	memset(l, 0, sizeof(*l));
}
