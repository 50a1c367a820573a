# Two commands do all the set-up on a machine with Python 3.11+: `make run` (a quick search) and `make test` (every check).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PINS := pyproject.toml constraints.txt
BASE := $(VENV)/installed
DEV := $(VENV)/installed-dev
MINUTES ?= 1
SPACE ?= spaces/deepsif.yaml
# pytest-xdist fills the cores with test processes: each of them, and every worker they start, keeps to one thread
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Tests start hundreds of processes: where compiled files are not kept, each compiles hpsearch and its tests anew
COMPILED_ONCE := PYTHONDONTWRITEBYTECODE=
PYTEST := $(ONE_THREAD) $(COMPILED_ONCE) $(BIN)/python -m pytest -q -n auto --dist worksteal

# Material for MkDocs says at each start what its authors plan next
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run studies standard test fuzz fast lint format bench faults gpu docs docs-serve pictures schemas clean system

help: ## list the targets
	@awk -F ': .*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

run: $(BASE) ## install, then search spaces/deepsif.yaml in its quick form (another one: SPACE=spaces/char_lm.yaml)
	$(BIN)/hpsearch run $(SPACE) --quick

studies: $(BASE) ## the committed studies in their quick form; their reports go to reports/
	@for file in studies/*.yaml; do name=$$(basename "$$file" .yaml); echo "# $$name"; \
		$(BIN)/hpsearch study "$$file" --quick --format md --out "reports/$$name" || exit 1; done

standard: $(BASE) ## the committed studies in their standard form, about an hour each; reports go to reports/NAME-standard
	@for file in studies/*.yaml; do name=$$(basename "$$file" .yaml); echo "# $$name"; \
		$(BIN)/hpsearch study "$$file" --standard --format html,md --out "reports/$$name-standard" || exit 1; done

test: $(DEV) system lint ## install, then every check: ruff, mypy, pytest with the slow tests
	$(PYTEST)

fuzz: $(DEV) ## mutate spaces, studies, logs, other tools' files for MINUTES each (1); what fails goes to tests/fuzz/corpus
	PYTHONPATH=. $(ONE_THREAD) $(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(TARGETS)

fast: $(DEV) ## the tests that are not slow
	$(PYTEST) -m "not slow"

lint: $(DEV) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV) ## let ruff rewrite the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV) ## print the benchmarks in tests/benchmarks, small ones; the published sizes: BENCH=full, some hours
	@for file in tests/benchmarks/*.py; do echo "# $$file"; begin=$$(date +%s); \
		PYTHONPATH=. $(BIN)/python "$$file" || exit 1; echo "# it took $$(($$(date +%s) - begin)) s"; echo; done

faults: $(DEV) ## strike real searches at seeded moments and check what is left: SEED=, EPISODES=, MINUTES=, FAULTS=kill,torn
	@PYTHONPATH=. $(ONE_THREAD) $(BIN)/python -m tests.faults.campaign $(if $(SEED),--seed $(SEED)) \
		$(if $(EPISODES),--episodes $(EPISODES)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(FAULTS),--faults "$(FAULTS)") \
		$(if $(SEARCHES),--searches "$(SEARCHES)") $(if $(EPISODE),--episode $(EPISODE)) $(if $(ONLY),--only $(ONLY))
	@test -n "$(EPISODE)$(ONLY)$(FAULTS)$(SEARCHES)" || PYTHONPATH=. $(ONE_THREAD) $(BIN)/python -m tests.faults.test_every_prefix

gpu: $(DEV) ## what only a CUDA device can show
	$(BIN)/python -m pytest -q tests/gpu/cuda_checks.py

docs: $(DEV) ## build the documentation's site into site/
	$(SITE) build --strict

docs-serve: $(DEV) ## show the documentation on this machine, and again after each change
	$(SITE) serve

pictures: $(DEV) ## make the documentation's pictures again, some minutes
	$(BIN)/python docs/pictures.py

schemas: $(BASE) ## write spaces/schemas/*.json, which editors read, from the families
	@mkdir -p spaces/schemas
	@for family in study $$($(BIN)/hpsearch families | sed -n 's/^\([a-z_]*\): .*/\1/p'); do \
		$(BIN)/hpsearch schema "$$family" > "spaces/schemas/$$family.json" || exit 1; \
		echo "spaces/schemas/$$family.json"; \
	done
	@$(BIN)/hpsearch schema referee > docs/reference/referee-schema.json && echo docs/reference/referee-schema.json

clean: ## remove .venv, caches and build outputs; experiments/ stays
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installing: once, and again when a pin or a dependency changes

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "hpsearch needs Python 3.11 or newer; '$(PYTHON)' is not: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(BASE): $(VENV)/pyvenv.cfg $(PINS)
	@echo "installing into $(VENV); this takes minutes the first time"
	@$(PIP) install -c constraints.txt -e '.[eeg,mlflow]'
	@touch $@

$(DEV): $(VENV)/pyvenv.cfg $(PINS)
	@echo "installing into $(VENV), with what the tests need; this takes minutes the first time"
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $(BASE) $@

system: # what the tests need besides Python packages: a browser for pages, LaTeX for tables, WordNet for synonyms, a database
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null && command -v pdflatex >/dev/null && command -v node >/dev/null && command -v cc >/dev/null && \
		test -d /usr/share/wordnet && test -d /usr/lib/postgresql || { \
		echo "the tests need a browser, Node.js, a C compiler, LaTeX, WordNet and PostgreSQL:" \
		"apt-get install chromium chromium-driver nodejs gcc libc6-dev texlive-latex-recommended wordnet-base postgresql" >&2; exit 1; }
