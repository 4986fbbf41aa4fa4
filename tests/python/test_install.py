"""install() and python -m ringfeed: torch's DataLoader makes ringfeed's, in every process."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import subprocess
import sys
import textwrap
import warnings

import pytest
import torch
import torch.utils.data
from torch.utils.data import DataLoader as Alias

import ringfeed
from small_images import make, order_of

COUNT = 7


@pytest.fixture
def installed():
    ringfeed.install()
    yield
    ringfeed.uninstall()


@pytest.fixture
def images(tmp_path):
    return make(tmp_path / "images", COUNT)


def test_every_name_of_torch_s_class_makes_ringfeed_s(images, installed):
    for make_loader in (Alias, torch.utils.data.DataLoader, Alias[int]):
        loader = make_loader(images, batch_size=2)
        assert type(loader) is ringfeed.DataLoader and loader.rung == "native"
        assert isinstance(loader, Alias)
    assert torch.utils.data.DataLoader is Alias and type(Alias(dataset=images)) is type(loader)
    assert order_of(Alias(images, 3)) == list(range(COUNT))


def test_what_was_made_before_and_copies_stay_what_they_are(images):
    before = Alias(images, 2)
    ringfeed.install()
    try:
        for kind in (Alias, ringfeed.DataLoader):
            loader = before if kind is Alias else Alias(images, 2)
            for other in (
                copy.copy(loader),
                copy.deepcopy(loader),
                pickle.loads(pickle.dumps(loader)),
            ):
                assert type(other) is type(loader) is kind
                assert order_of(other) == list(range(COUNT))
    finally:
        ringfeed.uninstall()
    assert type(Alias(images, 2)) is Alias and type(copy.copy(before)) is Alias
    assert order_of(Alias(images, 2)) == list(range(COUNT))


def test_the_signature_is_torch_s(installed):
    names = list(inspect.signature(Alias).parameters)
    assert names[:3] == ["dataset", "batch_size", "shuffle"] and "self" not in names


def test_a_subclass_of_somebody_else_stays_torch_s_and_is_named_once(images, installed):
    class Theirs(Alias):
        pass

    with pytest.warns(RuntimeWarning, match=r"Theirs derives from torch's DataLoader") as caught:
        loaders = [Theirs(images, 2), Theirs(images, 2)]
    assert len(caught) == 1 and all(not isinstance(x, ringfeed.DataLoader) for x in loaders)

    class Ours(ringfeed.DataLoader):
        pass

    assert type(Ours(images, 2)) is Ours


@pytest.mark.parametrize("by", ["position", "name"])
def test_a_subclass_around_another_loader_is_not_named(images, installed, by):
    class Wrapped(Alias):
        """As Ray Train moves another loader's batches to its device."""

        def __init__(self, base):
            vars(self).update(vars(base))
            self._base = base

        def __iter__(self):
            return iter(self._base)

    base = Alias(images, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader = Wrapped(base) if by == "position" else Wrapped(base=base)
        assert order_of(loader) == list(range(COUNT))
    assert type(loader) is Wrapped and type(base) is ringfeed.DataLoader


def test_options_that_a_loader_made_anew_lacks_are_named(images, installed):
    def anew(loader):
        """As accelerate makes one, around its shards of the batch sampler."""
        batches = Wrapped(loader.batch_sampler)
        return Alias(loader.dataset, batch_sampler=batches, num_workers=loader.num_workers)

    class Wrapped:
        def __init__(self, batch_sampler):
            self.batch_sampler = batch_sampler

        def __iter__(self):
            return iter(self.batch_sampler)

    options = {"dtype": torch.float16, "seed": 3, "rank": 0, "world_size": 1}
    with pytest.warns(RuntimeWarning, match="without its seed=, dtype=: what makes") as caught:
        assert order_of(anew(ringfeed.DataLoader(images, 2, **options))) == list(range(COUNT))
    assert len(caught) == 1 and caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert order_of(anew(Alias(images, 2))) == list(range(COUNT))


def test_such_a_loader_is_known_however_it_is_called(images, installed):
    order = ringfeed.DataLoader(images, 2, seed=3).sampler
    for anew in (
        lambda: Alias(images, 2, False, order),
        lambda: Alias(images, batch_size=2, sampler=order, batch_sampler=None),
    ):
        with pytest.warns(RuntimeWarning, match="without its seed=: what makes"):
            anew()


def test_timm_s_loader_is_made_with_ringfeed_behind_it(images, installed):
    timm = pytest.importorskip("timm.data.loader")
    loader = timm.MultiEpochsDataLoader(images, batch_size=2)
    assert isinstance(loader, ringfeed.DataLoader) and isinstance(
        loader, timm.MultiEpochsDataLoader
    )
    assert order_of(loader) == order_of(loader) == list(range(COUNT))


# The launcher

SCRIPT = """
import sys, os
import sibling
import torch
from torch.utils.data import DataLoader
if __name__ == "__main__":
    print(type(DataLoader([1])).__module__, sys.argv[1:], sibling.NAME, __file__, __spec__)
"""


def launch(tmp_path, script, *arguments, command=("-m", "ringfeed"), **environment):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(script))
    (tmp_path / "sibling.py").write_text("NAME = 'sibling'\n")
    search = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": search, "PYTHONWARNINGS": "ignore", **environment}
    done = subprocess.run(
        [sys.executable, *command, str(path), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        cwd=tmp_path.parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_script_finds_itself_as_python_would_start_it(tmp_path):
    (found,) = launch(tmp_path, SCRIPT, "--epochs", "3")
    assert found == f"ringfeed.loader ['--epochs', '3'] sibling {tmp_path}/script.py None"


def test_a_script_is_run_as_python_runs_it(tmp_path):
    (tmp_path / "real").mkdir()
    script = """
        import os
        os.environ["OMP_NUM_THREADS"] = "1"
        import dataclasses, sys
        import torch
        @dataclasses.dataclass
        class A:
            x: int = 1
        print(dataclasses.fields(A)[0].type, torch.get_num_threads())
        print(__file__, sys.path[0], sys.argv)
    """
    (tmp_path / "real" / "script.py").write_text(textwrap.dedent(script))
    (tmp_path / "link.py").symlink_to(tmp_path / "real" / "script.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for path in ("real/script.py", "link.py", str(tmp_path / "link.py")):
        said = [
            subprocess.run(
                [sys.executable, "-u", *launcher, path, "-m", "7"],
                capture_output=True,
                text=True,
                env=environment,
                cwd=tmp_path,
            ).stdout
            for launcher in ([], ["-m", "ringfeed"])
        ]
        assert said[0] == said[1] and "int" in said[0]


def test_an_uninstall_in_a_child_holds(tmp_path):
    script = """
        import ringfeed
        from torch.utils.data import DataLoader
        ringfeed.uninstall()
        print(type(DataLoader([1])).__module__)
    """
    assert launch(tmp_path, script) == ["torch.utils.data.dataloader"]


def test_another_base_with_a_new_of_its_own_keeps_it(images, installed):
    class Tagged:
        def __new__(cls, *args, **kwargs):
            made = super().__new__(cls)
            made.tag = True
            return made

    with pytest.warns(RuntimeWarning):

        class Theirs(Alias, Tagged):
            pass

        assert Theirs(images, 2).tag
    ringfeed.uninstall()
    assert Theirs(images, 2).tag


def test_a_module_is_run_likewise(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "run.py").write_text(
        "import sys\nfrom torch.utils.data import DataLoader\n"
        "print(type(DataLoader([1])).__module__, sys.argv[1:])"
    )
    search = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "ringfeed", "-m", "package.run", "7"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": search},
    )
    assert done.stdout == "ringfeed.loader ['7']\n", done.stderr


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_spawned_children_are_reached(tmp_path, method):
    script = """
        import torch.multiprocessing as mp
        from torch.utils.data import DataLoader
        def work(rank, queue):
            queue.put(type(DataLoader([1])).__module__)
        if __name__ == "__main__":
            context = mp.get_context("METHOD")
            queue = context.Queue()
            children = [context.Process(target=work, args=(rank, queue)) for rank in range(2)]
            for child in children: child.start()
            print(queue.get(), queue.get())
            for child in children: child.join()
    """.replace("METHOD", method)
    assert launch(tmp_path, script) == ["ringfeed.loader ringfeed.loader"]


def test_mp_spawn_and_subprocesses_are_reached(tmp_path):
    script = """
        import subprocess, sys
        import torch.multiprocessing as mp
        from torch.utils.data import DataLoader
        def work(rank):
            print(type(DataLoader([1])).__module__, flush=True)
        if __name__ == "__main__":
            mp.spawn(work, nprocs=1)
            code = "from torch.utils.data import DataLoader as L; print(type(L([1])).__module__)"
            subprocess.run([sys.executable, "-c", code], check=True)
    """
    assert launch(tmp_path, script) == ["ringfeed.loader"] * 2


def test_a_child_that_never_imports_torch_imports_nothing_more(tmp_path):
    script = """
        import subprocess, sys
        code = "import sys; print({'torch', 'ringfeed', 'numpy'} & {*sys.modules})"
        subprocess.run([sys.executable, "-c", code], check=True)
    """
    assert launch(tmp_path, script) == ["set()"]


def test_a_sitecustomize_that_was_there_runs_too(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import os; os.environ['SEEN'] = 'yes'")
    search = os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)])
    script = """
        import subprocess, sys
        code = "import os, sitecustomize; print(os.environ.pop('SEEN'), sitecustomize.__file__)"
        subprocess.run([sys.executable, "-c", code], check=True)
    """
    (found,) = launch(tmp_path, script, PYTHONPATH=search)
    assert found == f"yes {tmp_path}/site/sitecustomize.py"


