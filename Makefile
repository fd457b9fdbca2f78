# The only commands that people and CI need. `make help` lists them.

# Envoys that the end-to-end tests run against: the newest of each minor version that has V8, and the default.
OLDEST_ENVOY := 1.36.2
OLDER_ENVOYS := $(OLDEST_ENVOY) 1.37.0 1.38.2 1.39.3
ENVOY_VERSION := 1.40.0

# The versions that `make contract` records.
ENVOYS ?= $(OLDER_ENVOYS) $(ENVOY_VERSION)

# How long `make fuzz` runs each target.
FUZZ_SECONDS ?= 600

# How long `make soak` sends requests.
MINUTES ?= 30

# How long `make chaos` goes on with faults, in seconds.
CHAOS_SECONDS ?= 300

# Where the programs under test are: release builds.
PROGRAMS = ENVOY="$$(scripts/envoy.sh $(ENVOY_VERSION))" CELLGATE_WASM=target/cellgate.wasm \
	CELLGATE_BIN=target/release/cellgate

# The program under test, and the benchmark.
BUILD_BENCH = CELLGATE_BUILD="$$(scripts/stamp.sh)" \
	cargo build --locked --release -p cellgate-cli -p cellgate-bench --bin cellgate --bin cellgate-bench

# What a person or a workflow sets reaches the scripts through the environment, as it was written: neither make nor a shell
# reads anything in it.
GIVEN := VERSION BRANCH REGISTRY DRY_RUN BINARIES MODULE COSIGN_KEY COSIGN_PUBKEY COSIGN_IDENTITY COSIGN_ISSUER UNSIGNED \
	INSECURE DIGESTS FROM TO PULL_REQUEST IMAGE PLATFORM
$(foreach name,$(GIVEN),$(if $(filter-out undefined,$(origin $(name))),$(eval override export $(name) := $$(value $(name)))))

.DEFAULT_GOAL := help
.PHONY: help demo demo-observe demo-observers demo-envoy demo-programs test test-envoys test-mesh test-chaos test-observe \
	conformance contract bench bench-limits bench-memory bench-docs soak chaos chaos-docs scale fuzz instructions ci \
	fmt fmt-check lint words doc deny advisories generate manifests check-generated check-repository promote program \
	version github-release try-release rulesets test-kind build wasm image artifact test-image release dist publish \
	verify-release test-release clean need

help: ## this list
	@echo "make TARGET [VARIABLE=value ...]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables:"
	@echo "  ENVOY=PATH       an Envoy binary of your own, instead of $(ENVOY_VERSION) in .tools/"
	@echo "  KEEP=1           demo, demo-observe: leave everything running until you end it, and say how to reach it"
	@echo "  QUICK=1          bench: only what the goals need, in under five minutes"
	@echo "  BASELINE=DIR     bench: another build, cellgate.wasm and cellgate, beside this one in the same rounds"
	@echo "  MINUTES=N        soak: how long (default $(MINUTES))"
	@echo "  ENVOYS=VERSIONS  contract: the versions to record (default: all that are supported)"
	@echo "  SEED=N           chaos: the order and the timing of the faults (default: by the clock; the run prints it)"
	@echo "  CHAOS_SECONDS=N  chaos: how long, at least one whole round (default $(CHAOS_SECONDS))"
	@echo "  FAULT=NAME,...   chaos: only these faults, once"
	@echo "  ROUND=N          chaos: with FAULT, as in this round of the seed (default 1)"
	@echo "  UPDATE=1         instructions: write the budget anew"
	@echo "  IMAGE=NAME       image: the name, with your registry if it is to be pushed (default cellgate)"
	@echo "  PLATFORM=NAME    image: linux/amd64 or linux/arm64 (default: this machine's)"
	@echo "  VERSION=X.Y.Z    release: this version, instead of the one that the commits ask for; verify-release: which one"
	@echo "  DRY_RUN=1        release: change nothing, and print what would be"
	@echo "  REGISTRY=NAME    publish, verify-release: host and path, such as ghcr.io/OWNER; dist: where the chart finds it"
	@echo "  FROM=A TO=B      promote: two stages that follow each other, of release, dev, staging and prod"
	@echo "  PULL_REQUEST=1   promote: on a branch, with a pull request, by GitHub's gh"
	@echo "  FUZZ_SECONDS=N   fuzz: seconds for each target (default $(FUZZ_SECONDS))"

