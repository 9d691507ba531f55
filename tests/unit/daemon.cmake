# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_daemon LIBS nv_daemon nv_base)
navette_unit_test(test_hold LIBS nv_daemon nv_base)
navette_unit_test(test_lines LIBS nv_daemon nv_proto nv_base)
navette_unit_test(test_journal LIBS nv_daemon)
target_link_options(test_journal PRIVATE -Wl,--wrap=sd_journal_sendv)
