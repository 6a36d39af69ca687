/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun plan: what a pull would do, told from the manifest and the store alone. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "store/cmd_image.h"
#include "store/host_verdict.h"
#include "store/image_libc.h"
#include "store/import.h"
#include "store/interrupt.h"
#include "store/json_out.h"
#include "store/size.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define LINK_BYTES   125000000 /* a second, of 1 Gbit/s */
#define LAYERS_OTHER 127       /* overlay mounts of Docker, Podman and others take no more */

struct plan_args {
	struct store_cmd_common common;
	bool json;
};

static const struct hr_opt plan_opts[] = {
	HR_OPT_FLAG(0, "json", struct plan_args, json, "print a JSON object"), HR_OPT_END
};

/* What there is to say. */
struct report {
	const char *name, *store;
	bool store_there;
	const char *not_asked; /* why the registry was not; NULL: it was */
	uint64_t free_bytes;   /* of the store's disk; 0: unknown */
	const struct store_import_status *status;
	const struct store_import_prospect *p;
	uint64_t total, missing; /* bytes of blobs */
	size_t n_missing;
	/* of an image that is here: */
	struct store_libc image_libc, host_libc;
	struct store_host_verdict host;
};

static void sum_up(struct report *r)
{
	for (size_t i = 0; i < r->status->n_layers; i++)
		r->total += r->status->layers[i].blob.size;
	r->missing = store_import_missing(r->status, &r->n_missing);
}

/* ---- JSON ---- */

static char *libc_text(const struct store_libc *l)
{
	if (l->kind == STORE_LIBC_GLIBC)
		return hr_xasprintf("glibc %u.%u", l->major, l->minor);
	return hr_xstrdup(l->kind == STORE_LIBC_MUSL ? "musl" : "unknown");
}

static json_t *libc_json(const struct store_libc *l)
{
	hr_autofree char *text = libc_text(l);

	return l->kind == STORE_LIBC_UNKNOWN ? NULL : json_string(text);
}

static void set_verdict(json_t *o, const char *name, json_t *verdict, const char *unknown,
			const char *why)
{
	store_json_set(o, name, json_incref(verdict));
	store_json_set(o, unknown, why ? json_string(why) : NULL);
}

static void print_json(const struct report *r)
{
	json_t *o = json_object(), *layers = json_array();
	int fits = store_libc_fits(&r->image_libc, &r->host_libc);

	store_json_set(o, "reference", json_string(r->name));
	store_json_set(o, "digest", store_json_digest(&r->p->manifest));
	store_json_set(o, "platform", json_string(r->p->platform));
	store_json_set(o, "created", json_string(r->p->created));
	store_json_set(o, "here", json_boolean(r->p->here && r->n_missing == 0));
	for (size_t i = 0; i < r->status->n_layers; i++) {
		const struct store_import_layer *l = &r->status->layers[i];
		json_t *one = json_object();

		store_json_set(one, "blob", store_json_digest(&l->blob.digest));
		store_json_set(one, "diff_id", store_json_digest(&l->diff_id));
		store_json_set(one, "compressed", store_json_u64(l->blob.size));
		store_json_set(one, "here", json_boolean(l->state == STORE_IMPORT_HERE));
		store_json_add(layers, one);
	}
	store_json_set(o, "layers", layers);
	store_json_set(o, "compressed", store_json_u64(r->total));
	store_json_set(o, "to_download", store_json_u64(r->missing));
	store_json_set(o, "store", json_string(r->store));
	store_json_set(o, "libc", libc_json(&r->image_libc));
	store_json_set(o, "host_libc", libc_json(&r->host_libc));
	store_json_set(o, "host_libraries_fit", fits < 0 ? NULL : json_boolean(fits));
	set_verdict(o, "mpi", r->host.mpi, "mpi_unknown", r->host.mpi_unknown);
	set_verdict(o, "gpu", r->host.gpu, "gpu_unknown", r->host.gpu_unknown);
	store_json_set(o, "not_asked", r->not_asked ? json_string(r->not_asked) : NULL);
	store_json_set(o, "store_exists", json_boolean(r->store_there));
	store_json_set(o, "store_free", store_json_u64(r->free_bytes));
	store_json_print(o);
}

/* ---- text ---- */

static void print_layers(const struct store_import_status *s)
{
	char size[STORE_SIZE_TEXT], hex[FETCH_DIGEST_HEX];

	printf("\nLAYER         SIZE      HERE\n");
	for (size_t i = 0; i < s->n_layers; i++)
		printf("%.12s  %-8s  %s\n", fetch_digest_hex(&s->layers[i].blob.digest, hex),
		       store_size_text(s->layers[i].blob.size, size),
		       s->layers[i].state == STORE_IMPORT_HERE ? "yes" : "no");
}

