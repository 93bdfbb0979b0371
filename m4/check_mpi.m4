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

    # Open MPI's internal headers, which make the transport load by itself.
    eesp_hook_state="no (no Open MPI)"
    eesp_have_hook=no
    AS_IF([test $eesp_have_mpi = yes], [
        eesp_save_cppflags=$CPPFLAGS
        CPPFLAGS="$CPPFLAGS $MPI_CFLAGS"
        AC_MSG_CHECKING([for Open MPI's hook components])
        AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
            #include "ompi_config.h"
            #include "ompi/mca/hook/hook.h"]])],
            [eesp_have_hook=yes
             eesp_hook_state=yes],
            [eesp_hook_state="no (Open MPI's devel headers are missing)"])
        AC_MSG_RESULT([$eesp_have_hook])
        CPPFLAGS=$eesp_save_cppflags
    ])
    AM_CONDITIONAL([HOOK], [test $eesp_have_hook = yes])
])
