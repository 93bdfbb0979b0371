# SPDX-License-Identifier: BSD-3-Clause

# EESP_CHECK_PCAP: PCAP_CFLAGS, PCAP_LIBS and HAVE_PCAP, for eesp decode --pcap.
AC_DEFUN([EESP_CHECK_PCAP], [
    EESP_OPTIONAL([pcap], [pcap], [capture files in eesp decode],
        [libpcap-dev], [
        PKG_CHECK_MODULES([PCAP], [libpcap],
            [eesp_found=yes
             eesp_detail=`$PKG_CONFIG --modversion libpcap`], [:])
    ])
    AS_IF([test $eesp_have_pcap = yes],
          [AC_DEFINE([HAVE_PCAP], [1], [libpcap is there])])
])
