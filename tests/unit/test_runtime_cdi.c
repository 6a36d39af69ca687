/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime/cdi and yaml: what CDI files may say, in both notations, and devices put together. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/cdi.h"
#include "runtime/gpu_cdi.h"
#include "runtime/yaml.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define HEAD	      "\"cdiVersion\":\"0.6.0\",\"kind\":\"vendor.com/gpu\""
#define EDITS(edits)  "{" HEAD ",\"devices\":[],\"containerEdits\":{" edits "}}"
#define NODE(members) EDITS("\"deviceNodes\":[{" members "}]")
#define MOUNT(members)                                                                             \
	EDITS("\"mounts\":[{\"hostPath\":\"/a\",\"containerPath\":\"/b\"" members "}]")
#define HOOK(path, args)                                                                           \
	EDITS("\"hooks\":[{\"hookName\":\"createContainer\",\"path\":\"" path "\",\"args\":[" args \
	      "]}]")
#define DEVICE(name) "{" HEAD ",\"devices\":[{\"name\":\"" name "\",\"containerEdits\":{}}]}"

static const struct {
	const char *json, *message; /* NULL: it is good */
} cdi_rows[] = {
	{ EDITS(""), NULL },
	{ "{" HEAD ",\"devices\":[]}", NULL },
	{ "{" HEAD "}", "'devices' is missing" },
	{ "{" HEAD ",\"devices\":[],\"x\":1}", "unknown member 'x'" },
	{ "{\"kind\":\"a/b\"}", "'cdiVersion' is missing" },
	{ "{\"cdiVersion\":\"0.2.0\"}", "version '0.2.0' is not known" },
	{ "{\"cdiVersion\":\"1.2.0\"}", "version '1.2.0' is not known" },
	{ "{\"cdiVersion\":\"1.1.0\",\"kind\":\"gpu\"}", "not VENDOR/CLASS" },
	{ "{\"cdiVersion\":\"1.1.0\",\"kind\":\"v/c/d\"}", "not VENDOR/CLASS" },
	{ "{\"cdiVersion\":\"1.1.0\",\"kind\":\"v_w/c\"}", "not VENDOR/CLASS" },
	{ "{\"cdiVersion\":\"1.1.0\",\"kind\":\"/c\"}", "not VENDOR/CLASS" },
	{ DEVICE("0"), NULL },
	{ DEVICE("GPU-1a:2_b.c"), NULL },
	{ DEVICE("-0"), "device name '-0' is ill-formed" },
	{ DEVICE(""), "'name' is empty" },
	{ "{" HEAD ",\"devices\":[{\"name\":\"0\"}]}",
	  "device '0': member 'containerEdits' is missing" },
	{ "{" HEAD ",\"devices\":[{\"name\":\"0\",\"containerEdits\":{}},"
	  "{\"name\":\"0\",\"containerEdits\":{}}]}",
	  "device '0' is there twice" },
	{ "{" HEAD ",\"devices\":[1]}", "not an object" },
	{ NODE("\"path\":\"/dev/x\",\"type\":\"c\",\"major\":1,\"permissions\":\"rw\""), NULL },
	{ NODE("\"hostPath\":\"/dev/x\""), "'path' is missing" },
	{ NODE("\"path\":\"dev/x\""), "'dev/x') is not an absolute path" },
	{ NODE("\"path\":\"/dev/../x\""), "is not an absolute path without '..'" },
	{ NODE("\"path\":\"/\""), "is not an absolute path" },
	{ NODE("\"path\":\"/x\",\"Major\":1"), "unknown member 'Major'" },
	{ EDITS("\"deviceNodes\":[1]"), "element 0 of 'deviceNodes' is not an object" },
	{ EDITS("\"env\":[\"A\"]"), "element 0 of 'env' is not NAME=VALUE" },
	{ MOUNT(",\"options\":[\"ro\",\"rbind\",\"noexec\"],\"type\":\"bind\""), NULL },
	{ MOUNT(",\"options\":[\"rshared\"]"), "mount option 'rshared' is not known" },
	{ MOUNT(",\"type\":\"none\",\"options\":[\"bind\",\"rw\"]"), NULL }, /* Intel's */
	{ MOUNT(",\"type\":\"tmpfs\""), "a mount of type 'tmpfs'" },
	{ EDITS("\"intelRdt\":{}"), "'intelRdt' takes privilege" },
	{ EDITS("\"netDevices\":[]"), "'netDevices' takes privilege" },
	{ EDITS("\"additionalGids\":[0,4294967295]"), NULL },
	{ EDITS("\"additionalGids\":[4294967296]"), "no group id" },
	{ EDITS("\"additionalGids\":[\"1\"]"), "no group id" },
	{ HOOK("/x/nvidia-ctk", "\"nvidia-ctk\",\"hook\",\"chmod\",\"--mode\",\"755\""), NULL },
	{ HOOK("/x/nvidia-cdi-hook", "\"nvidia-cdi-hook\",\"update-ldcache\",\"--folder\","
				     "\"/a\",\"--folder=/b\",\"--ldconfig-path=/x\""),
	  NULL },
	{ HOOK("/x/nvidia-cdi-hook",
	       "\"nvidia-cdi-hook\",\"create-soname-symlinks\",\"--folder\",\"/a\""),
	  NULL },
	{ HOOK("/x/nvidia-cdi-hook",
	       "\"nvidia-cdi-hook\",\"create-soname-symlinks\",\"--folder\",\"a\""),
	  "folder 'a' is not an absolute path" },
	{ HOOK("/x/nvidia-ctk", "\"nvidia-ctk\",\"hook\",\"update-nvidia-params\""), NULL },
	{ HOOK("/x/nvidia-cdi-hook", "\"\",\"apply-cuda-memory-limits\",\"--gpu-id=x\""), NULL },
	{ HOOK("/x/nvidia-cdi-hook", "\"\",\"check-requirements\",\"--x\""), NULL },
	{ HOOK("/x/nvidia-cdi-hook", "\"nvidia-cdi-hook\",\"update-ldcache\",\"--force\""),
	  "argument '--force' of update-ldcache is not known" },
	{ HOOK("/x/nvidia-cdi-hook", "\"nvidia-cdi-hook\",\"update-ldcache\",\"--folder\""),
	  "argument '--folder' of update-ldcache is not known" },
	{ HOOK("/x/nvidia-cdi-hook", "\"nvidia-cdi-hook\",\"create-symlinks\",\"--link=a\""),
	  "link 'a' is not TARGET::PATH" },
	{ HOOK("/x/nvidia-cdi-hook",
	       "\"nvidia-cdi-hook\",\"create-symlinks\",\"--link=a::/b/../c\""),
	  "is not TARGET::PATH" },
	{ HOOK("/x/nvidia-cdi-hook", "\"nvidia-cdi-hook\",\"format-disk\""),
	  "the hook 'nvidia-cdi-hook format-disk' is not one that hpcrun knows" },
	{ HOOK("/x/nvidia-cdi-hook", ""), "is not one that hpcrun knows" },
	{ HOOK("/opt/vendor/setup", "\"setup\""),
	  "the hook '/opt/vendor/setup' is not one that hpcrun knows" },
};

