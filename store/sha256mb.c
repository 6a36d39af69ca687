/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/sha256mb.h"

#include <string.h>

#include "util/err.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "util/poison.h"

static void one_by_one(const uint8_t *const *p, const size_t *len, size_t n,
		       struct fetch_digest *out)
{
	for (size_t i = 0; i < n; i++)
		fetch_digest_of(p[i], len[i], &out[i]);
}

#if defined(__x86_64__)

#define BLOCK	    64
#define LANES_MAX   16
#define LANES_WORTH 3
#define SLICE	    256 /* messages that are ordered by length */

static const uint32_t round_keys[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};
static const uint32_t initial[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

#define ROTR(x, n) ((x) >> (n) | (x) << (32 - (n)))

/* Lanes picked out of two vectors, by constants; a builtin of GCC and clang since GCC 12. */
#if defined(__clang__) || __GNUC__ >= 12
#define PICK(type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(type, a, b, ...) __builtin_shuffle(a, b, (type) { __VA_ARGS__ })
#endif
#define WEAVE_LOW_8   0, 8, 1, 9, 2, 10, 3, 11
#define WEAVE_HIGH_8  4, 12, 5, 13, 6, 14, 7, 15
#define WEAVE_LOW_16  0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define WEAVE_HIGH_16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31

/*
 * Rows to columns: from a vector for each message to one for each word. In each of log2(LANES)
 * rounds every vector is woven with the one half the rows away.
 */
#define DEFINE_TRANSPOSE(name, lanes, isa)                                                         \
	typedef uint32_t name##_v __attribute__((vector_size(4 * (lanes))));                       \
	__attribute__((target(isa), always_inline)) static inline void name(name##_v *m)           \
	{                                                                                          \
		name##_v woven[lanes];                                                             \
                                                                                                   \
		for (int round = 1; round < (lanes); round *= 2) {                                 \
			for (int i = 0; i < (lanes) / 2; i++) {                                    \
				name##_v a = m[i], b = m[i + (lanes) / 2];                         \
                                                                                                   \
				woven[2 * i] = PICK(name##_v, a, b, WEAVE_LOW_##lanes);            \
				woven[2 * i + 1] = PICK(name##_v, a, b, WEAVE_HIGH_##lanes);       \
			}                                                                          \
			memcpy(m, woven, sizeof(woven));                                           \
		}                                                                                  \
	}

/*
 * The compression function over LANES independent messages, in the compiler's vectors: h[word]
 * holds that word of every lane, data[lane] the lane's next bytes, which are advanced.
 */
#define DEFINE_COMPRESS(name, lanes, isa)                                                          \
	__attribute__((target(isa))) static void name(uint32_t state[8][LANES_MAX],                \
						      const uint8_t *data[LANES_MAX],              \
						      const size_t step[LANES_MAX], size_t blocks) \
	{                                                                                          \
		name##_words_v h[8];                                                               \
                                                                                                   \
		for (int i = 0; i < 8; i++)                                                        \
			memcpy(&h[i], state[i], sizeof(h[i]));                                     \
		while (blocks-- > 0) {                                                             \
			name##_words_v w[16], v[8];                                                \
                                                                                                   \
			for (int k = 0; k < 16; k += (lanes)) {                                    \
				for (int j = 0; j < (lanes); j++)                                  \
					memcpy(&w[k + j], data[j] + 4 * k, sizeof(w[0]));          \
				name##_words(&w[k]);                                               \
			}                                                                          \
			for (int t = 0; t < 16; t++) /* big endian */                              \
				w[t] = (ROTR(w[t], 8) & 0xff00ff00) |                              \
				       (ROTR(w[t], 24) & 0x00ff00ff);                              \
			for (int j = 0; j < (lanes); j++)                                          \
				data[j] += step[j];                                                \
			memcpy(v, h, sizeof(v));                                                   \
			_Pragma("GCC unroll 64") for (int t = 0; t < 64; t++)                      \
			{                                                                          \
				name##_words_v s1, s0, t1, t2;                                     \
                                                                                                   \
				if (t >= 16) {                                                     \
					s0 = w[(t + 1) & 15];                                      \
					s1 = w[(t + 14) & 15];                                     \
					s0 = ROTR(s0, 7) ^ ROTR(s0, 18) ^ s0 >> 3;                 \
					s1 = ROTR(s1, 17) ^ ROTR(s1, 19) ^ s1 >> 10;               \
					w[t & 15] += s0 + w[(t + 9) & 15] + s1;                    \
				}                                                                  \
				s1 = ROTR(v[4], 6) ^ ROTR(v[4], 11) ^ ROTR(v[4], 25);              \
				t1 = v[7] + s1 + (v[6] ^ (v[4] & (v[5] ^ v[6]))) + round_keys[t] + \
				     w[t & 15];                                                    \
				s0 = ROTR(v[0], 2) ^ ROTR(v[0], 13) ^ ROTR(v[0], 22);              \
				t2 = s0 + ((v[0] & v[1]) | (v[2] & (v[0] | v[1])));                \
				v[7] = v[6];                                                       \
				v[6] = v[5];                                                       \
				v[5] = v[4];                                                       \
				v[4] = v[3] + t1;                                                  \
				v[3] = v[2];                                                       \
				v[2] = v[1];                                                       \
				v[1] = v[0];                                                       \
				v[0] = t1 + t2;                                                    \
			}                                                                          \
			for (int i = 0; i < 8; i++)                                                \
				h[i] += v[i];                                                      \
		}                                                                                  \
		for (int i = 0; i < 8; i++)                                                        \
			memcpy(state[i], &h[i], sizeof(h[i]));                                     \
	}

DEFINE_TRANSPOSE(compress8_words, 8, "avx2")
DEFINE_TRANSPOSE(compress16_words, 16, "avx512f")
DEFINE_COMPRESS(compress8, 8, "avx2")
DEFINE_COMPRESS(compress16, 16, "avx512f")

/* One lane's message: its whole blocks where they lie, then one or two blocks of rest, padding and
 * length. */
struct lane {
	bool busy, in_tail;
	size_t index;  /* of the message */
	size_t blocks; /* left in the part that is being hashed */
	size_t tail_blocks;
	uint8_t tail[2 * BLOCK];
};

struct work {
	uint32_t state[8][LANES_MAX];
	const uint8_t *data[LANES_MAX];
	size_t step[LANES_MAX]; /* bytes to advance: one block, or 0 for an idle lane */
	struct lane lane[LANES_MAX];
	const uint8_t *const *p;
	const size_t *len;
	uint8_t order[SLICE]; /* the longest first, so that the lanes end at about the same time */
	size_t next, n;
	struct fetch_digest *out;
};

static const uint8_t idle_block[BLOCK];

static void lane_begin(struct work *w, size_t j)
{
	struct lane *l = &w->lane[j];
	size_t i = w->order[w->next++], rest = w->len[i] % BLOCK;
	uint64_t bits = (uint64_t)w->len[i] * 8;

	memset(l, 0, sizeof(*l));
	l->busy = true;
	l->index = i;
	l->blocks = w->len[i] / BLOCK;
	l->tail_blocks = rest + 9 > BLOCK ? 2 : 1;
	if (rest)
		memcpy(l->tail, w->p[i] + (w->len[i] - rest), rest);
	l->tail[rest] = 0x80;
	for (int b = 0; b < 8; b++)
		l->tail[l->tail_blocks * BLOCK - 1 - (size_t)b] = (uint8_t)(bits >> (8 * b));
	for (int k = 0; k < 8; k++)
		w->state[k][j] = initial[k];
	w->data[j] = w->p[i];
	w->step[j] = BLOCK;
}

static void lane_finish(struct work *w, size_t j)
{
	struct lane *l = &w->lane[j];

	for (int k = 0; k < 8; k++) {
		uint32_t word = __builtin_bswap32(w->state[k][j]);

		memcpy(w->out[l->index].b + 4 * k, &word, 4);
	}
	l->busy = false;
	w->data[j] = idle_block;
	w->step[j] = 0;
}

/* Give the lane something to hash if anything is left: its tail, or the next message. */
static void lane_refill(struct work *w, size_t j)
{
	struct lane *l = &w->lane[j];

	if (l->busy && l->blocks == 0 && l->in_tail)
		lane_finish(w, j);
	if (!l->busy && w->next < w->n)
		lane_begin(w, j);
	if (l->busy && l->blocks == 0) {
		l->in_tail = true;
		l->blocks = l->tail_blocks;
		w->data[j] = l->tail;
	}
}

static void side_by_side(struct work *w, size_t lanes)
{
	for (size_t j = 0; j < lanes; j++) {
		w->data[j] = idle_block;
		lane_refill(w, j);
	}
	for (;;) {
		size_t blocks = SIZE_MAX;

		for (size_t j = 0; j < lanes; j++)
			if (w->lane[j].busy && w->lane[j].blocks < blocks)
				blocks = w->lane[j].blocks;
		if (blocks == SIZE_MAX)
			return;
		if (lanes == 16)
			compress16(w->state, w->data, w->step, blocks);
		else
			compress8(w->state, w->data, w->step, blocks);
		for (size_t j = 0; j < lanes; j++) {
			if (w->lane[j].busy)
				w->lane[j].blocks -= blocks;
			lane_refill(w, j);
		}
	}
}

static void longest_first(struct work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		size_t at = i;

		for (; at > 0 && w->len[w->order[at - 1]] < w->len[i]; at--)
			w->order[at] = w->order[at - 1];
		w->order[at] = (uint8_t)i;
	}
}

static bool has_sha_instructions(void)
{
	unsigned int a, b = 0, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 29));
}

size_t store_sha256_lanes(void)
{
	if (has_sha_instructions())
		return 1;
	if (__builtin_cpu_supports("avx512f"))
		return 16;
	return __builtin_cpu_supports("avx2") ? 8 : 1;
}

void store_sha256_many(const uint8_t *const *p, const size_t *len, size_t n,
		       struct fetch_digest *out)
{
	size_t lanes = store_sha256_lanes();

	/* all lanes take as long as one, which is libcrypto's time for two messages */
	if (lanes == 1 || n < LANES_WORTH) {
		one_by_one(p, len, n, out);
		return;
	}
	for (size_t at = 0; at < n; at += SLICE) {
		struct work w = { .p = p + at, .len = len + at, .out = out + at };

		w.n = n - at < SLICE ? n - at : SLICE;
		longest_first(&w);
		side_by_side(&w, lanes);
	}
}

#else

size_t store_sha256_lanes(void)
{
	return 1;
}

void store_sha256_many(const uint8_t *const *p, const size_t *len, size_t n,
		       struct fetch_digest *out)
{
	one_by_one(p, len, n, out);
}

#endif
