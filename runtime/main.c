/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun: the one front door. Chooses the verb; prints the failure and exits: nobody else does. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "runtime/cmd_doctor.h"
#include "runtime/cmd_mpi_check.h"
#include "runtime/cmd_run.h"
#include "runtime/plan.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/opt.h"
#include "util/poison.h"

/* Every verb: what runs here has a table of its own, the others are programs in libexec. */
static const struct verb {
	const char *name, *summary;
	const struct hr_cmd *cmd;
	const char *program;
} verbs[] = {
	{ "run", "run a command inside an image (the verb may be left out)", &rt_cmd_run, NULL },
	{ "exec", "the same, the command is required", &rt_cmd_exec, NULL },
	{ "shell", "run a shell inside an image", &rt_cmd_shell, NULL },
	{ "pull", "fetch an image into the store", NULL, "hpcrun-store" },
	{ "import", "bring an image that lies in files into the store", NULL, "hpcrun-store" },
	{ "export", "write an image as a file that other programs read", NULL, "hpcrun-store" },
	{ "plan", "tell what a pull would download", NULL, "hpcrun-store" },
	{ "images", "list the images of the store", NULL, "hpcrun-store" },
	{ "inspect", "show what is known of an image", NULL, "hpcrun-store" },
	{ "history", "show the steps that made an image, and its layers", NULL, "hpcrun-store" },
	{ "diff", "tell what differs between two images", NULL, "hpcrun-store" },
	{ "tag", "give an image of the store another name", NULL, "hpcrun-store" },
	{ "rmi", "remove the reference to an image", NULL, "hpcrun-store" },
	{ "gc", "free what no reference reaches", NULL, "hpcrun-store" },
	{ "prefetch", "bring an image into the cache of this node", NULL, "hpcrun-store" },
	{ "cache", "show what is cached on this node, or clear it", NULL, "hpcrun-store" },
	{ "mpi-check", "tell which MPI an image would run with, and why", &rt_cmd_mpi_check, NULL },
	{ "stats", "show what sessions on this node have read, and how long it took", NULL,
	  "hpcrun-store" },
	{ "doctor", "check this machine, its cache and its stores", &rt_cmd_doctor, NULL },
	{ "config", "show which settings hold, and where each comes from", NULL, "hpcrun-store" },
	{ "login", "keep credentials for a registry", NULL, "hpcrun-store" },
	{ "logout", "forget them", NULL, "hpcrun-store" },
	{ "version", "print the version of hpcrun and of what it is built with", NULL,
	  "hpcrun-store" },
};

static int print_help(void)
{
	printf("usage: hpcrun [OPTION]... IMAGE [COMMAND [ARG]...]\n"
	       "       hpcrun VERB [OPTION]... [OPERAND]...\n\n"
	       "Run programs inside container images, without privilege.\n\nverbs:\n");
	for (size_t i = 0; i < HR_COUNT(verbs); i++)
		printf("  %-10s %s\n", verbs[i].name, verbs[i].summary);
	printf("\n'hpcrun VERB --help' explains one, 'hpcrun run --help' the first form.\n"
	       "'hpcrun --version' prints the version.\n");
	return 0;
}

static int print_version(void)
{
	printf("hpcrun %s\n", PACKAGE_VERSION);
	return 0;
}

static const struct verb *find_verb(const char *word)
{
	for (size_t i = 0; i < HR_COUNT(verbs); i++)
		if (strcmp(verbs[i].name, word) == 0)
			return &verbs[i];
	return NULL;
}

/* The same words to another program: it sees "hpcrun-store VERB ARG...". */
static int run_program(const char *program, char **argv, struct hr_err *e)
{
	hr_autofree char *path = hr_xasprintf("%s/%s", rt_libexecdir(), program);

	argv[0] = path;
	execv(path, argv);
	hr_fail(e, HR_SYS, errno, "cannot execute '%s'", path);
	hr_hint(e, "is hpcrun installed completely?");
	return -1;
}

/* The verb that WORD could be a misspelling of, or NULL. */
static const char *near_verb(const char *word)
{
	const char *names[HR_COUNT(verbs) + 1] = { NULL };

	if (word[0] == '-' || strpbrk(word, "/:.@"))
		return NULL;
	for (size_t i = 0; i < HR_COUNT(verbs); i++)
		names[i] = verbs[i].name;
	return hr_nearest(word, names);
}

/*
 * ARGV[1] is no verb: run it as an image. A word that could be a verb mistyped is not pulled, for
 * somebody may have published an image under that name.
 */
static int run_image(int argc, char **argv, struct hr_err *e)
{
	static char never[] = "--pull=never";
	const char *word = argv[1], *near = near_verb(word);
	int r;

	if (!near)
		return hr_cmd_run("hpcrun", &rt_cmd_run, argc - 1, argv + 1, e);
	argv[0] = never;
	r = hr_cmd_run("hpcrun", &rt_cmd_run, argc, argv, e);
	if (e->kind == HR_NOTFOUND) {
		e->hint[0] = '\0'; /* more to the point than how to pull such an image */
		hr_hint(e, "did you mean 'hpcrun %s'? else 'hpcrun run %s' pulls the image", near,
			word);
	}
	return r;
}

/*
 * hpcrun has no privilege and must not be given any: with it the environment of the caller would
 * choose programs and mounts for another user (CVE-2023-30549 and others needed just that).
 */
static int refuse_privilege(struct hr_err *e)
{
	if (getauxval(AT_UID) == getauxval(AT_EUID) && getauxval(AT_GID) == getauxval(AT_EGID) &&
	    getauxval(AT_SECURE) == 0)
		return 0;
	hr_fail(e, HR_DENIED, 0, "hpcrun refuses to run setuid, setgid or with file capabilities");
	hr_hint(e, "remove them: chmod ug-s, setcap -r");
	return -1;
}

/* A closed 0, 1 or 2 would become a descriptor of ours, and the program's standard stream. */
static int open_standard_streams(struct hr_err *e)
{
	struct pollfd p[] = { { .fd = 0 }, { .fd = 1 }, { .fd = 2 } };

	if (poll(p, HR_COUNT(p), 0) <= 0)
		return 0;
	for (size_t i = 0; i < HR_COUNT(p); i++)
		if ((p[i].revents & POLLNVAL) && open("/dev/null", O_RDWR) < 0)
			return hr_fail(e, HR_SYS, errno, "cannot open '/dev/null'");
	return 0;
}

static int dispatch(int argc, char **argv, struct hr_err *e)
{
	const struct verb *verb = find_verb(argv[1]);

	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return print_help();
	if (strcmp(argv[1], "--version") == 0)
		return print_version();
	if (verb && verb->program)
		return run_program(verb->program, argv, e);
	if (verb)
		return hr_cmd_run("hpcrun", verb->cmd, argc - 2, argv + 2, e);
	return run_image(argc, argv, e);
}

int main(int argc, char **argv)
{
	struct hr_err e = { 0 };
	int r = -1;

	if (refuse_privilege(&e) == 0 && open_standard_streams(&e) == 0) {
		if (argc < 2) {
			hr_fail(&e, HR_USAGE, 0, "no image and no verb given");
			hr_hint(&e, "'hpcrun --help' lists the verbs");
		} else {
			r = dispatch(argc, argv, &e);
		}
	}
	if (e.kind != HR_OK)
		hr_err_print(&e);
	return r < 0 ? HR_EXIT_FAILED : r;
}
