/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun version: what is installed, for reports of faults and for scripts that want a feature. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <zstd.h>

#include "store/cmd.h"
#include "store/json_out.h"
#include "util/cleanup.h"
#include "util/poison.h"

struct version_args {
	bool json;
};

static const struct hr_opt version_opts[] = {
	HR_OPT_FLAG(0, "json", struct version_args, json, "print a JSON object"), HR_OPT_END
};

#define LIBRARIES 11

/* What was built against, and what is loaded now where this program loads it. */
struct library {
	const char *name, *built;
	const char *loaded; /* or NULL */
};

struct about {
	struct fetch_about net;
	struct library libraries[LIBRARIES];
};

/* What this build can do: scripts ask for these words, so none ever gets another meaning. */
static const char *const features[] = { "registry",  "oci-layout", "squashfs", "sif",
					"web-store", "cdi",	   "hooks",    "mpi-stack" };

static void print_json(const struct about *a)
{
	json_t *o = json_object(), *libraries = json_array(), *can = json_array();

	store_json_set(o, "version", json_string(PACKAGE_VERSION));
	store_json_set(o, "architecture", json_string(fetch_host_arch()));
	store_json_set(o, "store_format", json_string(STORE_FORMAT));
	store_json_set(o, "tls", json_string(a->net.tls));
	store_json_set(o, "http2", json_boolean(a->net.http2));
	for (size_t i = 0; i < HR_COUNT(features); i++)
		store_json_add(can, json_string(features[i]));
	store_json_set(o, "features", can);
	for (size_t i = 0; i < LIBRARIES; i++) {
		const struct library *l = &a->libraries[i];
		json_t *one = json_object();

		store_json_set(one, "name", json_string(l->name));
		store_json_set(one, "built", json_string(l->built));
		store_json_set(one, "loaded", l->loaded ? json_string(l->loaded) : NULL);
		store_json_add(libraries, one);
	}
	store_json_set(o, "libraries", libraries);
	store_json_print(o);
}

static void print_text(const struct about *a)
{
	printf("hpcrun %s\narchitecture %s\nstore format %s\nfeatures", PACKAGE_VERSION,
	       fetch_host_arch(), STORE_FORMAT);
	for (size_t i = 0; i < HR_COUNT(features); i++)
		printf(" %s", features[i]);
	printf("\ntls %s%s\n", a->net.tls, a->net.http2 ? ", HTTP/2" : "");
	for (size_t i = 0; i < LIBRARIES; i++) {
		const struct library *l = &a->libraries[i];

		printf("%s %s", l->name, l->built);
		if (l->loaded && strcmp(l->loaded, l->built) != 0)
			printf(" (loaded: %s)", l->loaded);
		printf("\n");
	}
}

/* "OpenSSL 3.0.9 30 May 2023": the second word. */
static char *crypto_version(void)
{
	const char *s = OpenSSL_version(OPENSSL_VERSION);

	s += strcspn(s, " ");
	s += strspn(s, " ");
	return hr_xstrndup(s, strcspn(s, " "));
}

static int version_main(void *args, int argc, char **argv, struct hr_err *e)
{
	const struct version_args *v = args;
	hr_autofree char *crypto = crypto_version();
	struct fetch_about net = fetch_about();
	struct about a = { .net = net,
			   .libraries = {
				   { "fuse3", BUILT_FUSE, NULL },
				   { "inih", BUILT_INIH, NULL },
				   { "jansson", BUILT_JANSSON, NULL },
				   { "libcrypto", BUILT_CRYPTO, crypto },
				   { "libcurl", BUILT_CURL, net.curl },
				   { "libelf", BUILT_ELF, NULL },
				   { "libisal", BUILT_ISAL, NULL },
				   { "libseccomp", BUILT_SECCOMP, NULL },
				   { "libyaml", BUILT_YAML, NULL },
				   { "libzstd", BUILT_ZSTD, ZSTD_versionString() },
				   { "squashfuse", BUILT_SQUASHFUSE, NULL },
			   } };

	(void)argc;
	(void)argv;
	(void)e;
	(v->json ? print_json : print_text)(&a);
	return 0;
}

const struct hr_cmd store_cmd_version = {
	.name = "version",
	.operands = "",
	.summary = "print the version of hpcrun and of what it is built with",
	.opts = version_opts,
	.args_size = sizeof(struct version_args),
	.main = version_main,
};
