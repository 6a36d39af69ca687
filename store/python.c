/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/python.h"

#include <string.h>

#include "util/buf.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define MAGIC_BYTES 4
#define MAGIC_END   "\r\n" /* the last two of them, in all versions */
#define DEPTH_MAX   100	   /* of objects in objects: functions in functions are two each */
#define FLAG_REF    0x80   /* of a type: a later object may refer to this one */

/* What differs from one Python to the next. Instructions are pairs of bytes in all of them. */
static const struct version {
	uint16_t magic;
	uint8_t header;	       /* bytes before the code object */
	uint8_t numbers;       /* a code object begins with so many, of four bytes each */
	uint8_t objects, more; /* in it, before and behind another number */
	uint8_t import_name, load_const, extended_arg;
} versions[] = {
	{ 3379, 12, 5, 8, 1, 108, 100, 144 }, /* 3.6 */
	{ 3394, 16, 5, 8, 1, 108, 100, 144 }, /* 3.7 */
	{ 3413, 16, 6, 8, 1, 108, 100, 144 }, /* 3.8 */
	{ 3425, 16, 6, 8, 1, 108, 100, 144 }, /* 3.9 */
	{ 3439, 16, 6, 8, 1, 108, 100, 144 }, /* 3.10 */
	{ 3495, 16, 5, 8, 2, 108, 100, 144 }, /* 3.11 */
	{ 3531, 16, 5, 8, 2, 108, 100, 144 }, /* 3.12 */
	{ 3571, 16, 5, 8, 2, 75, 83, 71 },    /* 3.13 */
};

/* Where the reader stands. */
struct reader {
	const uint8_t *p;
	size_t n, at;
	struct hr_buf *refs; /* where each begins that may be referred to, four bytes each */
};

static bool skip(struct reader *r, uint64_t bytes)
{
	if (bytes > r->n - r->at)
		return false;
	r->at += (size_t)bytes;
	return true;
}

/* A number of BYTES bytes, 1 or 4. */
static bool number(struct reader *r, unsigned int bytes, uint32_t *out)
{
	const uint8_t *p = r->p + r->at;

	if (!skip(r, bytes))
		return false;
	*out = bytes == 1 ? p[0] : hr_le32(p);
	return true;
}

/* The type of the object that begins here, which is noted when it may be referred to. */
static bool type(struct reader *r, uint8_t *out)
{
	size_t at = r->at;

	if (!skip(r, 1))
		return false;
	*out = r->p[at] & ~FLAG_REF;
	if (r->p[at] & FLAG_REF)
		hr_buf_le(r->refs, at, 4);
	return true;
}

/* ---- objects ---- */

/* What follows a type: so many bytes; or a count, and so many bytes or objects for each. */
static const struct shape {
	bool known;
	uint8_t bytes, count_bytes, each_bytes, each_objects;
} shapes[FLAG_REF] = {
	['N'] = { true, 0, 0, 0, 0 },  /* None */
	['F'] = { true, 0, 0, 0, 0 },  /* False */
	['T'] = { true, 0, 0, 0, 0 },  /* True */
	['.'] = { true, 0, 0, 0, 0 },  /* Ellipsis */
	['S'] = { true, 0, 0, 0, 0 },  /* StopIteration */
	['r'] = { true, 4, 0, 0, 0 },  /* an earlier object */
	['i'] = { true, 4, 0, 0, 0 },  /* a number */
	['g'] = { true, 8, 0, 0, 0 },  /* a float */
	['y'] = { true, 16, 0, 0, 0 }, /* a complex one */
	['l'] = { true, 0, 4, 2, 0 },  /* a long one: the count is negative when the number is */
	['s'] = { true, 0, 4, 1, 0 },  /* bytes */
	['u'] = { true, 0, 4, 1, 0 },  /* strings */
	['t'] = { true, 0, 4, 1, 0 },  ['a'] = { true, 0, 4, 1, 0 },
	['A'] = { true, 0, 4, 1, 0 },  ['z'] = { true, 0, 1, 1, 0 },
	['Z'] = { true, 0, 1, 1, 0 },  ['('] = { true, 0, 4, 0, 1 }, /* tuples, lists and sets */
	[')'] = { true, 0, 1, 0, 1 },  ['['] = { true, 0, 4, 0, 1 },
	['<'] = { true, 0, 4, 0, 1 },  ['>'] = { true, 0, 4, 0, 1 },
};

static bool skip_object(struct reader *r, const struct version *v, unsigned int depth);

static bool skip_objects(struct reader *r, const struct version *v, unsigned int depth, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!skip_object(r, v, depth))
			return false;
	return true;
}

/* Behind its type. */
static bool skip_code(struct reader *r, const struct version *v, unsigned int depth)
{
	return skip(r, v->numbers * 4u) && skip_objects(r, v, depth, v->objects) && skip(r, 4) &&
	       skip_objects(r, v, depth, v->more);
}

/* Each object takes a byte at least, so this ends with the bytes. */
static bool skip_object(struct reader *r, const struct version *v, unsigned int depth)
{
	const struct shape *shape;
	uint32_t count = 0;
	uint8_t what;

	if (depth == DEPTH_MAX || !type(r, &what))
		return false;
	if (what == 'c')
		return skip_code(r, v, depth + 1);
	shape = &shapes[what];
	if (!shape->known || !skip(r, shape->bytes))
		return false;
	if (shape->count_bytes > 0 && !number(r, shape->count_bytes, &count))
		return false;
	if (what == 'l' && count > INT32_MAX)
		count = -count;
	return skip(r, (uint64_t)count * shape->each_bytes) &&
	       (shape->each_objects == 0 || skip_objects(r, v, depth + 1, count));
}

