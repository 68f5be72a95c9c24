# Builds for 64-bit ARM devices. Debian 11, so that the program starts on glibc 2.31 (JetPack 5) and newer.
FROM debian:bullseye
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
 && apt-get install --assume-yes --no-install-recommends \
      ca-certificates gcc g++ libc6-dev pkg-config qemu-user-static \
      gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross \
 && rm -rf /var/lib/apt/lists/*
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -L /usr/aarch64-linux-gnu" \
    CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
    CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++ \
    AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar \
    QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
