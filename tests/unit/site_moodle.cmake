# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_site_moodle LIBS nv_site)
