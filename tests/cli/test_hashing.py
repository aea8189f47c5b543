"""`sfumato models hash` of a whole library."""

from pathlib import Path

from sfumato.cli.hashing import hash_all
from sfumato.models.digests import known_digests
from sfumato.settings import Settings
from tiny_adapters import kohya_lora, write_adapter


def test_every_file_has_its_digest_afterwards(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", model_dirs=(tmp_path,))
    paths = [
        write_adapter(tmp_path / "loras" / f"{name}.safetensors", kohya_lora(seed=1)) for name in ("a", "b")
    ]
    paths[1].write_bytes(b"short")  # whatever it is, it has a digest
    hash_all(settings)
    assert all(known_digests(one, settings) is not None for one in paths)
