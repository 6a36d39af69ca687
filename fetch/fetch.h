/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * URL and range in, bytes out: image references, digests, OCI documents, and a client of
 * registries.
 *
 * For: everything that store/ wants from the network. Knows no images at rest and no store paths.
 * Sequence: fetch_ref_parse(); fetch_client_new(); fetch_manifest_get(); fetch_manifest_parse() (or
 * fetch_platform_pick() when it is an index, then fetch_manifest_get() again by digest);
 * fetch_blob_get() for the config and each layer; fetch_client_free().
 * The only header of fetch/ that other folders include.
 */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/mem.h"

/* ---- digests (digest.c, hash.c) ---- */

#define FETCH_DIGEST_LEN  32
#define FETCH_DIGEST_HEX  (2 * FETCH_DIGEST_LEN + 1)		     /* lower-case digits and NUL */
#define FETCH_DIGEST_TEXT (sizeof("sha256:") - 1 + FETCH_DIGEST_HEX) /* "sha256:..." and NUL */

/* A sha256 as raw bytes; the only form in which a digest travels inside the program. */
struct fetch_digest {
	uint8_t b[FETCH_DIGEST_LEN];
};

/*
 * Parse "sha256:" and 64 lower-case hexadecimal digits, nothing before, between or behind.
 *
 * Errors:  HR_CORRUPT; other algorithms (sha512, md5) are refused by name.
 */
int fetch_digest_parse(const char *s, struct fetch_digest *out, struct hr_err *e) HR_MUST_USE;
/* The same for the 64 digits alone. */
int fetch_digest_parse_hex(const char *s, struct fetch_digest *out, struct hr_err *e) HR_MUST_USE;
/* The digits; returns BUF. */
char *fetch_digest_hex(const struct fetch_digest *d, char buf[FETCH_DIGEST_HEX]);
/* "sha256:" and the digits; returns BUF. */
char *fetch_digest_text(const struct fetch_digest *d, char buf[FETCH_DIGEST_TEXT]);
bool fetch_digest_equal(const struct fetch_digest *a, const struct fetch_digest *b);
/* sha256 of N bytes at P. */
void fetch_digest_of(const void *p, size_t n, struct fetch_digest *out);

/*
 * The same of a stream. Sequence: fetch_hash_new(); fetch_hash_add() for each piece;
 * fetch_hash_end() once; fetch_hash_free(). Aborts when libcrypto has no sha256 or memory is gone.
 */
struct fetch_hash;
struct fetch_hash *fetch_hash_new(void) HR_MUST_USE;
void fetch_hash_add(struct fetch_hash *h, const void *p, size_t n);
/* The digest of all that was added; nothing may be added afterwards. */
void fetch_hash_end(struct fetch_hash *h, struct fetch_digest *out);
void fetch_hash_free(struct fetch_hash *h);
void fetch_hash_freep(struct fetch_hash **h);

/* ---- references (ref.c) ---- */

/* An image reference in full: defaults filled in, grammar checked. */
struct fetch_ref {
	char *registry; /* "docker.io", "host:5000", "[::1]:5000" */
	char *repo;	/* "library/debian" */
	char *tag; /* "latest" when neither tag nor digest was given; NULL when only a digest was */
	bool has_digest;
	struct fetch_digest digest;
};

/*
 * Parse what users write: [docker://][HOST[:PORT]/]REPO[:TAG][@DIGEST]. The first part is a host
 * when it has a dot or a colon or is "localhost"; else docker.io, with library/ before a repo of
 * one part.
 *
 * Errors:  HR_USAGE saying which part breaks which rule (length, upper case, "..", port, digest).
 * Owns:    *out's strings; fetch_ref_release frees them.
 */
int fetch_ref_parse(const char *s, struct fetch_ref *out, struct hr_err *e) HR_MUST_USE;
void fetch_ref_release(struct fetch_ref *r);
/* "registry/repo:tag@digest" in full, allocated; the caller frees. */
char *fetch_ref_text(const struct fetch_ref *r);

/* ---- OCI documents (manifest.c); pure parsers of hostile JSON ---- */

#define FETCH_MANIFEST_LIMIT (4u << 20) /* bytes */
#define FETCH_CONFIG_LIMIT   (16u << 20)
#define FETCH_LAYERS_MAX     4096

enum fetch_compression { FETCH_PLAIN, FETCH_GZIP, FETCH_ZSTD };