static void cdi_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(cdi_rows); i++) {
		const uint8_t *p = (const uint8_t *)cdi_rows[i].json;

		/* JSON is YAML, too */
		for (int yaml = 0; yaml < 2; yaml++) {
			struct rt_cdi_spec spec;
			struct hr_err e = { 0 };
			int r = rt_cdi_parse(p, strlen(cdi_rows[i].json), yaml, &spec, &e);

			if (r != (cdi_rows[i].message ? -1 : 0) ||
			    (cdi_rows[i].message && !strstr(e.text, cdi_rows[i].message)))
				fail_msg("%s (%d): %d, %s", cdi_rows[i].json, yaml, r, e.text);
			rt_cdi_release(&spec);
		}
	}
}

static void yaml_documents(void **state)
{
	static const struct {
		const char *yaml, *json; /* or the message */
	} rows[] = {
		{ "a: 1\nb: \"1\"\nc: [x, true, ~, -7, 1.5, 0x1]\n",
		  "{\"a\":1,\"b\":\"1\",\"c\":[\"x\",true,null,-7,\"1.5\",\"0x1\"]}" },
		{ "---\na:\n  b:\n  - c: d\n    e: f\n...\n",
		  "{\"a\":{\"b\":[{\"c\":\"d\",\"e\":\"f\"}]}}" },
		{ "a: 0000000000000000001\nb: 9999999999999999999\n",
		  "{\"a\":\"0000000000000000001\",\"b\":\"9999999999999999999\"}" },
		{ "a: |\n  x\n  y\n", "{\"a\":\"x\\ny\\n\"}" },
		{ "{}", "{}" },
		{ "", "not a mapping" },
		{ "- a\n", "not a mapping" },
		{ "a: 1\na: 2\n", "line 2: a duplicate key" },
		{ "a: &x 1\nb: *x\n", "line 1: an anchor or a tag" },
		{ "b: *x\n", "line 1: an alias" },
		{ "a: !!str 1\n", "an anchor or a tag" },
		{ "a: !x {}\n", "an anchor or a tag" },
		{ "? [a]\n: b\n", "a key that is not a string" },
		{ "a: \"x\\0y\"\n", "a NUL in a string" },
		{ "a: 1\n---\nb: 1\n", "a second document" },
		{ "a: [1\n", "no YAML, line" },
		{ "\ta: 1\n", "no YAML, line" },
		{ "a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
		  "nested too deeply" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		const uint8_t *p = (const uint8_t *)rows[i].yaml;
		hr_autofree char *text = NULL;
		json_auto_t *v = NULL;
		struct hr_err e = { 0 };

		if (rt_yaml_parse(p, strlen(rows[i].yaml), &v, &e) == 0)
			text = json_dumps(v, JSON_COMPACT);
		if (text ? strcmp(text, rows[i].json) != 0 : !strstr(e.text, rows[i].json))
			fail_msg("%s: %s", rows[i].yaml, text ? text : e.text);
	}
}

static void parse(const char *json, struct rt_cdi_spec *spec)
{
	struct hr_err e = { 0 };

	if (rt_cdi_parse((const uint8_t *)json, strlen(json), false, spec, &e) < 0)
		fail_msg("%s", e.text);
}

static void merged_edits(void **state)
{
	static const char first[] =
		EDITS("\"env\":[\"A=1\"],\"deviceNodes\":[{\"path\":\"/dev/a\"}],"
		      "\"mounts\":[{\"hostPath\":\"/h\",\"containerPath\":\"/c\"}],"
		      "\"hooks\":[{\"hookName\":\"x\",\"path\":\"/nvidia-ctk\",\"args\":[\"\","
		      "\"hook\",\"create-symlinks\",\"--link\",\"t::/l\"]}]");
	static const struct {
		const char *json, *message; /* NULL: the same, nothing is added */
	} rows[] = {
		{ first, NULL },
		{ EDITS("\"env\":[\"A=1\"]"), NULL },
		{ EDITS("\"env\":[\"A=2\"]"), "a variable is 'A=1' and 'A=2'" },
		{ NODE("\"path\":\"/dev/a\",\"hostPath\":\"/dev/b\""),
		  "/dev/a is '/dev/a' and '/dev/b'" },
		{ EDITS("\"mounts\":[{\"hostPath\":\"/h\",\"containerPath\":\"/c/\"}]"), NULL },
		{ EDITS("\"mounts\":[{\"hostPath\":\"/i\",\"containerPath\":\"/c\"}]"),
		  "/c is '/h' and '/i'" },
		{ HOOK("/nvidia-ctk", "\"\",\"create-symlinks\",\"--link\",\"u::/l\""),
		  "/l is 't' and 'u'" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct rt_cdi_edits x = { 0 };
		struct rt_cdi_spec a, b;
		struct hr_err e = { 0 };

		parse(first, &a);
		parse(rows[i].json, &b);
		assert_int_equal(rt_cdi_merge(&x, &a.edits, &e), 0);
		if (rt_cdi_merge(&x, &b.edits, &e) != (rows[i].message ? -1 : 0) ||
		    (rows[i].message && !strstr(e.text, rows[i].message)))
			fail_msg("%s: %s", rows[i].json, e.text);
		if (!rows[i].message) {
			assert_int_equal(x.env.n, 1);
			assert_int_equal(x.n_nodes, 1);
			assert_int_equal(x.n_mounts, 1);
			assert_int_equal(x.n_links, 1);
		}
		rt_cdi_edits_release(&x);
		rt_cdi_release(&a);
		rt_cdi_release(&b);
	}
}

#define GPU(name, nodes) "{\"name\":\"" name "\",\"containerEdits\":{\"deviceNodes\":[" nodes "]}}"
#define AT(path)	 "{\"path\":\"" path "\"}"
#define GPUS(kind, devices)                                                                        \
	"{\"cdiVersion\":\"0.6.0\",\"kind\":\"" kind "\",\"devices\":[" devices "]}"

/* Of one card all, of another in parts, which people and programs have different names for. */
static void names_of_parts(void **state)
{
	static const char one[] =
		GPUS("a.com/gpu", GPU("0:1", AT("/dev/d")) "," GPU("5", AT("/dev/d")));
	static const char two[] = GPUS(
		"n.com/gpu",
		GPU("0:0", AT("/dev/n")) "," GPU("0:1", AT("/dev/n") "," AT("/dev/c1")) "," GPU(
			"MIG-1",
			AT("/dev/n") "," AT(
				"/dev/c1")) "," GPU("0:2",
						    AT("/dev/n") "," AT(
							    "/dev/c2")) "," GPU("none",
										"") "," GPU("7",
											    "") "," GPU("GPU-1",
													AT("/dev/g")));
	static const struct {
		const char *full, *known;
	} rows[] = {
		{ "n.com/gpu=0:1", "MIG-1" }, { "a.com/gpu=0:1", "5" },
		{ "n.com/gpu=0:0", NULL },    { "n.com/gpu=0:2", NULL },
		{ "n.com/gpu=none", NULL },   { "n.com/gpu=GPU-1", "GPU-1" },
		{ "n.com/gpu=12", "12" },     { "x.com/gpu=0:1", NULL },
	};
	struct rt_cdi_file v[] = { { .path = (char *)(uintptr_t) "/one", .rank = 0 },
				   { .path = (char *)(uintptr_t) "/two", .rank = 1 } };
	struct rt_cdi_files files = { .v = v, .n = 2 };
	struct rt_cdi_edits x = { 0 };
	struct hr_strv names = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	parse(one, &v[0].spec);
	parse(two, &v[1].spec);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		const char *known = rt_cdi_known_as(&files, rows[i].full);

		if (rows[i].known ? !known || strcmp(known, rows[i].known) != 0 : known != NULL)
			fail_msg("%s: %s", rows[i].full, known ? known : "none");
	}
	assert_true(rt_cdi_is_id("GPU-1") && rt_cdi_is_id("MIG-1") && rt_cdi_is_id("10"));
	assert_false(rt_cdi_is_id("") || rt_cdi_is_id("1a") || rt_cdi_is_id("gpu"));
	assert_true(rt_cdi_has_gpu(&files, "a.com") && rt_cdi_has_gpu(&files, NULL));
	assert_false(rt_cdi_has_gpu(&files, "i.com"));
	/* of a directory that counts more, but another vendor's */
	assert_int_equal(rt_cdi_choose(&files, "0:1", &x, &names, &e), -1);
	assert_non_null(strstr(e.text, "device '0:1' is in '/one' and in '/two'"));
	rt_cdi_edits_release(&x);
	hr_strv_release(&names);
	rt_cdi_release(&v[0].spec);
	rt_cdi_release(&v[1].spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cdi_files),
		cmocka_unit_test(yaml_documents),
		cmocka_unit_test(merged_edits),
		cmocka_unit_test(names_of_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
