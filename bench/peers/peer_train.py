#!/usr/bin/env python3
"""Hyper-X training in PyTorch: the peer to measure against.

One file, no framework: a frozen BERT encoder (LayerNorms trainable), a hypernetwork that writes the
adapters of all layers (the paper's formula), a pos and an mlm head, temperature sampling over task#language pairs, dense gradients, clip at 1.0, Adam, linear schedule. Run with --help for the options,
with --check for its self-test, under torchrun for DistributedDataParallel.
"""
import argparse
import contextlib
import ctypes
import json
import math
import os
import platform
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

UPOS = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
TASKS = ["pos", "mlm"]
LANGUAGES = "en ar zh tr kk ta yue br is tl yo fo ug mt sa hsb gn".split()
POS_FILES = {"en": "en_ewt/en_ewt-ud-train.conllu", "tr": "tr_imst/tr_imst-ud-train.conllu",
             "ta": "ta_ttb/ta_ttb-ud-train.conllu", "ug": "ug_udt/ug_udt-ud-train.conllu",
             "mt": "mt_mudt/mt_mudt-ud-train.conllu", "fo": "fo_farpahc/fo_farpahc-ud-train.conllu"}
PAD, CLS, SEP, MASK = 0, 101, 102, 103
ENCODERS = {"random-mbert": dict(layers=12, hidden=768, heads=12, ffn=3072, vocab=119547),
            "small": dict(layers=4, hidden=256, heads=4, ffn=1024, vocab=119547)}


# ---------------------------------------------------------------------------------------------- the model

class _Pad(torch.autograd.Function):
    """[tokens, d] -> [rows, d] with zeros elsewhere; the backward is a plain gather."""
    @staticmethod
    def forward(ctx, x, index, rows: int):
        ctx.save_for_backward(index)
        return x.new_zeros(rows, x.shape[1]).index_copy_(0, index, x)

    @staticmethod
    def backward(ctx, g):
        return g.index_select(0, ctx.saved_tensors[0]), None, None


class _Unpad(torch.autograd.Function):
    """[rows, d] -> [tokens, d]; indices are distinct, so the backward is a copy, not an accumulation."""
    @staticmethod
    def forward(ctx, x, index):
        ctx.save_for_backward(index)
        ctx.rows = x.shape[0]
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx, g):
        return g.new_zeros(ctx.rows, g.shape[1]).index_copy_(0, ctx.saved_tensors[0], g), None


class _BitDropout(torch.autograd.Function):
    """Dropout from 16 random bits a value, four values a draw: the CPU's bernoulli_ costs about 9 ns a value."""
    @staticmethod
    def forward(ctx, x, p):
        n = x.numel()
        bits = torch.empty((n + 3) // 4, dtype=torch.int64, device=x.device).random_(-2**63, None).view(torch.int16)
        mask = (bits[:n] >= round(p * 65536) - 32768).to(x.dtype).mul_(1.0 / (1.0 - p)).view(x.shape)
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0], None


class _PackedLinear(torch.autograd.Function):
    """A frozen Linear whose weight is held twice in oneDNN's blocked layout, for forward and for the input gradient."""
    @staticmethod
    def forward(ctx, x, weight, transposed, bias):
        ctx.transposed = transposed
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")

    @staticmethod
    def backward(ctx, g):
        return torch.ops.mkldnn._linear_pointwise(g.contiguous(), ctx.transposed, None, "none", [], ""), None, None, None


class FrozenLinear(nn.Linear):
    packed = None

    def pack(self, rows):
        w = self.weight.detach()
        self.packed = [torch.ops.mkldnn._reorder_linear_weight(y, rows) for y in (w, w.t().contiguous())]
        self.weight.data = w.new_empty(0)

    def forward(self, x):
        return _PackedLinear.apply(x, *self.packed, self.bias) if self.packed else super().forward(x)


def dropout(x, p, training, bits=False):
    return _BitDropout.apply(x, p) if bits and training and p > 0 else F.dropout(x, p, training)


class LayerNorm(nn.LayerNorm):
    """fp32 parameters on activations of any type (CPU kernels take the mix as it is, CUDA's do not)."""
    def forward(self, x):
        w, b = self.weight, self.bias
        if x.is_cuda and x.dtype != w.dtype and not torch.is_autocast_enabled("cuda"):
            w, b = w.to(x.dtype), b.to(x.dtype)
        return F.layer_norm(x, self.normalized_shape, w, b, self.eps)


