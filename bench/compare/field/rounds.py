"""The peers' processes, which take turns."""

import json
import subprocess
import threading
from pathlib import Path

from data_loader import cpu_seconds, memory


class Failed(Exception):
    """What the peer's process said, in one line."""


class Process:
    def __init__(self, python, spec):
        worker = Path(__file__).with_name("worker.py")
        self.process = subprocess.Popen(
            [python, str(worker), json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.pid, self.files = self.process.pid, len(spec["files"])
        self.versions = self.answer()["versions"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"its process ended ({self.process.wait()})")
        message = json.loads(line)
        if "error" in message:
            raise Failed(message["error"])
        return message

    def ask(self, *task):
        try:
            print(json.dumps(task), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # answer() says what it has to say
        return self.answer()

    def run(self, epochs):
        """Figures of some epochs, after one that is not counted, in which it gives what it has made
        ahead since its last turn."""
        first = self.ask("epochs", 1, self.files)["first"]
        before = cpu_seconds(self.pid)
        figures = self.ask("epochs", epochs, self.files)
        return {**figures, "first": first, "cpu": cpu_seconds(self.pid) - before}

    def pss(self):
        return memory(self.pid)[0]

    def peak_pss(self):
        """Bytes, over an epoch. While no other of these runs: they share pages."""
        ended, peak = threading.Event(), [self.pss()]

        def sample():
            while not ended.wait(0.1):
                peak[0] = max(peak[0], self.pss())

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            self.ask("epochs", 1, self.files)
        finally:
            ended.set()
            sampler.join()
        return peak[0]

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def take_turns(processes, rounds, epochs, say):
    """{name: figures of each round}; who fails leaves, with a reason in `failed`."""
    figures, failed = {name: [] for name in processes}, {}
    for number in range(rounds + 1):  # the first is not counted
        for name, process in processes.items():
            if name in failed:
                continue
            try:
                result = process.run(epochs)
            except Failed as error:
                failed[name] = str(error)
                continue
            if number:
                figures[name].append(result)
        say(f"  round {number} of {rounds}")
    return figures, failed
