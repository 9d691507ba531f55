# SPDX-License-Identifier: GPL-3.0-or-later
# How our targets are compiled, in one place.
add_library(navette_flags INTERFACE)
target_include_directories(navette_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(navette_flags INTERFACE
  _GNU_SOURCE NAVETTE_VERSION="${PROJECT_VERSION}"
  $<$<BOOL:${NAVETTE_FAULTS}>:NAVETTE_FAULTS=1>)
target_compile_options(navette_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wvla -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef
  -fstack-protector-strong -fno-common
  $<$<BOOL:${NAVETTE_WERROR}>:-Werror>
  $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
if(NAVETTE_SANITIZE)
  target_compile_options(navette_flags INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(navette_flags INTERFACE -fsanitize=address,undefined)
endif()

# navette_library(NAME SOURCES … LIBS …): a static library of this folder.
function(navette_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC navette_flags ${arg_LIBS})
endfunction()

# navette_program(NAME SOURCES … LIBS …): an installed executable, in the package of its name (the
# command's: navette-cli).
function(navette_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE navette_flags ${arg_LIBS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  string(REGEX REPLACE "^navette-?" "" component ${name})
  if(NOT component)
    set(component cli)
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ${component})
endfunction()

# navette_npm(COMMENT): what this folder's package-lock.json names, in node_modules of its build
# folder, once; modules.stamp there says that it is.
function(navette_npm comment)
  set(here ${CMAKE_CURRENT_SOURCE_DIR})
  add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/modules.stamp
    COMMAND ${CMAKE_COMMAND} -E copy ${here}/package.json ${here}/package-lock.json ${here}/.npmrc
            ${CMAKE_CURRENT_BINARY_DIR}
    COMMAND ${NPM} ci --ignore-scripts --prefer-offline --no-progress --loglevel=error
    COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_CURRENT_BINARY_DIR}/modules.stamp
    DEPENDS package.json package-lock.json .npmrc
    WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}
    COMMENT ${comment} VERBATIM)
endfunction()
