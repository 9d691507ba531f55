# SPDX-License-Identifier: GPL-3.0-or-later
navette_unit_test(test_accounts LIBS nv_accounts)
navette_unit_test(test_producer_rules LIBS nv_producer_rules)
navette_unit_test(test_producer_csv LIBS nv_producer_rules)
navette_unit_test(test_token LIBS nv_producer_rules)
target_sources(test_token PRIVATE token_forge.c)
