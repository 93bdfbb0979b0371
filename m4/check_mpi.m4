# SPDX-License-Identifier: BSD-3-Clause

# EESP_CHECK_MPI: MPI_CFLAGS, MPI_LIBS and the conditional MPI, for the tests
# only. Without Open MPI's pkg-config file the two variables may be given.
AC_DEFUN([EESP_CHECK_MPI], [
    EESP_OPTIONAL([mpi], [mpi], [MPI tests],
        [openmpi-bin libopenmpi-dev], [
        PKG_CHECK_MODULES([MPI], [ompi-c],
            [eesp_found=yes
             eesp_detail="Open MPI `$PKG_CONFIG --modversion ompi-c`"],
            [AC_MSG_WARN([Open MPI not found: the MPI tests are off])])
    ])
    AM_CONDITIONAL([MPI], [test $eesp_have_mpi = yes])
])
