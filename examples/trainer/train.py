"""Hugging Face's Trainer teaches a tiny BERT which brackets are balanced. `train` is what hpsearch searches."""

import random

from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from hpsearch.transformers import Callback

LENGTH = 12


def brackets(count, seed):
    """Return texts of brackets as tokens (1 opens, 2 closes), every other one balanced."""
    draw = random.Random(seed)
    examples = []
    for number in range(count):
        words, open_ones = [], 0
        while len(words) < LENGTH:
            left = LENGTH - len(words)
            opens = open_ones == 0 or (open_ones < left and draw.random() < 0.5)
            words.append(1 if opens else 2)
            open_ones += 1 if opens else -1
        if number % 2:
            draw.shuffle(words)
        examples.append({"input_ids": words, "labels": int(balanced(words))})
    return examples


def balanced(words):
    """Check whether every bracket is closed, and none before it was opened."""
    depth = 0
    for word in words:
        depth += 1 if word == 1 else -1
        if depth < 0:
            return False
    return depth == 0


def accuracy(found):
    """Return what the Trainer calls eval_accuracy, and hpsearch val/accuracy."""
    return {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())}


def train(lr: float, width: int = 32, layers: int = 1, epochs: int = 10, *, report):
    """Train a classifier on 400 texts."""
    search = Callback(report)
    config = BertConfig(
        vocab_size=3,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=LENGTH,
    )
    settings = TrainingArguments(
        search.folder,
        seed=search.seed,
        learning_rate=lr,
        num_train_epochs=epochs,
        per_device_train_batch_size=32,
        eval_strategy="epoch",
        save_total_limit=1,
        report_to=[],
        disable_tqdm=True,
    )
    trainer = Trainer(
        BertForSequenceClassification(config),
        settings,
        train_dataset=brackets(400, report.split_seed),
        eval_dataset=brackets(200, report.split_seed + 1),
        compute_metrics=accuracy,
        callbacks=[search],
    )
    trainer.train(resume_from_checkpoint=search.checkpoint)
    if search.tests:
        trainer.predict(brackets(200, report.split_seed + 2))
