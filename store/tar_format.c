/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/tar_format.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define MAP_MAX	   (1u << 20)
#define XATTRS_MAX 65536u

#define CHECKSUM_OFF 148
#define CHECKSUM_LEN 8

/* ---- numbers and headers ---- */

/* Base 256, two's complement: the first byte is 0x80 or, of negative numbers, 0xff. */
static bool base_256(const uint8_t *p, size_t n, int64_t *out)
{
	bool negative = p[0] & 0x40;
	int64_t v = negative ? -1 : 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t byte = i ? p[i] : (uint8_t)(negative ? p[0] | 0x80 : p[0] & 0x7f);

		if (v > INT64_MAX >> 8 || v < INT64_MIN >> 8) {
			*out = negative ? INT64_MIN : INT64_MAX;
			return true;
		}
		v = v * 256 + byte;
	}
	*out = v;
	return true;
}

bool store_tar_number(const uint8_t *p, size_t n, int64_t *out)
{
	int64_t v = 0;
	size_t i = 0;

	if (n > 0 && (p[0] & 0x80))
		return base_256(p, n, out);
	while (i < n && (p[i] == ' ' || p[i] == '\0'))
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
		if (v > INT64_MAX >> 3)
			return false; /* no field has so many digits */
		v = v * 8 + (p[i] - '0');
	}
	for (; i < n; i++)
		if (p[i] != ' ' && p[i] != '\0')
			return false;
	*out = v;
	return true;
}

bool store_tar_header_is_valid(const uint8_t h[STORE_TAR_BLOCK])
{
	int64_t unsigned_sum = 0, signed_sum = 0, want;

	if (!store_tar_number(h + CHECKSUM_OFF, CHECKSUM_LEN, &want))
		return false;
	for (size_t i = 0; i < STORE_TAR_BLOCK; i++) {
		bool own = i >= CHECKSUM_OFF && i < CHECKSUM_OFF + CHECKSUM_LEN;

		unsigned_sum += own ? ' ' : h[i];
		signed_sum += own ? ' ' : (int8_t)h[i];
	}
	return want == unsigned_sum || want == signed_sum;
}

bool store_tar_block_is_zero(const uint8_t h[STORE_TAR_BLOCK])
{
	return hr_is_zero(h, STORE_TAR_BLOCK);
}

bool store_tar_decimal(const char *p, size_t n, uint64_t *out)
{
	uint64_t v = 0;

	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9' || v > (INT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(p[i] - '0');
	}
	*out = v;
	return true;
}

/* "[-]SECONDS[.FRACTION]"; seconds beyond 63 bits are clamped, digits behind nanoseconds cut. */
static bool parse_time(const char *p, size_t n, int64_t *seconds, uint32_t *ns)
{
	bool negative = n > 0 && p[0] == '-';
	uint32_t scale = 100000000, frac = 0;
	int64_t v = 0;
	size_t i = negative;

	if (i == n || p[i] < '0' || p[i] > '9')
		return false;
	for (; i < n && p[i] >= '0' && p[i] <= '9'; i++)
		v = v > (INT64_MAX - 9) / 10 ? INT64_MAX - 9 : v * 10 + (p[i] - '0');
	if (i < n && p[i++] != '.')
		return false;
	for (; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		frac += scale * (uint32_t)(p[i] - '0');
		scale /= 10;
	}
	if (negative && frac > 0) {
		v++; /* -1.25 is 0.75 after -2 */
		frac = 1000000000 - frac;
	}
	*seconds = negative ? -v : v;
	*ns = frac;
	return true;
}

/* ---- sparse maps ---- */

int store_tar_map_add(struct store_tar *t, uint64_t off, uint64_t len, struct hr_err *e)
{
	if (t->n_map == MAP_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "a sparse map of more than %u pieces", MAP_MAX);
	t->map = hr_xgrow(t->map, t->n_map, &t->cap_map, sizeof(*t->map));
	t->map[t->n_map++] = (struct store_tar_piece) { off, len };
	return 0;
}

