# `make help` lists the targets. LIBTORCH names the folder `torch` of an installation of libtorch to use instead of the
# one that `make setup` puts into the user's cache folder.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.PHONY: build tests test lint demo bundle docs setup clean help

transcend := .build/release/transcend
# The output of builds is kept for Scripts/lint.sh, which looks for warnings in it.
log := 2>&1 | tee -a .build/build.log

build: setup  ## Build the program .build/release/transcend (the default)
	@swift build -c release --product transcend $(log)

tests: build  # the program too: the tests of the command line run it
	@swift build -c release --product transcendPackageTests $(log)
	@swift build -c release --product Fuzz $(log)

# `swift test` without --skip-build, and `swift build --build-tests`, would compile everything with other settings, or
# the tools of dependencies as well.
test: tests  ## Run all tests, or with FILTER=NAME those whose name matches
	@swift test -c release --skip-build --disable-xctest $(addprefix --filter ,$(FILTER))

lint: setup  ## Check the format, and that a release build gives no warnings
	@Scripts/lint.sh

demo: build  ## Train both stages on the embedded pictures, then draw samples and measure them: runs/demo
	@$(transcend) pipeline --preset demo --out runs/demo
	@$(transcend) sample --checkpoint runs/demo --out runs/demo/samples.png
	@$(transcend) fit-extractor --data pictures --steps 300 --out runs/demo/extractor.pt
	@$(transcend) evaluate --samples runs/demo --extractor runs/demo/extractor.pt --count 1000 --labels balanced \
		--steps 20 --brief

bundle: build  ## Make a directory for other machines: .build/transcend-VERSION-linux-x86_64
	@Scripts/bundle.sh

docs: build  ## Make the manual page and the HTML documentation: .build/docs
	@swift build -c release --product generate-manual $(log)
	@swift build -c release --product generate-docc-reference $(log)
	@Scripts/docs.sh

setup:  ## Install what is missing: Debian packages, libtorch, Swift packages
	@Scripts/setup.sh

clean:  ## Remove what was built
	@rm -rf .build

help:  ## List the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 14
