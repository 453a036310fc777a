#!/usr/bin/env python3
"""What a user would write today for each method: PyTorch, `transformers` and, for MAD-X, `adapters`.

usage: plain_methods.py CORPUS --encoder DIR --method hyperx|mbert|psf|madx-language|madx-task --pairs pos:en,...
                        [--test pos:en,...] [--language-adapters en=DIR,...] [--save DIR] [--layers N] [--dtype fp32|bf16]
                        [--batch 32] [--steps 40] [--warmup 5] [--rate 1e-5] [--rate-warmup N] [--window 16] [--seed 1] [--threads 2] --json FILE

CORPUS is what `hyperx prepare` writes, so both read the same sub-words. Batches have sentences of one pair, drawn in proportion to its
size; a window of sentences is sorted by length first, so that little is padded. Dropout 0.1, AdamW without decay, clip 1.0, the rate
rises and falls linearly. The scores of --test are accuracy, entity F1 (seqeval), LAS (trees by ufal.chu_liu_edmonds), masked-word loss.

--save               madx-language: where the adapter goes
--language-adapters  madx-task: those of every language that is trained on or tested
"""
import argparse
import json
import pathlib
import random
import resource
import time

import h5py
import numpy as np
import torch
import torch.nn.functional as F
import transformers

IGNORED = -100
ADAPTER, EMBEDDING, PROJECTED = 128, 64, 32  # hyperx
LANGUAGE_ADAPTER, TASK_ADAPTER = 256, 48     # madx


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--method", choices=["hyperx", "mbert", "psf", "madx-language", "madx-task"], required=True)
    parser.add_argument("--pairs", required=True)
    parser.add_argument("--test", default="")
    parser.add_argument("--language-adapters", default="")
    parser.add_argument("--save")
    parser.add_argument("--layers", type=int, default=0)
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warmup", type=int, default=5, help="steps whose time does not count")
    parser.add_argument("--rate", type=float, default=1e-5)
    parser.add_argument("--rate-warmup", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--window", type=int, default=16, help="batches whose sentences are sorted by length together; 1: none are")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", required=True)
    return parser.parse_args()


# ---------------------------------------------------------------- data

class Corpus:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        index = json.loads((self.folder / "index.json").read_text())
        self.cls, self.sep, self.mask, self.vocabulary = (index[key] for key in ("cls_id", "sep_id", "mask_id", "vocabulary_size"))
        self.blank, self.longest, self.labels = index.get("blank_id", -1), index["max_subwords"], index["labels"]

    def sentences(self, pair, split):
        """Sub-words with [CLS] and [SEP], the word of each sub-word (-1: none), places and labels of the words."""
        task, language = pair.split(":")
        found = []
        with h5py.File(self.folder / f"{task}.{language}.h5") as file:
            part = {name: data[:] for name, data in file[split].items()}
        for k in range(len(part["sentence_starts"]) - 1):
            begin, end = part["sentence_starts"][k:k + 2]
            ids = part["token_ids"][begin:end].tolist()[:self.longest - 2]
            sentence = {"ids": [self.cls] + ids + [self.sep]}
            if "labels" in part:
                words = slice(*part["word_starts"][k:k + 2])
                kept = [(place + 1, label) for place, label in zip(part["word_positions"][words].tolist(), part["labels"][words].tolist())
                        if 0 <= place < len(ids)]
                sentence["where"], sentence["labels"] = [place for place, _ in kept], [label for _, label in kept]
                sentence["words"] = words.stop - words.start
            found.append(sentence)
        return found


def batches(sentences, size, draw, window):
    """Endless, each pass in another order."""
    while True:
        order = list(range(len(sentences)))
        draw.shuffle(order)
        for begin in range(0, len(order), window * size):
            near = sorted(order[begin:begin + window * size], key=lambda i: len(sentences[i]["ids"]))
            groups = [near[i:i + size] for i in range(0, len(near), size)]
            draw.shuffle(groups)
            yield from ([sentences[i] for i in group] for group in groups)


