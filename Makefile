# make prints what there is.
PYTHON = .venv/bin/python

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

check: ## ruff, mypy, import contracts, unit tests and guards: under a minute
	$(PYTHON) -m pytest -q tests/unit tests/guards

test: ## everything, as CI does
	./serve.sh test

conformance: ## the clients' tests; writes the table of docs/conformance.md anew
	./serve.sh test tests/conformance --write-conformance

e2e: ## the pages, in a browser; with screenshots of all in /tmp/deerflow-pages
	mkdir -p /tmp/deerflow-pages
	DEERFLOW_SCREENSHOTS=/tmp/deerflow-pages ./serve.sh test tests/e2e

tour: ## take the pictures of docs/tour.md anew
	./serve.sh test tests/e2e/test_tour.py --write-tour

conformance-against: ## the checks of the npm SDKs against another server: URL=http://127.0.0.1:2024
	$(PYTHON) -m tests.conformance.javascript $(URL)

console-vendor: ## build the script of the console's workspace, which ./serve.sh does as well
	./serve.sh console-vendor

bench: ## how fast the server is; BENCH="--quick", "--only first wait", "--url ... --against ..."
	$(PYTHON) -m bench $(BENCH)

format: ## lay the code out
	.venv/bin/ruff format . && .venv/bin/ruff check --fix .

lock: ## make the hashed locks anew from requirements*.in; needs uv
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q requirements.in -o requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q requirements-dev.in -o requirements-dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q requirements-console.in -o requirements-console.txt

.PHONY: help check test conformance e2e tour conformance-against console-vendor bench format lock
