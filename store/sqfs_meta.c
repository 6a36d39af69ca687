/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/sqfs_meta.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/sqfs_table.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define NO_TABLE UINT64_MAX

struct store_sqfs_meta {
	const struct store_sqfs_super *super;
	struct store_sqfs_table inodes, dirs, fragments, ids, xattr_ids, xattrs;
	uint32_t n_xattr_ids;
};

enum {
	FRAGMENT_BYTES = 16,
	ID_BYTES = 4,
	INODE_BYTES_MIN = 20,
	XATTR_ID_BYTES = 16,
	XATTR_HEADER_BYTES = 16,
};

void store_sqfs_meta_close(struct store_sqfs_meta *m)
{
	if (!m)
		return;
	store_sqfs_table_release(&m->inodes);
	store_sqfs_table_release(&m->dirs);
	store_sqfs_table_release(&m->fragments);
	store_sqfs_table_release(&m->ids);
	store_sqfs_table_release(&m->xattr_ids);
	store_sqfs_table_release(&m->xattrs);
	free(m);
}

void store_sqfs_meta_closep(struct store_sqfs_meta **m)
{
	store_sqfs_meta_close(*m);
}

uint64_t store_sqfs_meta_inode_bytes(const struct store_sqfs_meta *m)
{
	return m->inodes.bytes.len;
}

/* ---- the tables ---- */

/*
 * The end of the directories, which is written nowhere: the first thing behind them, which is a
 * table, its list of blocks, or the first of these.
 */
static uint64_t directories_end(const struct store_sqfs_stored *in)
{
	const struct store_sqfs_super *s = in->super;
	const struct {
		uint64_t at;
		bool listed; /* something is */
	} tables[] = {
		{ s->fragment_table, s->fragments > 0 },
		{ s->export_table, true },
		{ s->id_table, s->ids > 0 },
		{ s->xattr_table, true },
	};
	uint64_t end = s->bytes;

	for (size_t i = 0; i < HR_COUNT(tables); i++) {
		const uint8_t *first =
			tables[i].listed ? store_sqfs_stored_at(in, tables[i].at, 8) : NULL;
		uint64_t ends[] = { tables[i].at, first ? hr_le64(first) : NO_TABLE };

		for (size_t k = 0; k < HR_COUNT(ends); k++)
			if (ends[k] >= s->directory_table && ends[k] < end)
				end = ends[k];
	}
	return end;
}

static int open_xattrs(const struct store_sqfs_stored *in, struct store_sqfs_meta *m,
		       struct hr_err *e)
{
	uint64_t table = in->super->xattr_table, begin, first;
	const uint8_t *p;

	if (table == NO_TABLE)
		return 0;
	p = store_sqfs_stored_at(in, table, XATTR_HEADER_BYTES);
	if (!p)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the table of xattrs is at %" PRIu64 " of %" PRIu64 " bytes", table,
			       in->super->bytes);
	begin = hr_le64(p);
	m->n_xattr_ids = hr_le32(p + 8);
	if (m->n_xattr_ids == 0)
		return 0;
	if (store_sqfs_table_listed(in, table + XATTR_HEADER_BYTES,
				    (uint64_t)m->n_xattr_ids * XATTR_ID_BYTES, &m->xattr_ids,
				    e) < 0)
		return -1;
	/* the list was read: it has a first block */
	first = hr_le64(store_sqfs_stored_at(in, table + XATTR_HEADER_BYTES, 8));
	if (begin < in->super->metadata || begin > first)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the xattrs begin at %" PRIu64 " and end at %" PRIu64, begin, first);
	return store_sqfs_table_chain(in, begin, first, &m->xattrs, e);
}

static int open_tables(const struct store_sqfs_stored *in, struct store_sqfs_meta *m,
		       struct hr_err *e)
{
	const struct store_sqfs_super *s = in->super;

