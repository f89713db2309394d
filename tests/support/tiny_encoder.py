"""Sentence encoders of a few kilobytes, with random weights: real folders of `transformers`."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaModel,
)

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tiny_bert(folder: Path, words: list[str]) -> Path:
    """A BERT with the words and the letters as its WordPiece vocabulary."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789,.-"
    pieces = [*_SPECIAL, *letters, *(f"##{letter}" for letter in letters), *words]
    pieces = list(dict.fromkeys(pieces))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(pieces))
    torch.manual_seed(3)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(pieces), intermediate_size=64, **sizes)
    BertModel(config, add_pooling_layer=False).eval().save_pretrained(folder)
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def tiny_xlm_roberta(folder: Path, words: list[str]) -> Path:
    """An XLM-RoBERTa with a Unigram tokenizer, as the multilingual encoders have: no WordPiece, and
    other names for its special pieces."""
    text = "".join(words)
    pieces = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
    pieces += [(f"▁{word}", -3.0) for word in dict.fromkeys(words)]
    pieces += [(letter, -9.0) for letter in dict.fromkeys("▁" + text)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    named = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)
    torch.manual_seed(3)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = XLMRobertaConfig(vocab_size=len(pieces), intermediate_size=64, pad_token_id=1, **sizes)
    XLMRobertaModel(config, add_pooling_layer=False).eval().save_pretrained(folder)
    return folder
