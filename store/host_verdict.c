/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/host_verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opt.h"
#include "util/poison.h"

#define REPORT_MAX (4u << 20) /* bytes */

extern char **environ;

static int spawn(char *const *argv, int out, pid_t *pid, struct hr_err *e)
{
	posix_spawn_file_actions_t actions;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	/* that it fails is all that is told here */
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	r = posix_spawn(pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return r == 0 ? 0 : hr_fail(e, HR_SYS, r, "cannot start '%s'", argv[0]);
}

static int ends_well(pid_t pid, struct hr_err *e)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return hr_fail(e, HR_SYS, errno, "cannot wait for mpi-check");
	/* 1: nothing of the host would be used */
	return WIFEXITED(status) && WEXITSTATUS(status) <= 1
		       ? 0
		       : hr_fail(e, HR_SYS, 0, "mpi-check failed");
}

/* What the program ARGV prints. */
static int output_of(char *const *argv, struct hr_buf *out, struct hr_err *e)
{
	struct hr_err unread = { 0 };
	int pipes[2], r;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a pipe");
	r = spawn(argv, pipes[1], &pid, e);
	close(pipes[1]);
	if (r == 0) {
		r = hr_fd_read(pipes[0], REPORT_MAX, "the report of mpi-check", out, &unread);
		close(pipes[0]);
		return ends_well(pid, e) < 0 || r < 0 ? -1 : 0;
	}
	close(pipes[0]);
	return -1;
}

static json_t *ask(const char *front, const struct hr_strv *given,
		   const struct fetch_digest *manifest, struct hr_err *e)
{
	HR_CLEANUP(hr_strv_release) struct hr_strv argv = { 0 };
	hr_autobuf struct hr_buf text = { 0 };
	char digest[FETCH_DIGEST_TEXT];
	json_error_t ignored;

	hr_strv_add(&argv, front);
	hr_strv_add(&argv, "mpi-check");
	hr_strv_add(&argv, "--json");
	hr_strv_add(&argv, "--pull=never");
	for (size_t i = 0; i < given->n; i++)
		hr_strv_take(&argv, hr_xasprintf("--store=%s", given->v[i]));
	hr_strv_add(&argv, fetch_digest_text(manifest, digest));
	unsetenv(HR_FRONT_VAR); /* it says so itself */
	if (output_of(argv.v, &text, e) < 0)
		return NULL;
	return json_loadb((const char *)text.p, text.len, 0, &ignored);
}

void store_host_verdict_get(const struct hr_conf *conf, const struct hr_strv *given,
			    const struct fetch_digest *manifest, struct store_host_verdict *out)
{
	static const char failed[] = "it cannot be told here; 'hpcrun mpi-check' says why";
	const char *env = getenv(HR_FRONT_VAR);
	hr_autofree char *front = env ? hr_xstrdup(env) : NULL;
	struct hr_err e = { 0 };
	json_t *report = front ? ask(front, given, manifest, &e) : NULL;

	*out = (struct store_host_verdict) { .mpi_due = conf->mpi_stacks.n > 0, .gpu_due = true };
	if (!report) {
		hr_debug("no report of mpi-check: %s", e.text);
		out->mpi_unknown = out->gpu_unknown = failed;
	} else {
		out->gpu = json_incref(json_object_get(report, "gpu"));
		json_object_del(report, "gpu");
		out->mpi = report;
	}
	if (out->mpi_due)
		return;
	json_decref(out->mpi);
	out->mpi = NULL;
	out->mpi_unknown = "hpcrun.conf names no MPI of this host";
}

void store_host_verdict_release(struct store_host_verdict *v)
{
	json_decref(v->mpi);
	json_decref(v->gpu);
	*v = (struct store_host_verdict) { 0 };
}

/* The first definition about a library that the image has. */
static const json_t *closest(const json_t *definitions)
{
	for (size_t i = 0; i < json_array_size(definitions); i++) {
		const json_t *d = json_array_get(definitions, i);

		if (json_object_get(d, "image"))
			return d;
	}
	return NULL;
}

char *store_host_verdict_mpi(const struct store_host_verdict *v)
{
	const char *chosen = json_string_value(json_object_get(v->mpi, "chosen"));
	const json_t *near = closest(json_object_get(v->mpi, "definitions"));
	const char *name = json_string_value(json_object_get(near, "name"));
	const char *why = json_string_value(json_array_get(json_object_get(near, "misfits"), 0));
	hr_autobuf struct hr_buf shown = { 0 };

	if (!v->mpi)
		return v->mpi_due ? hr_xstrdup(v->mpi_unknown) : NULL;
	if (chosen)
		return hr_xasprintf("'%s' of this host fits and would be used", chosen);
	if (!name)
		return hr_xstrdup("the image has none that this host could replace");
	if (!why)
		return hr_xasprintf("'%s' of this host fits; the image's own would be used", name);
	hr_buf_untrusted(&shown, why, strlen(why));
	return hr_xasprintf("'%s' of this host does not fit: %s", name, (const char *)shown.p);
}

static bool gpu_is(const struct store_host_verdict *v, const char *state)
{
	const char *s = json_string_value(json_object_get(v->gpu, "state"));

	return s && strcmp(s, state) == 0;
}

bool store_host_verdict_knows_gpu(const struct store_host_verdict *v)
{
	return gpu_is(v, "fits") || gpu_is(v, "misfit");
}

char *store_host_verdict_gpu(const struct store_host_verdict *v)
{
	const char *devices = json_string_value(json_object_get(v->gpu, "devices"));
	const char *why = json_string_value(json_object_get(v->gpu, "why"));
	size_t left_out = json_array_size(json_object_get(v->gpu, "left_out"));
	hr_autobuf struct hr_buf shown = { 0 };

	if (!v->gpu)
		return v->gpu_due ? hr_xstrdup(v->gpu_unknown) : NULL;
	if (gpu_is(v, "none"))
		return hr_xstrdup("this host has none");
	if (why) {
		hr_buf_untrusted(&shown, why, strlen(why));
		return hr_xstrdup((const char *)shown.p);
	}
	if (left_out > 0)
		return hr_xasprintf("'%s' of this host fits, without %zu of its libraries: 'hpcrun "
				    "mpi-check' names them",
				    devices, left_out);
	return hr_xasprintf("'%s' of this host fits", devices);
}
