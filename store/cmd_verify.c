/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun verify: is every byte of an image what its digests say? */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "store/check_show.h"
#include "store/cmd.h"
#include "store/image.h"
#include "store/interrupt.h"
#include "util/cleanup.h"
#include "util/source.h"
#include "util/poison.h"

struct verify_args {
	struct store_cmd_common common;
	struct store_check_show show;
	uint64_t threads;
};

static const struct hr_opt verify_opts[] = {
	HR_OPT_FLAG(0, "json", struct verify_args, show.json, "print a JSON object for each event"),
	HR_OPT_FLAG('q', "quiet", struct verify_args, show.quiet, "print nothing but damage"),
	HR_OPT_U64('t', "threads", "N", struct verify_args, threads, 1, STORE_CREW_MAX,
		   "check with N threads (default: one for each CPU)"),
	HR_OPT_END
};

/*
 * The first store that has the image, and its manifest: as store_image_open() finds it, but damage
 * of the image is no reason to fail here.
 */
static int find(const struct store_cmd_chain *chain, const struct store_name *name,
		const struct store **st, struct fetch_digest *manifest, struct hr_err *e)
{
	for (size_t i = 0; i < chain->n; i++) {
		*st = chain->v[i];
		*manifest = name->manifest;
		if (name->by_digest) {
			if (store_object_exists(*st, STORE_IMAGE, manifest))
				return 0;
			continue;
		}
		if (store_ref_resolve(*st, &name->ref, manifest, e) == 0)
			return 0;
		if (e->kind != HR_NOTFOUND)
			return -1;
		hr_err_clear(e);
	}
	hr_hint(e, "'hpcrun images' lists what is there");
	return hr_fail(e, HR_NOTFOUND, 0, "no store has it");
}

/* 1 when it is damaged. */
static int verify(struct verify_args *a, const struct store_cmd_chain *chain, const char *text,
		  struct hr_err *e)
{
	HR_CLEANUP(store_name_release) struct store_name name = { 0 };
	struct store_check_options o = { .threads = store_cmd_threads(a->threads),
					 .cancel = store_interrupt_catch(),
					 .damaged = store_check_show_damage,
					 .arg = &a->show,
					 .bytes = &a->show.bytes };
	struct store_check_result r;
	struct fetch_digest manifest;
	int done;

	if (hr_source_of(text) != HR_SOURCE_REF)
		return hr_fail(e, HR_USAGE, 0,
			       "it is a file: nothing beside it says what it should be");
	if (store_name_parse(text, &name, e) < 0 || find(chain, &name, &o.st, &manifest, e) < 0)
		return -1;
	store_check_show_begin(&a->show, 0);
	done = store_check_image(&o, &manifest, &r, e);
	store_check_show_stop(&a->show);
	if (done < 0)
		return -1;
	store_check_show_end(&a->show, "image", text, &r);
	if (r.damaged > 0 && !a->show.json)
		fprintf(stderr, "hpcrun: hint: 'hpcrun pull --force %s' fetches it again\n", text);
	return r.damaged > 0;
}

static int verify_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(store_cmd_chain_release) struct store_cmd_chain chain = { 0 };
	struct verify_args *a = args;
	int status = 0;

	if (store_cmd_open(&a->common, &chain, e) < 0)
		return -1;
	for (int i = 0; i < argc; i++) {
		int r = verify(a, &chain, argv[i], e);

		if (r < 0)
			return hr_wrap(e, "cannot verify '%s'", argv[i]);
		if (r > 0)
			status = STORE_CHECK_EXIT_DAMAGED;
	}
	return status;
}

const struct hr_cmd store_cmd_verify = {
	.name = "verify",
	.operands = "IMAGE...",
	.summary = "check every byte of an image in the store",
	.opts = verify_opts,
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct verify_args),
	.min_operands = 1,
	.max_operands = -1,
	.main = verify_main,
};
