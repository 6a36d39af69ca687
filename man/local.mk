# one page a line, so that two changes seldom meet
dist_man_MANS += man/hpcrun-store.5
dist_man_MANS += man/hpcrun.conf.5
dist_man_MANS += man/hpcrun.1
dist_man_MANS += man/hpcrun-pull.1
dist_man_MANS += man/hpcrun-run.1
dist_man_MANS += man/hpcrun-session.7
dist_man_MANS += man/hpcrun-exec.1
dist_man_MANS += man/hpcrun-shell.1
dist_man_MANS += man/hpcrun-images.1
dist_man_MANS += man/hpcrun-inspect.1
dist_man_MANS += man/hpcrun-rmi.1
dist_man_MANS += man/hpcrun-gc.1
dist_man_MANS += man/hpcrun-cache.1
dist_man_MANS += man/hpcrun-prefetch.1
dist_man_MANS += man/hpcrun-login.1
dist_man_MANS += man/hpcrun-logout.1