def padded(batch, key="ids", fill=0):
    longest = max(len(sentence[key]) for sentence in batch)
    rows = torch.full((len(batch), longest), fill)
    for row, sentence in zip(rows, batch):
        row[:len(sentence[key])] = torch.tensor(sentence[key])
    return rows


# ---------------------------------------------------------------- heads: loss and best labels of a batch

class Tagger(torch.nn.Module):
    def __init__(self, hidden, labels):
        super().__init__()
        self.linear = torch.nn.Linear(hidden, labels)
        torch.nn.init.normal_(self.linear.weight, std=0.02)
        torch.nn.init.zeros_(self.linear.bias)

    def logits(self, states, batch, pair):
        rows = torch.cat([state[sentence["where"]] for state, sentence in zip(states, batch)]).float()
        return self.linear(F.dropout(rows, 0.1, self.training))

    def loss(self, states, batch, pair):
        return F.cross_entropy(self.logits(states, batch, pair), torch.tensor([label for s in batch for label in s["labels"]]))

    def best(self, states, batch, pair):
        return self.logits(states, batch, pair).argmax(1).tolist()


class Psf(Tagger):
    """Generated last layers (Ponti et al. 2021), diagonal posterior, as their code computes them."""

    def __init__(self, labels, languages, hidden, steps, latent=100, layers=6):
        torch.nn.Module.__init__(self)
        self.tasks, self.languages, self.hidden, self.steps = sorted(labels), sorted(languages), hidden, steps
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

    def logits(self, states, batch, pair):
        task, language = pair.split(":")
        rows = torch.cat([state[sentence["where"]] for state, sentence in zip(states, batch)]).float()
        draws = []
        for kind, name in (("language", language), ("task", task)):
            mean, sigma = self.row(kind, name)
            draws.append(mean + sigma * torch.randn(3, mean.numel()) if self.training else mean[None])
        x = torch.cat([*draws, draws[0] - draws[1], draws[0] * draws[1]], 1)
        for layer in self.mlp:
            x = F.dropout(F.relu(layer(x)), 0.1, self.training)
        weights = self.mean[task](x)
        if self.training:
            weights = weights + F.softplus(self.logvar[task](x)) * torch.randn_like(weights)
        weights, biases = weights.view(len(weights), -1, self.hidden), self.bias[task](x)
        rows = F.dropout(rows, 0.1, self.training)
        return sum(F.linear(rows, weight, bias) for weight, bias in zip(weights, biases)) / len(weights)

    def loss(self, states, batch, pair):
        divergence = 0
        for kind, name in zip(("task", "language"), pair.split(":")):
            mean, variance = self.row(kind, name)
            divergence = divergence + 0.5 * (variance + mean ** 2 - 1 - variance.log()).sum()
        return super().loss(states, batch, pair) / sum(len(s["labels"]) for s in batch) + divergence / self.steps