	m->super = s;
	m->inodes.name = "table of inodes";
	m->dirs.name = "table of directories";
	m->fragments.name = "table of fragments";
	m->ids.name = "table of owners";
	m->xattr_ids.name = "list of xattrs";
	m->xattrs.name = "table of xattrs";
	/* those with a list first: they tell where the directories end */
	if (store_sqfs_table_listed(in, s->fragment_table, (uint64_t)s->fragments * FRAGMENT_BYTES,
				    &m->fragments, e) < 0 ||
	    store_sqfs_table_listed(in, s->id_table, (uint64_t)s->ids * ID_BYTES, &m->ids, e) < 0 ||
	    open_xattrs(in, m, e) < 0 ||
	    store_sqfs_table_chain(in, s->metadata, s->directory_table, &m->inodes, e) < 0 ||
	    store_sqfs_table_chain(in, s->directory_table, directories_end(in), &m->dirs, e) < 0)
		return -1;
	if (s->inodes > m->inodes.bytes.len / INODE_BYTES_MIN)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the squashfs counts %" PRIu32
			       " inodes, the table of inodes has %zu bytes",
			       s->inodes, m->inodes.bytes.len);
	return 0;
}

static void free_zstd(ZSTD_DCtx **zstd)
{
	ZSTD_freeDCtx(*zstd);
}

int store_sqfs_meta_open(const struct store_sqfs_super *s, const uint8_t *p,
			 struct store_sqfs_meta **out, struct hr_err *e)
{
	HR_CLEANUP(store_sqfs_meta_closep) struct store_sqfs_meta *m = hr_xmalloc(sizeof(*m));
	HR_CLEANUP(free_zstd) ZSTD_DCtx *zstd = ZSTD_createDCtx();
	const struct store_sqfs_stored in = { s, p, zstd };

	if (!zstd)
		return hr_fail(e, HR_SYS, 0, "out of memory");
	if (open_tables(&in, m, e) < 0)
		return -1;
	*out = hr_steal(&m);
	return 0;
}

/* The N bytes at POS of a table; NULL when it ends before. */
static const uint8_t *bytes_at(const struct store_sqfs_table *t, uint64_t pos, uint64_t n)
{
	return pos <= t->bytes.len && n <= t->bytes.len - pos ? t->bytes.p + pos : NULL;
}

/* ---- inodes ---- */

enum { /* all of them */
       I_TYPE = 0,
       I_MODE = 2,
       I_UID = 4,
       I_GID = 6,
       I_MTIME = 8,
       I_NUMBER = 12,
       I_REST = 16,
};

/* The types; 7 more is the extended form. */
enum { T_DIR = 1, T_FILE, T_SYMLINK, T_BLOCK, T_CHAR, T_FIFO, T_SOCKET, T_EXTENDED = 7 };

static const struct {
	uint32_t mode;
	uint32_t bytes[2]; /* basic and extended, before what has no fixed length */
	uint32_t xattr;	   /* where the extended form has it; 0: behind the target */
} types[] = {
	[T_DIR] = { S_IFDIR, { 32, 40 }, 36 },	   [T_FILE] = { S_IFREG, { 32, 56 }, 52 },
	[T_SYMLINK] = { S_IFLNK, { 24, 24 }, 0 },  [T_BLOCK] = { S_IFBLK, { 24, 28 }, 24 },
	[T_CHAR] = { S_IFCHR, { 24, 28 }, 24 },	   [T_FIFO] = { S_IFIFO, { 20, 24 }, 20 },
	[T_SOCKET] = { S_IFSOCK, { 20, 24 }, 20 },
};

static int cut_off(const struct store_sqfs_inode *out, const char *what, struct hr_err *e)
{
	return hr_fail(e, HR_CORRUPT, 0, "%s of inode %" PRIu32 " ends behind the table of inodes",
		       what, out->number);
}

static void get_dir(const uint8_t *p, bool extended, struct store_sqfs_inode *out)
{
	out->size = extended ? hr_le32(p + 20) : hr_le16(p + 24);
	out->dir.block = hr_le32(p + (extended ? 24 : 16));
	out->dir.off = hr_le16(p + (extended ? 34 : 26));
}

