# make prints what there is.
PYTHON = .venv/bin/python

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

check: ## ruff, mypy, import contracts, unit tests and guards: under a minute
	$(PYTHON) -m pytest -q tests/unit tests/guards

test: ## everything, as CI does
	./serve.sh test

bench: ## how fast the server is; BENCH="--quick", "--only first wait", "--url ... --against ..."
	$(PYTHON) -m bench $(BENCH)

format: ## lay the code out
	.venv/bin/ruff format . && .venv/bin/ruff check --fix .

lock: ## make the hashed locks anew from requirements*.in; needs uv
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q requirements.in -o requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q requirements-dev.in -o requirements-dev.txt

.PHONY: help check test bench format lock
