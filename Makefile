# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.DEFAULT_GOAL := help
.PHONY: help demo test bench test-all test-registries test-lint test-unit test-sanity test-integration test-docs test-build lint build clean

help: ## list these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' Makefile

demo: ## show the collection at work on a real registry (or on yours: REGISTRY_URL=https://...)
	@tests/demo

test: ## run every check and test
	@tests/run all

bench: ## measure the collection beside crane, regctl, regbot, oras and skopeo (needs Go; tens of minutes)
	@tests/setup tests
	@PYTHONPATH=.cache/dev .venv/bin/python -m tests.bench.compare $(ROWS)

test-all: ## the same, and the tests that meet a registry against other registries too (needs Go)
	@tests/run all other-registries

test-registries: ## those tests against other registries alone
	@tests/run other-registries

lint: test-lint ## format, types, YAML, shell and action groups

test-lint:
	@tests/run lint

test-unit: ## run the unit tests
	@tests/run unit

test-sanity: ## run every test of ansible-test sanity
	@tests/run sanity

test-integration: ## run the integration targets against real registries
	@tests/run integration

test-docs: ## check documentation and changelog
	@tests/run docs

test-build: ## build the collection and check the archive as Ansible Galaxy does
	@tests/run build

build: ## build the collection archive into .cache/build
	@tests/build

clean: ## remove everything that these targets made
	rm -rf .venv .cache .hypothesis
