"""Serve the tables of the schema ``peer`` by TiPG, on uvicorn, without middleware of its own that costs time.

usage: run_tipg.py URL PORT [MOST_FEATURES_OF_A_TILE]
"""

from __future__ import annotations

import os
import sys


def main(url: str, port: str, most: str = "100000") -> None:
    """Serve until told to stop."""
    os.environ |= {
        "DATABASE_URL": url,
        "DB_MIN_CONN_SIZE": "8",
        "DB_MAX_CONN_SIZE": "8",
        "TIPG_MAX_FEATURES_PER_TILE": most,
        "TIPG_DB_SCHEMAS": '["peer"]',
        "TIPG_DEFAULT_FEATURES_LIMIT": "10",
    }
    import uvicorn

    uvicorn.run("tipg.main:app", host="127.0.0.1", port=int(port), log_level="error", access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