static int get_file(const struct store_sqfs_meta *m, const uint8_t *p, uint64_t pos, bool extended,
		    struct store_sqfs_inode *out, struct hr_err *e)
{
	uint32_t block = m->super->block_bytes;
	uint64_t n;

	out->size = extended ? hr_le64(p + 24) : hr_le32(p + 28);
	out->file.start = extended ? hr_le64(p + 16) : hr_le32(p + 16);
	out->file.fragment = hr_le32(p + (extended ? 44 : 20));
	out->file.off = hr_le32(p + (extended ? 48 : 24));
	if (out->size > INT64_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "it has %" PRIu64 " bytes", out->size);
	n = out->size / block;
	if (out->file.fragment == STORE_SQFS_NONE && out->size % block != 0)
		n++;
	out->file.sizes = bytes_at(&m->inodes, pos + out->bytes, n * 4);
	if (!out->file.sizes)
		return cut_off(out, "the list of blocks", e);
	/* as many as fit into a table */
	out->file.n = (uint32_t)n;
	out->bytes += out->file.n * 4;
	return 0;
}

static int get_symlink(const struct store_sqfs_meta *m, const uint8_t *p, uint64_t pos,
		       bool extended, struct store_sqfs_inode *out, struct hr_err *e)
{
	const uint8_t *xattr;

	out->size = hr_le32(p + 20);
	out->target = bytes_at(&m->inodes, pos + out->bytes, out->size);
	if (!out->target)
		return cut_off(out, "the target", e);
	out->bytes += (uint32_t)out->size;
	if (!extended)
		return 0;
	xattr = bytes_at(&m->inodes, pos + out->bytes, 4);
	if (!xattr)
		return cut_off(out, "the number of the xattrs", e);
	out->xattr = hr_le32(xattr);
	out->bytes += 4;
	return 0;
}

static int get_owner(const struct store_sqfs_meta *m, const uint8_t *p,
		     struct store_sqfs_inode *out, struct hr_err *e)
{
	const unsigned int uid = hr_le16(p + I_UID), gid = hr_le16(p + I_GID);

	if (uid >= m->super->ids || gid >= m->super->ids)
		return hr_fail(e, HR_CORRUPT, 0, "its owners are numbers %u and %u of %u", uid, gid,
			       m->super->ids);
	out->uid = hr_le32(m->ids.bytes.p + (size_t)uid * ID_BYTES);
	out->gid = hr_le32(m->ids.bytes.p + (size_t)gid * ID_BYTES);
	return 0;
}

/* As new_encode_dev() of Linux has written it. */
static uint32_t device(uint32_t dev)
{
	uint32_t major = dev >> 8 & 0xfff, minor = (dev & 0xff) | (dev >> 12 & 0xfff00);

	return major << 20 | minor;
}

static int check_number(const struct store_sqfs_meta *m, uint32_t number, struct hr_err *e)
{
	if (number == 0 || number > m->super->inodes)
		return hr_fail(e, HR_CORRUPT, 0, "it is inode %" PRIu32 " of %" PRIu32, number,
			       m->super->inodes);
	return 0;
}

int store_sqfs_inode_get(const struct store_sqfs_meta *m, uint64_t at, struct store_sqfs_inode *out,
			 struct hr_err *e)
{
	struct store_sqfs_inode i = { .xattr = STORE_SQFS_NONE };
	unsigned int type, basic;
	const uint8_t *p;
	bool extended;
	uint64_t pos;
	int r = 0;

