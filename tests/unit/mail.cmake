# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_mail LIBS nv_worker_mail nv_base)
