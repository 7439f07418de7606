# Settings and helpers shared by all folders.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)

option(BIGM_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(BIGM_FUZZ "Build the libFuzzer targets" OFF)
set(BIGM_HALIDE_DIR "${PROJECT_BINARY_DIR}/halide" CACHE PATH "Where the Halide wheel is unpacked (include/, lib64/)")

add_compile_options(-Wall -Wextra -Wno-unused-parameter)
# Paths do not enter the objects: two builds in two folders give the same bytes, and ccache serves both.
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  add_link_options(-fuse-ld=lld)
endif()
if(BIGM_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
endif()
if(BIGM_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address)
  add_link_options(-fsanitize=address)
endif()

find_package(Threads REQUIRED)
find_package(TBB REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(JPEG REQUIRED)
find_package(GTest REQUIRED)

# LLVM and MLIR as shared libraries: linking takes a second and all tools share one copy in memory.
find_package(MLIR REQUIRED CONFIG PATHS /usr/lib/llvm-22/lib/cmake/mlir)
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)

# What everything that speaks MLIR links, and nothing of LLVM besides. Its headers count as system headers: their
# warnings are not ours.
add_library(bigm-mlir INTERFACE)
target_include_directories(bigm-mlir SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
target_link_libraries(bigm-mlir INTERFACE MLIR LLVM)

# A libFuzzer target of one source, with AddressSanitizer; only with BIGM_FUZZ.
function(bigm_add_fuzz_target name source library)
  if(BIGM_FUZZ)
    add_executable(${name} ${source})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE ${library})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer,address)
  endif()
endfunction()

# Unit tests of one folder: bigm_add_unit_tests(frontend SOURCES a.cpp LIBS bigm-frontend) makes the program
# bigm-frontend-tests, which lit runs. One binary a folder, because linking is what tests cost.
function(bigm_add_unit_tests folder)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  string(REPLACE "/" "-" flat ${folder})
  add_executable(bigm-${flat}-tests ${ARG_SOURCES})
  target_link_libraries(bigm-${flat}-tests PRIVATE ${ARG_LIBS} GTest::gtest_main GTest::gmock)
  set_target_properties(bigm-${flat}-tests PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/unit)
endfunction()
