# one page a line, so that two changes seldom meet
dist_man_MANS += man/hpcrun-store.5
dist_man_MANS += man/hpcrun.conf.5
