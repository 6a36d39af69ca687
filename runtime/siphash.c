/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/siphash.h"

#include "util/le.h"
#include "util/poison.h"

#define WORD 8u

static uint64_t rotate(uint64_t x, unsigned int bits)
{
	return x << bits | x >> (64 - bits);
}

static void rounds(uint64_t v[4], int n)
{
	for (int i = 0; i < n; i++) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static void compress(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	rounds(v, 2);
	v[0] ^= word;
}

uint64_t rt_siphash(const uint8_t secret[RT_SIPHASH_SECRET], const void *p, size_t n)
{
	uint64_t k0 = hr_le64(secret), k1 = hr_le64(secret + WORD), last = (uint64_t)n << 56;
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
			  k1 ^ 0x7465646279746573 };
	const uint8_t *b = p;
	size_t whole = n - n % WORD;

	for (size_t i = 0; i < whole; i += WORD)
		compress(v, hr_le64(b + i));
	for (size_t i = whole; i < n; i++)
		last |= (uint64_t)b[i] << (8 * (i - whole));
	compress(v, last);
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