class Layer(nn.Module):
    def __init__(self, c, args):
        super().__init__()
        h = c["hidden"]
        self.heads, self.bottleneck, self.kind = c["heads"], args.bottleneck, args.attention
        self.p, self.p_att, self.bits = args.dropout, args.attention_dropout, args.dropout_kernel == "bits"
        self.qkv, self.out = FrozenLinear(h, 3 * h), FrozenLinear(h, h)
        self.up, self.down = FrozenLinear(h, c["ffn"]), FrozenLinear(c["ffn"], h)
        self.ln1, self.ln2 = LayerNorm(h, eps=1e-12), LayerNorm(h, eps=1e-12)

    def attend(self, qkv, bias, b: int, t: int):
        q, k, v = qkv.view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        p = self.p_att if self.training else 0.0
        if self.kind == "sdpa":
            o = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=p)
        else:
            s = torch.matmul(q * (1.0 / math.sqrt(q.shape[-1])), k.transpose(-1, -2))
            o = torch.matmul(dropout(torch.softmax(s if bias is None else s + bias, -1), p, p > 0, self.bits), v)
        return o.transpose(1, 2).reshape(b * t, -1)

    def forward(self, x, bias, index, cu, b: int, t: int, wd, bd, wu, bu):
        """x [rows, hidden]: all rows of the padded batch, or the real tokens alone when index is given."""
        qkv = self.qkv(x)
        if self.kind == "varlen":                       # CUDA, packed; the kernel has no dropout
            from torch.nn.attention.varlen import varlen_attn
            q, k, v = (y.contiguous() for y in qkv.view(x.shape[0], 3, self.heads, -1).unbind(1))
            a = varlen_attn(q, k, v, cu, cu, t, t).reshape(x.shape[0], -1)
        elif index is None:
            a = self.attend(qkv, bias, b, t)
        else:
            a = _Unpad.apply(self.attend(_Pad.apply(qkv, index, b * t), bias, b, t), index)
        x = self.ln1(dropout(self.out(a), self.p, self.training, self.bits) + x)
        z = dropout(self.down(F.gelu(self.up(x))), self.p, self.training, self.bits)
        h, n = x.shape[1], self.bottleneck
        a = F.linear(F.relu(F.linear(z, wd.view(n, h), bd)), wu.view(h, n), bu)
        return self.ln2(a + z + x)


class Encoder(nn.Module):
    def __init__(self, c, args):
        super().__init__()
        h, self.p, self.bits = c["hidden"], args.dropout, args.dropout_kernel == "bits"
        self.tok, self.pos, self.typ = nn.Embedding(c["vocab"], h), nn.Embedding(512, h), nn.Embedding(2, h)
        self.ln = LayerNorm(h, eps=1e-12)
        self.layers = nn.ModuleList(Layer(c, args) for _ in range(c["layers"]))
        for m in self.modules():
            if isinstance(m, (nn.Linear, nn.Embedding)):
                nn.init.normal_(m.weight, 0.0, 0.02)
                if isinstance(m, nn.Linear):
                    nn.init.zeros_(m.bias)
        for n, p in self.named_parameters():
            p.requires_grad_("ln" in n)

    def store_frozen_as(self, dtype):
        for p in self.parameters():
            if not p.requires_grad:
                p.data = p.data.to(dtype)

    def load_hf(self, sd):
        """Takes a state dict of transformers' BertModel or BertForMaskedLM."""
        sd = {k.removeprefix("bert."): v for k, v in sd.items()}
        own = {"tok.weight": sd["embeddings.word_embeddings.weight"],
               "pos.weight": sd["embeddings.position_embeddings.weight"],
               "typ.weight": sd["embeddings.token_type_embeddings.weight"]}
        for s in ("weight", "bias"):
            own[f"ln.{s}"] = sd[f"embeddings.LayerNorm.{s}"]
            for i in range(len(self.layers)):
                o, a = f"layers.{i}.", f"encoder.layer.{i}."
                own[f"{o}qkv.{s}"] = torch.cat([sd[f"{a}attention.self.{n}.{s}"] for n in ("query", "key", "value")])
                own[f"{o}out.{s}"] = sd[f"{a}attention.output.dense.{s}"]
                own[f"{o}ln1.{s}"] = sd[f"{a}attention.output.LayerNorm.{s}"]
                own[f"{o}up.{s}"] = sd[f"{a}intermediate.dense.{s}"]
                own[f"{o}down.{s}"] = sd[f"{a}output.dense.{s}"]
                own[f"{o}ln2.{s}"] = sd[f"{a}output.LayerNorm.{s}"]
        self.load_state_dict(own)

    def forward(self, ids, positions, bias, index, cu, b, t, theta):
        x = self.tok(ids) + self.pos(positions) + self.typ.weight[0]
        x = dropout(self.ln(x), self.p, self.training, self.bits)
        for layer, *th in zip(self.layers, *theta):
            x = layer(x, bias, index, cu, b, t, *th)
        return x


