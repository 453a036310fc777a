"""What the kit measures, in order: what is shown first decides whether the rest means anything."""
import json
import os
import pathlib
import platform
import re
import shutil
import sys

from measuring import Failed, LeftOut, Part

TASK = ["--train.pairs", "pos:en"]
SENTENCES = 1920  # of the corpus's training split
BATCHES = {"32 sentences": 32, "8,192 tokens": 384}  # by name: sentences a step; both divide SENTENCES
SMALL, BASE = "e5-small-6", "mbert"  # folders of encoders/: multilingual-e5-small's first six layers, mBERT


# ---- helpers ----

def training(session, encoder, *more):
    return ["--data.corpus", session.kit / "corpus", "--model.encoder", f"random:{session.kit / 'encoders' / encoder}", *TASK, *more]


def main_encoder(session):
    """The encoder whose steps are timed, and what to call it."""
    return (BASE, "mBERT's size") if session.gpu else (SMALL, "multilingual-e5-small's size, 6 layers")


def train(session, name, run, *more, ranks=1, environment=None, limit=None):
    """A training; its metrics' events."""
    command = [session.program("hyperx"), "train", "--run.dir", run, "--eval.every", "0", "--train.warmup_steps", "1", *more]
    if ranks > 1:
        command = [session.program("mpirun"), "-np", ranks, *command]
    session.call(name, command, limit, environment)
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses_of(events):
    return [event["loss"] for event in events if event["event"] == "step"]


def largest_difference(found, expected):
    """Relative, over the steps."""
    return max(abs(a - b) / abs(b) for a, b in zip(found, expected, strict=True))


def bench(session, name, wanted, *more, limit=None):
    """Figures of hyperx-bench: {(part, what): measure}."""
    file = session.work / f"{name}.json"
    session.call(name, [session.program("hyperx-bench"), *wanted, "--device", session.device, "--json", file, *more], limit)
    return {(row["part"], row["what"]): row for row in json.loads(file.read_text())["measures"]}


def add_measures(session, measures, wanted, prefix=""):
    for (part, what), row in measures.items():
        if wanted(part, what):
            session.add(prefix + what, row["value"], row["unit"], row.get("limit"), row.get("reached"), row["note"])


def google_tests(session, program, tests="*", wrapper=(), limit=None):
    """Runs tests of a program and adds how many passed. Failed names those that did not."""
    if not (session.kit / "hyperx/libexec" / program).is_file():
        raise LeftOut(f"the kit has no {program}: its build has no CUDA")
    file = session.work / f"{program}.json"
    file.unlink(missing_ok=True)
    failure = None
    try:
        session.call(program, [*wrapper, session.program(program), f"--gtest_filter={tests}", f"--gtest_output=json:{file}"], limit)
    except Failed as error:
        failure = error
    if not file.is_file():
        raise failure or Failed(f"{program} wrote no results")
    cases = [case for suite in json.loads(file.read_text())["testsuites"] for case in suite["testsuite"]]
    bad = [case for case in cases if case.get("failures")]
    skipped = [case for case in cases if case.get("result") == "SKIPPED"]
    if cases and len(skipped) == len(cases):
        raise LeftOut(f"{program} skipped all {len(cases)} tests")
    session.add(f"{program} {tests}".rstrip(" *"), f"{len(cases) - len(bad) - len(skipped)} passed", "tests",
                note=f"{len(bad)} failed, {len(skipped)} skipped")
    if bad:
        raise Failed("; ".join(f"{case['classname']}.{case['name']}: {case['failures'][0]['failure'].splitlines()[-1]}" for case in bad)[:600])
    if failure:
        raise failure


def python_line(session, name, code, limit=60):
    return session.call(name, [sys.executable, "-c", code], limit, {"PYTHONPATH": str(session.torch)}).strip()


# ---- parts ----

