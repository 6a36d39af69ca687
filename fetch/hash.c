/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one file of fetch/ that hashes: a program that only parses and prints digests does not link
 * libcrypto.
 */
#include "config.h"

#include "fetch/fetch.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "util/mem.h"
#include "util/poison.h"

void fetch_digest_of(const void *p, size_t n, struct fetch_digest *out)
{
	HR_BUG_ON(EVP_Digest(p, n, out->b, NULL, EVP_sha256(), NULL) != 1);
}

/* The context of libcrypto is the whole state; the type only hides it from other files. */
struct fetch_hash {
	EVP_MD_CTX *md;
};

struct fetch_hash *fetch_hash_new(void)
{
	struct fetch_hash *h = hr_xmalloc(sizeof(*h));

	h->md = EVP_MD_CTX_new();
	HR_BUG_ON(!h->md || EVP_DigestInit_ex(h->md, EVP_sha256(), NULL) != 1);
	return h;
}

void fetch_hash_add(struct fetch_hash *h, const void *p, size_t n)
{
	HR_BUG_ON(EVP_DigestUpdate(h->md, p, n) != 1);
}

void fetch_hash_end(struct fetch_hash *h, struct fetch_digest *out)
{
	HR_BUG_ON(EVP_DigestFinal_ex(h->md, out->b, NULL) != 1);
}

void fetch_hash_free(struct fetch_hash *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->md);
	free(h);
}

void fetch_hash_freep(struct fetch_hash **h)
{
	fetch_hash_free(*h);
}
