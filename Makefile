# One entry for people and for CI: `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
# The version comes from git where there is one. No time stamp: two builds of one commit are the same bytes.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMANDS := $(patsubst cmd/%/main.go,%,$(wildcard cmd/*/main.go))
PROGRAMS := $(COMMANDS:%=./cmd/%)
ARCHES ?= arm arm64 amd64
FUZZTIME ?= 10s
STATICCHECK_VERSION := v0.8.2

# Everything that decides the bytes of a program is named here and nowhere else. -buildvcs=false: a clone and an
# unpacked archive of the same commit must not differ. What is tested and analysed is compiled in the same way, so that
# the standard library is compiled once for all targets; only the race detector needs C.
export CGO_ENABLED := 0
export GOFLAGS := -mod=readonly -trimpath -buildvcs=false
LEVELS := GOARM=7 GOARM64=v8.0 GOAMD64=v1
RELEASE := -ldflags "-s -w -buildid= -X main.version=$(VERSION)"

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# ---- building

.PHONY: build
build: ## static programs for this machine, into bin/
	@test -n "$(COMMANDS)" || { echo "no command in cmd/ has a main.go" >&2; exit 1; }
	@mkdir -p bin
	GOOS=linux $(GO) build $(RELEASE) -o bin/ $(PROGRAMS)

.PHONY: dist
dist: ## reproducible programs for linux/arm (v7), arm64 and amd64, into dist/, with SHA256SUMS
	@test -n "$(COMMANDS)" || { echo "no command in cmd/ has a main.go" >&2; exit 1; }
	@rm -rf dist
	@for arch in $(ARCHES); do \
		mkdir -p "dist/linux-$$arch"; \
		echo "dist linux/$$arch $(VERSION)"; \
		GOOS=linux $(LEVELS) GOARCH=$$arch $(GO) build $(RELEASE) -o "dist/linux-$$arch/" $(PROGRAMS); \
	done
	@cd dist && find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs sha256sum > SHA256SUMS
	@cat dist/SHA256SUMS

.PHONY: dist-verify
dist-verify: ## build dist twice, in two places with two caches, and compare every byte
	@ARCHES="$(ARCHES)" VERSION="$(VERSION)" .ci/dist-verify

.PHONY: docs
docs: ## regenerate docs/configuration.md from the code
	$(GO) run ./cmd/gatewayd config-doc > docs/configuration.md.new
	@mv docs/configuration.md.new docs/configuration.md

.PHONY: clean
clean: ## remove what the targets made
	rm -rf bin dist .tools docs/configuration.md.new

# ---- testing

.PHONY: test
test: ## every unit test; needs Go and nothing else
	$(GO) test -timeout 5m ./...

.PHONY: check
check: lint tidy build32 docs-check race ## everything a commit has to pass (the race detector needs a C compiler)

.PHONY: fmt
fmt: ## format every Go file
	$(GOFMT) -w $(GOFILES)

GOFMT = "$$($(GO) env GOROOT)/bin/gofmt"
GOFILES = $(shell find . -name '*.go' -not -path './.tools/*' -not -path './dist/*')
E2E = $(shell grep -rl --include='*.go' '^//go:build e2e$$' cmd domain media storage hal | xargs -n1 dirname | sort -u | sed 's,^,./,')
STATICCHECK = .tools/staticcheck-$(STATICCHECK_VERSION)-$(shell $(GO) env GOVERSION)

.PHONY: lint
lint: $(STATICCHECK) ## gofmt, go vet, staticcheck and shellcheck
	@bad=$$($(GOFMT) -l $(GOFILES)); test -z "$$bad" || { echo "not gofmt'ed (make fmt):" >&2; echo "$$bad" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags e2e $(E2E)
	$(STATICCHECK) ./...
	$(STATICCHECK) -tags e2e $(E2E)
	@.ci/packages shellcheck
	shellcheck .ci/run .ci/packages .ci/dist-verify

# The name carries both versions, so that another Go does not run an analyser that was built by an older one.
$(STATICCHECK):
	@mkdir -p .tools
	GOBIN=$(CURDIR)/.tools $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	@mv .tools/staticcheck $@

.PHONY: tidy
tidy: ## go.mod and go.sum say what the code uses
	$(GO) mod tidy -diff

.PHONY: race
race: ## every unit test under the race detector
	@.ci/packages gcc libc6-dev
	CGO_ENABLED=1 $(GO) test -race -vet=off -timeout 10m ./...

.PHONY: build32
build32: ## compile and vet programs and tests for 32-bit ARM
	GOOS=linux $(LEVELS) GOARCH=arm $(GO) build ./...
	GOOS=linux $(LEVELS) GOARCH=arm $(GO) vet ./...

.PHONY: test32
test32: ## the unit tests as a 32-bit program (amd64 machines that run linux/386)
	GOARCH=386 $(GO) test -timeout 10m ./...

.PHONY: docs-check
docs-check: ## the generated documents are those of this code
	@$(GO) run ./cmd/gatewayd config-doc | diff -u docs/configuration.md - || { echo "docs/configuration.md is stale: make docs" >&2; exit 1; }

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s) each
	$(GO) run ./cmd/internal/fuzzall -time $(FUZZTIME)

.PHONY: e2e
e2e: ## the gateway against real peers (installs ffmpeg, mpv, tshark, GStreamer, VLC, Chromium)
	@.ci/packages e2e
	@# Six tests at once on any machine: they wait for pictures in real time, and compute a fifth of it.
	$(GO) test -tags e2e -count=1 -v -parallel 6 -timeout 10m ./cmd/internal/e2e/...
	$(GO) test -tags e2e -count=1 -run TestPlayersOpenSegments -timeout 5m ./storage

.PHONY: bench
bench: ## measure the promises, and the peers that PEER_MEDIAMTX, PEER_GO2RTC and PEER_ZLM name
	$(GO) run ./cmd/internal/bench

.PHONY: soak
soak: ## an hour of work with viewers that come and go: does memory grow?
	$(GO) run ./cmd/internal/bench --only soak

# ---- trying it (not by go run, which would turn a Ctrl-C into an error)

.PHONY: run
run: build ## three levels and simulated encoders on this machine, until interrupted
	@$(GO) build -o .tools/demo ./cmd/internal/demo
	@exec .tools/demo --bin bin

.PHONY: demo
demo: build ## the same, checked once and ended
	@$(GO) build -o .tools/demo ./cmd/internal/demo
	@exec .tools/demo --bin bin --once
