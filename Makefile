# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.DEFAULT_GOAL := help
.PHONY: help demo docs test coverage lock bench test-all test-matrix test-registries test-lint test-unit test-sanity test-integration test-rulebook test-docs test-site test-build lint build release clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' Makefile

demo: ## run the modules on a real registry (or on yours: REGISTRY_URL=https://...), about 15 seconds
	@tests/demo

test: ## run all checks and tests, 15 to 20 minutes on two cores
	@tests/run all

bench: ## compare with crane, regctl, regbot, oras and skopeo (requires Go; tens of minutes)
	@tests/setup tests
	@PYTHONPATH=.cache/dev .venv/bin/python -m tests.bench.compare $(ROWS)

test-all: ## run the same, also with the oldest and newest ansible-core, every Python and other registries (requires Go)
	@tests/run all every-way other-registries

test-matrix: ## run tests with every supported ansible-core, Python and requests (MATRIX="2.16 2.22": only these)
	@tests/run matrix

test-registries: ## run the tests against other registries only (requires Go)
	@tests/run other-registries

lint: test-lint ## check format, types, YAML, shell scripts and action groups

test-lint:
	@tests/run lint

test-unit: ## run the unit tests
	@tests/run unit

test-sanity: ## run every test of ansible-test sanity
	@tests/run sanity

test-integration: ## run the integration targets against real registries
	@tests/run integration

test-rulebook: ## run the rulebook by ansible-rulebook, which is installed into .cache (requires Java)
	@tests/run rulebook

test-docs: ## check documentation and changelog
	@tests/run docs

docs: ## build the documentation site into .cache/docsite/html
	@tests/docs

test-site: ## build the documentation site and open all pages in headless Chromium
	@tests/run site

test-build: ## build the collection and check the archive as Ansible Galaxy does
	@tests/run build

build: ## build the collection archive into .cache/build
	@tests/build

coverage: ## run the unit and integration tests and show the lines and branches that no test runs, 30 to 60 minutes
	@tests/run coverage

lock: ## write tests/requirements*.txt from tests/requirements*.in again (with ARGUMENTS=--upgrade: newest versions)
	@tests/lock $(ARGUMENTS)

release: ## check version, changelog, archive and demo of a release; it publishes nothing
	@tests/release

clean: ## remove everything that these targets made
	rm -rf .venv .cache .hypothesis
