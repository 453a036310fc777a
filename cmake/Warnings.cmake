# An interface target that every target of ours links: warnings are errors.
add_library(hyperx_warnings INTERFACE)
target_compile_options(hyperx_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -Wno-missing-field-initializers>
  # GCC 12 sees overlapping copies in plain additions of std::string (its bugs 105329 and 105651).
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-restrict -Wno-stringop-overflow>
  # A loop that only GCC vectorises is no mistake.
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:Clang>>:-Wno-pass-failed>)