# The three parts at the same time: -j without a number, so that cargo goes by the machine's cores. With `exec`, the
# signals that make passes on reach the demonstration and not a shell. The last CELLGATE_BIN counts.
demo: ## start Envoy, the service and three cells, and send requests through them
	@echo "demo: starts Envoy with the filter, the service and three cells, and sends requests. The first time, it" \
		"fetches Envoy and compiles the rest: two to three minutes on two cores. After that it takes seconds."
	@$(MAKE) --no-print-directory -j wasm demo-envoy demo-programs
	@exec env $(PROGRAMS) CELLGATE_BIN=target/demo/cellgate KEEP="$(KEEP)" target/demo/demo

demo-observe: ## the demonstration with Jaeger and Prometheus: prints a trace as text, figures, and where to look
	@echo "demo: starts Envoy, the service, three cells, Jaeger and Prometheus. The first time, it builds Jaeger with Go," \
		"fetches Prometheus and Envoy and compiles the rest: several minutes. After that it takes seconds, and six of them are load."
	@$(MAKE) --no-print-directory -j wasm demo-envoy demo-programs demo-observers
	@jaeger="$$(scripts/jaeger.sh)" && prometheus="$$(scripts/prometheus.sh)" && \
		exec env $(PROGRAMS) CELLGATE_BIN=target/demo/cellgate JAEGER="$$jaeger" PROMETHEUS="$$prometheus" \
		OBSERVE=1 KEEP="$(KEEP)" target/demo/demo

demo-observers: need
	@scripts/jaeger.sh >/dev/null
	@scripts/prometheus.sh >/dev/null

demo-envoy: need
	@scripts/envoy.sh $(ENVOY_VERSION) >/dev/null

demo-programs: need
	@CELLGATE_BUILD="$$(scripts/stamp.sh)" \
		cargo build --locked --profile demo --bin cellgate --bin demo -p cellgate-cli -p cellgate-tests

test: need ## every test, with the end-to-end tests against real Envoy
	@python3 scripts/test.py --workspace

test-envoys: need ## the end-to-end tests against each supported Envoy
	@python3 scripts/test.py --envoys $(OLDER_ENVOYS) $(ENVOY_VERSION)

test-mesh: need ## the chart in a mesh: Istio's control plane on an API server, Envoy, and the service
	@python3 scripts/test.py --mesh

test-chaos: need ## each fault of `make chaos` once, with development builds; needs Go
	@python3 scripts/test.py --chaos

test-observe: need ## traces and metrics in a real Jaeger and Prometheus, with the oldest and the newest Envoy; needs Go
	@python3 scripts/test.py --observe $(OLDEST_ENVOY) $(ENVOY_VERSION)

conformance: wasm ## write docs/conformance.md: what happens in each case on the oldest and the newest Envoy
	@cargo build --locked -p cellgate-cli --bin cellgate
	@for version in $(OLDEST_ENVOY) $(ENVOY_VERSION); do \
		envoy="$$(env -u ENVOY scripts/envoy.sh $$version)" && UPDATE=1 ENVOY="$$envoy" CELLGATE_WASM=target/cellgate.wasm \
			CELLGATE_BIN=target/debug/cellgate cargo test --locked -p cellgate-tests --test conformance || exit 1; \
	done

contract: wasm ## write tests/contract/ and docs/envoy-contract.md: what Cellgate asks of Envoy, and how versions differ
	@cargo build --locked --workspace --all-features --bin cellgate
	@for version in $(ENVOYS); do \
		envoy="$$(env -u ENVOY scripts/envoy.sh $$version)" && UPDATE=1 ENVOY="$$envoy" CELLGATE_WASM=target/cellgate.wasm \
			CELLGATE_BIN=target/debug/cellgate cargo test --locked --workspace --all-features --test contract || exit 1; \
	done

