import pytest
import torch

from pipeline.config.schema.data import DataConfig
from pipeline.data.catalog import DATASETS
from pipeline.data.tensors import Data, load
from pipeline.errors import UserError
from tests.data.tiny_mnist import ARRAYS, TINY, write_gzipped, write_plain


def load_tiny(root, num_train=30, num_val=10, dtype=torch.float32) -> Data:
    asked = DataConfig("tiny", str(root), 1, num_train=num_train, num_val=num_val, download=False)
    return load(asked, dtype)


@pytest.fixture
def tiny_root(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "tiny", TINY)
    write_plain(tmp_path)
    return tmp_path


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_first_examples_are_for_training_and_last_for_validation(tiny_root, dtype):
    data = load_tiny(tiny_root, num_train=20, num_val=5, dtype=dtype)
    images = torch.tensor(ARRAYS["train-images-idx3-ubyte"]).flatten(1).to(dtype) / 255
    labels = torch.tensor(ARRAYS["train-labels-idx1-ubyte"], dtype=torch.int64)
    test_images = torch.tensor(ARRAYS["t10k-images-idx3-ubyte"]).flatten(1).to(dtype) / 255
    torch.testing.assert_close(data.train.inputs, images[:20], rtol=0, atol=0)
    torch.testing.assert_close(data.val.inputs, images[-5:], rtol=0, atol=0)
    torch.testing.assert_close(data.test.inputs, test_images, rtol=0, atol=0)
    assert torch.equal(data.train.labels, labels[:20])
    assert torch.equal(data.val.labels, labels[-5:])
    assert (len(data.train), len(data.val), len(data.test)) == (20, 5, 10)
    assert (data.num_features, data.num_classes) == (16, 10)
    assert (data.digest, data.source) == (TINY.digest, str(tiny_root))


def test_gzipped_files_give_the_same_data(tiny_root):
    write_gzipped(tiny_root / "gzipped")
    plain, gzipped = load_tiny(tiny_root), load_tiny(tiny_root / "gzipped")
    assert torch.equal(plain.train.inputs, gzipped.train.inputs)
    assert plain.digest == gzipped.digest


def test_no_validation_examples(tiny_root):
    data = load_tiny(tiny_root, num_train=40, num_val=0)
    assert len(data.val) == 0
    assert data.val.inputs.shape == (0, 16)


def test_unchanged_files_are_read_once(tiny_root):
    first, second = load_tiny(tiny_root), load_tiny(tiny_root)
    assert first.train.inputs.data_ptr() == second.train.inputs.data_ptr()
    assert first.val.inputs.data_ptr() == second.val.inputs.data_ptr()


def test_changed_file_is_checked_again(tiny_root):
    load_tiny(tiny_root)
    path = tiny_root / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=f"{path}: has 17 bytes, expected 18"):
        load_tiny(tiny_root)


def test_removed_file_is_noticed(tiny_root):
    load_tiny(tiny_root)
    (tiny_root / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match="lacks t10k-labels-idx1-ubyte"):
        load_tiny(tiny_root)


def test_dangling_link_is_named(tiny_root):
    path = tiny_root / "t10k-labels-idx1-ubyte"
    path.unlink()
    path.symlink_to(tiny_root / "nowhere")
    with pytest.raises(UserError, match=f"{path}: .*No such file"):
        load_tiny(tiny_root)


def test_more_examples_than_there_are():
    with pytest.raises(UserError, match="the training set of digits has 1442 examples"):
        load(DataConfig("digits", num_train=1400, num_val=43, batch_size=1))


def test_digits():
    data = load(DataConfig("digits", num_train=1142, num_val=300, batch_size=1))
    assert (len(data.train), len(data.val), len(data.test)) == (1142, 300, 355)
    assert (data.num_features, data.num_classes) == (64, 10)
    assert data.source == "scikit-learn"
    for split in (data.train, data.val, data.test):
        assert split.inputs.dtype == torch.float32
        assert split.labels.dtype == torch.int64
        assert (split.inputs.min(), split.inputs.max()) == (0, 1)
        assert split.labels.bincount().min() >= len(split) / 12
    assert len(torch.cat([split.inputs for split in (data.train, data.val)]).unique(dim=0)) == 1442


def test_to_changes_inputs_but_keeps_labels_int64():
    data = load(DataConfig("digits", num_train=10, num_val=10, batch_size=1))
    moved = data.to("cpu", torch.bfloat16)
    assert moved.test.inputs.dtype == torch.bfloat16
    assert moved.test.labels.dtype == torch.int64
    assert data.to("cpu", torch.float32).train.inputs is data.train.inputs
    assert moved.digest == data.digest
