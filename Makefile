# The two commands: `make demo` and `make test`. Both need Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
FRAMEWORKS ?= build/frameworks
# make mutants tries every EVERYth change
EVERY ?= 1
# the notebooks, the known submissions, nbgrader's commands on each, and how authors make and check them
ASSIGNMENTS := assignments submissions stock_commands authoring settings exercises candidates \
  in_the_notebook serving_exercise by_hand
BIN := $(VENV)/bin
# byte code makes every start of Python two to three times as fast
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: demo test quick assignments check mutants book screenshots frameworks languages exercises lock frameworks-lock clean

demo: $(VENV)/installed ## build the book, grade the sample class, show its results
	mlflow-kit demo

test: $(VENV)/installed check ## everything that CI checks
	python -m pytest -n 3

assignments: $(VENV)/installed ## of these, what a change of an assignment can break
	python -m pytest -n 3 $(foreach name,$(ASSIGNMENTS),$(wildcard tests/*/test_$(name).py))

quick: $(VENV)/installed check ## lint, types and every test that starts no process and no server
	python -m pytest -m quick -n 2

check: $(VENV)/installed
	ruff check .
	codespell
	ruff format --check .
	mypy
	lint-imports --no-cache
	deptry autograder exercises
	deptry tests book/tools --ignore DEP002,DEP004

# the known submissions are graded once, and again when what they leave may have changed
build/facts: $(wildcard solutions/*/*.ipynb tests/submissions/*/*.toml autograder/data/*.py \
  autograder/databricks/*.py autograder/evidence/*.py autograder/sandbox/*.py autograder/workspace/*.py) | $(VENV)/installed
	python -m tests.mutation.keep_facts

mutants: build/facts ## how many small changes to the rubrics and to grading the tests notice; EVERY=20: of a sample
	python -m pip install --quiet --disable-pip-version-check mutmut==3.8.1 # its operators; in no lock
	python -m tests.mutation '' $(EVERY)

book: $(VENV)/installed
	mlflow-kit book

screenshots: $(VENV)/installed ## the book's pictures of the MLflow UI; needs Debian's chromium
	python book/tools/screenshots.py

frameworks: $(FRAMEWORKS)/installed ## run the scripts of the chapter on other frameworks, and keep what they print
	$(FRAMEWORKS)/bin/python book/frameworks/run.py

languages: $(VENV)/installed ## the same for other languages; needs Debian's curl, r-base-core, r-cran-httr,
	python book/languages/run.py # r-cran-jsonlite and openjdk-17-jdk-headless

exercises: $(VENV)/installed ## make exercises/ from solutions/
	nbgrader generate_assignment '*' --force

lock: $(VENV)/installed ## requirements.lock, for Linux, macOS and Windows
	uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --no-annotate --quiet pyproject.toml -o requirements.lock

frameworks-lock: $(VENV)/installed ## that of the chapter on other frameworks, for Linux
	cd book/frameworks && uv pip compile --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --quiet requirements.in -o requirements.lock

clean: ## remove what was built; students' data stay
	rm -rf demo book/_build book/.jupyter_cache .pytest_cache .mypy_cache .ruff_cache

$(VENV)/installed: requirements.lock pyproject.toml
	@echo "Installing the locked packages into $(VENV) (a minute or two) …"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(FRAMEWORKS)/installed: book/frameworks/requirements.lock
	@echo "Installing the locked frameworks into $(FRAMEWORKS) (several GB, some minutes) …"
	test -x $(FRAMEWORKS)/bin/python || $(PYTHON) -m venv $(FRAMEWORKS)
	$(FRAMEWORKS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@