class Hypernet(nn.Module):
    """s_h = s_l + s_t + s_i (joined), s_p = P(s_h), theta_i = W s_p + c for all layers in one product a generator."""
    def __init__(self, layers, hidden, bottleneck, d=64, d_p=192):
        super().__init__()
        self.lang, self.task = nn.Embedding(len(LANGUAGES), d), nn.Embedding(len(TASKS), d)
        self.layer = nn.Embedding(layers, d)
        self.proj = nn.Sequential(nn.Linear(3 * d, 192), nn.ReLU(), nn.Linear(192, d_p))
        self.weight_down, self.bias_down = nn.Linear(d_p, bottleneck * hidden), nn.Linear(d_p, bottleneck)
        self.weight_up, self.bias_up = nn.Linear(d_p, hidden * bottleneck), nn.Linear(d_p, hidden)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0.0, 0.01)
                nn.init.zeros_(m.bias)

    def generators(self):
        return self.weight_down, self.bias_down, self.weight_up, self.bias_up

    def forward(self, task, lang):
        n = self.layer.num_embeddings
        s = torch.cat([self.lang(lang).expand(n, -1), self.task(task).expand(n, -1), self.layer.weight], 1)
        s = self.proj(s)
        return tuple(g(s) for g in self.generators())


class HyperX(nn.Module):
    def __init__(self, args):
        super().__init__()
        c = ENCODERS[args.encoder]
        h, self.p, self.mixed = c["hidden"], args.dropout, args.dtype
        self.encoder = Encoder(c, args)
        self.hypernet = Hypernet(c["layers"], h, args.bottleneck, d_p=args.d_p)
        self.pos = nn.Linear(h, len(UPOS))
        self.mlm, self.mlm_ln = nn.Linear(h, h), LayerNorm(h, eps=1e-12)
        self.mlm_bias = nn.Parameter(torch.zeros(c["vocab"]))
        for m in (self.pos, self.mlm):
            nn.init.normal_(m.weight, 0.0, 0.02)
            nn.init.zeros_(m.bias)
        if args.dtype == "bf16":
            self.encoder.store_frozen_as(torch.bfloat16)

    def forward(self, task, lang, batch, touch_all=False):
        """Sum of the cross entropies over the labelled positions."""
        dev = batch["ids"].device.type
        auto = torch.autocast(dev, torch.bfloat16) if self.mixed == "bf16-autocast" else contextlib.nullcontext()
        theta = self.hypernet(batch["task"], batch["lang"])       # fp32: bound by memory, not by arithmetic
        act = {"fp32": torch.float32, "fp64": torch.float64}.get(self.mixed, torch.bfloat16)
        theta = [x.to(act).unbind(0) for x in theta]
        with auto:
            x = self.encoder(batch["ids"], batch["positions"], batch["bias"], batch["index"], batch["cu"],
                             batch["b"], batch["t"], theta)
            x = x.index_select(0, batch["where"])                 # heads see labelled positions alone
            if task == "pos":
                w, b = self.pos.weight, self.pos.bias
                y = F.linear(F.dropout(x, self.p, self.training), w.to(x.dtype), b.to(x.dtype))
            else:
                y = self.mlm_ln(F.gelu(F.linear(x, self.mlm.weight.to(x.dtype), self.mlm.bias.to(x.dtype))))
                e = self.encoder.tok.weight
                y = F.linear(y.to(e.dtype), e, self.mlm_bias.to(e.dtype))
        loss = F.cross_entropy(y.float() if y.dtype == torch.bfloat16 else y, batch["labels"], reduction="sum")
        if touch_all:                                             # under DDP every parameter must take part
            idle = [self.mlm.weight, self.mlm.bias, self.mlm_ln.weight, self.mlm_ln.bias, self.mlm_bias] \
                if task == "pos" else [self.pos.weight, self.pos.bias]
            loss = loss + 0.0 * sum(p.sum() for p in idle)
        return loss


# ----------------------------------------------------------------------------------------------- the data

def read_conllu(path):
    words, tags = [], []
    for line in open(path, encoding="utf-8"):
        line = line.rstrip("\n")
        if not line:
            if words:
                yield words, tags
            words, tags = [], []
        elif line[0] != "#":
            f = line.split("\t")
            if f[0].isdigit():                                    # neither ranges 3-4 nor empty nodes 8.1
                words.append(f[1])
                tags.append(UPOS.index(f[3]))


