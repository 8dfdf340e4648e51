"""Settings: one frozen value, made by whoever starts a process and handed on. Nothing reads the environment later."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


def default_home() -> Path:
    """Where Wangge keeps what it makes: the user's data directory, or the system's for root.

    Root's own home is closed to the unprivileged account that runs the database, hence the difference.
    """
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/wangge")
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "wangge"


class Settings(BaseSettings):
    """All that can be set from outside, by environment variables with the prefix ``WANGGE_``.

    Attributes
    ----------
    database_url : str or None
        ``postgresql://…`` of an existing server with PostGIS. Without it the embedded cluster is used.
    database : str
        Name of the database in the embedded cluster: one town, one database.
    home : Path
        Folder of the embedded cluster, its logs, and artifacts.
    host, port
        Where ``wangge serve`` listens. Loopback unless said otherwise.
    language : str
        ``zh`` or ``en``: language of the command line. Pages and API follow the user.
    session_hours : float
        A session unused for so long has ended.
    secure_cookies : bool
        Send the session cookie over HTTPS only; switch on behind TLS.
    upload_limit_mb : int
        Larger uploads are refused before they are stored.
    geotag_days : float
        Results of batch geotagging are kept for so long.
    tile_cache_mb : int
        Tiles of the plans in force that each process keeps in memory; 0 makes each when it is asked for.
    tile_limit_kb : int
        Zooms at which a tile of cells would be larger show the tier above instead.
    place_url : str
        What the QR of a notice board says, with ``{code}`` for the code of the place; an address inside the house.
    web_dist : Path
        The built pages.
    """

    model_config = SettingsConfigDict(env_prefix="WANGGE_", frozen=True, extra="ignore")

    database_url: SecretStr | None = None
    database: str = "wangge"
    home: Path = default_home()
    host: str = "127.0.0.1"
    port: int = 8600
    language: str = "zh"
    session_hours: float = 12.0
    secure_cookies: bool = False
    upload_limit_mb: int = 512
    geotag_days: float = 7.0
    tile_cache_mb: int = 256
    tile_limit_kb: int = 2500
    place_url: str = "wangge:place/{code}"
    web_dist: Path = ROOT / "api" / "web" / "dist"
