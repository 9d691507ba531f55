# SPDX-License-Identifier: GPL-3.0-or-later
# cmake -DOUT=assets.c -DFILES=a;b -P embed.cmake: the files as C arrays asset_<name> and _len.
set(text "#include \"producer/assets.h\"\n")
foreach(file ${FILES})
  get_filename_component(name ${file} NAME)
  string(MAKE_C_IDENTIFIER ${name} name)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND text "const unsigned char asset_${name}[] = {${bytes}0};\n"
                     "const size_t asset_${name}_len = sizeof asset_${name} - 1;\n")
endforeach()
file(WRITE ${OUT} "${text}")
