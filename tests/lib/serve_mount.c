/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve_mount [--serve PROGRAM] [--store DIR] [--target d:/PATH] [--restart] [--serve-opt OPT]
 * IMAGE DIR COMMAND...: run COMMAND with IMAGE mounted read-only at DIR.
 *
 * Plays the session's part of util/serve_proto.h for tests of hpcrun-serve alone. COMMAND runs in
 * a new user and mount namespace in which DIR is the image; its environment has SERVE_PIDFILE, a
 * file with the server's pid. With --restart a server that dies is replaced, as the holder does.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/serve_proto.h"
#include "util/poison.h"

struct harness {
	const char *serve, *image, *dir;
	struct hr_strv args; /* of the server, before IMAGE */
	bool restart;
	int targets; /* memfd */
	int fuse;
	pid_t server, command;
	uint8_t init[SERVE_DATA_MAX];
	uint32_t init_len;
	char pidfile[64];
};

static struct hr_err err;

HR_PRINTF(1, 2)
static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "serve_mount: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, ": %s\n", err.text[0] ? err.text : strerror(errno));
	va_end(ap);
	exit(125);
}

static void put_file(const char *path, const char *text)
{
	hr_autofd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("write %s", path);
}

static void add_target(struct harness *h, const char *spec)
{
	hr_autofree char *record = hr_xstrdup(spec);

	if ((spec[0] != 'd' && spec[0] != 'f') || spec[1] != ':')
		die("a target is d:/PATH or f:/PATH, not %s", spec);
	memmove(record + 1, record + 2, strlen(record + 2) + 1);
	if (write(h->targets, record, strlen(record) + 1) < 0)
		die("targets");
}

/* ---- the server ---- */

static int start_server(struct harness *h)
{
	int pair[2];
	char option[32];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	h->server = fork();
	if (h->server < 0)
		die("fork");
	if (h->server == 0) {
		struct hr_strv argv = { 0 };

		snprintf(option, sizeof(option), "--control-fd=%d", pair[1]);
		fcntl(pair[1], F_SETFD, 0);
		hr_strv_add(&argv, h->serve);
		hr_strv_add(&argv, option);
		for (size_t i = 0; i < h->args.n; i++)
			hr_strv_add(&argv, h->args.v[i]);
		hr_strv_add(&argv, h->image);
		execv(h->serve, argv.v);
		die("exec %s", h->serve);
	}
	close(pair[1]);
	return pair[0];
}

static void expect(int sock, uint32_t type, struct serve_msg *m)
{
	int fds[2];

	if (hr_serve_recv(sock, m, fds, &err) < 0)
		die("receive");
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (m->type == SERVE_ERROR || m->type == SERVE_MISSING) {
		fprintf(stderr, "serve_mount: the server says: %s\nserve_mount: hint: %s\n",
			m->err.text, m->err.hint);
		exit(125);
	}
	if (m->type != type)
		die("message %u in place of %u", m->type, type);
}

/* From START to READY, and INIT if this is the first server of the connection. */
static void dialogue(struct harness *h, int sock)
{
	struct serve_msg m = { .magic = SERVE_MAGIC, .type = SERVE_START };
	const int fds[2] = { h->fuse, h->targets };
	struct serve_msg answer;

	m.uid = geteuid();
	m.gid = getegid();
	memcpy(m.data, h->init, h->init_len);
	m.data_len = h->init_len;
	if (hr_serve_send(sock, &m, fds, &err) < 0)
		die("start");
	expect(sock, SERVE_READY, &answer);
	if (h->init_len > 0)
		return;
	expect(sock, SERVE_INIT, &answer);
	memcpy(h->init, answer.data, answer.data_len);
	h->init_len = answer.data_len;
}

