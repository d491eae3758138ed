# Each target is one line; the work is in tests/ and packaging/.
PYTHON = .venv/bin/python
GROUND = $(PYTHON) -m tests.container.ground
RELEASE = 13

.PHONY: demo provision test test-vm-large lint bench bench-vm shell vm install deb wheel man docs proto clean

demo:  ## Joblet in a disposable virtual machine, with jobs that run into every limit; needs root
	tests/provision demo
	python3 -B -m tests.vm.demo --release $(RELEASE)

provision:  ## Debian packages and .venv, for everything below
	tests/provision

test:  ## every tier; a skip is a failure; needs root
	tests/provision test
	JOBLET_TESTS_STRICT=1 $(PYTHON) -m pytest

test-vm-large: provision  ## 10,000 files, one of 1 GiB and 1,000 jobs in virtual machines of both releases; needs root
	JOBLET_TESTS_STRICT=1 JOBLET_VM_LARGE=1 JOBLET_VM_RELEASES=13,12 $(PYTHON) -m pytest tests/vm/test_many.py

lint: provision  ## ruff and mypy
	$(PYTHON) -m pytest -q tests/contract/test_lint.py

bench: provision  ## the bars and the peers, measured in a container; table and JSON in build/bench; needs root
	$(PYTHON) -m tests.bench.ground --output build/bench

bench-vm: provision  ## what limits, ids and quotas cost where they are enforced; in build/bench-vm; needs root
	$(PYTHON) -m tests.bench.ground --vm --output build/bench-vm

shell: provision  ## a machine of the container ground, with a shell in it; needs root
	$(GROUND)

vm: provision  ## a virtual machine with Joblet in it, and a shell (RELEASE=12: Debian 12); needs root
	$(PYTHON) -m tests.vm.ground --release $(RELEASE)

install:  ## Joblet onto this machine, from this checkout; needs root
	packaging/install

deb:  ## Debian packages of this checkout, in dist/
	packaging/deb

wheel: provision  ## the client side as a Python package, in dist/
	packaging/wheel

man docs: provision  ## what man pages, completions and docs/dbus-api.md tell of the sources
	$(PYTHON) packaging/pages

proto:  ## the Python modules of the gRPC contract, from service/joblet/rpc/proto
	packaging/proto

clean:  ## caches and build results of this checkout
	rm -rf build dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
