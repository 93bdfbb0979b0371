# SPDX-License-Identifier: BSD-3-Clause

# EESP_CHECK_MPI: MPICC and the conditional MPI, for the tests only.
AC_DEFUN([EESP_CHECK_MPI], [
    AC_ARG_VAR([MPICC], [MPI compiler wrapper, for the MPI tests])
    EESP_OPTIONAL([mpi], [mpi], [MPI tests],
        [openmpi-bin libopenmpi-dev], [
        AC_CHECK_PROGS([MPICC], [mpicc])
        AS_IF([test -n "$MPICC"], [
            AC_MSG_CHECKING([whether $MPICC links an MPI program])
            eesp_saved_CC=$CC
            CC=$MPICC
            AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>]],
                    [[MPI_Init(0, 0);]])],
                [eesp_found=yes
                 eesp_detail=$MPICC])
            CC=$eesp_saved_CC
            AC_MSG_RESULT([$eesp_found])
        ])
        AS_IF([test $eesp_found = no],
              [AC_MSG_WARN([no MPI compiler: the MPI tests are off])])
    ])
    AM_CONDITIONAL([MPI], [test $eesp_have_mpi = yes])
])
