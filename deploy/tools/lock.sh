#!/bin/sh
# Resolve every package and group for every platform into requirements.lock, with
# hashes, and without naming where packages come from.
set -eu
cd "$(dirname "$0")/../.."
.tools/bin/uv --quiet lock --upgrade
{
	echo "# Made by \`make lock\`: every dependency of every package, for every platform."
	.tools/bin/uv --quiet export --frozen --all-packages --all-groups \
		--no-emit-workspace --no-header --no-annotate --format requirements.txt
} >requirements.lock.new
if grep -nE '://|^(-i|--index|--extra-index|--find-links)' requirements.lock.new; then
	rm requirements.lock.new
	echo "the lock names a place where packages come from" >&2
	exit 1
fi
mv requirements.lock.new requirements.lock
