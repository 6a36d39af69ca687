# installed as an example: a site's own file is never overwritten
dist_pkgdata_DATA = etc/hpcrun.conf
hooksexampledir = $(pkgdatadir)/hooks
dist_hooksexample_DATA = etc/hooks/10-licence.json

# to be included in a site's configuration of nginx; likewise
nginxdir = $(pkgdatadir)/nginx
dist_nginx_DATA = etc/nginx/store.conf etc/nginx/site-cache.conf
gpulistsdir = $(pkgdatadir)/gpu
dist_gpulists_DATA = etc/gpu/nvidia.conf etc/gpu/amd.conf etc/gpu/intel.conf

# definitions of MPIs: used when hpcrun.conf names them, changed in a copy
mpidir = $(pkgdatadir)/mpi
dist_mpi_DATA = etc/mpi/mpich.conf etc/mpi/openmpi.conf etc/mpi/cray-mpich.conf etc/mpi/libfabric.conf etc/mpi/ucx.conf

# where both shells look on their own
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
dist_bashcompletion_DATA = etc/completion/hpcrun.bash
dist_zshcompletion_DATA = etc/completion/_hpcrun

# to be loaded by the administrator: the programs are where the prefix is
apparmordir = $(pkgdatadir)/apparmor
nodist_apparmor_DATA = etc/apparmor/hpcrun
etc/apparmor/hpcrun: etc/apparmor/hpcrun.in Makefile
	$(AM_V_GEN)$(MKDIR_P) etc/apparmor && sed -e 's,%bindir%,$(bindir),' -e 's,%libexecdir%,$(pkglibexecdir),' \
		-e 's,%datadir%,$(pkgdatadir),' $(srcdir)/etc/apparmor/hpcrun.in >$@-t && mv -f $@-t $@
EXTRA_DIST += etc/apparmor/hpcrun.in
CLEANFILES += etc/apparmor/hpcrun