def load_pair(data, pair, limit):
    """List of (ids, label positions, labels) for pos, (ids, None, None) for mlm; and the words without a label."""
    from tokenizers import Tokenizer
    tok = Tokenizer.from_file(os.path.join(data, "bert-base-multilingual-cased", "tokenizer.json"))
    tok.no_padding()
    tok.enable_truncation(limit)
    task, lang = pair.split("#")
    if task == "mlm":
        lines = open(os.path.join(data, "text", f"{lang}.txt"), encoding="utf-8").read().split("\n")
        enc = tok.encode_batch([x for x in lines if x])
        return [(np.array(e.ids, np.int64), None, None) for e in enc if len(e.ids) > 2], 0
    sents = list(read_conllu(os.path.join(data, "ud", POS_FILES[lang])))
    enc = tok.encode_batch([w for w, _ in sents], is_pretokenized=True)
    out, lost = [], 0
    for e, (words, tags) in zip(enc, sents):
        first = {}
        for i, w in enumerate(e.word_ids):
            if w is not None:
                first.setdefault(w, i)
        lost += len(words) - len(first)
        where = np.array(list(first.values()), np.int64)
        out.append((np.array(e.ids, np.int64), where, np.array([tags[w] for w in first], np.int64)))
    return out, lost


class Sampler:
    """Homogeneous batches; the pair is drawn with (n_j / sum n)^(1/T), equal on all ranks (same seed)."""
    def __init__(self, pairs, args):
        self.pairs, self.args = list(pairs), args
        self.sents = [pairs[p] for p in self.pairs]
        n = np.array([math.ceil(len(s) / args.batch) for s in self.sents], float)
        q = (n / n.sum()) ** (1.0 / args.temperature)
        self.q = q / q.sum()
        self.rng = np.random.default_rng(args.seed)
        self.queues = [[] for _ in self.pairs]

    def _refill(self, j):
        n, b = len(self.sents[j]), self.args.batch
        order = self.rng.permutation(n)
        if self.args.bucket:                                      # sort by length within windows of 50 batches
            length = np.array([len(s[0]) for s in self.sents[j]])
            order = np.concatenate([w[np.argsort(length[w], kind="stable")]
                                    for w in np.split(order, range(50 * b, n, 50 * b))])
        batches = [order[i:i + b] for i in range(0, n - b + 1, b)] or [order]
        self.queues[j] = [batches[i] for i in self.rng.permutation(len(batches))]

    def next(self):
        j = int(self.rng.choice(len(self.pairs), p=self.q))
        if not self.queues[j]:
            self._refill(j)
        return self.pairs[j], [self.sents[j][i] for i in self.queues[j].pop()], int(self.rng.integers(2**31))


def collate(pair, sents, seed, args, vocab):
    """One rank's batch as numpy arrays: padded to --pad or the longest, or the real tokens alone (--unpad)."""
    task, lang = pair.split("#")
    rng = np.random.default_rng(seed)
    lengths = np.array([len(s[0]) for s in sents])
    t = args.pad or int(lengths.max())
    t = -(-t // args.pad_multiple) * args.pad_multiple
    b, valid = len(sents), np.arange(t)[None, :] < lengths[:, None]
    index = np.flatnonzero(valid)                                 # row numbers of real tokens in [b * t]
    flat = np.concatenate([s[0] for s in sents])
    if task == "mlm":
        can = np.flatnonzero((flat != CLS) & (flat != SEP))
        chosen = can[rng.random(len(can)) < 0.15]
        if not len(chosen):
            chosen = can[:1]
        labels, u = flat[chosen].copy(), rng.random(len(chosen))
        flat[chosen[u < 0.8]] = MASK
        r = chosen[(u >= 0.8) & (u < 0.9)]
        flat[r] = rng.integers(0, vocab, len(r))
        where = chosen
    else:
        start = np.concatenate([[0], lengths.cumsum()[:-1]])
        where = np.concatenate([s[1] + o for s, o in zip(sents, start)])
        labels = np.concatenate([s[2] for s in sents])
    pos = np.broadcast_to(np.arange(t), (b, t)).reshape(-1)
    out = dict(where=where, labels=labels, cu=np.concatenate([[0], lengths.cumsum()]).astype(np.int32),
               task=np.array([TASKS.index(task)]), lang=np.array([LANGUAGES.index(lang)]))
    if args.unpad:
        spare = np.flatnonzero(~valid)[:-len(index) % args.token_multiple]     # like row counts: fewer kernels to build
        if len(spare) and args.attention == "varlen":                          # the spare rows are one more sentence
            out["cu"] = np.append(out["cu"], np.int32(len(index) + len(spare)))
        index = np.concatenate([index, spare])
        out |= dict(ids=np.concatenate([flat, np.full(len(spare), PAD)]), positions=pos[index], index=index)
    else:
        ids = np.full(b * t, PAD)
        ids[index] = flat
        out |= dict(ids=ids, positions=pos.copy(), where=index[where], index=None)
    full = bool(valid.all()) and not args.compile
    out["valid"] = None if full else valid
    stats = dict(pair=pair, sentences=b, tokens=int(lengths.sum()), padded=b * t, longest=int(lengths.max()),
                 labels=len(labels), square=int((lengths.astype(np.int64) ** 2).sum()))
    return task, lang, out, b, t, stats


def to_device(out, b, t, device, act):
    r = {}
    for k, v in out.items():
        if v is not None:
            v = torch.from_numpy(v)
            v = v.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else v
        r[k] = v
    valid = r.pop("valid")
    r["bias"] = None if valid is None else \
        torch.zeros(b, 1, 1, t, dtype=act, device=device).masked_fill_(~valid[:, None, None, :], float("-inf"))
    r["b"], r["t"] = b, t
    return r


# ------------------------------------------------------------------------------------------- arithmetic cost

def step_flops(c, args, st, padded):
    """Multiply-adds x 2 of one step: forward, input gradients of all, weight gradients of the adapters only."""
    h, f, n = c["hidden"], c["ffn"], c["layers"]
    tokens = st["padded"] if padded else st["tokens"]
    square = st["padded"] ** 2 / st["sentences"] if padded else st["square"]
    linear = n * tokens * 2 * (4 * h * h + 2 * h * f) * 2
    adapter = n * tokens * 4 * h * args.bottleneck * 3
    attention = n * square * 4 * h * 3
    gen = (2 * h * args.bottleneck + h + args.bottleneck) * (args.d_p + 1)
    hyper = 2 * n * gen * 3
    head = st["labels"] * (4 * h * c["vocab"] + 6 * h * h if st["pair"].startswith("mlm") else 6 * h * len(UPOS))
    return dict(linear=linear, adapter=adapter, attention=attention, hypernet=hyper, head=head,
                total=linear + adapter + attention + hyper + head)


# ------------------------------------------------------------------------------------------------ the loop

def tune_malloc():
    """Keep large blocks in the heap: glibc maps and unmaps blocks over 32 MiB anew each step (page faults).
    Ask for huge pages. Must come before the first tensor."""
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)             # M_MMAP_MAX
        libc.mallopt(-1, 2**31 - 1)     # M_TRIM_THRESHOLD