/* ---- the outermost block ---- */

/* A tuple: where each of its elements begins, four bytes each. */
static bool read_tuple(struct reader *r, const struct version *v, struct hr_buf *out)
{
	uint32_t n;
	uint8_t what;

	if (!type(r, &what) || (what != '(' && what != ')') || !number(r, what == ')' ? 1 : 4, &n))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		hr_buf_le(out, r->at, 4);
		if (!skip_object(r, v, 1))
			return false;
	}
	return true;
}

/* Element I of what read_tuple() gave, or the end of the bytes. */
static size_t place(const struct reader *r, const struct hr_buf *places, uint32_t i)
{
	return i < places->len / 4 ? hr_le32(places->p + 4 * (size_t)i) : r->n;
}

/* Stand behind the type of the object that begins AT, or of the one that it refers to. */
static bool stand(struct reader *r, size_t at, uint8_t *what)
{
	uint32_t i;

	r->at = at;
	if (!skip(r, 1))
		return false;
	if ((r->p[at] & ~FLAG_REF) == 'r') {
		if (!number(r, 4, &i))
			return false;
		r->at = place(r, r->refs, i);
		if (!skip(r, 1))
			return false;
	}
	*what = r->p[r->at - 1] & ~FLAG_REF;
	return true;
}

/* The string that begins AT; r->at is behind it then. */
static bool string(struct reader *r, size_t at, const char **p, size_t *len)
{
	const struct shape *shape;
	uint32_t n;
	uint8_t what;

	if (!stand(r, at, &what))
		return false;
	shape = &shapes[what];
	if (shape->each_bytes != 1 || !number(r, shape->count_bytes, &n))
		return false;
	*p = (const char *)r->p + r->at;
	*len = n;
	if (!skip(r, n))
		return false;
	if ((r->p[at] & ~FLAG_REF) == 'r')
		r->at = at + 5;
	return true;
}

/* Who is told of what is found. */
struct found {
	struct reader *r;
	uint32_t left; /* how many more to tell of */
	void (*each)(void *arg, const struct store_python_import *import);
	void *arg;
};

/* All may name the same tuple, which may be long: this ends all the same. */
static bool hit(struct found *f, const struct store_python_import *import)
{
	if (f->left == 0)
		return false;
	f->left--;
	f->each(f->arg, import);
	return true;
}

/* MODULE with LEVEL dots, and what is taken out of it by the tuple that begins AT, if one does. */
static void tell(struct found *f, size_t level_at, size_t names_at, size_t module_at)
{
	struct store_python_import import = { .level = 0 };
	struct reader *r = f->r;
	uint32_t n;
	uint8_t what;

	if (!stand(r, level_at, &what) || what != 'i' || !number(r, 4, &import.level) ||
	    !string(r, module_at, &import.module, &import.module_len))
		return;
	if (!hit(f, &import) || !stand(r, names_at, &what) || (what != '(' && what != ')') ||
	    !number(r, what == ')' ? 1 : 4, &n))
		return;
	for (; n > 0 && string(r, r->at, &import.name, &import.name_len); n--)
		if (import.name_len > 0 && !hit(f, &import))
			return;
}

/* The N bytes of instructions at P. An import stands behind the loading of two constants. */
static void walk(struct found *f, const struct version *v, const uint8_t *p, size_t n,
		 const struct hr_buf *consts, const struct hr_buf *names)
{
	size_t first = f->r->n, second = f->r->n; /* where they begin */
	uint32_t number = 0;

	for (size_t i = 0; i + 2 <= n; i += 2) {
		number = number << 8 | p[i + 1];
		if (p[i] == v->extended_arg)
			continue;
		if (p[i] == v->load_const) {
			first = second;
			second = place(f->r, consts, number);
		} else if (p[i] == v->import_name) {
			tell(f, first, second, place(f->r, names, number));
		}
		number = 0;
	}
}

static const struct version *version_of(const uint8_t *p, size_t n)
{
	if (n < MAGIC_BYTES || memcmp(p + 2, MAGIC_END, 2) != 0)
		return NULL;
	for (size_t i = 0; i < HR_COUNT(versions); i++)
		if (versions[i].magic == hr_le16(p))
			return &versions[i];
	return NULL;
}

bool store_python_imports(const uint8_t *p, size_t n,
			  void (*each)(void *arg, const struct store_python_import *import),
			  void *arg)
{
	const struct version *v = version_of(p, n);
	hr_autobuf struct hr_buf refs = { 0 }, consts = { 0 }, names = { 0 };
	struct reader r = { .p = p, .n = n, .refs = &refs };
	struct found f = { &r, STORE_PYTHON_IMPORTS, each, arg };
	const char *code;
	size_t at, len;
	uint8_t what;

	if (!v || n > STORE_PYTHON_MAX || !skip(&r, v->header) || !type(&r, &what) || what != 'c' ||
	    !skip(&r, v->numbers * 4u))
		return false;
	at = r.at;
	if (!skip_object(&r, v, 1) || !read_tuple(&r, v, &consts) || !read_tuple(&r, v, &names) ||
	    !string(&r, at, &code, &len))
		return false;
	walk(&f, v, (const uint8_t *)code, len, &consts, &names);
	return true;
}