int store_tar_map_check(struct store_tar *t, uint64_t size, uint64_t stored, struct hr_err *e)
{
	uint64_t end = 0, sum = 0;
	size_t kept = 0;

	for (size_t i = 0; i < t->n_map; i++) {
		struct store_tar_piece p = t->map[i];

		/* both are at most 2^63 - 1: no overflow */
		if (p.off < end || p.off + p.len > size)
			return hr_fail(e, HR_CORRUPT, 0,
				       "sparse piece %zu from %" PRIu64 " to %" PRIu64
				       " of a file of %" PRIu64 " bytes",
				       i, p.off, p.off + p.len, size);
		end = p.off + p.len;
		sum += p.len;
		if (p.len > 0)
			t->map[kept++] = p;
	}
	t->n_map = kept;
	if (sum != stored)
		return hr_fail(e, HR_CORRUPT, 0,
			       "a sparse map of %" PRIu64 " bytes, %" PRIu64 " are stored", sum,
			       stored);
	return 0;
}

/* ---- pax records ---- */

/* One record under work. */
struct record {
	struct store_tar *t;
	struct store_tar_pax *out;
	size_t n_xattrs;
	bool has_offset; /* of sparse format 0.0 */
	uint64_t offset;
};

static int set_string(struct store_string v, struct store_string *out, bool *has, struct hr_err *e)
{
	if (memchr(v.p, '\0', v.len))
		return hr_fail(e, HR_CORRUPT, 0, "a NUL in the value");
	*out = v;
	*has = v.len > 0; /* an empty value takes an earlier one back */
	return 0;
}

static int set_number(struct store_string v, uint64_t *out, bool *has, struct hr_err *e)
{
	*has = v.len > 0;
	if (v.len > 0 && !store_tar_decimal(v.p, v.len, out))
		return hr_fail(e, HR_CORRUPT, 0, "not a number of 63 bits");
	return 0;
}

static int set_small(struct store_string v, unsigned int *out, struct hr_err *e)
{
	uint64_t n;

	if (!store_tar_decimal(v.p, v.len, &n) || n > 255)
		return hr_fail(e, HR_CORRUPT, 0, "not a version");
	*out = (unsigned int)n;
	return 0;
}

static int set_time(struct store_string v, struct store_tar_pax *out, struct hr_err *e)
{
	out->has_mtime = v.len > 0;
	if (v.len > 0 && !parse_time(v.p, v.len, &out->mtime, &out->mtime_ns))
		return hr_fail(e, HR_CORRUPT, 0, "not a time");
	return 0;
}

static int add_xattr(struct record *r, struct store_string name, struct store_string value,
		     struct hr_err *e)
{
	struct store_tar *t = r->t;

	if (name.len == 0 || name.len > STORE_NAME_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "xattr with a name of %u bytes, at most %u",
			       name.len, STORE_NAME_MAX);
	if (value.len > STORE_XATTR_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "xattr of %u bytes, at most %u", value.len,
			       STORE_XATTR_MAX);
	/* the last one of a name counts, an empty one takes it back; beyond 64 nobody is sorted out
	 */
	for (size_t i = 0; i < r->n_xattrs && i < 64; i++) {
		if (t->xattrs[i].name.len == name.len &&
		    memcmp(t->xattrs[i].name.p, name.p, name.len) == 0) {
			memmove(&t->xattrs[i], &t->xattrs[i + 1],
				(--r->n_xattrs - i) * sizeof(*t->xattrs));
			break;
		}
	}
	if (value.len == 0)
		return 0;
	if (r->n_xattrs == XATTRS_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "more than %u xattrs", XATTRS_MAX);
	t->xattrs = hr_xgrow(t->xattrs, r->n_xattrs, &t->cap_xattrs, sizeof(*t->xattrs));
	t->xattrs[r->n_xattrs++] = (struct store_xattr) { name, value };
	return 0;
}

/* Formats 0.0 (offset and numbytes in turn) and 0.1 (map, name) and 1.0 (major, minor, realsize).
 */
static int set_sparse(struct record *r, const char *key, size_t n, struct store_string v,
		      struct hr_err *e)
{
	struct store_tar_pax *out = r->out;
	uint64_t number;
	bool has;

#define IS(s) (n == sizeof(s) - 1 && memcmp(key, s, n) == 0)
	out->sparse = true;
	if (IS("name"))
		return set_string(v, &out->name, &has, e);
	if (IS("map"))
		return set_string(v, &out->map, &has, e);
	if (IS("major"))
		return set_small(v, &out->major, e);
	if (IS("minor"))
		return set_small(v, &out->minor, e);
	if (IS("size") || IS("realsize"))
		return set_number(v, &out->real_size, &out->has_real_size, e);
	if (IS("numblocks"))
		return set_number(v, &number, &has, e);
	if (IS("offset")) {
		if (r->has_offset)
			return hr_fail(e, HR_CORRUPT, 0, "two offsets in turn");
		return set_number(v, &r->offset, &r->has_offset, e);
	}
	if (!IS("numbytes"))
		return hr_fail(e, HR_CORRUPT, 0, "not a key of sparse files that we know");
	if (set_number(v, &number, &has, e) < 0)
		return -1;
	if (!r->has_offset || !has)
		return hr_fail(e, HR_CORRUPT, 0, "it needs an offset and a number");
	r->has_offset = false;
	return store_tar_map_add(r->t, r->offset, number, e);
#undef IS
}

