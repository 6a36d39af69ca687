/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun logout: forget the credentials for a registry. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "store/cmd.h"
#include "store/json_out.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/poison.h"

struct logout_args {
	bool json;
};

static const struct hr_opt logout_opts[] = {
	HR_OPT_FLAG(0, "json", struct logout_args, json, "print a JSON object"), HR_OPT_END
};

static int logout(struct fetch_client *client, const char *registry, bool json, struct hr_err *e)
{
	hr_autobuf struct hr_buf line = { 0 };
	json_t *o;

	if (fetch_logout(client, registry, e) < 0)
		return -1;
	if (json) {
		o = json_object();
		store_json_set(o, "registry", json_string(registry));
		store_json_print(o);
		return 0;
	}
	hr_buf_untrusted(&line, registry, strlen(registry));
	printf("forgot the login for %s\n", (const char *)line.p);
	return 0;
}

static int logout_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	const struct logout_args *a = args;
	struct fetch_client *client;
	int r;

	(void)argc;
	if (hr_conf_load(&conf, e) < 0 || store_cmd_client(&conf, NULL, &client, e) < 0)
		return -1;
	r = logout(client, argv[0], a->json, e);
	fetch_client_free(client);
	return r;
}

const struct hr_cmd store_cmd_logout = {
	.name = "logout",
	.operands = "REGISTRY",
	.summary = "forget the credentials for a registry",
	.opts = logout_opts,
	.args_size = sizeof(struct logout_args),
	.min_operands = 1,
	.max_operands = 1,
	.main = logout_main,
};
