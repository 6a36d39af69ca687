/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/ldcache.h"

#include <limits.h>
#include <string.h>

#include "util/le.h"
#include "util/poison.h"

/* The old format: magic, a byte of padding, the number of entries, the entries. */
#define OLD_MAGIC	"ld.so-1.7.0"
#define OLD_HEAD_BYTES	16
#define OLD_COUNT_AT	12
#define OLD_ENTRY_BYTES 12
#define NEW_ALIGN	8

#define NEW_MAGIC	"glibc-ld.so.cache1.1"
#define NEW_HEAD_BYTES	48
#define NEW_COUNT_AT	20
#define NEW_FLAGS_AT	28
#define NEW_ENTRY_BYTES 24
#define ENDIAN_MASK	3u
#define ENDIAN_UNSET	0u /* before glibc 2.33 */
#define ENDIAN_LITTLE	2u

#define STRING_MAX PATH_MAX /* bounds the work when all entries name one long string */

static bool has_magic(const uint8_t *p, size_t n, const char *magic)
{
	return n >= strlen(magic) && memcmp(p, magic, strlen(magic)) == 0;
}

/* Where the new format begins: at the start, or behind the old one. */
static int skip_old(const uint8_t *p, size_t n, size_t *start, struct hr_err *e)
{
	uint64_t end;

	*start = 0;
	if (!has_magic(p, n, OLD_MAGIC))
		return 0;
	if (n < OLD_HEAD_BYTES)
		return hr_fail(e, HR_CORRUPT, 0, "library cache ends in its header (%zu bytes)", n);
	end = OLD_HEAD_BYTES + (uint64_t)hr_le32(p + OLD_COUNT_AT) * OLD_ENTRY_BYTES;
	end = (end + NEW_ALIGN - 1) / NEW_ALIGN * NEW_ALIGN;
	if (end > n || !has_magic(p + end, n - end, NEW_MAGIC))
		return hr_fail(
			e, HR_CORRUPT, 0,
			"library cache of the format of glibc 2.1, with nothing newer in it");
	*start = (size_t)end;
	return 0;
}

/* The string at OFFSET, or NULL when it does not end in time. */
static const char *string_at(const struct rt_ldcache *c, uint32_t offset)
{
	size_t left;

	if (offset >= c->n)
		return NULL;
	left = c->n - offset;
	if (!memchr(c->p + offset, '\0', left < STRING_MAX ? left : STRING_MAX))
		return NULL;
	return (const char *)c->p + offset;
}

static const uint8_t *entry_at(const struct rt_ldcache *c, uint32_t i)
{
	return c->p + NEW_HEAD_BYTES + (size_t)i * NEW_ENTRY_BYTES;
}

static int check_entries(const struct rt_ldcache *c, struct hr_err *e)
{
	for (uint32_t i = 0; i < c->count; i++) {
		const uint8_t *at = entry_at(c, i);
		const char *name = string_at(c, hr_le32(at + 4));
		const char *path = string_at(c, hr_le32(at + 8));

		if (!name || !path)
			return hr_fail(e, HR_CORRUPT, 0,
				       "entry %u of the library cache has a string without an end",
				       i);
		if (path[0] != '/')
			return hr_fail(e, HR_CORRUPT, 0,
				       "entry %u of the library cache is no absolute path", i);
	}
	return 0;
}

int rt_ldcache_parse(const uint8_t *p, size_t n, struct rt_ldcache *out, struct hr_err *e)
{
	struct rt_ldcache c = { 0 };
	unsigned int endian;
	size_t start;

	if (n > RT_LDCACHE_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "library cache of %zu bytes, at most %u", n,
			       RT_LDCACHE_MAX);
	if (skip_old(p, n, &start, e) < 0)
		return -1;
	c.p = p + start;
	c.n = n - start;
	if (!has_magic(c.p, c.n, NEW_MAGIC))
		return hr_fail(e, HR_CORRUPT, 0, "library cache of a format that is not glibc's");
	if (c.n < NEW_HEAD_BYTES)
		return hr_fail(e, HR_CORRUPT, 0, "library cache ends in its header (%zu bytes)", n);
	endian = c.p[NEW_FLAGS_AT] & ENDIAN_MASK;
	if (endian != ENDIAN_UNSET && endian != ENDIAN_LITTLE)
		return hr_fail(e, HR_CORRUPT, 0, "library cache of another byte order (%u)",
			       endian);
	c.count = hr_le32(c.p + NEW_COUNT_AT);
	if (c.count > (c.n - NEW_HEAD_BYTES) / NEW_ENTRY_BYTES)
		return hr_fail(e, HR_CORRUPT, 0,
			       "library cache of %zu bytes cannot have %u entries", n, c.count);
	if (check_entries(&c, e) < 0)
		return -1;
	*out = c;
	return 0;
}

void rt_ldcache_get(const struct rt_ldcache *c, uint32_t i, struct rt_ldcache_entry *entry)
{
	const uint8_t *at = entry_at(c, i);

	HR_BUG_ON(i >= c->count);
	*entry = (struct rt_ldcache_entry) { .soname = (const char *)c->p + hr_le32(at + 4),
					     .path = (const char *)c->p + hr_le32(at + 8),
					     .hwcap = hr_le64(at + 16) };
}