struct fetch_descriptor {
	struct fetch_digest digest;
	uint64_t size;			    /* bytes of the blob */
	enum fetch_compression compression; /* layers: what the media type says */
};

/* An image manifest, Docker schema 2 or OCI. */
struct fetch_manifest {
	struct fetch_descriptor config;
	struct fetch_descriptor *layers; /* lowest first */
	size_t n_layers;
};

/* What hpcrun takes from an image config. */
struct fetch_config {
	char *architecture, *os, *created; /* created as written, or NULL */
	struct fetch_digest *diff_ids;	   /* lowest first */
	size_t n_diff_ids;
	struct hr_strv env, entrypoint, cmd;
	char *working_dir; /* or NULL */
	char *user;	   /* or NULL; shown, never obeyed */
};

/* What kind of document this is, by its content, never by a header. */
enum fetch_doc_kind { FETCH_DOC_MANIFEST, FETCH_DOC_INDEX };
/* Errors: HR_CORRUPT when it is neither or both (CVE-2021-41190), or of a kind we refuse, by name
 * (schema 1, artifact). */
int fetch_doc_kind(const void *doc, size_t len, enum fetch_doc_kind *out,
		   struct hr_err *e) HR_MUST_USE;

/*
 * Parse an image manifest; an image config.
 *
 * Bounds:  nesting up to 32, 2^16 arrays and objects, 2^20 values; duplicate keys, trailing
 *          bytes and wrong types are refused; sizes are integers 0..2^63-1; at most
 *          FETCH_LAYERS_MAX layers. Members that mean nothing here (urls, annotations,
 *          labels) are ignored; entries of Env that are not NAME=VALUE are left out with a
 *          warning.
 * Owns:    *out; the _release function frees it.
 * Errors:  HR_CORRUPT, naming the field.
 * Source:  OCI image-spec 1.1 manifest.md, config.md; Docker "Image Manifest V2, Schema 2".
 */
int fetch_manifest_parse(const void *doc, size_t len, struct fetch_manifest *out,
			 struct hr_err *e) HR_MUST_USE;
void fetch_manifest_release(struct fetch_manifest *m);
int fetch_config_parse(const void *doc, size_t len, struct fetch_config *out,
		       struct hr_err *e) HR_MUST_USE;
void fetch_config_release(struct fetch_config *c);

/*
 * Pick the manifest for a platform from an index: first entry whose os is linux, whose architecture
 * is ARCH ("amd64", "arm64") and whose variant is absent or one that every such machine has (amd64
 * v1, arm64 v8); "unknown" platforms (attestations) are skipped. It may name an index again: how
 * deep that may go is the caller's to bound.
 *
 * Errors:  HR_NOTFOUND with the list of platforms that are there.
 */
int fetch_platform_pick(const void *doc, size_t len, const char *arch, struct fetch_descriptor *out,
			struct hr_err *e) HR_MUST_USE;
/* GOARCH name of the machine this program was built for. */
const char *fetch_host_arch(void);

/*
 * Pick the document of an image in an OCI layout, from its index.json: the one that TAG names, or,
 * TAG NULL, the only one.
 *
 * Errors:  HR_NOTFOUND, HR_USAGE when there are several, with the names; HR_CORRUPT.
 * Source:  OCI image-spec 1.1 image-layout.md.
 */
int fetch_layout_pick(const void *doc, size_t len, const char *tag, struct fetch_digest *out,
		      struct hr_err *e) HR_MUST_USE;

/* What manifest.json in an archive of 'docker save' says of an image: names of members. */
struct fetch_docker_save {
	char *config;
	struct hr_strv layers; /* lowest first */
};
/* The image that TAG names, or, TAG NULL, the only one. Errors: as above. Owns: *out, released also
 * after an error. */
int fetch_docker_save_parse(const void *doc, size_t len, const char *tag,
			    struct fetch_docker_save *out, struct hr_err *e) HR_MUST_USE;
void fetch_docker_save_release(struct fetch_docker_save *s);

/* ---- the client (http.c, auth.c, registry.c) ---- */

/* What moves the bytes, for people who report faults; the strings live as long as the program. */
struct fetch_about {
	const char *curl, *tls; /* "7.88.1", "OpenSSL/3.0.9" */
	bool http2;
};
struct fetch_about fetch_about(void);

