# The two commands of the README are `make demo` and `make test`; both install what they miss.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench clean

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: ## build, then run a real model from a signed artifact in a sandbox
	@scripts/setup.sh demo
	@scripts/build.sh
	@scripts/cargo.sh xtask demo

test: ## everything CI runs
	@scripts/setup.sh test
	@scripts/test.sh

lint: ## formatting, clippy, supply-chain rules
	@scripts/setup.sh test
	@scripts/test.sh lint

bench: ## the benches against their peers (ratios in one run)
	@scripts/setup.sh test
	@scripts/build.sh
	@scripts/cargo.sh run --release --quiet --package dunlin-benches

clean: ## remove what the demo and the build left in this folder
	@rm -rf .demo target
