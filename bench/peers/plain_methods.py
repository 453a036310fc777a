#!/usr/bin/env python3
"""What a user would write today for full fine-tuning, PSF and MAD-X: PyTorch, `transformers` and, for MAD-X, `adapters`.

usage: plain_methods.py DATA.json --encoder DIR --method mbert|psf|madx-task [--layers N] [--dtype fp32|bf16] [--batch 32] [--steps 40]
                        [--warmup 5] [--rate 1e-5] [--rate-warmup N] [--seed 1] [--threads 2] [--score] --json FILE

DATA.json holds, by pair of task and language, sentences as sub-words: {"labels": {task: [...]}, "train": {pair: [{"ids": [...], "where":
[...], "labels": [...]}]}, "test": {...}}. Batches have sentences of one pair, drawn in proportion to its size; a window of sentences is
sorted by length first, so that little is padded. Dropout 0.1, AdamW without decay, clip 1.0, the rate rises and falls linearly.
"""
import argparse
import json
import random
import time

import torch
import torch.nn.functional as F
import transformers

WINDOW = 16  # batches whose sentences are sorted together


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--method", choices=["mbert", "psf", "madx-task"], required=True)
    parser.add_argument("--layers", type=int, default=0)
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warmup", type=int, default=5, help="steps that do not count")
    parser.add_argument("--rate", type=float, default=1e-5)
    parser.add_argument("--rate-warmup", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--score", action="store_true", help="accuracy or entity F1 of each test pair (needs seqeval)")
    parser.add_argument("--json", required=True)
    return parser.parse_args()


class Psf(torch.nn.Module):
    """Generated last layers (Ponti et al. 2021), diagonal posterior, as their code computes them."""

    def __init__(self, labels, languages, hidden, latent=100, layers=6):
        super().__init__()
        self.tasks, self.languages, self.hidden = sorted(labels), sorted(languages), hidden
        self.latent = torch.nn.ParameterDict({f"{kind}_{part}": torch.nn.Parameter(0.02 * torch.randn(len(names), latent))
                                              for kind, names in (("task", self.tasks), ("language", self.languages))
                                              for part in ("mean", "logvar")})
        widths = [4 * latent] + [hidden] * (layers - 1) + [latent]
        self.mlp = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
        self.mean = torch.nn.ModuleDict({task: torch.nn.Linear(latent, len(labels[task]) * hidden) for task in self.tasks})
        self.logvar = torch.nn.ModuleDict({task: torch.nn.Linear(latent, len(labels[task]) * hidden) for task in self.tasks})
        self.bias = torch.nn.ModuleDict({task: torch.nn.Linear(latent, len(labels[task])) for task in self.tasks})
        for module in self.modules():
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.normal_(module.weight, std=0.02)
                torch.nn.init.zeros_(module.bias)

    def row(self, kind, name):
        index = (self.tasks if kind == "task" else self.languages).index(name)
        return self.latent[f"{kind}_mean"][index], F.softplus(self.latent[f"{kind}_logvar"][index])

    def forward(self, rows, task, language, samples=3):
        draws = []
        for kind, name in (("language", language), ("task", task)):
            mean, sigma = self.row(kind, name)
            draws.append(mean + sigma * torch.randn(samples, mean.numel()) if self.training else mean[None])
        x = torch.cat([*draws, draws[0] - draws[1], draws[0] * draws[1]], 1)
        for layer in self.mlp:
            x = F.dropout(F.relu(layer(x)), 0.1, self.training)
        weights = self.mean[task](x)
        if self.training:
            weights = weights + F.softplus(self.logvar[task](x)) * torch.randn_like(weights)
        weights, biases = weights.view(len(weights), -1, self.hidden), self.bias[task](x)
        rows = F.dropout(rows, 0.1, self.training)
        return sum(F.linear(rows, weight, bias) for weight, bias in zip(weights, biases)) / len(weights)

    def divergence(self, task, language):
        total = 0
        for kind, name in (("language", language), ("task", task)):
            mean, variance = self.row(kind, name)
            total = total + 0.5 * (variance + mean ** 2 - 1 - variance.log()).sum()
        return total


class Heads(torch.nn.Module):
    def __init__(self, labels, hidden):
        super().__init__()
        self.linear = torch.nn.ModuleDict({task: torch.nn.Linear(hidden, len(names)) for task, names in labels.items()})
        for layer in self.linear.values():
            torch.nn.init.normal_(layer.weight, std=0.02)
            torch.nn.init.zeros_(layer.bias)

    def forward(self, rows, task, language):
        return self.linear[task](F.dropout(rows, 0.1, self.training))


def make_encoder(options):
    config = transformers.AutoConfig.from_pretrained(options.encoder)
    if options.layers:
        config.num_hidden_layers = options.layers
    encoder = transformers.AutoModel.from_pretrained(options.encoder, config=config, add_pooling_layer=False, attn_implementation="sdpa")
    if options.method == "madx-task":
        import adapters
        adapters.init(encoder)
        hidden = config.hidden_size
        encoder.add_adapter("language", config=adapters.SeqBnInvConfig(reduction_factor=hidden / 256, leave_out=[]))
        encoder.add_adapter("task", config=adapters.SeqBnConfig(reduction_factor=hidden / 48))
        encoder.train_adapter("task")
        encoder.active_adapters = adapters.composition.Stack("language", "task")
    return encoder


def batches(sentences, size, draw):
    """Endless, each pass in another order."""
    while True:
        order = list(range(len(sentences)))
        draw.shuffle(order)
        for begin in range(0, len(order), WINDOW * size):
            window = sorted(order[begin:begin + WINDOW * size], key=lambda i: len(sentences[i]["ids"]))
            groups = [window[i:i + size] for i in range(0, len(window), size)]
            draw.shuffle(groups)
            yield from ([sentences[i] for i in group] for group in groups)


def padded(batch):
    longest = max(len(sentence["ids"]) for sentence in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    mask = torch.zeros(len(batch), longest, dtype=torch.long)
    where, labels = [], []
    for row, sentence in enumerate(batch):
        length = len(sentence["ids"])
        ids[row, :length] = torch.tensor(sentence["ids"])
        mask[row, :length] = 1
        where += [row * longest + place for place in sentence["where"]]
        labels += sentence["labels"]
    return ids, mask, torch.tensor(where), torch.tensor(labels)


def rows_of(encoder, ids, mask, where):
    states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    return states.reshape(-1, states.shape[-1])[where]


def score(encoder, heads, data, options):
    from seqeval.metrics import f1_score
    encoder.eval(), heads.eval()
    found = {}
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=options.dtype == "bf16"):
        for pair, sentences in data["test"].items():
            task, language = pair.split(":")
            if options.method == "psf" and language not in heads.languages:
                continue
            names, gold, guess = data["labels"][task], [], []
            for begin in range(0, len(sentences), 32):
                batch = sentences[begin:begin + 32]
                ids, mask, where, _ = padded(batch)
                best = heads(rows_of(encoder, ids, mask, where).float(), task, language).argmax(1).tolist()
                for sentence in batch:
                    gold.append([names[label] for label in sentence["labels"]])
                    guess.append([names[best.pop(0)] for _ in sentence["labels"]])
            right = sum(a == b for x, y in zip(gold, guess) for a, b in zip(x, y))
            found[pair] = f1_score(gold, guess) if task == "ner" else right / sum(map(len, gold))
    return found


def main():
    options = arguments()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    with open(options.data) as file:
        data = json.load(file)
    encoder = make_encoder(options)
    hidden = encoder.config.hidden_size
    languages = {pair.split(":")[1] for pair in data["train"]}
    heads = Psf(data["labels"], languages, hidden) if options.method == "psf" else Heads(data["labels"], hidden)
    trained = [value for value in [*encoder.parameters(), *heads.parameters()] if value.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.rate, weight_decay=0, fused=True)
    scale = lambda k: k / max(1, options.rate_warmup) if k < options.rate_warmup else (options.steps - k) / max(1, options.steps - options.rate_warmup)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
    draw = random.Random(options.seed)
    streams = {pair: batches(sentences, options.batch, draw) for pair, sentences in data["train"].items()}
    sizes = [len(sentences) for sentences in data["train"].values()]
    encoder.train(), heads.train()
    tokens = seconds = 0
    for step in range(options.steps):
        pair = draw.choices(list(streams), sizes)[0]
        task, language = pair.split(":")
        batch = next(streams[pair])
        begin = time.perf_counter()
        ids, mask, where, labels = padded(batch)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.dtype == "bf16"):
            rows = rows_of(encoder, ids, mask, where)
        loss = F.cross_entropy(heads(rows.float(), task, language), labels)
        if options.method == "psf":
            loss = loss / len(labels) + heads.divergence(task, language) / options.steps
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        if step >= options.warmup:
            seconds += time.perf_counter() - begin
            tokens += int(mask.sum())
    counted = options.steps - options.warmup
    result = {"tokens_per_s": tokens / seconds, "s_per_step": seconds / counted, "tokens_per_step": tokens / counted,
              "trained": sum(value.numel() for value in trained)}
    if options.score:
        result["scores"] = score(encoder, heads, data, options)
    with open(options.json, "w") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