static void print_sum(const struct report *r)
{
	char total[STORE_SIZE_TEXT], missing[STORE_SIZE_TEXT], room[STORE_SIZE_TEXT];

	store_size_text(r->total, total);
	store_size_text(r->missing, missing);
	if (r->p->here && r->n_missing == 0) {
		printf("\nAll of it is here (%s): a pull downloads nothing.\n", total);
	} else {
		printf("\nA pull downloads %s in %zu of %zu layer%s (%s in all); at 1 Gbit/s that "
		       "takes %" PRIu64 " s at least.\n",
		       missing, r->n_missing, r->status->n_layers, HR_PLURAL(r->status->n_layers),
		       total, r->missing / LINK_BYTES + 1);
		printf("To be told only when the layers are here: how many chunks other images "
		       "brought\nalready; which C library and MPI the image has, so whether this "
		       "host's MPI and\nGPU libraries fit.\n");
	}
	/* what is kept is about as large as the compressed layers */
	if (r->free_bytes > 0 && r->free_bytes < r->missing)
		printf("The disk of the store has %s left: that may not be enough.\n",
		       store_size_text(r->free_bytes, room));
	if (r->status->n_layers > LAYERS_OTHER)
		printf("%zu layers: Docker, Podman and others take %d at most; hpcrun does not "
		       "mind.\n",
		       r->status->n_layers, LAYERS_OTHER);
}

/* What --mpi and --gpu lend to an image was built for this host's C library or an older one: that
 * much can be said of those that were not compared. */
static void print_libc(const struct report *r)
{
	static const char *const verdicts[] = { "may need a newer one: 'hpcrun mpi-check' tells",
						"cannot be loaded beside it", "fit" };
	hr_autofree char *image = libc_text(&r->image_libc), *host = libc_text(&r->host_libc);
	bool gpu = store_host_verdict_knows_gpu(&r->host), mpi = r->host.mpi;
	const char *others = gpu ? "MPI" : mpi ? "GPUs" : "MPI and GPUs";

	if (r->image_libc.kind == STORE_LIBC_UNKNOWN || r->host_libc.kind == STORE_LIBC_UNKNOWN)
		return;
	printf("libc      %s, this host has %s", image, host);
	if (!gpu || !mpi)
		printf(": the host's libraries for %s %s", others,
		       verdicts[store_libc_fits(&r->image_libc, &r->host_libc) + 1]);
	printf("\n");
}

static void print_verdicts(const struct report *r)
{
	hr_autofree char *mpi = store_host_verdict_mpi(&r->host);
	hr_autofree char *gpu = store_host_verdict_gpu(&r->host);

	if (mpi)
		printf("MPI       %s\n", mpi);
	if (gpu)
		printf("GPU       %s\n", gpu);
}

static void print_text(const struct report *r)
{
	hr_autobuf struct hr_buf created = { 0 }, platform = { 0 };
	char text[FETCH_DIGEST_TEXT];

	hr_buf_untrusted(&created, r->p->created, strlen(r->p->created));
	hr_buf_untrusted(&platform, r->p->platform, strlen(r->p->platform));
	printf("image     %s\n", r->name);
	printf("digest    %s\n", fetch_digest_text(&r->p->manifest, text));
	printf("platform  %s, created %s\n", (const char *)platform.p, (const char *)created.p);
	if (r->not_asked)
		printf("registry  not asked, this is what the store knows: %s\n", r->not_asked);
	printf("store     %s%s\n", r->store, r->store_there ? "" : " (not there yet)");
	print_libc(r);
	print_verdicts(r);
	print_layers(r->status);
	print_sum(r);
}

/* ---- the verb ---- */

/* The store a pull would write to; it is not made to be looked at. */
static int open_store(const struct store_paths *paths, struct store **st, struct hr_err *e)
{
	if (store_open(paths->v[0], STORE_READ, &paths->trusted, st, e) == 0)
		return 0;
	if (e->kind != HR_NOTFOUND)
		return -1;
	hr_err_clear(e);
	return 0;
}

static uint64_t free_bytes(const char *path)
{
	hr_autofree char *at = hr_path_existing(path);
	struct statvfs fs;

	return statvfs(at, &fs) < 0 ? 0 : (uint64_t)fs.f_bavail * fs.f_frsize;
}