static int set_record(struct record *r, struct store_string k, struct store_string v,
		      struct hr_err *e)
{
	static const char xattr[] = "SCHILY.xattr.", sparse[] = "GNU.sparse.";
	struct store_tar_pax *out = r->out;

#define IS(s)	  (k.len == sizeof(s) - 1 && memcmp(k.p, s, k.len) == 0)
#define BEGINS(s) (k.len > sizeof(s) - 1 && memcmp(k.p, s, sizeof(s) - 1) == 0)
	if (IS("path"))
		return set_string(v, &out->path, &out->has_path, e);
	if (IS("linkpath"))
		return set_string(v, &out->target, &out->has_target, e);
	if (IS("size"))
		return set_number(v, &out->size, &out->has_size, e);
	if (IS("mtime"))
		return set_time(v, out, e);
	if (IS("uid"))
		return set_number(v, &out->uid, &out->has_uid, e);
	if (IS("gid"))
		return set_number(v, &out->gid, &out->has_gid, e);
	if (BEGINS(xattr))
		return add_xattr(r,
				 (struct store_string) { k.p + sizeof(xattr) - 1,
							 k.len - (uint32_t)(sizeof(xattr) - 1) },
				 v, e);
	if (BEGINS(sparse))
		return set_sparse(r, k.p + sizeof(sparse) - 1, k.len - (sizeof(sparse) - 1), v, e);
	if (IS("SUN.holesdata"))
		return hr_fail(e, HR_CORRUPT, 0, "sparse files in the form of Solaris");
	return 0; /* POSIX: what a reader does not know it passes over */
#undef IS
#undef BEGINS
}

/* Split "LENGTH KEY=VALUE\n" off P; its bytes, or 0 when it is malformed. */
static size_t split_record(const uint8_t *p, size_t n, struct store_string *k,
			   struct store_string *v)
{
	const uint8_t *blank = memchr(p, ' ', n < 20 ? n : 20), *equals;
	uint64_t len;
	size_t digits;

	if (!blank)
		return 0;
	digits = (size_t)(blank - p);
	if (!store_tar_decimal((const char *)p, digits, &len) || len > n || len < digits + 4 ||
	    p[len - 1] != '\n')
		return 0;
	equals = memchr(blank + 1, '=', len - digits - 2);
	/* the name of an xattr may hold '=', but nothing tells it from the value then */
	if (!equals || equals == blank + 1 || memchr(blank + 1, '\0', (size_t)(equals - blank - 1)))
		return 0;
	*k = (struct store_string) { (const char *)blank + 1, (uint32_t)(equals - blank - 1) };
	*v = (struct store_string) { (const char *)equals + 1,
				     (uint32_t)(p + len - 1 - (equals + 1)) };
	return (size_t)len;
}

int store_tar_pax_parse(struct store_tar *t, const uint8_t *p, size_t n, struct store_tar_pax *out,
			size_t *n_xattrs, struct hr_err *e)
{
	struct record r = { .t = t, .out = out };
	size_t at = 0;

	memset(out, 0, sizeof(*out));
	while (at < n) {
		struct store_string k, v;
		size_t len = split_record(p + at, n - at, &k, &v);

		if (len == 0)
			return hr_fail(e, HR_CORRUPT, 0, "malformed pax record at byte %zu", at);
		if (set_record(&r, k, v, e) < 0) {
			hr_autobuf struct hr_buf key = { 0 };

			hr_buf_untrusted(&key, k.p, k.len < 80 ? k.len : 80);
			return hr_wrap(e, "pax record '%s'", (const char *)key.p);
		}
		at += len;
	}
	if (r.has_offset)
		return hr_fail(e, HR_CORRUPT, 0, "a sparse piece without its bytes");
	*n_xattrs = r.n_xattrs;
	return 0;
}
