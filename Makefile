# make demo: install what is missing, build, run the main job on the bundled checkpoints and images.
# make test: install what is missing, build, run every test.

SHELL := /bin/bash
PACKAGES := libopenblas0 libfftw3-dev libpng-dev libjpeg-dev libtiff-dev libwebp-dev zlib1g-dev libssl-dev pkg-config
MPI_PACKAGES := libopenmpi-dev openmpi-bin
PREFIX ?= /usr/local
PYTHON ?= python3

.PHONY: demo test mpi-test mpi-build kernel-test build setup install uninstall package docs bench instructions fuzz \
  fuzz-smoke asan tsan lint clean

demo: build
	$(PROGRAM) demo -o vitprobe-out --replace

# With the Swift runtime inside: the program starts where no toolchain is.
PROGRAM := .build/release/vitprobe

build: setup
	swift build -c release --product vitprobe --static-swift-stdlib

# Swift Testing runs tests side by side already.
test: setup
	swift build --build-tests
	OPENBLAS_NUM_THREADS=1 swift test --skip-build --quiet
	for kernels in avx2 sse2; do OPENBLAS_NUM_THREADS=1 VITPROBE_KERNELS=$$kernels \
	  swift test --skip-build --quiet --filter 'ProductTests|WinogradTests|TapwiseConvolutionTests' || exit 1; done

# The build with Open MPI, under mpirun, against the one without (about a minute once it is built).
mpi-test: build mpi-build
	Tests/mpi/check.sh $(PROGRAM)

mpi-build:
	$(MAKE) setup PACKAGES="$(PACKAGES) $(MPI_PACKAGES)"
	Tests/mpi/check.sh --build

# The C kernels against plain sums, on each set of instructions of this processor; on NEON where
# gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user-static are installed.
kernel-test:
	Tests/kernels/check.sh

setup:
	@missing=""; \
	for package in $(PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'install ok installed' \
	    || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	      apt-get install -y -qq --no-install-recommends $$missing; \
	  else \
	    echo "These packages are missing; install them with:" >&2; \
	    echo "  sudo apt-get install$$missing" >&2; exit 1; \
	  fi; \
	fi
	@Packaging/check-toolchain.sh

lint:
	swift format lint --strict --configuration .swift-format -r -p Sources Tests Package.swift

# Program, bundled data, manual page, completions for bash, zsh and fish, licences.
install: build
	Packaging/stage.sh $(PROGRAM) "$(PREFIX)" "$(DESTDIR)"

uninstall:
	Packaging/unstage.sh "$(PREFIX)" "$(DESTDIR)"

# A Debian package in packages/.
package: build
	Packaging/deb.sh $(PROGRAM) packages

# The reference of the libraries in .build/reference; a link that leads nowhere fails.
docs: setup
	docs/reference.sh

bench: build
	$(PYTHON) Benchmarks/run.py

# Fails if a fixed job takes 10 % more instructions than are recorded (valgrind, python3, binutils).
instructions: setup
	$(PYTHON) Benchmarks/instructions.py --check

# SECONDS for each of the fuzzer's targets; see docs/reliability.md.
SECONDS ?= 60

fuzz: setup
	Fuzzing/run.sh $(SECONDS)

# Every target for two seconds, built without optimisation.
fuzz-smoke: setup
	Fuzzing/run.sh --smoke 2

# Two kinds of tests are left out: those that measure resident memory, which the sanitizers multiply,
# and the passes of full-sized models, which take half an hour. ThreadSanitizer itself does not live
# with the limit on the size of files that stands for a full disk; it runs on optimised code, since it
# would slow the numerical tests to hours otherwise.
SANITIZED := swift test --skip memoryDoesNotGrow --skip memoryIsWhatWasAnnounced --skip fullSizeTaps

asan: setup
	OPENBLAS_NUM_THREADS=1 ASAN_OPTIONS=detect_leaks=0 \
	  $(SANITIZED) --sanitize=address --scratch-path .build-asan

tsan: setup
	OPENBLAS_NUM_THREADS=1 TSAN_OPTIONS=suppressions=$(CURDIR)/.ci/thread-sanitizer.txt \
	  $(SANITIZED) --skip aFullDisk --sanitize=thread --scratch-path .build-tsan \
	  -c release -Xswiftc -enable-testing

clean:
	rm -rf .build .build-asan .build-tsan .build-mpi packages vitprobe-out
