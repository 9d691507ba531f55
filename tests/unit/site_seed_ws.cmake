# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_seed_ws LIBS nv_site)
