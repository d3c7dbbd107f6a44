# Tidemark. `make help` lists what there is.

GO      ?= go
BIN     := bin/tidemark
MODULES := schemas pkg services e2e
TIMEOUT ?= 40m

# What make lint checks for spelling.
SPELLED := README.md CONTRIBUTING.md Makefile $(MODULES) deploy

# Without git the binary says "dev".
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

.PHONY: help build test test-fast lint vet fmt-check staticcheck spelling deadcode arch bench fuzz soak demo demo-guest demo-compose demo-observability observers picture images ova test-ova-efi packages lab lab-story tools clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  \1|/p' $(MAKEFILE_LIST) | column -t -s '|'

build: ## build bin/tidemark: one static binary, stripped, with version and commit
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o $(BIN) ./services/tidemark

demo: build ## protect two disks, lose the source, bring them back: the whole story in a minute
	$(GO) run ./e2e/demo -bin $(BIN)

demo-guest: build ## the same with a real Linux guest and a database (QEMU)
	$(GO) run ./e2e/demo -bin $(BIN) -guest

# A package manager orders versions: without a release it is the number of the commit.
export PACKAGE_VERSION ?= $(or $(patsubst v%,%,$(filter v%,$(VERSION))),0.0.0+$(shell git rev-list --count HEAD 2>/dev/null || echo 0).$(VERSION))

