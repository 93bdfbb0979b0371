#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# on-rank.sh RANK VAR=VALUE PROGRAM ARG...: sets the variable in one rank of a
# job only.
rank=$1
setting=$2
shift 2
if [ "${OMPI_COMM_WORLD_RANK:-}" = "$rank" ]; then
    exec env "$setting" "$@"
fi
exec "$@"