def busy_seconds():
    """CPU seconds spent by all processes of the machine, so that a run can say how much others used."""
    try:
        f = [int(x) for x in open("/proc/stat").readline().split()[1:9]]
        return (sum(f) - f[3] - f[4]) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return float("nan")


def parse(argv=None):
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a = p.add_argument
    data = os.environ.get("HYPERX_TEST_DATA")
    a("--data", default=data, required=not data, help="folder of the collection (default: HYPERX_TEST_DATA)")
    a("--pairs", nargs="+", default=["pos#en", "mlm#en", "mlm#tr", "mlm#kk", "mlm#ug", "mlm#mt", "mlm#yo"])
    a("--encoder", choices=sorted(ENCODERS), default="random-mbert")
    a("--weights", help="safetensors file of a BertModel or BertForMaskedLM of the encoder's size")
    a("--device", choices=["cpu", "cuda"], default="cpu")
    a("--dtype", choices=["fp32", "bf16", "bf16-autocast", "fp64"], default="fp32",
      help="bf16: frozen weights and activations in bf16, trained parameters in fp32; bf16-autocast: torch.autocast")
    a("--attention", choices=["sdpa", "manual", "varlen"], default="sdpa", help="varlen: CUDA, --unpad, no dropout in it")
    a("--dropout", type=float, default=0.1)
    a("--attention-dropout", type=float, default=0.1)
    a("--dropout-kernel", choices=["torch", "bits"], default="torch", help="bits: 16 random bits a value; eager mode")
    a("--batch", type=int, default=32, help="sentences a step over all ranks")
    a("--pad", type=int, default=0, help="pad to this length; 0: to the batch's longest")
    a("--pad-multiple", type=int, default=1)
    a("--max-length", type=int, default=256)
    a("--bucket", action="store_true", help="batches of like lengths (windows of 50 batches, sorted)")
    a("--unpad", action="store_true", help="all but the attention runs on real tokens alone")
    a("--token-multiple", type=int, default=1, help="--unpad: round the rows up with padding, where there is any")
    a("--compile", choices=["layer", "model"], help="torch.compile of the layer (one graph for all) or the encoder")
    a("--compile-mode", default="default")
    a("--compile-static", action="store_true", help="one graph a shape (with --pad-multiple), not dynamic shapes")
    a("--tf32", action="store_true")
    a("--temperature", type=float, default=5.0)
    a("--bottleneck", type=int, default=256)
    a("--d-p", type=int, default=192)
    a("--lr", type=float, default=1e-4)
    a("--lr-warmup", type=int, default=4000)
    a("--lr-total", type=int, default=100000)
    a("--clip", type=float, default=1.0)
    a("--adam", choices=["fused", "foreach"], default="fused")
    a("--fused-clip", action="store_true", help="hand the clip factor to fused Adam, not a pass over the gradients")
    a("--prepack", action="store_true", help="CPU, bf16, eager: frozen weights in oneDNN's blocked layout, both ways")
    a("--malloc", choices=["tuned", "default"], default="tuned")
    a("--steps", type=int, default=20, help="timed steps")
    a("--warmup", type=int, default=2, help="steps before the clock starts")
    a("--seed", type=int, default=1)
    a("--threads", type=int, default=0)
    a("--backend", choices=["gloo", "nccl"], help="under torchrun: DistributedDataParallel")
    a("--compress", choices=["bf16"], help="DDP: exchange gradients in bf16")
    a("--json")
    a("--profile", action="store_true", help="print the ten dearest operators of the timed steps")
    a("--check", action="store_true", help="self-test: sizes, finite differences, unpadded = padded")
    return p.parse_args(argv)


