/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/poison.h"

void hr_buf_reserve(struct hr_buf *b, size_t more)
{
	size_t need = b->len + more + 1;

	HR_BUG_ON(need < b->len);
	if (need <= b->cap)
		return;
	b->cap = b->cap * 2 > need ? b->cap * 2 : need + 64;
	b->p = hr_xrealloc(b->p, b->cap);
}

void hr_buf_add(struct hr_buf *b, const void *p, size_t n)
{
	hr_buf_reserve(b, n);
	if (n)
		memcpy(b->p + b->len, p, n);
	b->len += n;
	b->p[b->len] = '\0';
}

void hr_buf_str(struct hr_buf *b, const char *s)
{
	hr_buf_add(b, s, strlen(s));
}

void hr_buf_printf(struct hr_buf *b, const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	HR_BUG_ON(n < 0);
	hr_buf_add(b, s, (size_t)n);
	free(s);
}

void hr_buf_le(struct hr_buf *b, uint64_t v, unsigned int bytes)
{
	uint8_t raw[8];

	HR_BUG_ON(bytes < 1 || bytes > 8);
	for (unsigned int i = 0; i < bytes; i++)
		raw[i] = (uint8_t)(v >> (8 * i));
	hr_buf_add(b, raw, bytes);
}

void hr_buf_pad(struct hr_buf *b, size_t align)
{
	static const uint8_t zeros[64];
	size_t rest = align ? b->len % align : 0;

	for (size_t n = rest ? align - rest : 0; n > 0;) {
		size_t part = n < sizeof(zeros) ? n : sizeof(zeros);

		hr_buf_add(b, zeros, part);
		n -= part;
	}
}

void hr_buf_release(struct hr_buf *b)
{
	free(b->p);
	memset(b, 0, sizeof(*b));
}

/* Bytes of the valid, printable UTF-8 character at P (at most N), or 0. Overlong forms, surrogates
 * and C1 are 0. */
static size_t utf8_len(const uint8_t *p, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;
	size_t len;

	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f;
	len = p[0] >= 0xf0 && p[0] < 0xf8 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;
	if (len == 0 || len > n || p[0] >= 0xf8)
		return 0;
	c = p[0] & (0x7f >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c < 0xa0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	if ((c >= 0x200e && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069))
		return 0; /* direction overrides: a name must read as it is stored */
	return len;
}

void hr_buf_untrusted(struct hr_buf *b, const char *s, size_t n)
{
	const uint8_t *p = (const uint8_t *)s;

	while (n > 0) {
		size_t len = utf8_len(p, n);

		if (len)
			hr_buf_add(b, p, len);
		else
			hr_buf_printf(b, "\\x%02x", p[0]);
		p += len ? len : 1;
		n -= len ? len : 1;
	}
}