# nfpm is pinned in e2e/nfpm, a module of its own.
packages: build ## bin/tidemark_*.deb and bin/tidemark-*.rpm: the binary, the systemd unit, the manual page, completions
	GOWORK=off CGO_ENABLED=0 $(GO) build -C e2e/nfpm -trimpath -ldflags "-s -w" -o ../../bin/nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm
	mkdir -p bin/packages && rm -f bin/*.deb bin/*.rpm
	$(BIN) man >bin/packages/tidemark.1
	$(BIN) completion bash >bin/packages/tidemark.bash
	$(BIN) completion zsh >bin/packages/_tidemark
	$(BIN) completion fish >bin/packages/tidemark.fish
	for p in deb rpm; do GOARCH=$$($(GO) env GOARCH) bin/nfpm package -f deploy/packages/nfpm.yaml -p $$p -t bin || exit 1; done

images: build ## the container image tidemark: the static binary and nothing else
	tar -c -C bin tidemark -C ../deploy/compose Dockerfile | docker build -q -t tidemark:$(VERSION) -t tidemark:latest -

ova: build ## the transporter for vCenters: Debian's kernel and the static binary
	$(GO) run ./e2e/ova -bin $(BIN) -version $(VERSION) -o bin/tidemark-transporter.ova

# Not part of CI, which boots the same by BIOS on VMware's own controller.
test-ova-efi: ## the appliance's test, with virtual machines whose firmware is EFI (Debian's package ovmf)
	$(GO) test ./e2e/ova -count=1 -v -timeout $(TIMEOUT) -args -efi

demo-compose: images ## two sites of containers: protect a disk, kill the source, fail over by a message
	$(GO) run ./e2e/demo -bin $(BIN) -compose

# Not part of CI: to compile Jaeger takes two cores four minutes the first time.
# Prometheus is Debian's (make tools).
demo-observability: observers ## demo-compose with Jaeger and Prometheus: the failover is one trace, and seen
	$(GO) run ./e2e/demo -bin $(BIN) -compose -observe

observers: images
	GOWORK=off CGO_ENABLED=0 $(GO) build -C e2e/jaeger -trimpath -ldflags "-s -w" -o ../../bin/jaeger/all-in-one-linux github.com/jaegertracing/jaeger/cmd/all-in-one
	tar -c -C bin/jaeger all-in-one-linux -C ../../deploy/compose/jaeger Dockerfile | docker build -q -t tidemark-jaeger -
	rm -rf bin/prometheus && mkdir -p bin/prometheus/bin
	cp /usr/bin/prometheus /usr/bin/promtool bin/prometheus/bin/
	ldd /usr/bin/prometheus /usr/bin/promtool | grep -o '/lib[^ ]*' | sort -u | xargs cp -L --parents -t bin/prometheus
	tar -c -C bin/prometheus . -C ../../deploy/compose/prometheus Dockerfile | docker build -q -t tidemark-prometheus -

# Jaeger's pages are a program of their own, of the same version as its module.
JAEGER_UI ?= https://github.com/jaegertracing/jaeger-ui
JAEGER_UI_VERSION := v1.62.0
YARN := npx --yes yarn@1.22.22

bin/jaeger-ui/$(JAEGER_UI_VERSION)/packages/jaeger-ui/build/index.html:
	rm -rf bin/jaeger-ui
	git -c advice.detachedHead=false clone -q --depth 1 --branch $(JAEGER_UI_VERSION) $(JAEGER_UI) bin/jaeger-ui/$(JAEGER_UI_VERSION)
	cd bin/jaeger-ui/$(JAEGER_UI_VERSION) && $(YARN) install --frozen-lockfile --ignore-scripts --non-interactive --silent --network-timeout 300000
	cd bin/jaeger-ui/$(JAEGER_UI_VERSION)/packages/plexus && $(YARN) -s webpack --mode production --config webpack.layout-worker.config.js
	cd bin/jaeger-ui/$(JAEGER_UI_VERSION)/packages/jaeger-ui && REACT_APP_VSN_STATE={} $(YARN) -s vite build

# Not part of CI either: it needs Node.js 20, Chromium and the network, and ten minutes.
picture: observers bin/jaeger-ui/$(JAEGER_UI_VERSION)/packages/jaeger-ui/build/index.html ## deploy/failover-trace.png: the failover of demo-observability in Jaeger's own pages
	printf 'FROM tidemark-jaeger\nCOPY . /ui\nENV QUERY_STATIC_FILES=/ui\n' >bin/jaeger-ui/Dockerfile
	tar -c -C bin/jaeger-ui/$(JAEGER_UI_VERSION)/packages/jaeger-ui/build . -C $(CURDIR)/bin/jaeger-ui Dockerfile | docker build -q -t tidemark-jaeger -
	$(GO) run ./e2e/demo -bin $(BIN) -compose -observe -picture deploy/failover-trace.png

lab: build ## two vSphere sites to play with: simulated vCenters, real guests (QEMU)
	$(GO) build -trimpath -o bin/lab ./e2e/lab
	bin/lab -tidemark $(BIN)

# What takes longest, so that it does not begin last.
SLOWEST := ./services/vcenter ./services/tidemark ./pkg/engine/vault
LONGEST := ./e2e/labtest

# lint vets, and go test would do it again, with all that is imported. The
# end-to-end tests run whole sites and guests, which mostly wait: two packages at a time,
# the longest first, and always, for they build the product themselves and the test
# cache cannot know.
test: ## everything, with the race detector
	$(GO) test -vet=off -race -p 3 -parallel 3 -timeout $(TIMEOUT) $(SLOWEST) ./schemas/... ./pkg/... ./services/...
	$(GO) test -vet=off -race -count=1 -timeout $(TIMEOUT) -p 2 $(LONGEST) ./e2e/...

test-fast: ## without the race detector, guests and containers
	$(GO) test -timeout $(TIMEOUT) ./schemas/... ./pkg/... ./services/...
	TIDEMARK_GUEST=0 TIDEMARK_CONTAINERS=0 $(GO) test -timeout $(TIMEOUT) -p 1 ./e2e/...

lint: vet fmt-check arch staticcheck spelling deadcode ## vet, formatting, who may import whom, unused code, spelling

# As make build compiles, so that nothing is compiled twice.
vet:
	CGO_ENABLED=0 $(GO) vet -trimpath $(MODULES:%=./%/...)

fmt-check:
	@out=$$(gofmt -l $(MODULES)); test -z "$$out" || { echo "gofmt these files:"; echo "$$out"; exit 1; }

arch:
	$(GO) test ./e2e/arch

# The tools are pinned in e2e/go.mod.
staticcheck:
	CGO_ENABLED=0 GOFLAGS=-trimpath $(GO) tool staticcheck $(MODULES:%=./%/...)

# hstory is a wrong field that a test needs.
spelling:
	$(GO) tool misspell -error -i hstory $(SPELLED)

deadcode:
	@out=$$($(GO) tool deadcode -test $(MODULES:%=./%/...)); test -z "$$out" || { echo "nothing reaches these:"; echo "$$out"; exit 1; }

bench: ## figures, each with its target
	$(GO) run ./e2e/bench

fuzz: ## a minute on each decoder that reads what others wrote
	$(GO) test ./pkg/contract/predicate -run xxx -fuzz FuzzParse -fuzztime 60s
	$(GO) test ./pkg/core/frame -run xxx -fuzz FuzzParse -fuzztime 60s
	$(GO) test ./pkg/adapter/nbd -run xxx -fuzz FuzzHandshake -fuzztime 60s
	$(GO) test ./pkg/adapter/nbd -run xxx -fuzz FuzzTransmission -fuzztime 60s
	$(GO) test ./pkg/adapter/nbd -run xxx -fuzz FuzzClient -fuzztime 60s
	$(GO) test ./pkg/contract/event -run xxx -fuzz FuzzDecode -fuzztime 60s
	$(GO) test ./pkg/contract/spec -run xxx -fuzz FuzzParse -fuzztime 60s
	$(GO) test ./pkg/contract/predicate -run xxx -fuzz FuzzParse -fuzztime 60s

soak: ## 200 rounds of a flipped bit in any file of a stopped site, and 200 of plans under faults: an hour; SEED=n runs one again
	$(GO) test ./e2e/planchaos -count=1 -v -timeout 1h -args -rounds 200 -seed $(or $(SEED),0)
	$(GO) test ./e2e/robustness -run TestAFlippedBitOfAStoppedSite -count=1 -v -timeout 4h -args -flip-rounds 200 -seed $(or $(SEED),0)

# Not part of CI: nine guests boot, and their disks are copied.
lab-story: build ## three real guests, a database, its application and their front: tested on a schedule, lost, recovered, brought home by plans
	$(GO) build -trimpath -o bin/lab ./e2e/lab
	TIDEMARK_BIN=$(CURDIR)/$(BIN) TIDEMARK_LAB_BIN=$(CURDIR)/bin/lab $(GO) test ./e2e/labtest -run TestThreeGuestsGoAndComeBack -count=1 -v -timeout 1h -args -story

tools: ## the Debian packages that tests and demos need
	apt-get install -y --no-install-recommends $$(cat e2e/packages.txt)

clean: ## remove what was built
	rm -rf bin