bench: wasm ## CPU time per request: Cellgate, its peers and Envoy alone; the last line counts the goals that hold
	@$(BUILD_BENCH)
	@scripts/cargo-wasm.sh build --locked --profile wasm -p cellgate-bench-noop -p cellgate-bench-copy -p cellgate-bench-timed
	@scripts/cargo-wasm.sh build --locked --profile wasm-bench -p cellgate-bench-scan
	@scripts/bench-peers.sh
	@$(PROGRAMS) QUICK="$(QUICK)" BASELINE="$(BASELINE)" target/release/cellgate-bench

bench-limits: wasm ## the cost of rate limits, and calls while their store is stopped; the last line counts the goals that hold
	@$(BUILD_BENCH)
	@scripts/cargo-wasm.sh build --locked --profile wasm -p cellgate-bench-timed
	@VALKEY="$$(scripts/valkey.sh)" && export VALKEY && $(PROGRAMS) target/release/cellgate-bench limits

bench-memory: wasm ## the memory of the service and of Envoy under more uploads than the byte budget holds
	@$(BUILD_BENCH)
	@$(PROGRAMS) target/release/cellgate-bench memory

bench-docs: need ## write the last report of `make bench` into docs/performance*.md and README.md
	@python3 scripts/performance.py

soak: wasm ## mixed traffic for MINUTES while the configuration changes every second: wrong answers, growth
	@CELLGATE_BUILD="$$(scripts/stamp.sh)" cargo build --locked --release -p cellgate-cli --bin cellgate \
		-p cellgate-tests --bin soak --features cellgate-tests/soak
	@$(PROGRAMS) MINUTES="$(MINUTES)" target/release/soak

# libfaketime can be had only on Debian and Ubuntu. Without it, the clock does not step.
chaos: wasm ## real faults under traffic: what clients see, and how soon all is right again; needs Go
	@CELLGATE_BUILD="$$(scripts/stamp.sh)" cargo build --locked --release -p cellgate-cli --bin cellgate \
		-p cellgate-tests --bin chaos --features cellgate-tests/chaos
	@VALKEY="$$(scripts/valkey.sh)" && TOXIPROXY="$$(scripts/toxiproxy.sh)" && \
		LIBFAKETIME="$$(scripts/libfaketime.sh || [ $$? = 2 ])" && export VALKEY TOXIPROXY LIBFAKETIME && \
		exec env $(PROGRAMS) SEED="$(SEED)" CHAOS_SECONDS="$(CHAOS_SECONDS)" FAULT="$(FAULT)" ROUND="$(ROUND)" \
		scripts/chaos.sh target/release/chaos

chaos-docs: need ## write the last run of `make chaos` into docs/resilience.md
	@target/release/chaos docs

scale: wasm ## how cost grows with tenants, cells, rules, bodies, connections and workers
	@$(BUILD_BENCH)
	@$(PROGRAMS) target/release/cellgate-bench scale

fuzz: need ## every fuzz target for FUZZ_SECONDS each
	@scripts/fuzz.sh $(FUZZ_SECONDS)

# UPDATE=1 writes the budget anew.
instructions: need ## count the hot paths' instructions; fail where one takes over 3 % more than its budget
	@python3 scripts/instructions.py

ci: fmt-check lint words doc deny check-generated check-repository instructions ## all that continuous integration runs; the last line is the count of tests
	@python3 scripts/test.py --workspace --images --mesh --envoys $(OLDER_ENVOYS) --observe $(OLDEST_ENVOY) $(ENVOY_VERSION)

fmt: need ## format the Rust sources
	@cargo fmt --all

fmt-check: need ## fail if a Rust source is not formatted
	@cargo fmt --all --check

lint: need ## clippy, natively and for the filter's target, without a warning
	@cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	@cargo clippy --locked --all-features -p cellgate-tests --test mesh -- -D warnings
	@scripts/cargo-wasm.sh clippy --locked -p cellgate-filter -- -D warnings
	@scripts/cargo-wasm.sh clippy --locked -p cellgate-bench-scan -p cellgate-bench-timed -- -D warnings

