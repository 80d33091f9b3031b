import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline.config.options
import pipeline.errors
from pipeline.config.options import conf_dir, did_you_mean, one_of, options, project_root
from pipeline.errors import UserError


def test_options_are_the_yaml_files_of_a_group_sorted():
    assert options("trainer") == ("auto", "cpu", "gpu")
    for group in ("data", "dropout", "model", "optimizer", "regularizer"):
        stems = [path.stem for path in (conf_dir() / group).iterdir() if path.suffix == ".yaml"]
        assert list(options(group)) == sorted(stems)
        assert stems


def test_a_known_name_passes():
    one_of("loss.name", "ce", ["ce", "mse"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("quadratc", "loss.name=quadratc: must be one of mse, quadratic. Did you mean quadratic?"),
        ("MSEE", "loss.name=MSEE: must be one of mse, quadratic. Did you mean mse?"),
        ("", "loss.name=: must be one of mse, quadratic."),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones_and_the_nearest(value, message):
    with pytest.raises(UserError) as error:
        one_of("loss.name", value, iter(["mse", "quadratic"]))
    assert str(error.value) == message


def test_only_a_near_name_is_suggested():
    assert did_you_mean("momentun", ["sgd", "momentum"]) == " Did you mean momentum?"
    assert did_you_mean("zzz", ["sgd", "momentum"]) == ""


def test_in_a_checkout_conf_lies_beside_the_package():
    root = Path(__file__).parent.parent.parent
    assert project_root() == root
    assert conf_dir() == root / "conf"


def test_installed_conf_lies_in_the_package_and_the_root_is_the_current_folder(tmp_path):
    package, current = tmp_path / "site" / "pipeline", tmp_path / "current"
    (package / "conf" / "loss").mkdir(parents=True)
    current.mkdir()
    (package / "conf" / "loss" / "mine.yaml").touch()
    (package / "__init__.py").touch()
    (package / "config").mkdir()
    (package / "config" / "__init__.py").touch()
    shutil.copy(str(pipeline.errors.__file__), package)
    shutil.copy(str(pipeline.config.options.__file__), package / "config")
    program = (
        f"import sys; sys.path.insert(0, {str(package.parent)!r})\n"
        "from pipeline.config.options import conf_dir, options, project_root\n"
        "print(conf_dir(), project_root(), *options('loss'), sep='\\n')"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=current, capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines() == [str(package / "conf"), str(current), "mine"]
