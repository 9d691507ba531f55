# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_memo LIBS nv_archiver_memo nv_base)
