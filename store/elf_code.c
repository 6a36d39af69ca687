/* SPDX-License-Identifier: BSD-3-Clause */
/* Intel SDM volume 2, "Instruction Format"; the no-operations of several bytes: there, NOP. */
#include "config.h"

#include "store/elf_code.h"

#include <elf.h>
#include <string.h>

#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define ALIGNED	     16 /* where compilers put functions */
#define DISPLACEMENT 4	/* bytes, from the next instruction on */

enum {
	ESCAPE = 0x0f, /* the opcode has two bytes */
	OPERAND_SIZE = 0x66,
	SEGMENT_CS = 0x2e,
	REX_W = 0x48, /* registers of 64 bits; with REX_R the upper eight */
	REX_R = 0x04,
	MOV = 0x8b,
	LEA = 0x8d,
	NOP = 0x90,
	INT3 = 0xcc,
	RET = 0xc3,
	CALL = 0xe8,
	JMP = 0xe9,
	JMP_SHORT = 0xeb,
	NOP_LONG = 0x1f, /* after ESCAPE */
	UD2 = 0x0b,	 /* after ESCAPE */
};

/* After ESCAPE: constants of 8 and 16 bytes are loaded so. */
static const uint8_t loads[] = { 0x10, 0x12, 0x16, 0x28, 0x6f, 0x7e };

/* ENDBR64: where indirect calls may lead to, so each function begins so, when any does. */
static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };

/* ---- where a function ends ---- */

/* Bytes of the no-operation at P, or 0. */
static size_t nop_len(const uint8_t *p, size_t n)
{
	static const struct {
		uint8_t mod_rm, len; /* from ESCAPE on */
	} rows[] = { { 0x00, 3 }, { 0x40, 4 }, { 0x44, 5 }, { 0x80, 7 }, { 0x84, 8 } };
	size_t at = 0;

	while (at < n && (p[at] == OPERAND_SIZE || p[at] == SEGMENT_CS))
		at++;
	if (at < n && (p[at] == NOP || p[at] == INT3))
		return at + 1;
	if (n - at < 3 || p[at] != ESCAPE || p[at + 1] != NOP_LONG)
		return 0;
	for (size_t i = 0; i < HR_COUNT(rows); i++)
		if (p[at + 2] == rows[i].mod_rm && rows[i].len <= n - at)
			return at + rows[i].len;
	return 0;
}

static bool is_padding(const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t len = nop_len(p, n);

		if (len == 0)
			return false;
		p += len;
		n -= len;
	}
	return true;
}

/* Whether the last instruction of N bytes does not go on to the next one. */
static bool is_last(const uint8_t *p, size_t n)
{
	return (n >= 1 && p[n - 1] == RET) || (n >= 2 && p[n - 2] == JMP_SHORT) ||
	       (n >= 2 && p[n - 2] == ESCAPE && p[n - 1] == UD2) ||
	       (n > DISPLACEMENT && p[n - 1 - DISPLACEMENT] == JMP);
}

/* Whether a function ends in the ALIGNED bytes before END of P, and where. */
static bool ends_before(const uint8_t *p, size_t end, size_t *len)
{
	size_t from = end > ALIGNED ? end - ALIGNED : 0;

	for (size_t at = end - 1; at > from; at--)
		if (is_last(p, at) && is_padding(p + at, end - at)) {
			*len = at;
			return true;
		}
	return false;
}

size_t store_elf_function_len(const struct store_elf *elf, uint64_t off, const uint8_t *p, size_t n)
{
	size_t len;

	if (elf->machine != EM_X86_64)
		return n;
	for (size_t end = ALIGNED - (size_t)(off % ALIGNED); end <= n; end += ALIGNED) {
		if (ends_before(p, end, &len))
			return len;
		if (n - end >= sizeof(endbr64) && memcmp(p + end, endbr64, sizeof(endbr64)) == 0)
			return end;
	}
	return n;
}

/* ---- what it refers to ---- */

/* The code at hand. */
struct code {
	const struct store_elf *elf;
	const uint8_t *p;
	uint64_t off, address;
};

static bool may_be_function(const struct store_elf *elf, uint64_t off)
{
	return off % ALIGNED == 0 && store_elf_in_code(elf, off);
}

/* What the displacement at AT adds to a place or address of P: forward or back, modulo 2^64. */
static uint64_t displaced(const struct code *c, size_t at, uint64_t from)
{
	return from + at + DISPLACEMENT + (uint64_t)(int64_t)(int32_t)hr_le32(c->p + at);
}

/* Whether the displacement at AT is that of a call or jump, to *TO. */
static bool is_branch(const struct code *c, size_t at, uint8_t opcode, uint64_t *to)
{
	if (c->p[at - 1] != opcode)
		return false;
	*to = displaced(c, at, c->off);
	return may_be_function(c->elf, *to);
}

/* Whether the displacement at AT follows an opcode and an operand that is relative to the next
 * instruction. */
static bool is_operand(const uint8_t *p, size_t at)
{
	const uint8_t mod_rm = 0xc7, relative = 0x05; /* MOD 0 and R/M 5 */

	if (at < 3 || (p[at - 1] & mod_rm) != relative)
		return false;
	return p[at - 2] == MOV || (p[at - 2] == LEA && (p[at - 3] & ~REX_R) == REX_W) ||
	       (p[at - 3] == ESCAPE && memchr(loads, p[at - 2], sizeof(loads)));
}

static bool is_address(const struct code *c, size_t at, uint64_t *to)
{
	struct store_elf_part part;

	if (!is_operand(c->p, at))
		return false;
	part = store_elf_at(c->elf, displaced(c, at, c->address), 1);
	*to = part.off;
	return part.len > 0 && (!store_elf_in_code(c->elf, *to) || may_be_function(c->elf, *to));
}

/* False when nothing can be said of it. */
static bool open_code(const struct store_elf *elf, uint64_t off, const uint8_t *p, struct code *out)
{
	if (elf->machine != EM_X86_64)
		return false;
	*out = (struct code) {
		.elf = elf, .p = p, .off = off, .address = elf->code_address + (off - elf->code.off)
	};
	return true;
}

void store_elf_refs(const struct store_elf *elf, uint64_t off, const uint8_t *p, size_t n,
		    const struct store_elf_refs *to)
{
	struct code c;
	uint64_t place;

	if (!open_code(elf, off, p, &c))
		return;
	for (size_t at = 1; n >= DISPLACEMENT && at <= n - DISPLACEMENT; at++)
		if (is_branch(&c, at, CALL, &place) || is_branch(&c, at, JMP, &place) ||
		    is_address(&c, at, &place))
			to->hit(to->arg, place);
}

uint64_t store_elf_tail(const struct store_elf *elf, uint64_t off, const uint8_t *p, size_t n)
{
	struct code c;
	uint64_t to;

	if (!open_code(elf, off, p, &c) || n > ALIGNED)
		return 0;
	for (size_t at = 1; n >= DISPLACEMENT && at <= n - DISPLACEMENT; at++)
		if (is_branch(&c, at, JMP, &to))
			return to;
	return 0;
}
