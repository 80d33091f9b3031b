"""A command that a warm process has started does what it does in a new interpreter."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests import command

STATEMENTS = {
    "it ends well": "print('said'); print('complained', file=sys.stderr)",
    "a number ends it": "sys.exit(3)",
    "a sentence ends it": "sys.exit('error: so it is')",
    "nothing ends it": "sys.exit()",
    "an error ends it": "raise KeyError",
    "it leaves": "from pipeline.process import leave; print('said'); leave(4)",
    "a signal ends it": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "its name": "print(__name__, sys.modules['__main__'].__spec__.name, sys.argv[2:])",
    "its place": "import os; print(os.getcwd(), sys.path[:2])",
    "its variables": "import os; print([os.environ.get(n) for n in ('OF', 'PATH', 'PYTHONPATH')])",
    "its streams": "print([(s.isatty(), s.line_buffering) for s in (sys.stdout, sys.stderr)])",
    "its input": "print(sys.stdin.read())",
    "its signals": "import signal as s; print([s.getsignal(n) for n in (2, 13, 15)])",
    "its open files": "import os; print(sorted(os.listdir('/proc/self/fd')))",
    "its session": "import os; print(os.getpid() == os.getsid(0) == os.getpgid(0))",
    "its threads": "import threading; print(threading.active_count())",
    "its log": "import logging; print(logging.root.handlers, logging.root.level)",
    "its end": "import atexit; atexit.register(print, 'at the end'); print('before')",
}


@pytest.mark.parametrize("what", STATEMENTS)
def test_it_is_as_in_a_new_interpreter(tmp_path: Path, what: str):
    warm, new = (
        command.run(
            tmp_path,
            STATEMENTS[what],
            "a",
            "b c",
            module="tests.statements",
            fresh=fresh,
            OF="ours",
        )
        for fresh in (False, True)
    )
    assert (warm.code, warm.stdout) == (new.code, new.stdout)
    assert warm.errors[-1:] == new.errors[-1:]  # a traceback's frames differ


def said(folder: Path, statements: str) -> str:
    done = command.run(folder, statements, module="tests.statements")
    assert (done.code, done.stderr) == (0, "")
    return done.stdout


def test_what_a_command_changes_no_other_sees(tmp_path: Path):
    change = "import os, pipeline; os.environ['LEFT'] = '1'; pipeline.left = 1; os.chdir('/')"
    look = "import os, pipeline; print('LEFT' in os.environ, hasattr(pipeline, 'left'))"
    said(tmp_path, change)
    assert said(tmp_path, f"{look}; print(os.getcwd())") == f"False False\n{tmp_path}\n"


def test_commands_draw_different_random_numbers(tmp_path: Path):
    draw = "import random, uuid, numpy; print(random.random(), uuid.uuid4(), numpy.random.rand())"
    numbers = [said(tmp_path, draw).split() for _ in range(2)]
    assert set(numbers[0]).isdisjoint(numbers[1])


def test_it_has_imported_what_takes_long(tmp_path: Path):
    seen = said(tmp_path, "import os; print(*sys.modules, *os.environ)").split()
    assert {"torch", "pytorch_lightning", "mlflow", "pipeline.training.train"} <= set(seen)
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" in seen  # which an import sets


def test_output_is_read_while_it_runs_and_its_group_ends_with_a_kill(tmp_path: Path):
    tell = "os.write(1, f'{os.getpgid(0)}\\n'.encode())"  # as one piece
    statements = f"import os, time; os.fork(); {tell}; time.sleep(60)"
    with command.started(tmp_path, statements, module="tests.statements") as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [f"{process.pid}\n"] * 2
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        assert process.communicate(timeout=10) == ("", "")
        assert process.returncode == -signal.SIGKILL
