# The contributor's commands. `just` lists them.

python := ".venv/bin/python"

_default:
    @just --list --justfile {{justfile()}}

# Prepare this machine and this folder
setup:
    scripts/setup test

# Build the demo town and serve it
demo *options:
    scripts/demo {{options}}

# Serve the pages, the map API and the tiles
serve *options:
    .venv/bin/wangge serve {{options}}

# Run the long jobs that planners ask for
worker:
    .venv/bin/wangge worker

# Run every test
test *options:
    scripts/test {{options}}

# Run the quick tests only
test-fast *options:
    {{python}} -m pytest -n 2 -m "not slow and not browser" {{options}}

# Look for faults of style, types and layers
lint:
    .venv/bin/ruff check .
    .venv/bin/lint-imports
    .venv/bin/mypy
    cd api/web && npm run check

# Put the Python sources into their form
fmt:
    .venv/bin/ruff check --fix .
    .venv/bin/ruff format .

# Bring the database to the newest schema
migrate:
    .venv/bin/wangge db migrate

# Lock the Python packages anew, by hash
lock:
    uv pip compile --universal --generate-hashes --no-header --no-annotate --group test pyproject.toml --output-file requirements.lock
