/* SPDX-License-Identifier: BSD-3-Clause */
/* The lanes against libcrypto: every length around the block and padding borders, every number of
 * messages. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/sha256mb.h"
#include "util/mem.h"
#include "util/poison.h"

#define MESSAGES 300 /* more than are ordered at a time */
#define FEW	 40

static void check(const size_t *len, size_t n)
{
	const uint8_t *p[MESSAGES] = { NULL };
	struct fetch_digest got[MESSAGES], expected;

	for (size_t i = 0; i < n; i++) {
		uint8_t *bytes = hr_xmalloc(len[i]);

		for (size_t k = 0; k < len[i]; k++)
			bytes[k] = (uint8_t)(k * 31 + i * 7 + len[i]);
		p[i] = bytes;
	}
	store_sha256_many(p, len, n, got);
	for (size_t i = 0; i < n; i++) {
		fetch_digest_of(p[i], len[i], &expected);
		if (!fetch_digest_equal(&got[i], &expected))
			fail_msg("message %zu of %zu, %zu bytes", i, n, len[i]);
		free((void *)(uintptr_t)p[i]);
	}
}

static void every_length_around_a_block(void **state)
{
	size_t len[MESSAGES] = { 0 };

	(void)state;
	for (size_t first = 0; first < 200; first += MESSAGES) {
		for (size_t i = 0; i < MESSAGES; i++)
			len[i] = first + i;
		check(len, MESSAGES);
	}
}

static void any_number_of_messages(void **state)
{
	size_t len[MESSAGES] = { 0 };

	(void)state;
	for (size_t n = 0; n <= MESSAGES; n += n < FEW ? 1 : 13) {
		for (size_t i = 0; i < n; i++)
			len[i] = (i * 7919) % 5000 * (i % 3);
		check(len, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_around_a_block),
		cmocka_unit_test(any_number_of_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