def make_batch(sampler, args, rank, world):
    pair, sents, seed = sampler.next()
    return collate(pair, sents[rank::world], seed + rank, args, ENCODERS[args.encoder]["vocab"])


def main():
    args = parse()
    if args.attention == "varlen":
        if not args.unpad or args.device != "cuda" or args.attention_dropout:
            sys.exit("--attention varlen needs --unpad, --device cuda, --attention-dropout 0")
    if args.prepack and (args.dtype != "bf16" or args.device != "cpu" or args.compile):
        sys.exit("--prepack needs --dtype bf16, --device cpu and no --compile")
    if args.malloc == "tuned" and args.device == "cpu":
        tune_malloc()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.tf32:
        torch.set_float32_matmul_precision("high")
    if args.check:
        return check(args)
    rank, world, local = (int(os.environ.get(k, d)) for k, d in
                          (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0)))
    if args.backend:
        torch.distributed.init_process_group(args.backend)
    elif world > 1:
        sys.exit("several ranks need --backend")
    device = torch.device("cuda", local) if args.device == "cuda" else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    act = {"fp32": torch.float32, "fp64": torch.float64}.get(args.dtype, torch.bfloat16)

    pairs, lost = {}, 0
    for name in args.pairs:
        pairs[name], n = load_pair(args.data, name, args.max_length)
        lost += n
    sampler = Sampler(pairs, args)

    torch.manual_seed(args.seed)
    c = ENCODERS[args.encoder]
    model = HyperX(args)
    if args.weights:
        from safetensors.torch import load_file
        model.encoder.load_hf(load_file(args.weights))
    model.to(device).train()
    if args.dtype == "fp64":
        model.double()
    if args.prepack:
        for m in model.encoder.modules():
            if isinstance(m, FrozenLinear):
                m.pack(640)
    params = [p for p in model.parameters() if p.requires_grad]
    if args.compile:
        kw = dict(mode=None if args.compile_mode == "default" else args.compile_mode, dynamic=not args.compile_static)
        torch._dynamo.config.allow_unspec_int_on_nn_module = True
        torch._dynamo.config.cache_size_limit = 64
        if args.compile == "layer":
            for layer in model.encoder.layers:
                layer.compile(**kw)
        else:
            model.encoder.compile(**kw)
    torch.manual_seed(args.seed * 1000 + rank)
    run = model
    if args.backend:
        run = nn.parallel.DistributedDataParallel(model, device_ids=[local] if device.type == "cuda" else None,
                                                  gradient_as_bucket_view=True)
        if args.compress:
            from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
            run.register_comm_hook(None, bf16_compress_hook)
    opt = torch.optim.Adam(params, lr=args.lr, fused=args.adam == "fused", foreach=args.adam == "foreach" or None)

    sync = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    phase, losses, stats, times = dict(forward=0.0, backward=0.0, update=0.0), [], [], []
    prof = torch.profiler.profile() if args.profile and rank == 0 else None
    pool = ThreadPoolExecutor(1)                                  # the next batch is made beside the step
    ahead = pool.submit(make_batch, sampler, args, rank, world)
    for step in range(args.warmup + args.steps):
        timed = step >= args.warmup
        if step == args.warmup:
            sync()
            if args.backend:
                torch.distributed.barrier()
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            if prof:
                prof.start()
            clock, busy = time.perf_counter(), (busy_seconds(), time.process_time())
        t0 = time.perf_counter()
        task, lang, arrays, b, t, st = ahead.result()
        ahead = pool.submit(make_batch, sampler, args, rank, world)
        batch = to_device(arrays, b, t, device, act)
        rate = min((step + 1) / max(args.lr_warmup, 1), 1.0) * max(0.0, (args.lr_total - step) /
                                                                  max(1, args.lr_total - args.lr_warmup))
        for g in opt.param_groups:
            g["lr"] = args.lr * min(rate, 1.0)
        count = torch.tensor(float(st["labels"]), device=device)
        if args.backend:
            torch.distributed.all_reduce(count)                   # the loss is divided by the global count
        opt.zero_grad(set_to_none=True)
        loss = run(task, lang, batch, touch_all=bool(args.backend)) * (world / count)
        t1 = time.perf_counter()
        loss.backward()
        t2 = time.perf_counter()
        if args.clip:
            have = [p for p in params if p.grad is not None]
            norm = nn.utils.get_total_norm([p.grad for p in have])
            if args.fused_clip and args.adam == "fused":
                opt.grad_scale, opt.found_inf = (norm / args.clip).clamp(min=1.0), torch.zeros((), device=device)
            else:
                nn.utils.clip_grads_with_norm_(have, args.clip, norm)
        opt.step()
        t3 = time.perf_counter()
        losses.append(loss.detach())
        if timed:
            stats.append(st)
            times.append(t3 - t0)
            for k, v in zip(phase, (t1 - t0, t2 - t1, t3 - t2)):
                phase[k] += v
    sync()
    seconds = time.perf_counter() - clock
    others = busy_seconds() - busy[0] - (time.process_time() - busy[1])
    if prof:
        prof.stop()
    pool.shutdown()

    total = {k: sum(s[k] for s in stats) for k in ("sentences", "tokens", "padded", "labels")}
    loss_curve = torch.stack(losses)
    if args.backend:
        v = torch.tensor([float(total[k]) for k in total], device=device, dtype=torch.float64)
        torch.distributed.all_reduce(v)
        total = dict(zip(total, v.tolist()))
        torch.distributed.all_reduce(loss_curve)
        loss_curve /= world
    flops = {k: sum(step_flops(c, args, s, padded)["total"] for s in stats) / len(stats)
             for k, padded in (("real", False), ("padded", True))}
    dense = sum(p.numel() for p in params) * (2 if args.compress else 4)
    n = args.steps
    result = dict(
        steps_per_s=n / seconds, s_per_step=seconds / n, s_per_step_min=min(times), s_per_step_median=float(np.median(times)),
        sentences_per_s=total["sentences"] / seconds, real_tokens_per_s=total["tokens"] / seconds,
        padded_tokens_per_s=total["padded"] / seconds, tokens_per_batch=total["tokens"] / n,
        padded_tokens_per_batch=total["padded"] / n, labels_per_batch=total["labels"] / n,
        phase_s={k: v / n for k, v in phase.items()}, gflop_per_step_this_rank={k: v / 1e9 for k, v in flops.items()},
        gflop_per_s_real=flops["real"] * n / seconds / 1e9,
        cores_used_by_others=others / seconds,          # under DDP the other ranks count as others
        peak_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        peak_gpu_mib=torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else None,
        trainable=sum(p.numel() for p in params), words_without_label=lost, world=world,
        exchange=dict(gradient_bytes=dense, ring_bytes_sent_by_each_rank=dense * 2 * (world - 1) / world,
                      buckets=run._get_ddp_logging_data().get("bucket_sizes") if args.backend else None),
        threads=torch.get_num_threads(), options=vars(args) | dict(data=None), loss=[round(x, 5) for x in loss_curve.tolist()],
        pairs=[s["pair"] for s in stats],
        versions=dict(python=platform.python_version(), torch=torch.__version__, numpy=np.__version__,
                      cuda=torch.version.cuda, cpu=torch.backends.cpu.get_cpu_capability(),
                      gpu=torch.cuda.get_device_name() if device.type == "cuda" else None))
    if rank == 0:
        r = result
        print(f"{r['s_per_step']:.3f} s/step (min {r['s_per_step_min']:.3f}, median {r['s_per_step_median']:.3f}), "
              f"{r['steps_per_s']:.3f} steps/s, {r['sentences_per_s']:.1f} sentences/s, {r['real_tokens_per_s']:.0f} real "
              f"tokens/s, {r['padded_tokens_per_s']:.0f} padded tokens/s; tokens a batch {r['tokens_per_batch']:.0f} real, "
              f"{r['padded_tokens_per_batch']:.0f} padded; forward {r['phase_s']['forward']:.3f} backward "
              f"{r['phase_s']['backward']:.3f} update {r['phase_s']['update']:.3f} s; "
              f"{r['gflop_per_s_real']:.0f} useful GFLOP/s; peak RSS {r['peak_rss_mib']:.0f} MiB"
              + (f", GPU {r['peak_gpu_mib']:.0f} MiB" if r["peak_gpu_mib"] else "")
              + f"; threads {r['threads']} x {world}, others used {r['cores_used_by_others']:.2f} cores; loss {r['loss'][0]:.4f} -> {np.mean(r['loss'][-5:]):.4f}")
        if args.backend:
            print(f"gradient bytes a step {dense:,}; sent by each rank in a ring {dense * 2 * (world - 1) // world:,}")
        if prof:
            key = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
            print(prof.key_averages().table(sort_by=key, row_limit=12, max_name_column_width=60))
        if args.json:
            with open(args.json, "w") as f:
                json.dump(result, f, indent=1)
    if args.backend:
        torch.distributed.destroy_process_group()


