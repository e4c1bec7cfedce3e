# Writes build_info.h.  Run at every build, so that the commit is that of the sources compiled and not of the last configure;
# configure_file leaves an equal file alone, so that nothing is compiled again for an unchanged commit.
set(ENV{GIT_OPTIONAL_LOCKS} 0) # a build must not get in the way of a commit made meanwhile
execute_process(COMMAND git describe --always --abbrev=12 --dirty --exclude=*
                WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE
                ERROR_QUIET RESULT_VARIABLE GIT_FAILED)
if(GIT_FAILED)
    set(COMMIT "")
endif()
configure_file(${SOURCE_DIR}/launch/build_info.h.in ${OUTPUT} @ONLY)
