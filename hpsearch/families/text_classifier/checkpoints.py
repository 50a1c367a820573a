"""The door to transformers: tokenizers and models from a local folder, never from a hub, and never with its code.

A folder is what `save_pretrained` writes: config.json, model.safetensors, tokenizer.json.
"""

from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch

from hpsearch.errors import DataError

_LOCAL = {"local_files_only": True, "trust_remote_code": False}


def transformers_package() -> Any:
    """Return transformers, made silent.

    Raises:
        DataError: It is not installed.
    """
    try:
        import transformers
    except ImportError:
        raise DataError(
            "checkpoints of transformers need a package that is missing: pip install 'hpsearch[text]'"
        ) from None
    logging: Any = transformers.utils.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    return transformers


@cache
def read_tokenizer(path: str, *, setting: str) -> Any:
    """Return the tokenizer of a folder that a setting names.

    Raises:
        DataError: The folder holds none that can be used.
    """
    return _read("tokenizer", path, setting)


def read_config(path: str, *, setting: str) -> Any:
    """Return what the folder says of its model.

    Raises:
        DataError: The folder holds none that can be used.
    """
    return _read("config", path, setting)


def read_model(path: str, *, setting: str, kind: str = "AutoModel", weights: bool = True) -> Any:
    """Return the model of a folder in single precision; without `weights`, with random ones.

    Raises:
        DataError: The folder holds none that can be used.
    """
    config = read_config(path, setting=setting)
    folder, maker = _folder(path, setting), getattr(transformers_package(), kind)
    try:
        if not weights:
            return maker.from_config(config, trust_remote_code=False, dtype=torch.float32)
        model, loaded = maker.from_pretrained(
            folder, config=config, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **_LOCAL
        )
    except Exception as error:  # noqa: BLE001 - a broken file raises the errors of whatever reads it
        raise _not_usable(setting, folder, "model", error) from None
    # a checkpoint of a language model has no pooler, which then begins with random weights
    missing = sorted(name for name in loaded["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise DataError(f"{setting}: the weights in {folder} are not those of its model: {missing[0]} is missing")
    return model


def _read(what: Literal["tokenizer", "config"], path: str, setting: str) -> Any:
    folder, maker = _folder(path, setting), getattr(transformers_package(), f"Auto{what.title()}")
    try:
        return maker.from_pretrained(folder, **_LOCAL)
    except Exception as error:  # noqa: BLE001 - a broken file raises the errors of whatever reads it
        raise _not_usable(setting, folder, what, error) from None


def _folder(path: str, setting: str) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DataError(f"{setting}: there is no folder {folder}")
    return folder


def _not_usable(setting: str, folder: Path, what: str, error: Exception) -> DataError:
    reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
    return DataError(f"{setting}: no {what} of transformers can be read from {folder}: {reason}")