	if (store_sqfs_table_at(&m->inodes, at >> 16, at & 0xffff, &pos, e) < 0)
		return -1;
	p = bytes_at(&m->inodes, pos, I_REST);
	if (!p)
		return hr_fail(e, HR_CORRUPT, 0, "its inode ends behind the table of inodes");
	type = hr_le16(p + I_TYPE);
	extended = type > T_EXTENDED;
	basic = extended ? type - T_EXTENDED : type;
	if (basic == 0 || basic >= HR_COUNT(types))
		return hr_fail(e, HR_CORRUPT, 0, "its inode has the unknown type %u", type);
	i.number = hr_le32(p + I_NUMBER);
	if (check_number(m, i.number, e) < 0)
		return -1;
	i.bytes = types[basic].bytes[extended];
	p = bytes_at(&m->inodes, pos, i.bytes);
	if (!p)
		return cut_off(&i, "the end", e);
	i.mode = types[basic].mode | (hr_le16(p + I_MODE) & 07777);
	i.mtime = hr_le32(p + I_MTIME);
	if (extended && types[basic].xattr)
		i.xattr = hr_le32(p + types[basic].xattr);
	if (basic == T_DIR)
		get_dir(p, extended, &i);
	else if (basic == T_FILE)
		r = get_file(m, p, pos, extended, &i, e);
	else if (basic == T_SYMLINK)
		r = get_symlink(m, p, pos, extended, &i, e);
	else if (basic == T_BLOCK || basic == T_CHAR)
		i.dev = device(hr_le32(p + 20));
	if (r < 0 || get_owner(m, p, &i, e) < 0)
		return -1;
	*out = i;
	return 0;
}

/* ---- directories ---- */

enum { DH_COUNT = 0, DH_BLOCK = 4, DH_BYTES = 12 };
enum { DE_OFF = 0, DE_NAME_BYTES = 6, DE_BYTES = 8 };
#define DIR_RUN_MAX   256u /* entries behind a header */
#define DIR_SIZE_MORE 3u   /* the size of a listing counts "." and ".." as that much */

int store_sqfs_dir_open(const struct store_sqfs_meta *m, const struct store_sqfs_inode *inode,
			struct store_sqfs_dir *out, struct hr_err *e)
{
	struct store_sqfs_dir d = { 0 };
	uint64_t pos;

	if (inode->size > DIR_SIZE_MORE) {
		d.left = inode->size - DIR_SIZE_MORE;
		if (store_sqfs_table_at(&m->dirs, inode->dir.block, inode->dir.off, &pos, e) < 0)
			return -1;
		d.p = bytes_at(&m->dirs, pos, d.left);
		if (!d.p)
			return hr_fail(e, HR_CORRUPT, 0,
				       "its listing of %" PRIu64
				       " bytes ends behind the table of directories",
				       d.left);
	}
	*out = d;
	return 0;
}

static const uint8_t *dir_take(struct store_sqfs_dir *d, uint32_t n)
{
	const uint8_t *p = d->p;

	if (n > d->left)
		return NULL;
	d->p += n;
	d->left -= n;
	return p;
}

int store_sqfs_dir_next(struct store_sqfs_dir *d, struct store_sqfs_entry *out, struct hr_err *e)
{
	const uint8_t *p, *name;
	uint32_t n;

	if (d->run == 0) {
		if (d->left == 0)
			return 0;
		p = dir_take(d, DH_BYTES);
		if (!p || hr_le32(p + DH_COUNT) >= DIR_RUN_MAX)
			return hr_fail(e, HR_CORRUPT, 0,
				       "its listing has a header of %" PRIu64
				       " entries, expected 1 to %u",
				       p ? (uint64_t)hr_le32(p + DH_COUNT) + 1 : 0, DIR_RUN_MAX);
		d->run = hr_le32(p + DH_COUNT) + 1;
		d->block = hr_le32(p + DH_BLOCK);
	}
	p = dir_take(d, DE_BYTES);
	n = p ? hr_le16(p + DE_NAME_BYTES) + 1u : 0;
	name = p ? dir_take(d, n) : NULL;
	if (!name)
		return hr_fail(e, HR_CORRUPT, 0,
			       "its listing ends within an entry with a name of %" PRIu32 " bytes",
			       n);
	d->run--;
	out->name = (struct store_string) { (const char *)name, n };
	out->inode = (uint64_t)d->block << 16 | hr_le16(p + DE_OFF);
	return 1;
}