def machine(session):
    facts = session.facts
    facts["machine"] = f"{platform.system()} {platform.release()}, {os.cpu_count()} processors, {platform.libc_ver()[0]} {platform.libc_ver()[1]}"
    if session.gpu:
        query = "name,memory.total,driver_version,clocks.max.sm,clocks.max.mem,compute_cap"
        facts["device"] = session.call("nvidia-smi", ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"]).strip().replace("\n", "; ")
    else:
        facts["device"] = f"no GPU was measured: {session.gpu_missing}"
    for line in session.call("version", [session.program("hyperx"), "--version"]).splitlines():
        name, text = (line.split(None, 1) + [""])[:2] if not line.startswith("this CPU") else ("CPU", line[8:])
        if name in ("hyperx", "compiler", "CUDA", "CPU"):
            facts[name] = text.strip()
    code = "import torch; n = getattr(torch.cuda, 'nccl', None); " \
           "print(torch.__version__, '.'.join(map(str, n.version())) if torch.cuda.is_available() else '-', torch.backends.cudnn.version())"
    try:
        version, nccl, cudnn = python_line(session, "torch", code).split()[-3:]
        facts["PyTorch"] = f"{version}, NCCL {nccl}, cuDNN {cudnn}"
    except (Failed, ValueError) as error:
        session.remark(f"this Python cannot import PyTorch, so there is no peer to compare with: {error}")
    measures = bench(session, "machine", ["machine"])
    add_measures(session, measures, lambda part, what: part == "machine")


def libtorch_tests(session):
    google_tests(session, "trainer_gpu_tests", "StepOnGpu.TrainsAsTheCpuDoes:StepOnGpu.ABatch*")


def losses(session):
    """The same 20 steps on the GPU and on the CPU. Attention's dropout is off: on a GPU it is flash attention's own."""
    def run(device, precision):
        events = train(session, f"losses-{device}-{precision}", session.work / f"losses-{device}-{precision}",
                       *training(session, SMALL, "--train.steps", "20", "--model.attention_dropout", "0", "--train.precision", precision,
                                 "--device", device, "--checkpoint.every", "0"))
        session.add(f"last loss, {device}, {precision}", losses_of(events)[-1], note=f"first: {losses_of(events)[0]:.6g}")
        return losses_of(events)

    found = {}
    def measure(device, precision):
        found[device, precision] = run(device, precision)

    devices = ["cpu", "cuda"] if session.gpu else ["cpu"]
    session.each([(f"{device} {precision}", lambda d=device, p=precision: measure(d, p))
                  for precision in ("fp32", "bf16") for device in devices])

    def compare(one, other, called):
        if one in found and other in found:
            session.add(f"largest difference, {called}", largest_difference(found[one], found[other]), note="of 20 losses, relative")

    compare(("cpu", "bf16"), ("cpu", "fp32"), "bf16 to fp32")
    compare(("cuda", "fp32"), ("cpu", "fp32"), "cuda to cpu, fp32")
    compare(("cuda", "bf16"), ("cpu", "bf16"), "cuda to cpu, bf16")
    if not session.gpu:
        session.remark(f"the GPU's losses: {session.gpu_missing}")


def kernel_tests(session):
    session.each([("gpu_tests", lambda: google_tests(session, "gpu_tests")),
                  ("graphs", lambda: google_tests(session, "trainer_gpu_tests", "StepOnGpu.Graphs*"))])


def sanitizer(session):
    places = [pathlib.Path(place, "bin") for place in (os.environ.get("CUDA_HOME", ""), "/usr/local/cuda") if place]
    tool = shutil.which("compute-sanitizer") or next((str(place / "compute-sanitizer") for place in places if (place / "compute-sanitizer").is_file()), None)
    if not tool:
        raise LeftOut("no compute-sanitizer here")
    wrapper = [tool, "--tool", "memcheck", "--error-exitcode", "9", "--target-processes", "all"]
    session.each([(tests, lambda t=tests: google_tests(session, "gpu_tests", t, wrapper=wrapper, limit=40)) for tests in ("*GpuKernels*", "*GpuGenerator*")])


def kernel_speed(session):
    def run(kernels):
        more = ["--kernels", kernels] if session.gpu else []
        measures = bench(session, f"kernels-{kernels}", ["generator", "kernels"], "--train.precision", "bf16" if session.gpu else "auto", *more, limit=60)
        add_measures(session, measures, lambda part, what: part in ("generator", "kernels"), f"{kernels}: ")

    session.each([(kernels, lambda k=kernels: run(k)) for kernels in (("libtorch", "hyperx") if session.gpu else ("cpu",))])


def steps(size):
    def measure(session):
        encoder, called = main_encoder(session)
        sentences = BATCHES[size]
        passes = SENTENCES // sentences
        # Whole passes over the training split, so that all variants and the peer see the same sentences.
        repeat, warmup = (30 if size == "32 sentences" else 10, passes) if session.gpu else (2, 1)

        def run(name, kernels, graphs):
            more = ["--kernels", kernels, "--train.cuda_graphs", str(int(graphs)), "--train.precision", "bf16"] if session.gpu else []
            measures = bench(session, f"step-{sentences}-{name.replace(' ', '-').replace(',', '')}", ["step"],
                             *training(session, encoder, "--train.batch_sentences", sentences, *more), "--repeat", repeat,
                             "--warmup", 2 * warmup if graphs else warmup, limit=45)
            add_measures(session, measures, lambda part, what: part == "step" and what != "bytes sent" or part == "step by part", f"{name}: ")
            rate = measures["step", "tokens/s, mean"]["value"]
            if rate > session.best.get(size, (0, ""))[0]:
                session.best[size] = (rate, name)

        session.add("encoder", called)
        variants = [(f"{kernels}, {'graphs' if graphs else 'eager'}", kernels, graphs) for kernels in ("libtorch", "hyperx")
                    for graphs in (False, True)] if session.gpu else [("cpu", "", False)]
        session.each([(name, lambda n=name, k=kernels, g=graphs: run(n, k, g)) for name, kernels, graphs in variants])
        if size in session.best:
            session.add("fastest", session.best[size][0], "tokens/s", note=session.best[size][1])
        if not session.gpu:
            session.remark(f"mBERT's size, our kernels and graphs: {session.gpu_missing}")
    return measure


PEERS_ON_GPU = {
    "bucketed": ["--bucket"],
    "unpadded, varlen attention without dropout": ["--bucket", "--unpad", "--attention", "varlen", "--attention-dropout", "0"],
    "compiled, CUDA graphs": ["--bucket", "--pad-multiple", "32", "--compile", "model", "--compile-static", "--compile-mode", "reduce-overhead"]}
PEERS_ON_CPU = {"unpadded, prepacked": ["--bucket", "--unpad", "--attention", "manual", "--dropout-kernel", "bits", "--prepack"]}


def peer(size):
    def measure(session):
        encoder, called = main_encoder(session)
        sentences = BATCHES[size]
        passes = SENTENCES // sentences
        fastest = {}

        def run(name, options):
            file = session.work / "peer.json"
            counted, warmup = (passes * (1 if size == "32 sentences" else 4), passes) if session.gpu else (4, 1)
            session.call(f"peer-{sentences}", [sys.executable, session.kit / "kit/peer_on_kit.py", session.kit, encoder, "--device", session.device,
                                               "--dtype", "bf16", "--fused-clip", "--batch", sentences, "--steps", counted, "--warmup", warmup,
                                               "--json", file, *options], 90, {"PYTHONPATH": str(session.torch)})
            found = json.loads(file.read_text())
            fastest[name] = found["real_tokens_per_s"]
            memory = f", {found['peak_gpu_mib']:.0f} MiB of the GPU" if found["peak_gpu_mib"] else ""
            session.add(f"peer, {name}", found["real_tokens_per_s"], "tokens/s",
                        note=f"{1e3 * found['s_per_step']:.2f} ms a step of {found['tokens_per_batch']:.0f} tokens, {counted} steps{memory}")

        session.each([(name, lambda n=name, o=options: run(n, o)) for name, options in (PEERS_ON_GPU if session.gpu else PEERS_ON_CPU).items()])
        if size in session.best and fastest:
            best = max(fastest, key=fastest.get)
            session.add("hyperx is", session.best[size][0] / fastest[best], "times as fast", note=f"{session.best[size][1]}, against the peer {best}; {called}")
    return measure


def evaluation(session):
    measures = bench(session, "evaluation", ["evaluation"], *training(session, main_encoder(session)[0], "--eval.pairs", "pos:en"), "--repeat", "3")
    add_measures(session, measures, lambda part, what: part == "evaluation")


def checkpoint_and_resume(session):
    """20 steps with two checkpoints; the same from the first of them: every byte of the last one is to be equal."""
    whole, resumed = session.work / "whole", session.work / "resumed"
    options = training(session, SMALL, "--train.steps", "20", "--checkpoint.every", "10", "--train.deterministic", "1", "--device", session.device)
    events = train(session, "whole", whole, *options)
    for event in events:
        if event["event"] == "checkpoint":
            session.add(f"pause of the checkpoint at step {event['step']}", 1e3 * event["pause_seconds"], "ms", note=f"{event['bytes'] / 1e6:.0f} MB")
    shutil.copytree(whole, resumed, symlinks=True)
    last = "checkpoints/step-0000020"
    shutil.rmtree(resumed / last)
    train(session, "resumed", resumed, *options, "--resume", "auto")
    unequal = [name for name in ("model.h5", "optimizer.h5") if (whole / last / name).read_bytes() != (resumed / last / name).read_bytes()]
    session.add("files of the last checkpoint that differ after a resume", len(unequal), "of 2", note="train.deterministic=1")
    if unequal:
        difference = largest_difference(losses_of([json.loads(line) for line in (resumed / "metrics.jsonl").read_text().splitlines()])[-10:], losses_of(events)[-10:])
        raise Failed(f"{', '.join(unequal)} differ after a resume; the losses by {difference:.2g}")


def two_ranks(session):
    environment = {}
    if session.gpu:
        version = python_line(session, "nccl", "import torch; print('.'.join(map(str, torch.cuda.nccl.version())))")
        if tuple(map(int, re.findall(r"\d+", version)))[:3] < (2, 30, 3):
            raise LeftOut(f"NCCL {version} takes one rank a GPU; 2.30.3 or newer takes more")
        environment = {"NCCL_MULTI_RANK_GPU_ENABLE": "1"}
    options = training(session, SMALL, "--train.steps", "10", "--model.attention_dropout", "0", "--train.precision", "fp32", "--device", session.device,
                       "--checkpoint.every", "0", "--threads", "1")
    one = losses_of(train(session, "one-rank", session.work / "one", *options))
    two = losses_of(train(session, "two-ranks", session.work / "two", *options, ranks=2, environment=environment))
    session.add("largest difference, two ranks to one", largest_difference(two, one), note="of 10 losses, relative, fp32")


ALL = [
    Part("machine", "Versions, device, limits", 60, machine),
    Part("libtorch-tests", "Tests of LibTorch's operations on the GPU", 60, libtorch_tests, needs_gpu=True),
    Part("losses", "20 steps on the GPU and on the CPU", 90, losses),
    Part("kernel-tests", "Our kernels against LibTorch's operations: errors", 90, kernel_tests, needs_gpu=True),
    Part("kernel-speed", "Our kernels and LibTorch's operations: share of the bandwidth", 90, kernel_speed),
    Part("sanitizer", "Our kernels under compute-sanitizer", 90, sanitizer, needs_gpu=True),
    Part("steps-32", "Training steps of 32 sentences", 120, steps("32 sentences")),
    Part("steps-8192", "Training steps of about 8,192 tokens", 120, steps("8,192 tokens")),
    Part("peer-32", "The PyTorch peer on the same sentences, 32 a step", 180, peer("32 sentences")),
    Part("peer-8192", "The PyTorch peer, about 8,192 tokens a step", 120, peer("8,192 tokens")),
    Part("evaluation", "Evaluation", 45, evaluation),
    Part("checkpoint-resume", "Checkpoint, and resume bit for bit", 90, checkpoint_and_resume),
    Part("two-ranks", "Two ranks", 60, two_ranks),
]
