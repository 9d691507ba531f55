# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_site LIBS nv_site)
