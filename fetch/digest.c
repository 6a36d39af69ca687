/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/fetch.h"

#include <string.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/poison.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int fetch_digest_parse_hex(const char *s, struct fetch_digest *out, struct hr_err *e)
{
	size_t n = strlen(s);
	struct fetch_digest d;

	if (n != FETCH_DIGEST_HEX - 1)
		return hr_fail(e, HR_CORRUPT, 0, "digest has %zu digits, expected %d", n,
			       FETCH_DIGEST_HEX - 1);
	for (size_t i = 0; i < FETCH_DIGEST_LEN; i++) {
		int high = hex_value(s[2 * i]), low = hex_value(s[2 * i + 1]);

		if (high < 0 || low < 0)
			return hr_fail(e, HR_CORRUPT, 0,
				       "digest '%s' has a character other than 0-9 and a-f", s);
		d.b[i] = (uint8_t)(high << 4 | low);
	}
	*out = d;
	return 0;
}

int fetch_digest_parse(const char *s, struct fetch_digest *out, struct hr_err *e)
{
	static const char prefix[] = "sha256:";
	const char *colon = strchr(s, ':');

	if (strncmp(s, prefix, sizeof(prefix) - 1) == 0)
		return fetch_digest_parse_hex(s + sizeof(prefix) - 1, out, e);
	if (!colon)
		return hr_fail(e, HR_CORRUPT, 0, "'%.80s' is not a digest 'sha256:...'", s);
	return hr_fail(e, HR_CORRUPT, 0, "digest algorithm '%.*s' is not supported, only sha256",
		       colon - s > 32 ? 32 : (int)(colon - s), s);
}

char *fetch_digest_hex(const struct fetch_digest *d, char buf[FETCH_DIGEST_HEX])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < FETCH_DIGEST_LEN; i++) {
		buf[2 * i] = digits[d->b[i] >> 4];
		buf[2 * i + 1] = digits[d->b[i] & 15];
	}
	buf[FETCH_DIGEST_HEX - 1] = '\0';
	return buf;
}

char *fetch_digest_text(const struct fetch_digest *d, char buf[FETCH_DIGEST_TEXT])
{
	static const char prefix[] = "sha256:";

	memcpy(buf, prefix, sizeof(prefix) - 1);
	fetch_digest_hex(d, buf + sizeof(prefix) - 1);
	return buf;
}

bool fetch_digest_equal(const struct fetch_digest *a, const struct fetch_digest *b)
{
	return memcmp(a->b, b->b, FETCH_DIGEST_LEN) == 0;
}