def test_torchrun_starts_it_for_each_rank(tmp_path):
    script = """
        import os
        from torch.utils.data import DataLoader
        print(os.environ["RANK"], type(DataLoader([1])).__module__, flush=True)
    """
    command = (
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "-m",
        "ringfeed",
    )
    assert sorted(launch(tmp_path, script, command=command)) == [
        "0 ringfeed.loader",
        "1 ringfeed.loader",
    ]


def test_lightning_s_ranks_are_reached(tmp_path):
    pytest.importorskip("lightning")
    script = """
        import sys, lightning, torch
        from torch.utils.data import DataLoader
        class Model(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(1, 1)
            def training_step(self, batch, index):
                return self.layer(batch.float()[:, None]).sum()
            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), 0.1)
        if __name__ == "__main__":
            loader = DataLoader(list(range(8)), 2)
            trainer = lightning.Trainer(
                accelerator="cpu", devices=2, strategy="ddp", max_epochs=1, logger=False,
                enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
            trainer.fit(Model(), loader)
            kind = type(trainer.train_dataloader)
            sys.stdout.write(f"rank {trainer.global_rank} {kind.__module__}\\n")  # in one piece
            sys.stdout.flush()
            # gloo's threads may hold tensors; one that asks for the GIL of an ending interpreter
            # ends the process by SIGABRT.
            torch.distributed.destroy_process_group()
    """
    found = [line for line in launch(tmp_path, script) if line.startswith("rank")]
    assert sorted(found) == ["rank 0 ringfeed.loader", "rank 1 ringfeed.loader"]


def test_what_is_wrong_with_a_call_is_said(tmp_path):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "ringfeed", *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    assert (helped := run("--help")).returncode == 0 and helped.stdout.startswith(
        "usage: python -m"
    )
    assert (none := run()).returncode == 2 and "usage" in none.stderr
    gone = run(str(tmp_path / "gone.py"))
    assert gone.returncode == 2 and "can't open file" in gone.stderr and "gone.py" in gone.stderr
    assert (bare := run("-m")).returncode == 2 and "Argument expected" in bare.stderr