/* Everything is borrowed until fetch_client_free; zeroed means the defaults. */
struct fetch_options {
	/* "HOST" or "HOST:PORT" where plain http is allowed when https is not spoken; loopback
	 * always is */
	const struct hr_strv *insecure_registries;
	const char *ca_file; /* NULL: $SSL_CERT_FILE, else the system's authorities */
	const char *proxy;   /* NULL: http_proxy, https_proxy, no_proxy; never for loopback */
	/* when it becomes true every call ends within about 0.2 s with HR_SYS, EINTR; only a
	 * running credential helper is waited for, 30 s at most */
	const atomic_bool *cancel;
	unsigned int stall_s; /* 0: 20; give a connection up after so long below 1 KiB/s */
	unsigned int retry_s; /* 0: 300; wait no longer than this in all without any progress */
};

struct fetch_client;

/*
 * A client for any number of registries and threads. Credentials come from ~/.docker/config.json
 * ($DOCKER_CONFIG, $REGISTRY_AUTH_FILE) and its helpers when a registry asks for them, and go only
 * to that registry and to a token server of its own site. https is tried first everywhere; see
 * hpcrun-pull(1) for where plain http may follow. The process, and those it starts, leave no core
 * files from then on.
 *
 * Threads: any number on one client; tokens are shared, one refresh at a time for each registry and
 * scope.
 */
int fetch_client_new(const struct fetch_options *o, struct fetch_client **out,
		     struct hr_err *e) HR_MUST_USE;
void fetch_client_free(struct fetch_client *c);
/*
 * From now on, or no longer, give a server 2 s to connect and 3 s to say something: one that did
 * not answer a moment ago, and without which there is another way.
 */
void fetch_client_hurry(struct fetch_client *c, bool on);

/*
 * Append the document that REF's digest names, else its tag, to DOC, and compute its digest.
 *
 * Bounds:  at most FETCH_MANIFEST_LIMIT bytes.
 * Errors:  HR_NOTFOUND (unknown tag or repository), HR_DENIED (refused login), HR_CORRUPT (digest
 * differs), HR_NET.
 */
int fetch_manifest_get(struct fetch_client *c, const struct fetch_ref *ref, struct hr_buf *doc,
		       struct fetch_digest *digest, struct hr_err *e) HR_MUST_USE;

/*
 * Receives a blob's bytes in order. Returns 0 to go on, -1 with *e filled to stop the transfer;
 * that failure is returned by the getter unchanged.
 */
typedef int fetch_sink(void *arg, const void *p, size_t n, struct hr_err *e);

/*
 * Stream a blob through SINK, all of it, in order, once.
 *
 * A broken connection is resumed by Range where it broke; 429 and 5xx are retried with back-off and
 * Retry-After; redirects are followed by us, without our Authorization on another host. SINK may
 * block (back-pressure).
 *
 * Bounds:  exactly D->size bytes reach SINK on success, never more.
 * Errors:  HR_CORRUPT when size or sha256 of the whole differ from D: the sink has seen wrong bytes
 * and must discard its work; HR_NET, HR_NOTFOUND, HR_DENIED; what SINK returned.
 */
int fetch_blob_get(struct fetch_client *c, const struct fetch_ref *ref,
		   const struct fetch_descriptor *d, fetch_sink *sink, void *arg,
		   struct hr_err *e) HR_MUST_USE;

/* ---- uploads (push.c); REF names registry and repository ---- */

/* Does the repository have a blob? HR_NOTFOUND is no failure here. */
int fetch_blob_exists(struct fetch_client *c, const struct fetch_ref *ref,
		      const struct fetch_digest *d, bool *exists, struct hr_err *e) HR_MUST_USE;
/*
 * Ask the registry to give a blob of FROM, another repository of it, to this one as well; a
 * registry that will not is no failure, either.
 */
int fetch_blob_mount(struct fetch_client *c, const struct fetch_ref *ref,
		     const struct fetch_digest *d, const char *from, bool *mounted,
		     struct hr_err *e) HR_MUST_USE;
/*
 * Upload the N bytes at P, whose digest is D.
 *
 * Errors:  HR_DENIED, HR_NET; as everywhere here, tried again as long as fetch_options says.
 */
int fetch_blob_put(struct fetch_client *c, const struct fetch_ref *ref,
		   const struct fetch_digest *d, const void *p, size_t n,
		   struct hr_err *e) HR_MUST_USE;

