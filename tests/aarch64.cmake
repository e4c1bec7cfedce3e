# For a 64-bit ARM processor, built and tested on another: preset neon.  Debian's cross compiler, its arm64 packages, which lie
# beside the machine's own (launch/install-deps.sh --neon), and qemu, which runs the tests.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)

# pkg-config shall see that machine's libraries and not ours.
set(ENV{PKG_CONFIG_LIBDIR} "/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig")