static void note_pid(const struct harness *h)
{
	char text[16];
	hr_autofd int fd = open(h->pidfile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	snprintf(text, sizeof(text), "%d\n", (int)h->server);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s", h->pidfile);
}

/* ---- the command ---- */

static void enter_namespaces(void)
{
	char text[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		die("unshare");
	put_file("/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "%u %u 1", uid, uid);
	put_file("/proc/self/uid_map", text);
	snprintf(text, sizeof(text), "%u %u 1", gid, gid);
	put_file("/proc/self/gid_map", text);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("private mounts");
}

/* In the child: mount, hand the descriptor up, wait for the word, run the command. */
static void run_command(const struct harness *h, int sock, char **command)
{
	struct serve_msg m = { .magic = SERVE_MAGIC, .type = SERVE_READY };
	char options[128];
	int fds[2] = { -1, -1 };

	enter_namespaces();
	fds[0] = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fds[0] < 0)
		die("/dev/fuse");
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other,default_permissions",
		 fds[0], geteuid(), getegid());
	if (mount("hpcrun", h->dir, "fuse.hpcrun", MS_RDONLY | MS_NOSUID | MS_NODEV, options) < 0)
		die("mount on %s", h->dir);
	if (hr_serve_send(sock, &m, fds, &err) < 0)
		die("hand up");
	close(fds[0]);
	if (hr_serve_recv(sock, &m, fds, &err) < 0)
		exit(125); /* the other side has said why */
	close(sock);
	setenv("SERVE_PIDFILE", h->pidfile, 1);
	execvp(command[0], command);
	die("exec %s", command[0]);
}

static int exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Wait for the command; a server that dies before is replaced or missed. */
static int hold(struct harness *h)
{
	for (;;) {
		int status;
		pid_t pid = wait(&status);

		if (pid == h->command)
			return exit_status(status);
		if (pid != h->server)
			continue;
		/* 125: it said that it cannot go on */
		if (!h->restart || status == 0 || exit_status(status) == 125) {
			if (status != 0)
				fprintf(stderr, "serve_mount: the server ended with status %d\n",
					exit_status(status));
			h->server = -1;
			close(h->fuse); /* requests fail from now on */
			h->fuse = -1;
			continue;
		}
		hr_autofd int sock = start_server(h);
		struct serve_msg m;

		expect(sock, SERVE_HELLO, &m);
		dialogue(h, sock);
		note_pid(h);
	}
}

static int run(struct harness *h, char **command)
{
	int pair[2], fds[2], status = 0;
	hr_autofd int sock = start_server(h);
	struct serve_msg m;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	h->command = fork();
	if (h->command == 0) {
		close(pair[0]);
		run_command(h, pair[1], command);
	}
	close(pair[1]);
	if (hr_serve_recv(pair[0], &m, fds, &err) < 0)
		die("the command's side");
	h->fuse = fds[0];
	expect(sock, SERVE_HELLO, &m);
	dialogue(h, sock);
	note_pid(h);
	if (hr_serve_send(pair[0], &m, NULL, &err) < 0)
		die("let go");
	close(pair[0]);
	status = hold(h);
	unlink(h->pidfile);
	if (h->fuse >= 0)
		close(h->fuse);
	/* with the last process the mount is gone, and the server must end by itself */
	if (h->server > 0) {
		int server_status;

		waitpid(h->server, &server_status, 0);
		if (server_status != 0)
			fprintf(stderr, "serve_mount: the server ended with status %d\n",
				exit_status(server_status));
	}
	return status;
}

int main(int argc, char **argv)
{
	struct harness h = { .serve = getenv("HPCRUN_SERVE"), .fuse = -1 };
	int i = 1;

	h.targets = memfd_create("targets", MFD_CLOEXEC);
	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--restart") == 0) {
			h.restart = true;
			continue;
		}
		if (strcmp(argv[i], "--serve") == 0)
			h.serve = value;
		else if (strcmp(argv[i], "--store") == 0)
			hr_strv_take(&h.args, hr_xasprintf("--store=%s", value));
		else if (strcmp(argv[i], "--serve-opt") == 0)
			hr_strv_add(&h.args, value);
		else if (strcmp(argv[i], "--target") == 0)
			add_target(&h, value);
		else
			die("unknown option %s", argv[i]);
		i++;
	}
	if (argc - i < 3 || !h.serve) {
		fprintf(stderr,
			"usage: serve_mount --serve PROGRAM [OPTION]... IMAGE DIR COMMAND...\n");
		return 125;
	}
	h.image = argv[i];
	h.dir = argv[i + 1];
	snprintf(h.pidfile, sizeof(h.pidfile), "/tmp/serve_mount-%d.pid", (int)getpid());
	return run(&h, argv + i + 2);
}
