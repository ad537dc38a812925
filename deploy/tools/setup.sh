#!/bin/sh
# Make .tools/bin/uv and .venv out of python3 (3.11 or newer) and pip. `uv`: only that.
set -eu
cd "$(dirname "$0")/../.."

say() { printf '%s\n' "$*" >&2; }

find_python() {
	for name in python3 python3.14 python3.13 python3.12 python3.11; do
		if command -v "$name" >/dev/null 2>&1 &&
			"$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
			command -v "$name"
			return
		fi
	done
	say "Python 3.11 or newer is needed and was not found: install python3.11 or newer"
	exit 1
}

# The hashed requirement of uv, cut out of the lock: uv itself is checked as well.
uv_requirement() {
	if [ -f requirements.lock ]; then
		awk '/^uv==/ {on=1} on {print} on && !/\\$/ {exit}' requirements.lock
	else
		echo 'uv>=0.13,<0.14'
	fi
}

install_uv() {
	if ! "$python" -m pip --version >/dev/null 2>&1; then
		say "pip is needed and $python has none: install python3-pip"
		exit 1
	fi
	mkdir -p .tools
	uv_requirement >.tools/uv.txt
	# --target needs no rights, and is allowed where the system's Python is managed
	# by the distribution.
	PIP_USER=0 PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --quiet --disable-pip-version-check \
		--no-warn-script-location --no-compile --upgrade --target .tools \
		--requirement .tools/uv.txt
	touch .tools/bin/uv
}

# uv does not read pip's settings: whoever has chosen an index for pip means it.
follow_pip() {
	if [ -z "${UV_DEFAULT_INDEX:-}" ]; then
		index=$("$python" -m pip config get global.index-url 2>/dev/null || true)
		[ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
	fi
}

python=$(find_python)
if [ ! -x .tools/bin/uv ] || ! uv_requirement | cmp -s - .tools/uv.txt; then
	say "setup: uv"
	install_uv
fi
[ "${1:-}" != uv ] || exit 0

export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
follow_pip
if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
	say "setup: .venv with $("$python" --version)"
	.tools/bin/uv --quiet venv --clear --python "$python" .venv
fi
say "setup: packages"
.tools/bin/uv --quiet pip install --python .venv/bin/python --require-hashes \
	--only-binary :all: --requirement requirements.lock
set --
for member in libs/*/ services/*/; do
	[ ! -f "$member/pyproject.toml" ] || set -- "$@" --editable "./${member%/}"
done
# uv builds them with the uv_build in itself: nothing is downloaded that has no hash.
.tools/bin/uv --quiet pip install --python .venv/bin/python --no-deps --offline "$@"
touch .venv/ready
