# SPDX-License-Identifier: GPL-3.0-or-later
# Tests of C and Python, for tests/unit and tests/integration: the folder gives label and prefix.

# test_program(NAME SOURCES … LIBS …): NAME.c and further files, for tests to use.
function(test_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${name}.c ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE navette_flags ${arg_LIBS})
endfunction()

# command_test(NAME COMMAND … RUN WRAPPERS… TIMEOUT SECONDS ENVIRONMENT …): ctest <folder>.NAME.  The
# wrappers, such as with_rabbitmq, start what the command needs and run it beside that.
function(command_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "COMMAND;RUN;ENVIRONMENT" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  list(TRANSFORM arg_RUN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  list(APPEND arg_ENVIRONMENT NAVETTE_SOURCE=${PROJECT_SOURCE_DIR} NAVETTE_BUILD=${CMAKE_BINARY_DIR}
    PYTHONDONTWRITEBYTECODE=1)
  get_filename_component(folder ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  add_test(NAME ${folder}.${name} COMMAND ${arg_RUN} ${arg_COMMAND})
  set_tests_properties(${folder}.${name} PROPERTIES LABELS ${folder} TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT "${arg_ENVIRONMENT}")
endfunction()

# c_test(NAME SOURCES … LIBS … RUN … TIMEOUT …): NAME.c, a cmocka program.
function(c_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LIBS;RUN" ${ARGN})
  test_program(${name} SOURCES ${arg_SOURCES} LIBS PkgConfig::CMOCKA ${arg_LIBS})
  command_test(${name} COMMAND $<TARGET_FILE:${name}> RUN ${arg_RUN} TIMEOUT ${arg_TIMEOUT})
endfunction()

# python_test(NAME RUN … TIMEOUT … ENVIRONMENT …): NAME_test.py, with Debian's own python3 and pytest.
function(python_test name)
  command_test(${name} ${ARGN}
    COMMAND /usr/bin/python3 -m pytest -q -p no:cacheprovider
            ${CMAKE_CURRENT_SOURCE_DIR}/${name}_test.py)
endfunction()