class Biaffine(torch.nn.Module):
    """Arcs and relations over the means of the words' sub-words (Dozat and Manning 2017), heads by the maximum spanning tree."""

    def __init__(self, hidden, relations, blank):
        super().__init__()
        self.blank, self.relations = blank, relations
        self.arcs = torch.nn.Parameter(torch.zeros(hidden + 1, hidden))
        self.types = torch.nn.Parameter(torch.zeros(relations, hidden + 1, hidden + 1))

    def nodes(self, states, batch):
        """[sentences, 1 + words, hidden]; the root first."""
        longest = 1 + max(len(sentence["where"]) for sentence in batch)
        mixed = torch.zeros(len(batch), longest, states.shape[1])  # each node's share of each sub-word
        for share, sentence in zip(mixed, batch):
            share[0, 0] = 1
            bounds = sentence["where"] + [len(sentence["ids"]) - 1]
            for word, (begin, end) in enumerate(zip(bounds, bounds[1:]), start=1):
                own = [place for place in range(begin, end) if place == begin or sentence["ids"][place] != self.blank]
                share[word, own] = 1 / len(own)
        return mixed @ F.dropout(states.float(), 0.1, self.training)

    def arc_scores(self, nodes, batch):
        one = F.pad(nodes[:, 1:], (0, 1), value=1.0)
        scores = one @ self.arcs @ nodes.transpose(1, 2)
        lengths = torch.tensor([len(sentence["where"]) for sentence in batch])
        return scores.masked_fill(torch.arange(nodes.shape[1]) > lengths[:, None, None], -torch.inf)

    def relation_scores(self, nodes, heads):
        one = F.pad(nodes, (0, 1), value=1.0)
        head = one.gather(1, heads[..., None].expand(-1, -1, one.shape[2]))
        kept = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else one.dtype
        return torch.einsum("bih,rhk,bik->bir", one[:, 1:].to(kept), self.types.to(kept), head.to(kept)).float()

    def loss(self, states, batch, pair):
        nodes, labels = self.nodes(states, batch), padded(batch, "labels", IGNORED)
        heads = torch.where(labels < 0, IGNORED, labels // self.relations)
        types = torch.where(labels < 0, IGNORED, labels % self.relations)
        relations = self.relation_scores(nodes, heads.clamp_min(0))
        return F.cross_entropy(self.arc_scores(nodes, batch).flatten(0, 1), heads.flatten()) + F.cross_entropy(relations.flatten(0, 1), types.flatten())

    def best(self, states, batch, pair):
        from ufal.chu_liu_edmonds import chu_liu_edmonds
        nodes = self.nodes(states, batch)
        scores = self.arc_scores(nodes, batch).double().numpy()
        heads = torch.zeros(len(batch), nodes.shape[1] - 1, dtype=torch.long)
        for k, sentence in enumerate(batch):
            count = len(sentence["where"])
            own = np.full((count + 1, count + 1), np.nan)
            own[1:] = scores[k, :count, :count + 1]
            heads[k, :count] = torch.tensor(chu_liu_edmonds(own)[0][1:])
        types = self.relation_scores(nodes, heads).argmax(2)
        return [label for k, s in enumerate(batch) for label in (heads[k] * self.relations + types[k])[:len(s["where"])].tolist()]


class MaskedWords(torch.nn.Module):
    """BERT's own head; the masks are drawn as transformers' collator draws them."""

    def __init__(self, cls, corpus, draw):
        super().__init__()
        self.cls, self.corpus, self.draw = cls, corpus, draw

    def mask(self, batch):
        """Changes the batch's sub-words in a copy, and notes what they were: one at least."""
        masked = []
        for sentence in batch:
            ids, chosen = list(sentence["ids"]), []
            for place in range(1, len(ids) - 1):
                if self.draw.random() < 0.15:
                    chosen.append((place, ids[place]))
                    kind = self.draw.random()
                    ids[place] = self.corpus.mask if kind < 0.8 else self.draw.randrange(4, self.corpus.vocabulary) if kind < 0.9 else ids[place]
            masked.append({"ids": ids, "where": [place for place, _ in chosen], "labels": [label for _, label in chosen]})
        return masked if any(sentence["where"] for sentence in masked) else self.mask(batch)

    def loss(self, states, batch, pair):
        rows = torch.cat([state[sentence["where"]] for state, sentence in zip(states, batch)])
        return F.cross_entropy(self.cls(rows).float(), torch.tensor([label for s in batch for label in s["labels"]]))


# ---------------------------------------------------------------- encoders

class HyperAdapters(torch.nn.Module):
    """One hypernetwork for the adapters of all layers, tasks and languages (Üstün et al. 2022), hooked into the encoder's layers."""

    def __init__(self, encoder, pairs):
        super().__init__()
        hidden, layers = encoder.config.hidden_size, encoder.config.num_hidden_layers
        tasks, languages = (sorted({pair.split(":")[part] for pair in pairs}) for part in (0, 1))
        names = [*(f"task {name}" for name in tasks), *(f"language {name}" for name in languages), *(f"layer {i}" for i in range(layers))]
        self.places = {name: place for place, name in enumerate(names)}
        self.table = torch.nn.Embedding(len(names), EMBEDDING)
        self.project = torch.nn.Sequential(torch.nn.Linear(3 * EMBEDDING, 192), torch.nn.ReLU(), torch.nn.Linear(192, PROJECTED))
        shapes = [("down", (ADAPTER, hidden)), ("down_bias", (ADAPTER,)), ("up", (hidden, ADAPTER)), ("up_bias", (hidden,))]
        self.shapes = dict(shapes)
        self.generate = torch.nn.ModuleDict({name: torch.nn.Linear(PROJECTED, int(np.prod(shape))) for name, shape in shapes})
        for module in self.modules():
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.normal_(module.weight, std=0.02)
                torch.nn.init.zeros_(module.bias)
        self.current = None
        for i, layer in enumerate(encoder.encoder.layer):
            layer.output.dropout.register_forward_hook(lambda module, inputs, z, i=i: self.adapt(z, i))

    def choose(self, pair):
        task, language = pair.split(":")
        layers = sum(name.startswith("layer") for name in self.places)
        places = torch.tensor([[self.places[f"task {task}"], self.places[f"language {language}"], self.places[f"layer {i}"]] for i in range(layers)])
        sources = self.project(self.table(places).flatten(1))
        self.current = {name: self.generate[name](sources).view(layers, *shape) for name, shape in self.shapes.items()}

    def adapt(self, z, layer):
        own = {name: values[layer] for name, values in self.current.items()}
        return z + F.linear(F.relu(F.linear(z, own["down"], own["down_bias"])), own["up"], own["up_bias"])


def make_model(options):
    """A model with masked-word head; what is trained requires gradients."""
    config = transformers.AutoConfig.from_pretrained(options.encoder)
    if options.layers:
        config.num_hidden_layers = options.layers
    model = transformers.AutoModelForMaskedLM.from_pretrained(options.encoder, config=config, attn_implementation="sdpa")
    hidden = config.hidden_size
    if options.method.startswith("madx"):
        import adapters
        adapters.init(model)
        if options.method == "madx-language":
            model.add_adapter("language", config=adapters.SeqBnInvConfig(reduction_factor=hidden / LANGUAGE_ADAPTER, leave_out=[]))
            model.train_adapter("language")
            # With a head of transformers' own, adapters 1.3.0 does not invert what it has done after the embeddings.
            model.cls.predictions.decoder.register_forward_pre_hook(
                lambda module, inputs: (model.base_model.invertible_adapters_forward(inputs[0][None], rev=True)[0],))
            for value in model.cls.predictions.parameters():
                value.requires_grad_(value is not model.cls.predictions.decoder.weight)
        else:
            for item in options.language_adapters.split(","):
                language, folder = item.split("=")
                model.load_adapter(folder, load_as=language, leave_out=[])
            model.add_adapter("task", config=adapters.SeqBnConfig(reduction_factor=hidden / TASK_ADAPTER))
            model.train_adapter("task")
    elif options.method == "hyperx":
        for name, value in model.base_model.named_parameters():
            value.requires_grad_("LayerNorm" in name)
    return model


def choose(options, model, adapters_of_pair, pair):
    """Sets the model to what this pair uses."""
    if adapters_of_pair is not None:
        adapters_of_pair.choose(pair)
    elif options.method == "madx-task":
        import adapters
        model.active_adapters = adapters.composition.Stack(pair.split(":")[1], "task")


# ---------------------------------------------------------------- training and scores

def states_of(model, batch):
    ids = padded(batch)
    mask = torch.zeros_like(ids)
    for row, sentence in zip(mask, batch):
        row[:len(sentence["ids"])] = 1
    return model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state, int(mask.sum())


def score(corpus, pair, head, gold, guess, words):
    if pair.startswith("ner"):
        from seqeval.metrics import f1_score
        names = corpus.labels["ner"]
        return f1_score([[names[label] for label in sentence] for sentence in gold], [[names[label] for label in sentence] for sentence in guess])
    return sum(a == b for x, y in zip(gold, guess) for a, b in zip(x, y)) / words


def test(options, corpus, model, heads, adapters_of_pair, pair):
    sentences, head = corpus.sentences(pair, "test"), heads[pair.split(":")[0]]
    choose(options, model, adapters_of_pair, pair)
    gold, guess, loss, count = [], [], 0.0, 0
    for begin in range(0, len(sentences), 32):
        batch = sentences[begin:begin + 32]
        if isinstance(head, MaskedWords):
            batch = head.mask(batch)
        states, _ = states_of(model, batch)
        labels = [label for sentence in batch for label in sentence["labels"]]
        if isinstance(head, MaskedWords):
            loss, count = loss + float(head.loss(states, batch, pair)) * len(labels), count + len(labels)
            continue
        best = iter(head.best(states, batch, pair))
        for sentence in batch:
            gold.append(sentence["labels"])
            guess.append([next(best) for _ in sentence["labels"]])
    return loss / count if count else score(corpus, pair, head, gold, guess, sum(sentence["words"] for sentence in sentences))


def main():
    options = arguments()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    draw = random.Random(options.seed)
    corpus, pairs = Corpus(options.corpus), options.pairs.split(",")
    data = {pair: corpus.sentences(pair, "train") for pair in pairs}
    model = make_model(options)
    hidden = model.config.hidden_size
    adapters_of_pair = HyperAdapters(model.base_model, pairs) if options.method == "hyperx" else None
    tasks = {pair.split(":")[0] for pair in pairs}
    if options.method == "psf":
        psf = Psf({task: corpus.labels[task] for task in tasks}, {pair.split(":")[1] for pair in pairs}, hidden, options.steps)
        heads = torch.nn.ModuleDict({task: psf for task in tasks})
    else:
        make = {"dep": lambda: Biaffine(hidden, len(corpus.labels["dep"]), corpus.blank), "mlm": lambda: MaskedWords(model.cls, corpus, draw)}
        heads = torch.nn.ModuleDict({task: make.get(task, lambda: Tagger(hidden, len(corpus.labels[task])))() for task in tasks})
    parts = [model.base_model, heads] + ([adapters_of_pair] if adapters_of_pair is not None else [])
    trained = list({id(value): value for part in parts for value in part.parameters() if value.requires_grad}.values())
    optimizer = torch.optim.AdamW(trained, lr=options.rate, weight_decay=0, fused=True)
    scale = lambda k: k / max(1, options.rate_warmup) if k < options.rate_warmup else (options.steps - k) / max(1, options.steps - options.rate_warmup)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
    streams = {pair: batches(sentences, options.batch, draw, options.window) for pair, sentences in data.items()}
    sizes = [len(sentences) for sentences in data.values()]
    for part in parts:
        part.train()
    tokens = seconds = 0
    losses = []
    for step in range(options.steps):
        pair = draw.choices(pairs, sizes)[0]
        head = heads[pair.split(":")[0]]
        batch = next(streams[pair])
        begin = time.perf_counter()
        if isinstance(head, MaskedWords):
            batch = head.mask(batch)
        choose(options, model, adapters_of_pair, pair)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.dtype == "bf16"):
            states, count = states_of(model, batch)
            loss = head.loss(states, batch, pair)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step >= options.warmup:
            seconds += time.perf_counter() - begin
            tokens += count
    counted = options.steps - options.warmup
    result = {"tokens_per_s": tokens / seconds, "s_per_step": seconds / counted, "tokens_per_step": tokens / counted,
              "trained": sum(value.numel() for value in trained), "losses": losses,
              "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    for part in parts:
        part.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=options.dtype == "bf16"):
        result["scores"] = {pair: test(options, corpus, model, heads, adapters_of_pair, pair) for pair in options.test.split(",") if pair}
    if options.save:
        model.save_adapter(options.save, "language")
    pathlib.Path(options.json).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
