# one page a line, so that two changes seldom meet
dist_man_MANS += man/hpcrun-store.5
dist_man_MANS += man/hpcrun.conf.5
dist_man_MANS += man/hpcrun.1
dist_man_MANS += man/hpcrun-pull.1
dist_man_MANS += man/hpcrun-run.1
dist_man_MANS += man/hpcrun-session.7
dist_man_MANS += man/hpcrun-exec.1
dist_man_MANS += man/hpcrun-shell.1
