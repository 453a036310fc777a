"""How the kit runs its parts: commands with a time limit, results written at once, no part stopping another."""
import datetime
import json
import os
import shutil
import signal
import subprocess
import time

SPARE_SECONDS = 3  # kept for writing the results and ending what runs


class Failed(Exception):
    """Something of a part went wrong."""


class LeftOut(Exception):
    """A part, or the rest of it, cannot run here or has no time left."""


class Part:
    """name, title; seconds: its own limit; run(session): adds rows by session.add."""

    def __init__(self, name, title, seconds, run, needs_gpu=False):
        self.name, self.title, self.seconds, self.run, self.needs_gpu = name, title, seconds, run, needs_gpu


def number_text(value):
    return value if isinstance(value, str) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


class Session:
    def __init__(self, kit, out, seconds, torch, device):
        self.kit, self.out, self.torch = kit, out, torch
        self.begin = time.monotonic()
        self.deadline = self.begin + seconds - SPARE_SECONDS
        self.limit = self.deadline  # of the part that runs
        self.results, self.rows, self.remarks, self.commands = [], [], [], 0
        self.best = {}  # of hyperx by batch: (tokens/s, variant)
        self.facts = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")}
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "results.jsonl").write_text("")
        self.work = self.out / "work"  # removed at the end
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        (self.out / "logs").mkdir(exist_ok=True)
        self.environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                                OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_mpi_yield_when_idle="1")
        self.gpu_missing = self.why_no_gpu(device)
        self.gpu = not self.gpu_missing

    def why_no_gpu(self, device):
        """Empty where there is a GPU to measure."""
        if device == "cpu":
            return "--device cpu"
        if not shutil.which("nvidia-smi"):
            return "no NVIDIA driver here (nvidia-smi)"
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
        if found.returncode or "GPU" not in found.stdout:
            return "no GPU here: nvidia-smi -L says " + (found.stdout + found.stderr).strip()[:200]
        return ""

    @property
    def device(self):
        return "cuda" if self.gpu else "cpu"

    def left(self):
        """Seconds that the running part may still take."""
        return self.limit - time.monotonic()

    def add(self, what, value, unit="", limit=None, reached=None, note=""):
        row = {"what": what, "value": value, "unit": unit, "note": note}
        if limit is not None:
            row["limit"] = limit
        if reached is not None:
            row["reached"] = reached
        self.rows.append(row)

    def remark(self, text):
        """What a part left out while the rest of it ran."""
        self.remarks.append(text)

    def program(self, name):
        return str(self.kit / "hyperx/bin" / name)

    def call(self, name, command, limit=None, environment=None):
        """Runs a command of the running part with its output in a log; its standard output. Failed, LeftOut."""
        seconds = min(self.left(), limit or self.left())
        if seconds < 1:
            raise LeftOut(f"no time left for {name}")
        self.commands += 1
        log = self.out / "logs" / f"{self.commands:02}-{name}.log"
        with open(log, "w") as file, open(log.with_suffix(".err"), "w") as errors:
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=file, stderr=errors,
                                       cwd=self.work, env={**self.environment, **(environment or {})}, start_new_session=True)
            try:
                code = process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                raise LeftOut(f"{name} took more than the {seconds:.0f} s it was given") from None
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.wait()
        said = log.with_suffix(".err").read_text(errors="replace")
        if code:
            tail = " / ".join((said or log.read_text(errors="replace")).strip().splitlines()[-3:])
            raise Failed(f"{name} ended with {code}: {tail[-500:]}")
        return log.read_text(errors="replace")

    def each(self, runs):
        """Runs (name, function) in turn; one that fails or has no time is remarked and does not stop the next. Failed if all did."""
        failures = []
        for name, run in runs:
            try:
                run()
            except LeftOut as error:
                self.remark(str(error))
            except (Failed, OSError, ValueError, KeyError, IndexError) as error:
                failures.append(f"{name}: {error}")
        if failures:
            raise Failed("; ".join(failures))

    def run(self, parts):
        code = 0
        for number, part in enumerate(parts, 1):
            now = time.monotonic()
            self.rows, self.remarks, self.limit = [], [], min(self.deadline, now + part.seconds)
            print(f"[{now - self.begin:4.0f} s, {max(0, self.deadline - now):.0f} s left] {number}/{len(parts)} {part.title}", flush=True)
            status, why = "done", ""
            try:
                if part.needs_gpu and not self.gpu:
                    raise LeftOut(self.gpu_missing)
                if self.left() < 1:
                    raise LeftOut("no time left")
                part.run(self)
            except LeftOut as error:
                status, why = ("done" if self.rows else "left out"), str(error)
            except Exception as error:  # whatever it is, the other parts still run
                status, why, code = "failed", f"{error}" if isinstance(error, Failed) else f"{type(error).__name__}: {error}", 1
            why = "; ".join([*([why] if why else []), *self.remarks])
            print(f"    {status}, {time.monotonic() - now:.1f} s{': ' + why if why else ''}", flush=True)
            self.write({"part": part.name, "title": part.title, "status": status, "why": why,
                        "seconds": round(time.monotonic() - now, 1), "rows": self.rows})
        shutil.rmtree(self.work, ignore_errors=True)
        print(f"all in {time.monotonic() - self.begin:.0f} s: {self.out}/results.md", flush=True)
        return code

    def write(self, result):
        self.results.append(result)
        with open(self.out / "results.jsonl", "a") as file:
            file.write(json.dumps(result) + "\n")
        partial = self.out / "results.md.partial"
        partial.write_text(self.page())
        partial.replace(self.out / "results.md")

    def page(self):
        lines = ["| | |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in self.facts.items())]
        for result in self.results:
            lines += ["", f"### {result['title']}", ""]
            if result["why"]:
                status = "not all of it" if result["status"] == "done" else result["status"]
                lines += [f"{status.capitalize()}: {result['why']}".replace("|", "/")]
            if result["rows"]:
                lines += [*([""] if result["why"] else []), "| what | measured | unit | limit | reached | note |", "| --- | ---: | --- | ---: | ---: | --- |"]
            for row in result["rows"]:
                limit = number_text(row["limit"]) if "limit" in row else ""
                reached = f"{100 * row['reached']:.0f} %" if "reached" in row else ""
                note = row["note"].replace("|", "/")
                lines.append(f"| {row['what']} | {number_text(row['value'])} | {row['unit']} | {limit} | {reached} | {note} |")
        return "\n".join(lines).rstrip() + "\n"
