/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part of hpcrun completion that knows stores: what a word of a verb of this program can
 * become, and the names of images. hpcrun calls it; what people type is in runtime/.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "store/cmd.h"
#include "util/cleanup.h"
#include "util/complete.h"
#include "util/poison.h"

struct completion_args {
	bool image;
};

static const struct hr_opt completion_opts[] = { HR_OPT_FLAG(0, "image", struct completion_args,
							     image, "the last word is an image"),
						 HR_OPT_END };

/* ---- images ---- */

/* What need not be typed of Docker's names is offered only to who types it. */
static void add_image(const char *name, const char *prefix, const char *typed)
{
	static const char *const unsaid[] = { "docker.io/library/", "docker.io/", "" };
	size_t n = 0;

	for (size_t i = 0; n == 0 && i < HR_COUNT(unsaid); i++)
		if (strncmp(name, unsaid[i], strlen(unsaid[i])) == 0)
			n = strlen(unsaid[i]);
	if (strncmp(name + n, typed, strlen(typed)) != 0)
		n = 0;
	hr_complete_add(stdout, prefix, typed, name + n);
}

/* The stores that --store names among the words. */
static void find_stores(char **words, int n, struct store_cmd_common *out)
{
	static const char option[] = "--store";
	size_t len = strlen(option);

	for (int i = 0; i < n; i++) {
		if (strncmp(words[i], option, len) != 0)
			continue;
		if (words[i][len] == '=')
			hr_strv_add(&out->stores, words[i] + len + 1);
		else if (words[i][len] == '\0' && i + 1 < n)
			hr_strv_add(&out->stores, words[i + 1]);
	}
}

static int add_images(char **words, int n, struct hr_err *e)
{
	HR_CLEANUP(store_cmd_chain_release) struct store_cmd_chain chain = { 0 };
	struct store_cmd_common common = { { 0 } };
	/* "--image=NAME": all up to the sign stays */
	const char *typed = words[n - 1], *sign = typed[0] == '-' ? strchr(typed, '=') : NULL;
	hr_autofree char *prefix = hr_xstrndup(typed, sign ? (size_t)(sign + 1 - typed) : 0);
	int r;

	typed += strlen(prefix);

	find_stores(words, n - 1, &common);
	r = store_cmd_open(&common, &chain, e);
	for (size_t i = 0; r == 0 && i < chain.n; i++) {
		HR_CLEANUP(hr_strv_release) struct hr_strv names = { 0 };

		r = store_ref_names(chain.v[i], &names, e);
		for (size_t k = 0; k < names.n; k++)
			add_image(names.v[k], prefix, typed);
	}
	hr_strv_release(&common.stores);
	return r;
}

/* ---- the rest ---- */

static void add_keys(const char *typed)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };

	hr_conf_init(&conf);
	for (size_t i = 0; i < hr_conf_items(); i++) {
		HR_CLEANUP(hr_conf_item_release) struct hr_conf_item item = { 0 };

		hr_conf_item(&conf, i, &item);
		hr_complete_add(stdout, "", typed, item.name);
	}
}

static int complete_verb(int n, char **words, struct hr_err *e)
{
	for (size_t i = 0; store_cmds[i]; i++) {
		const char *from;
		enum hr_complete what;

		if (strcmp(store_cmds[i]->name, words[0]) != 0 || n < 2)
			continue;
		what = hr_cmd_complete(stdout, store_cmds[i], n - 1, words + 1, &from);
		hr_complete_shell(stdout, what);
		if (what == HR_COMPLETE_KEYS)
			add_keys(from);
		return what == HR_COMPLETE_IMAGES ? add_images(words, n, e) : 0;
	}
	return 0;
}

static int completion_main(void *args, int argc, char **argv, struct hr_err *e)
{
	const struct completion_args *a = args;

	return a->image ? add_images(argv, argc, e) : complete_verb(argc, argv, e);
}

const struct hr_cmd store_cmd_completion = {
	.name = "completion",
	.operands = "VERB WORD...",
	.summary = "print what the last word can become; for 'hpcrun completion'",
	.opts = completion_opts,
	.args_size = sizeof(struct completion_args),
	.min_operands = 1,
	.max_operands = -1,
	.main = completion_main,
	.stop_at_operand = true,
};
