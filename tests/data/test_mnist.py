import torch

from pipeline.config.schema.data import DataConfig
from pipeline.data import prepare
from pipeline.data.tensors import load


def test_mnist_is_the_one_that_everybody_uses(mnist_root):
    prepare("mnist", mnist_root, download=False)
    data = load(DataConfig("mnist", str(mnist_root), num_train=50_000, num_val=10_000))
    assert (len(data.train), len(data.val), len(data.test)) == (50_000, 10_000, 10_000)
    assert data.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    num_of_class = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.test.labels.bincount().tolist() == num_of_class
    pixels = torch.cat([data.train.inputs, data.val.inputs]).double()
    assert round(pixels.mean().item(), 4) == 0.1307
    assert round(pixels.std().item(), 4) == 0.3081
