/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/verbs.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cmd_completion.h"
#include "runtime/cmd_doctor.h"
#include "runtime/cmd_mpi_check.h"
#include "runtime/cmd_run.h"
#include "runtime/plan.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

const struct rt_verb rt_verbs[] = {
	{ "run", "run a command inside an image (the verb may be left out)", &rt_cmd_run, NULL },
	{ "exec", "the same, the command is required", &rt_cmd_exec, NULL },
	{ "shell", "run a shell inside an image", &rt_cmd_shell, NULL },
	{ "pull", "fetch an image into the store", NULL, "hpcrun-store" },
	{ "push", "upload an image to a registry", NULL, "hpcrun-store" },
	{ "import", "bring an image that lies in files into the store", NULL, "hpcrun-store" },
	{ "export", "write an image as a file that other programs read", NULL, "hpcrun-store" },
	{ "plan", "tell what a pull would download", NULL, "hpcrun-store" },
	{ "images", "list the images of the store", NULL, "hpcrun-store" },
	{ "inspect", "show what is known of an image", NULL, "hpcrun-store" },
	{ "history", "show the steps that made an image, and its layers", NULL, "hpcrun-store" },
	{ "diff", "tell what differs between two images", NULL, "hpcrun-store" },
	{ "verify", "check every byte of an image in the store", NULL, "hpcrun-store" },
	{ "tag", "give an image of the store another name", NULL, "hpcrun-store" },
	{ "rmi", "remove the reference to an image", NULL, "hpcrun-store" },
	{ "gc", "free what no reference reaches", NULL, "hpcrun-store" },
	{ "store", "look after a store that others use", NULL, "hpcrun-store" },
	{ "prefetch", "bring an image into the cache of this node", NULL, "hpcrun-store" },
	{ "cache", "show what is cached on this node, or clear it", NULL, "hpcrun-store" },
	{ "mpi-check", "tell which MPI an image would run with, and why", &rt_cmd_mpi_check, NULL },
	{ "stats", "show what sessions on this node have read, and how long it took", NULL,
	  "hpcrun-store" },
	{ "doctor", "check this machine, its cache and its stores", &rt_cmd_doctor, NULL },
	{ "config", "show which settings hold, and where each comes from", NULL, "hpcrun-store" },
	{ "login", "keep credentials for a registry", NULL, "hpcrun-store" },
	{ "logout", "forget them", NULL, "hpcrun-store" },
	{ "completion", "print the script that completes words in a shell", &rt_cmd_completion,
	  NULL },
	{ "version", "print the version of hpcrun and of what it is built with", NULL,
	  "hpcrun-store" },
	{ NULL, NULL, NULL, NULL },
};

const struct rt_verb *rt_verb_find(const char *word)
{
	for (const struct rt_verb *v = rt_verbs; v->name; v++)
		if (strcmp(v->name, word) == 0)
			return v;
	return NULL;
}

const char *rt_verb_near(const char *word)
{
	const char *names[HR_COUNT(rt_verbs)] = { NULL };

	if (word[0] == '-' || strpbrk(word, "/:.@"))
		return NULL;
	for (size_t i = 0; rt_verbs[i].name; i++)
		names[i] = rt_verbs[i].name;
	return hr_nearest(word, names);
}

/*
 * Verbs of Docker, Podman, Apptainer, Shifter, Sarus, Charliecloud and enroot that take the same
 * operands as ours. Not constant: they are put in the place of a word of the command line.
 */
static struct {
	const char *word;
	char verb[8];
} aliases[] = {
	{ "ls", "images" },  { "list", "images" }, { "lookup", "images" },
	{ "delete", "rmi" }, { "load", "import" }, { "prune", "gc" },
};

char *rt_verb_alias(const char *word)
{
	for (size_t i = 0; i < HR_COUNT(aliases); i++)
		if (strcmp(aliases[i].word, word) == 0)
			return aliases[i].verb;
	return NULL;
}

/* Those that do something else than any of ours, or take other operands. */
static const struct {
	const char *word, *hint;
} foreign[] = {
	{ "build", "build with docker, podman or buildah, then 'hpcrun pull' or 'hpcrun import'" },
	{ "convert", "'hpcrun import' takes files in, 'hpcrun export' writes them" },
	{ "save", "'hpcrun export IMAGE FILE'" },
	{ "create", "an image needs no container to be run: 'hpcrun run IMAGE'" },
	{ "start", "an image needs no container to be run: 'hpcrun run IMAGE'" },
	{ "instance", "the commands of a node share a session on their own: 'hpcrun stats'" },
	{ "ps", "programs are processes of yours: ps(1); 'hpcrun stats' shows sessions" },
	{ "kill", "programs are processes of yours: kill(1)" },
	{ "stop", "programs are processes of yours: kill(1)" },
	{ "rm", "nothing is kept of a container; 'hpcrun rmi' removes an image" },
	{ "cp", "make a directory visible with --bind, and copy there" },
	{ "mount", "an image is mounted while something runs in it: 'hpcrun shell IMAGE'" },
	{ "info", "'hpcrun doctor', 'hpcrun config', 'hpcrun version'" },
	{ "search", "ask the registry; 'hpcrun plan IMAGE' tells whether it has an image" },
	{ "sign", "hpcrun makes no signatures" },
};

int rt_verb_foreign(const char *word, struct hr_err *e)
{
	for (size_t i = 0; i < HR_COUNT(foreign); i++) {
		if (strcmp(foreign[i].word, word) != 0)
			continue;
		hr_hint(e, "%s (an image called so: 'hpcrun run %s')", foreign[i].hint, word);
		return hr_fail(e, HR_USAGE, 0, "hpcrun has no verb '%s'", word);
	}
	return 0;
}

int rt_verb_exec(const char *program, char **argv, struct hr_err *e)
{
	hr_autofree char *path = hr_xasprintf("%s/%s", rt_libexecdir(), program);
	char self[PATH_MAX] = "";

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) > 0)
		setenv(HR_FRONT_VAR, self, 1); /* plan asks mpi-check */
	argv[0] = path;
	execv(path, argv);
	hr_fail(e, HR_SYS, errno, "cannot execute '%s'", path);
	hr_hint(e, "is hpcrun installed completely?");
	return -1;
}
