# SPDX-License-Identifier: GPL-3.0-or-later
# cmake -DOUT=<header> -DDIR=<folder> -DNAMES=a,b -P embed.cmake: each <folder>/<name>.lua as
# `static const char nv_lua_<name>[]`.
string(REPLACE "," ";" names "${NAMES}")
set(text "/* Made from lua/ by embed.cmake. */\n")
foreach(name IN LISTS names)
  file(READ "${DIR}/${name}.lua" lua)
  string(REPLACE "\\" "\\\\" lua "${lua}")
  string(REPLACE "\"" "\\\"" lua "${lua}")
  string(REPLACE "\n" "\\n\"\n\t\"" lua "${lua}")
  string(APPEND text "static const char nv_lua_${name}[] =\n\t\"${lua}\";\n")
endforeach()
file(WRITE "${OUT}" "${text}")
