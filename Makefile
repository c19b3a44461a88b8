# `make` or `make help` lists the targets. CARGO_TARGET_DIR is respected; without it everything is built in target/.

TARGET := $(or $(CARGO_TARGET_DIR),target)
# Where ops/bootstrap puts the tools that it does not take from the system.
export PATH := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/reeve/tools/bin:$(PATH)
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)
SCRIPTS := ops/bootstrap ops/failover-tests ops/openapi-check ops/webhook-check .ci/run

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' $(MAKEFILE_LIST) | column -t -s @ 2>/dev/null \
		|| sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1: \2/p' $(MAKEFILE_LIST)

.PHONY: bootstrap
bootstrap: ## install what is missing on this machine
	@ops/bootstrap

.PHONY: build
build: bootstrap ## build all programs
	cargo build --locked --workspace --exclude reeve-sim --bins

.PHONY: demo
demo: bootstrap ## three nodes, three workers, a run that survives the death of its leader
	cargo build --locked -p reeve-cli --bin reeve
	$(TARGET)/debug/reeve demo

.PHONY: demo-sip
demo-sip: bootstrap ## 50 callers and 50 receivers talk through Kamailio while the leader dies
	@ops/bootstrap sip
	cargo build --locked -p reeve-cli --bin reeve
	ops/demo/sip/run $(TARGET)/debug/reeve

.PHONY: test
test: bootstrap ## run every test
	@ops/bootstrap sip
	cargo build --locked -p reeve-cli --bin reeve # the end-to-end tests start it
ifeq ($(NEXTEST),)
	cargo test --locked --workspace
else
	cargo nextest run --locked --workspace --no-tests pass
	cargo test --locked --workspace --doc
endif

.PHONY: check
check: ## formatting, lints, licences, layering, scripts, ids in comments; changes nothing
	@ops/bootstrap check
	@for script in $(SCRIPTS); do bash -n $$script || exit 1; done
	ops/check-ids
	cargo fmt --all --check
	cargo deny --locked --log-level error check bans licenses sources
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --quiet -p reeve-cli --test layering

.PHONY: openapi
openapi: ## call every path of the REST API as its own description says (schemathesis)
	@ops/bootstrap openapi
	cargo build --locked -p reeve-cli --bin reeve
	ops/openapi-check

.PHONY: webhooks
webhooks: ## check messages to webhooks with the Python library of Standard Webhooks
	@ops/bootstrap webhooks
	cargo build --locked -p reeve-cli --bin reeve
	ops/webhook-check

.PHONY: failover
failover: bootstrap ## the failover tests of workers' liveness, 20 times in a row
	ops/failover-tests 20

.PHONY: fuzz
fuzz: bootstrap ## feed everything that reads bytes with nonsense, SECONDS=60 for each target
	cargo build --locked -p reeve-fuzz
	nice $(TARGET)/debug/reeve-fuzz --seconds $(or $(SECONDS),60)

.PHONY: sim
sim: bootstrap ## simulate clusters, SEEDS=2000 from FROM=1; the first 20 run twice and must leave the same trace
	RUSTFLAGS="$(RUSTFLAGS) --cfg tokio_unstable" cargo build --locked --profile sim -p reeve-sim
	nice $(TARGET)/sim/reeve-sim --check 20 --from $(or $(FROM),1) --seeds $(or $(SEEDS),2000)

.PHONY: fix
fix: bootstrap ## format, and apply what clippy can repair by itself
	cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged -- -D warnings
	cargo fmt --all

.PHONY: bench
bench: ## measure beside etcd and SIPp on this machine, half an hour; writes bench/results
	@ops/bootstrap bench
	cargo build --locked --release -p reeve-cli --bin reeve # by itself: the bench needs test features of a library that they share
	cargo build --locked --release -p reeve-bench --bins
	$(TARGET)/release/reeve-bench all
	@ops/bootstrap sip
	$(TARGET)/release/reeve-bench sip

.PHONY: bench-sip
bench-sip: ## SIP calls of one worker beside SIPp, a quarter of an hour; PART=held, rate, accuracy, starved or onset
	@ops/bootstrap sip
	cargo build --locked --release -p reeve-cli --bin reeve
	cargo build --locked --release -p reeve-bench --bins
	$(TARGET)/release/reeve-bench sip $(PART)

CHAOS := --reeve $(TARGET)/release/reeve --mutants-reeve $(TARGET)/release/reeve-mutants

.PHONY: chaos-programs
chaos-programs: bootstrap
	@ops/bootstrap chaos
	cargo build --locked --release -p reeve-cli --bin reeve
	cargo build --locked --release -p reeve-cli --features mutants --bin reeve-mutants # openraft's assertions of a debug build hide one
	cargo build --locked -p reeve-chaos

.PHONY: chaos
chaos: chaos-programs ## break real clusters for some minutes, and check that nobody was lied to; SEED=1
	$(TARGET)/debug/reeve-chaos run $(CHAOS) $(if $(SEED),--seed $(SEED))

.PHONY: soak
soak: chaos-programs ## the same with every scenario and one seed after the other; MINUTES=60 SEED=1
	$(TARGET)/debug/reeve-chaos run --profile soak --minutes $(or $(MINUTES),60) $(CHAOS) \
		$(if $(SEED),--seed $(SEED)) $(if $(OLDER),--older $(OLDER))

.PHONY: mutants
mutants: chaos-programs ## put each known bug into the nodes: the chaos tests must find every one
	$(TARGET)/debug/reeve-chaos run --mutant all $(CHAOS) $(if $(SEED),--seed $(SEED))
