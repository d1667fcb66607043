# One interface target carries the warnings and sanitizers of every module.
add_library(stoker_flags INTERFACE)
target_compile_options(stoker_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor)
# gcc 12 reports overlaps inside std::string that cannot be (PR 105329, 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(stoker_flags INTERFACE -Wno-restrict)
endif()
# libstdc++'s <algorithm> uses get_temporary_buffer, which it declares deprecated.
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(stoker_flags INTERFACE -Wno-deprecated-declarations)
endif()
if(STOKER_WERROR)
  target_compile_options(stoker_flags INTERFACE -Werror)
endif()
if(STOKER_TESTS)
  target_compile_definitions(stoker_flags INTERFACE STOKER_KILL_POINTS)
endif()
if(STOKER_SANITIZE)
  target_compile_definitions(stoker_flags INTERFACE STOKER_SANITIZED)
  target_compile_options(stoker_flags INTERFACE
    -fsanitize=${STOKER_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(stoker_flags INTERFACE -fsanitize=${STOKER_SANITIZE})
endif()