words: ## wording and links of the documentation, names of the types; prints findings and figures
	@python3 scripts/words.py

# Private items are documented, so links to them are right.
doc: need ## the code's documentation, private items too, without a warning
	@RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --locked --workspace --no-deps --all-features --document-private-items

deny: need ## licences and sources of the dependencies
	@scripts/cargo-deny.sh

advisories: need ## known vulnerabilities of the dependencies; needs a network beyond crates.io
	@scripts/cargo-deny.sh advisories

generate: need ## write anew everything that is generated: schema, reference, test vectors and `make manifests`
	@scripts/generate.sh

manifests: need ## write anew what is made of the chart: its README, the schema of its values, istio/base, istio/overlays
	@python3 scripts/chart-docs.py
	@python3 scripts/manifests.py

check-generated: need ## fail if something generated is not current
	@scripts/generate.sh --check

check-repository: need ## workflows, shell scripts, secrets, and what GitHub and Renovate read; needs Go
	@python3 scripts/check_repository.py

promote: need ## put the version of the stage FROM into the stage TO: one commit of one file
	@case "$$PULL_REQUEST" in "" | 0 | false | no | off) set -- ;; *) set -- --pull-request ;; esac; \
		python3 scripts/promote.py "$$FROM" "$$TO" "$$@"

program: need ## the static program for this machine's architecture, as a release has it: target/program/cellgate
	@CELLGATE_BUILD= scripts/build-static.sh "$$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')" target/program/cellgate

version: ## print this version; in a workflow it is the step's output too
	@version="$$(scripts/version.sh)" && echo "$$version" && \
		if [ -n "$$GITHUB_OUTPUT" ]; then echo "version=$$version" >>"$$GITHUB_OUTPUT"; fi

github-release: ## make the page of this version's release on GitHub, with the files of target/dist; needs GitHub's gh
	@scripts/github-release.sh

try-release: ## run the image of VERSION from REGISTRY on this machine's architecture; needs docker
	@scripts/try-release.sh "$$REGISTRY" "$$VERSION"

rulesets: ## write .github/rulesets/ to GitHub, with its gh
	@scripts/rulesets.sh

test-kind: ## Cellgate in a kind cluster with Istio's gateway and waypoint; needs docker, kind, kubectl, helm and Go
	@scripts/kind/test.sh

build: need ## the program, optimised: target/release/cellgate
	@CELLGATE_BUILD="$$(scripts/stamp.sh)" cargo build --locked --release -p cellgate-cli

wasm: need ## the filter, optimised: target/cellgate.wasm; checks its size
	@scripts/build-wasm.sh

image: need ## the images, with docker, podman or buildah: IMAGE:VERSION and IMAGE-filter:VERSION
	@scripts/image.sh

artifact: wasm ## the filter as an OCI artifact that Istio pulls: target/cellgate-filter.oci; prints what the chart needs
	@python3 scripts/oci_artifact.py target/cellgate.wasm target/cellgate-filter.oci \
		--version "$$(scripts/version.sh)" --revision "$$(scripts/stamp.sh)"

test-image: wasm ## the Dockerfile, the images (where buildah is on PATH) and the artifact; prints their sizes
	@python3 scripts/image_test.py

release: need ## decide the version, write it everywhere, commit and tag it; pushes nothing (docs/release.md)
	@python3 scripts/release prepare

dist: need ## build everything of the version at HEAD into target/dist/
	@python3 scripts/release dist

publish: need ## push what `make dist` has built to REGISTRY, sign it, attach its SBOMs
	@python3 scripts/release publish

verify-release: need ## check VERSION in REGISTRY: digests, signatures, SBOMs
	@python3 scripts/release verify

test-release: wasm ## releases: versions, refusals, and a round trip through a real registry; needs Go
	@scripts/cosign.sh >/dev/null
	@python3 scripts/release_test.py

clean: ## remove what was built; .tools/ stays
	@rm -rf target fuzz/target .run

need:
	@scripts/need.sh cargo python3 cc