# ---------------------------------------------------------------------------------------------- self-test

def check(args):
    torch.manual_seed(0)
    args.dropout = args.attention_dropout = 0.0
    count = lambda ps: sum(p.numel() for p in ps)

    args.encoder, args.dtype = "random-mbert", "fp32"
    with torch.device("meta"):
        m = HyperX(args)
    gen = count(p for g in m.hypernet.generators() for p in g.parameters())
    proj = count(m.hypernet.proj.parameters())
    norms = count(p for p in m.encoder.parameters() if p.requires_grad)
    emb = count(e.weight for e in (m.hypernet.lang, m.hypernet.task, m.hypernet.layer))
    heads = count(list(m.pos.parameters()) + list(m.mlm.parameters()) + list(m.mlm_ln.parameters()) + [m.mlm_bias])
    total = count(p for p in m.parameters() if p.requires_grad)
    assert (gen, proj, norms) == (76_088_320, 74_112, 38_400), (gen, proj, norms)
    assert emb == (12 + len(TASKS) + len(LANGUAGES)) * 64 and total == gen + proj + norms + emb + heads
    print(f"sizes: generators {gen:,} + P {proj:,} + LayerNorms {norms:,} + embeddings {emb:,} + heads {heads:,} = {total:,}")

    args.encoder, args.dtype, args.batch = "small", "fp64", 8
    for pair in ("pos#en", "mlm#tr"):
        data = {pair: load_pair(args.data, pair, args.max_length)[0]}
        model = HyperX(args).double().train()
        name, sents, seed = Sampler(data, args).next()
        loss, grads = {}, {}
        for unpad, attention in ((False, "sdpa"), (True, "sdpa"), (True, "manual")):
            args.unpad = unpad
            for layer in model.encoder.layers:
                layer.kind = attention
            task, lang, arrays, b, t, st = collate(name, sents, seed, args, 119547)
            batch = to_device(arrays, b, t, torch.device("cpu"), torch.float64)
            f = lambda: model(task, lang, batch) / st["labels"]
            model.zero_grad()
            out = f()
            out.backward()
            loss[unpad, attention] = out.item()
            grads[unpad, attention] = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        ref = grads[False, "sdpa"]
        for k, g in grads.items():
            assert abs(loss[k] - loss[False, "sdpa"]) < 1e-9, loss
            assert max((g[n] - ref[n]).abs().max().item() for n in ref) < 1e-9
        print(f"{pair}: padded, unpadded and manual attention agree (loss {out.item():.6f}, {st['tokens']} tokens)")
        worst = 0.0
        for n in ("hypernet.weight_down.weight", "hypernet.weight_up.weight", "hypernet.bias_down.weight",
                  "hypernet.bias_up.bias", "hypernet.layer.weight", "hypernet.lang.weight", "encoder.layers.0.ln1.weight"):
            p, g = model.get_parameter(n), ref[n]
            i = int(g.abs().argmax())
            flat, eps = p.data.view(-1), 1e-5
            keep = flat[i].item()
            with torch.no_grad():
                flat[i] = keep + eps
                up = f().item()
                flat[i] = keep - eps
                down = f().item()
                flat[i] = keep
            diff, got = (up - down) / (2 * eps), g.view(-1)[i].item()
            worst = max(worst, abs(diff - got) / max(abs(diff), 1e-12))
            print(f"  {n}[{i}]: autograd {got:+.9e} finite difference {diff:+.9e}")
        assert worst < 1e-4, worst
    try:
        from transformers import BertConfig, BertModel
    except ImportError:
        print("transformers not installed: comparison with BertModel SKIPPED")
        return
    hf = BertModel(BertConfig(vocab_size=119547, hidden_size=256, num_hidden_layers=4, num_attention_heads=4,
                              intermediate_size=1024, attn_implementation="sdpa"), add_pooling_layer=False).double().eval()
    model.encoder.load_hf(hf.state_dict())
    model.eval()
    ids = torch.randint(1000, 100000, (3, 17))
    zero = [[torch.zeros(s, dtype=torch.float64)] * 4 for s in (256 * 256, 256, 256 * 256, 256)]
    with torch.no_grad():
        x = model.encoder(ids.view(-1), torch.arange(17).repeat(3), None, None, None, 3, 17, zero)
        d = (x.view(3, 17, 256) - hf(ids).last_hidden_state).abs().max().item()
    assert d < 1e-9, d
    print(f"transformers' BertModel with zero adapters: same hidden states (largest difference {d:.1e})")


if __name__ == "__main__":
    main()