/*
 * Upload a blob of unknown size in pieces; what was lost on the way is sent again.
 *
 * Sequence: fetch_upload_begin(); fetch_upload_add() (a fetch_sink) for the bytes in order;
 * fetch_upload_end() with their digest, which the registry checks; fetch_upload_free(). An upload
 * that is not ended leaves nothing that anybody sees; registries forget it in time.
 *
 * Bounds:  8 MiB of memory.
 * Threads: one for each upload.
 */
struct fetch_upload;
int fetch_upload_begin(struct fetch_client *c, const struct fetch_ref *ref,
		       struct fetch_upload **out, struct hr_err *e) HR_MUST_USE;
int fetch_upload_add(void *upload, const void *p, size_t n, struct hr_err *e) HR_MUST_USE;
int fetch_upload_end(struct fetch_upload *u, const struct fetch_digest *d,
		     struct hr_err *e) HR_MUST_USE;
void fetch_upload_free(struct fetch_upload *u);
void fetch_upload_freep(struct fetch_upload **u);

/* Store the manifest in the N bytes at P under REF's tag. Errors: as fetch_blob_put(). */
int fetch_manifest_put(struct fetch_client *c, const struct fetch_ref *ref, const char *media_type,
		       const void *p, size_t n, struct hr_err *e) HR_MUST_USE;

/*
 * Check USER and PASSWORD with the registry and, when it accepts them, store them in the credential
 * file (mode 0600) or its helper; forget them again.
 *
 * Errors:  HR_DENIED when refused; logout of an unknown registry is HR_NOTFOUND.
 */
int fetch_login(struct fetch_client *c, const char *registry, const char *user,
		const char *password, struct hr_err *e) HR_MUST_USE;
int fetch_logout(struct fetch_client *c, const char *registry, struct hr_err *e) HR_MUST_USE;

/* ---- plain web servers (web.c) ---- */

/*
 * Append the object at URL to B. One attempt, at most five redirects; no credentials.
 *
 * Bounds:  more than LIMIT bytes is HR_CORRUPT.
 * Errors:  HR_USAGE not an http or https URL, or plain http to a host where it is not allowed;
 * HR_NOTFOUND 404; HR_DENIED 401, and with EACCES 403, which a bucket also says of what is not
 * there; HR_NET everything that may go better at another server or later.
 */
int fetch_web_read(struct fetch_client *c, const char *url, uint64_t limit, struct hr_buf *b,
		   struct hr_err *e) HR_MUST_USE;

/* GOT of the bytes asked for are there. -1 with *e filled stops the transfer with that failure. */
typedef int fetch_progress(void *arg, size_t got, struct hr_err *e);

/* Which content of an object a server spoke of; zeroed: not known yet. */
struct fetch_version {
	uint64_t bytes;	   /* of the whole object */
	char etag[128];	   /* as sent, cut; "" when there was none */
	char modified[64]; /* Last-Modified; likewise */
};

/* The LEN bytes at OFF of the object at URL, all borrowed. */
struct fetch_web_part {
	const char *url;
	uint64_t off;
	size_t len;
	void *buf;
	fetch_progress *progress; /* or NULL */
	void *arg;
	/* of an object that must not change meanwhile, or NULL: the first reply fills it, later
	 * ones are compared with it, by what both have */
	struct fetch_version *version;
	uint64_t *whole; /* or NULL: gets the bytes of the whole object, if the reply says them */
	bool fresh; /* proxies and caches on the way are asked not to answer from what they keep */
	unsigned int stall_s; /* in place of the client's; 0: that */
};

/*
 * Read exactly what PART says. The errors are those of fetch_web_read; with a version also
 * HR_CORRUPT the object is another one now, HR_NET its length was not said.
 *
 * A reply that starts elsewhere, is shorter or is encoded is HR_NET and nothing of it is used. A
 * server that answers with the whole object is read up to the wanted bytes when they begin within
 * its first 16 MiB; further on that is HR_USAGE, for it will not go better later. Whether the bytes
 * are right is the caller's to check: when all are there, or, by PROGRESS, as they come, in order;
 * meanwhile the rest waits in the kernel.
 */
int fetch_web_range(struct fetch_client *c, const struct fetch_web_part *part,
		    struct hr_err *e) HR_MUST_USE;

/*
 * Whether the server of the object at URL, of at least two bytes, answers Range as asked. One that
 * does not works, but each read fetches more than it needs. The errors are those of fetch_web_read.
 */
int fetch_web_has_ranges(struct fetch_client *c, const char *url, bool *has,
			 struct hr_err *e) HR_MUST_USE;

#endif
