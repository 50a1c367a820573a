"""Checkpoints of transformers for the tests: tiny, random, with a tokenizer of a few words, written to a folder."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = (*SPECIAL, "number", "is", "red", "blue", "green", "so", *map(str, range(10)), *(f"##{n}" for n in range(10)))


def write_tokenizer(folder: Path, words: tuple[str, ...] = WORDS) -> None:
    """Write a WordPiece tokenizer that sets [CLS] before a text and [SEP] behind it."""
    from transformers import PreTrainedTokenizerFast

    numbers = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token=SPECIAL[1]))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


def write_bert(folder: Path, *, seed: int = 0) -> str:
    """Write a BERT of two layers, with weights large enough to matter; return the folder as a setting has it."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    bert = BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=20, **sizes))
    for weights in bert.parameters():
        if weights.ndim == 2:
            torch.nn.init.normal_(weights, std=0.2)
    bert.save_pretrained(folder)
    write_tokenizer(folder)
    return str(folder)


def write_marian(folder: Path, *, seed: int = 0) -> str:
    """Write a translator of one layer, whose translations are nonsense; return the folder as a setting has it."""
    from transformers import MarianConfig, MarianMTModel

    torch.manual_seed(seed)
    one = {f"{side}_{what}": size for side in ("encoder", "decoder") for what, size in (("layers", 1), ("ffn_dim", 8))}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    ends = {"pad_token_id": 0, "eos_token_id": 3, "forced_eos_token_id": 3, "decoder_start_token_id": 0}
    config = MarianConfig(vocab_size=len(WORDS), d_model=8, max_position_embeddings=32, **one, **heads, **ends)
    MarianMTModel(config).save_pretrained(folder)
    write_tokenizer(folder)
    return str(folder)