/* An image that is here can be asked; one that cannot be opened is no matter of a plan. */
static void look_inside(struct report *r, const struct store_cmd_common *c,
			const struct hr_conf *conf, const struct store_paths *paths)
{
	const struct store_paths first = { .v = paths->v, .n = 1, .trusted = paths->trusted };
	HR_CLEANUP(store_cmd_image_release) struct store_cmd_image image = { .img = NULL };
	char digest[FETCH_DIGEST_TEXT];
	struct hr_err none = { 0 };

	if (!r->p->here) {
		r->host.mpi_unknown = r->host.gpu_unknown = "the image is not here yet";
		return;
	}
	fetch_digest_text(&r->p->manifest, digest);
	if (store_cmd_image_open(&first, digest, &image, &none) < 0) {
		r->host.mpi_unknown = r->host.gpu_unknown = "the image cannot be opened";
		return;
	}
	r->image_libc = store_image_libc(image.ix, image.chunks);
	r->host_libc = store_host_libc();
	store_host_verdict_get(conf, &c->stores, &r->p->manifest, &r->host);
}

static int ask_registry(struct store_import_options *o, const struct hr_conf *conf,
			struct store_import_status *status, struct store_import_prospect *out,
			struct hr_err *e)
{
	struct store_import_registry registry = { .ref = o->ref };
	struct store_import_source source;
	int r;

	if (store_cmd_client(conf, o->stop, &registry.client, e) < 0)
		return -1;
	source = store_import_registry_source(&registry);
	o->source = &source;
	r = store_import_plan(o, status, out, e);
	fetch_client_free(registry.client);
	return r;
}

/* Ask the registry; the store, where the image came from files or the registry does not answer. */
static int ask(struct store_import_options *o, const struct hr_conf *conf,
	       struct store_import_status *status, struct store_import_prospect *out,
	       char **not_asked, struct hr_err *e)
{
	HR_CLEANUP(store_ref_record_release) struct store_ref_record record = { .server = NULL };
	struct store_import_known known = { o->st, &record };
	struct store_import_source source;
	struct hr_err none = { 0 }; /* then the registry alone can tell */
	bool is_known = o->st && store_ref_read(o->st, o->ref, &record, &none) == 0;

	if (is_known && strcmp(record.server, STORE_SERVER_FILES) == 0) {
		*not_asked = hr_xstrdup("the image came from files");
	} else {
		if (ask_registry(o, conf, status, out, e) == 0)
			return 0;
		if (!is_known || e->kind != HR_NET)
			return -1;
		*not_asked = hr_xstrdup(e->text);
		hr_err_clear(e);
	}
	source = store_import_known_source(&known);
	o->source = &source;
	return store_import_plan(o, status, out, e);
}

static int look(const struct store_cmd_common *c, bool json, const struct hr_conf *conf,
		const struct fetch_ref *ref, const struct store_paths *paths, struct hr_err *e)
{
	HR_CLEANUP(store_closep) struct store *st = NULL;
	HR_CLEANUP(store_import_status_release) struct store_import_status status = { 0 };
	HR_CLEANUP(store_import_prospect_release) struct store_import_prospect prospect = { 0 };
	hr_autofree char *name = fetch_ref_text(ref), *not_asked = NULL;
	struct store_import_options o = { .ref = ref, .stop = store_interrupt_catch() };
	struct report r = { .name = name,
			    .store = paths->v[0],
			    .free_bytes = free_bytes(paths->v[0]),
			    .status = &status,
			    .p = &prospect };

	if (open_store(paths, &st, e) < 0)
		return -1;
	o.st = st;
	if (ask(&o, conf, &status, &prospect, &not_asked, e) < 0)
		return -1;
	r.not_asked = not_asked;
	r.store_there = st;
	sum_up(&r);
	look_inside(&r, c, conf, paths);
	(json ? print_json : print_text)(&r);
	store_host_verdict_release(&r.host);
	return 0;
}

int store_cmd_plan_print(const struct store_cmd_common *c, bool json, const char *image,
			 struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	HR_CLEANUP(store_paths_release) struct store_paths paths = { 0 };
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };

	if (store_cmd_refuse_file(image, e) < 0 || fetch_ref_parse(image, &ref, e) < 0 ||
	    store_cmd_paths(c, &conf, &paths, e) < 0 || look(c, json, &conf, &ref, &paths, e) < 0)
		return hr_wrap(e, "cannot plan the pull of '%s'", image);
	return 0;
}

static int plan_main(void *args, int argc, char **argv, struct hr_err *e)
{
	const struct plan_args *a = args;

	(void)argc;
	return store_cmd_plan_print(&a->common, a->json, argv[0], e);
}

const struct hr_cmd store_cmd_plan = {
	.name = "plan",
	.operands = "IMAGE",
	.summary = "tell what a pull would download, and change nothing",
	.opts = plan_opts,
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct plan_args),
	.min_operands = 1,
	.max_operands = 1,
	.main = plan_main,
};
