/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/header.h"

#include <stdio.h>
#include <string.h>

#include "util/mem.h"
#include "util/poison.h"

#define RETRY_AFTER_CAP_MS (600u * 1000)

bool fetch_range_parse(const char *s, struct fetch_range *out)
{
	struct fetch_range r;

	if (strncasecmp(s, "bytes ", 6) != 0)
		return false;
	s = hr_parse_digits(s + 6, &r.first);
	if (!s || *s != '-')
		return false;
	s = hr_parse_digits(s + 1, &r.last);
	if (!s || *s != '/')
		return false;
	s = hr_parse_digits(s + 1, &r.total);
	if (!s || *s != '\0' || r.first > r.last || r.last >= r.total)
		return false;
	*out = r;
	return true;
}

uint64_t fetch_unsatisfied_total(const char *s)
{
	uint64_t total;

	if (!s || strncasecmp(s, "bytes */", 8) != 0)
		return 0;
	s = hr_parse_digits(s + 8, &total);
	return s && *s == '\0' ? total : 0;
}

/* RFC 9110 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT"; the two obsolete forms are not read. */
static bool parse_http_date(const char *s, time_t *out)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char month[4] = "";
	struct tm t = { 0 };
	const char *m;
	int end = 0;

	if (sscanf(s, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &t.tm_mday, month,
		   &t.tm_year, &t.tm_hour, &t.tm_min, &t.tm_sec, &end) != 6 ||
	    end == 0 || s[end] != '\0')
		return false;
	m = strstr(months, month);
	if (strlen(month) != 3 || !m || (m - months) % 3 != 0)
		return false;
	t.tm_mon = (int)((m - months) / 3);
	t.tm_year -= 1900;
	*out = timegm(&t);
	return true;
}

bool fetch_retry_after_parse(const char *s, time_t now, uint64_t *ms)
{
	uint64_t seconds;
	const char *end = hr_parse_digits(s, &seconds);
	time_t when;

	if (end && *end == '\0')
		;
	else if (*s && s[strspn(s, "0123456789")] == '\0')
		seconds = UINT32_MAX; /* more digits than a number holds */
	else if (parse_http_date(s, &when))
		seconds = when > now ? (uint64_t)(when - now) : 0;
	else
		return false;
	*ms = seconds >= RETRY_AFTER_CAP_MS / 1000 ? RETRY_AFTER_CAP_MS : seconds * 1000;
	return true;
}

bool fetch_upload_range_parse(const char *s, uint64_t *bytes)
{
	struct hr_err bad = { 0 };
	uint64_t last;

	*bytes = 0;
	if (!s || strcmp(s, "0--1") == 0) /* so says one registry for nothing */
		return true;
	if (strncmp(s, "bytes=", 6) == 0)
		s += 6;
	if (strncmp(s, "0-", 2) != 0 || hr_parse_u64(s + 2, "Range", 0, INT64_MAX, &last, &bad) < 0)
		return false;
	*bytes = last + (last > 0); /* "0-0" is said of nothing, too; a piece has more than one */
	return true;
}
