/* SPDX-License-Identifier: BSD-3-Clause */
/* Which image of an OCI layout or of 'docker save' is meant. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fetch/fetch.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define D64(c) c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c
#define SHA(c) "sha256:" D64(c)
#define NAMED(c, name)                                                                             \
	"{\"digest\":\"" SHA(                                                                      \
		c) "\",\"annotations\":{\"org.opencontainers.image.ref.name\":\"" name "\"}}"
#define LAYOUT(list) "{\"schemaVersion\":2,\"manifests\":[" list "]}"

/* DIGEST is two digits of what is picked, or NULL; then TEXT is said. */
static const struct {
	const char *what, *doc, *tag, *digest, *text;
} layouts[] = {
	{ "the only one", LAYOUT(NAMED("ab", "x")), NULL, "ab", NULL },
	{ "without a name", LAYOUT("{\"digest\":\"" SHA("cd") "\"}"), NULL, "cd", NULL },
	{ "by tag", LAYOUT(NAMED("ab", "x") "," NAMED("cd", "y")), "y", "cd", NULL },
	{ "by the tag of a reference", LAYOUT(NAMED("ab", "h.io/a:x") "," NAMED("cd", "y")), "x",
	  "ab", NULL },
	{ "several", LAYOUT(NAMED("ab", "x") "," NAMED("cd", "y")), NULL, NULL, "several images" },
	{ "no such tag", LAYOUT(NAMED("ab", "x")), "z", NULL, "no image 'z'" },
	{ "the same tag twice", LAYOUT(NAMED("ab", "x") "," NAMED("cd", "x")), "x", NULL,
	  "more than one" },
	{ "none", LAYOUT(""), NULL, NULL, "no image" },
	{ "no list", "{}", NULL, NULL, "manifests" },
	{ "an entry that is none", LAYOUT("7"), NULL, NULL, "odd entry" },
	{ "a digest that is none", LAYOUT("{\"digest\":\"../x\"}"), NULL, NULL, "x" },
	{ "no JSON", "x", NULL, NULL, "index.json" },
};

static void test_layout_picks(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(layouts); i++) {
		struct fetch_digest d;
		struct hr_err e = { 0 };
		char hex[FETCH_DIGEST_HEX];
		int r = fetch_layout_pick(layouts[i].doc, strlen(layouts[i].doc), layouts[i].tag,
					  &d, &e);

		if (layouts[i].digest) {
			if (r < 0)
				fail_msg("%s: %s", layouts[i].what, e.text);
			assert_memory_equal(fetch_digest_hex(&d, hex), layouts[i].digest, 2);
		} else if (r == 0 || !strstr(e.text, layouts[i].text)) {
			fail_msg("%s: %d, '%s'", layouts[i].what, r, e.text);
		}
	}
}

#define SAVED(tags, config)                                                                        \
	"{\"Config\":\"" config "\",\"RepoTags\":[" tags "],\"Layers\":[\"a\",\"b\"]}"

static const struct {
	const char *what, *doc, *tag, *config, *text;
} saves[] = {
	{ "the only one", "[" SAVED("\"a:1\"", "c") "]", NULL, "c", NULL },
	{ "by tag", "[" SAVED("\"a:1\"", "c") "," SAVED("\"b:2\"", "d") "]", "2", "d", NULL },
	{ "several", "[" SAVED("\"a:1\"", "c") "," SAVED("\"b:2\"", "d") "]", NULL, NULL,
	  "several images" },
	{ "without tags", "[{\"Config\":\"c\",\"RepoTags\":null,\"Layers\":[\"a\",\"b\"]}]", NULL,
	  "c", NULL },
	{ "no such tag", "[" SAVED("\"a:1\"", "c") "]", "3", NULL, "no image 3" },
	{ "none", "[]", NULL, NULL, "no image" },
	{ "no config", "[{\"Layers\":[]}]", NULL, NULL, "Config" },
	{ "an entry that is none", "[1]", NULL, NULL, "odd entry" },
	{ "no array", "{}", NULL, NULL, "images" },
	{ "bytes behind", "[]} x", NULL, NULL, "manifest.json" },
};

static void test_docker_save_picks(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(saves); i++) {
		HR_CLEANUP(fetch_docker_save_release) struct fetch_docker_save s = { 0 };
		struct hr_err e = { 0 };
		int r = fetch_docker_save_parse(saves[i].doc, strlen(saves[i].doc), saves[i].tag,
						&s, &e);

		if (saves[i].config) {
			if (r < 0)
				fail_msg("%s: %s", saves[i].what, e.text);
			assert_string_equal(s.config, saves[i].config);
			assert_int_equal(s.layers.n, 2);
		} else if (r == 0 || !strstr(e.text, saves[i].text)) {
			fail_msg("%s: %d, '%s'", saves[i].what, r, e.text);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout_picks),
		cmocka_unit_test(test_docker_save_picks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
