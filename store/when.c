/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/when.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/err.h"
#include "util/poison.h"

#define MINUTE 60
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* N digits at *p, which moves behind them; -1 when there are not so many. */
static int digits(const char **p, int n)
{
	int value = 0;

	for (; n > 0; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return -1;
		value = value * 10 + (**p - '0');
	}
	return value;
}

/* One character of SET at *p, which moves behind it. */
static bool one_of(const char **p, const char *set)
{
	if (**p == '\0' || !strchr(set, **p))
		return false;
	(*p)++;
	return true;
}

static bool parse_date(const char **p, struct tm *t)
{
	t->tm_year = digits(p, 4) - 1900;
	if (t->tm_year <= 1 - 1900 || !one_of(p, "-"))
		return false;
	t->tm_mon = digits(p, 2) - 1;
	if (t->tm_mon < 0 || t->tm_mon > 11 || !one_of(p, "-"))
		return false;
	t->tm_mday = digits(p, 2);
	return t->tm_mday >= 1 && t->tm_mday <= 31;
}

static bool parse_time(const char **p, struct tm *t)
{
	t->tm_hour = digits(p, 2);
	if (t->tm_hour < 0 || t->tm_hour > 23 || !one_of(p, ":"))
		return false;
	t->tm_min = digits(p, 2);
	if (t->tm_min < 0 || t->tm_min > 59 || !one_of(p, ":"))
		return false;
	t->tm_sec = digits(p, 2);
	if (t->tm_sec < 0 || t->tm_sec > 60) /* a leap second */
		return false;
	if (!one_of(p, "."))
		return true;
	if (digits(p, 1) < 0)
		return false;
	while (one_of(p, "0123456789"))
		;
	return true;
}

/* Seconds east of Greenwich. */
static bool parse_zone(const char **p, int *east)
{
	int sign = **p == '-' ? -1 : 1, hours, minutes;

	*east = 0;
	if (one_of(p, "Zz"))
		return true;
	if (!one_of(p, "+-"))
		return false;
	hours = digits(p, 2);
	if (hours < 0 || hours > 23 || !one_of(p, ":"))
		return false;
	minutes = digits(p, 2);
	*east = sign * (hours * HOUR + minutes * MINUTE);
	return minutes >= 0 && minutes <= 59;
}

bool store_when_parse(const char *s, int64_t *out)
{
	struct tm t = { 0 };
	int east;

	if (!parse_date(&s, &t) || !one_of(&s, "Tt ") || !parse_time(&s, &t) ||
	    !parse_zone(&s, &east) || *s != '\0')
		return false;
	*out = (int64_t)timegm(&t) - east;
	return true;
}

char *store_when_text(int64_t then, int64_t now, char buf[STORE_WHEN_TEXT])
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = { { 365 * DAY, "years" }, { 30 * DAY, "months" }, { 7 * DAY, "weeks" },
		      { DAY, "days" },	      { HOUR, "hours" },      { MINUTE, "minutes" },
		      { 1, "seconds" } };
	int64_t age = now - then;
	time_t t = (time_t)then;
	struct tm date;

	if (age < -MINUTE) { /* one of two clocks is wrong: say what is known */
		if (!gmtime_r(&t, &date) || strftime(buf, STORE_WHEN_TEXT, "%Y-%m-%d", &date) == 0)
			snprintf(buf, STORE_WHEN_TEXT, "-");
		return buf;
	}
	for (size_t i = 0; i < HR_COUNT(units); i++) {
		if (age / units[i].seconds < 2)
			continue;
		snprintf(buf, STORE_WHEN_TEXT, "%" PRId64 " %s ago", age / units[i].seconds,
			 units[i].name);
		return buf;
	}
	snprintf(buf, STORE_WHEN_TEXT, "just now");
	return buf;
}
