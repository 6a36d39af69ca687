/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/poison.h"

int hr_fail(struct hr_err *e, enum hr_kind kind, int sys, const char *fmt, ...)
{
	char cause[128] = "";
	size_t room = sizeof(e->text), cause_len;
	va_list ap;
	int n;

#ifdef HR_TEST
	HR_BUG_ON(e->kind != HR_OK);
#endif
	if (e->kind != HR_OK)
		return -1;
	e->kind = kind;
	e->sys = sys;
	if (sys != 0)
		snprintf(cause, sizeof(cause), ": %s", strerror(sys));
	cause_len = strlen(cause);
	va_start(ap, fmt);
	n = vsnprintf(e->text, room - cause_len, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if ((size_t)n > room - cause_len - 1)
		n = (int)(room - cause_len - 1);
	memcpy(e->text + n, cause, cause_len + 1);
	return -1;
}

int hr_wrap(struct hr_err *e, const char *fmt, ...)
{
	char outer[sizeof(e->text)];
	size_t have = strlen(e->text), len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(outer, sizeof(outer), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(outer))
		return -1;
	len = (size_t)n;
	if (len + 2 + have + 1 > sizeof(e->text))
		return -1;
	memmove(e->text + len + 2, e->text, have + 1);
	memcpy(e->text, outer, len);
	memcpy(e->text + len, ": ", 2);
	return -1;
}

void hr_hint(struct hr_err *e, const char *fmt, ...)
{
	va_list ap;

	if (e->hint[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(e->hint, sizeof(e->hint), fmt, ap);
	va_end(ap);
}

void hr_err_clear(struct hr_err *e)
{
	memset(e, 0, sizeof(*e));
}
