#!/bin/sh
# Put the provider of identities that the tests sign in with into .tools, where npm is.
# Without it those tests are skipped; nothing else needs it.
set -eu
cd "$(dirname "$0")/../.."
there=.tools/oidc-provider
mkdir -p "$there"
if ! command -v npm >/dev/null 2>&1; then
	echo "setup: no npm: the tests with a real provider of identities are skipped" >&2
elif ! cmp -s tests/oidc_provider/package-lock.json "$there/package-lock.json" ||
	! [ -d "$there/node_modules" ]; then
	echo "setup: a provider of identities, for the tests" >&2
	cp tests/oidc_provider/package.json tests/oidc_provider/package-lock.json "$there"
	# No script of a package is run.
	npm ci --prefix "$there" --ignore-scripts --no-audit --no-fund --silent ||
		rm -rf "$there/node_modules"
fi
touch "$there/ready"