/* ---- the ends of files, xattrs ---- */

struct store_sqfs_fragment store_sqfs_fragment_get(const struct store_sqfs_meta *m, uint32_t number)
{
	const uint8_t *p = m->fragments.bytes.p + (size_t)number * FRAGMENT_BYTES;

	return (struct store_sqfs_fragment) { hr_le64(p), hr_le32(p + 8) };
}

enum { XI_AT = 0, XI_COUNT = 8 };
enum { X_TYPE = 0, X_NAME_BYTES = 2, X_NAME = 4 };
#define X_PREFIX      0xffu
#define X_OUT_OF_LINE 0x100u /* the value is the place of the value */

int store_sqfs_xattrs_open(const struct store_sqfs_meta *m, uint32_t number,
			   struct store_sqfs_xattrs *out, struct hr_err *e)
{
	struct store_sqfs_xattrs x = { .m = m };
	const uint8_t *p;
	uint64_t at;

	if (number != STORE_SQFS_NONE && m->super->xattr_table != NO_TABLE) {
		if (number >= m->n_xattr_ids)
			return hr_fail(e, HR_CORRUPT, 0,
				       "its xattrs are number %" PRIu32 " of %" PRIu32, number,
				       m->n_xattr_ids);
		p = m->xattr_ids.bytes.p + (size_t)number * XATTR_ID_BYTES;
		x.left = hr_le32(p + XI_COUNT);
		at = hr_le64(p + XI_AT);
		if (x.left > 0 &&
		    store_sqfs_table_at(&m->xattrs, at >> 16, at & 0xffff, &x.pos, e) < 0)
			return -1;
	}
	*out = x;
	return 0;
}

/* A length (4) and as many bytes, at *POS, which is moved behind them. */
static int take_value(const struct store_sqfs_meta *m, uint64_t *pos, struct store_string *out,
		      struct hr_err *e)
{
	const uint8_t *p = bytes_at(&m->xattrs, *pos, 4);
	uint32_t n = p ? hr_le32(p) : 0;

	p = p ? bytes_at(&m->xattrs, *pos + 4, n) : NULL;
	if (!p)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the value of an xattr, %" PRIu32
			       " bytes, ends behind the table of xattrs",
			       n);
	*out = (struct store_string) { (const char *)p, n };
	*pos += 4 + (uint64_t)n;
	return 0;
}

int store_sqfs_xattrs_next(struct store_sqfs_xattrs *x, struct store_sqfs_xattr *out,
			   struct hr_err *e)
{
	const struct store_sqfs_meta *m = x->m;
	struct store_string value;
	unsigned int type, n;
	const uint8_t *p;
	uint64_t at;

	if (x->left == 0)
		return 0;
	p = bytes_at(&m->xattrs, x->pos, X_NAME);
	n = p ? hr_le16(p + X_NAME_BYTES) : 0;
	p = p ? bytes_at(&m->xattrs, x->pos, X_NAME + n) : NULL;
	if (!p)
		return hr_fail(e, HR_CORRUPT, 0, "an xattr ends behind the table of xattrs");
	type = hr_le16(p + X_TYPE);
	x->pos += X_NAME + n;
	if (take_value(m, &x->pos, &value, e) < 0)
		return -1;
	if (type & X_OUT_OF_LINE) {
		if (value.len != 8)
			return hr_fail(e, HR_CORRUPT, 0,
				       "the place of an xattr's value has %" PRIu32
				       " bytes, expected 8",
				       value.len);
		at = hr_le64(value.p);
		if (store_sqfs_table_at(&m->xattrs, at >> 16, at & 0xffff, &at, e) < 0 ||
		    take_value(m, &at, &value, e) < 0)
			return -1;
	}
	x->left--;
	out->prefix = type & X_PREFIX;
	out->name = (struct store_string) { (const char *)p + X_NAME, n };
	out->value = value;
	return 1;
}
