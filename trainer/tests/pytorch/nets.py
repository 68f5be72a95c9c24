"""What the published networks compute, as fixtures for the tests of `trainer::nets`.

Writes one JSON file for each case to the folder `nets` beside this script: the `[model]` table,
every parameter's name and shape, and the first numbers and the sum of each output for weights and
an image that both sides make by the same formula (`formula` here, `Formula` in `tests/nets.rs`).

The networks are those of torchvision 0.26.0 and of torchreid 0.2.5, whose files are loaded one by
one because the package wants more than it needs. Where PyPI has no implementation, the module is
restated below, with its source:

- IBN-a: github.com/XingangPan/IBN-Net, ibnnet/resnet_ibn.py and modules.py (the same as
  modeling/backbones/resnet_ibn_a.py of github.com/michuanhaohao/reid-strong-baseline);
- non-local blocks, the pooling windows that reach beyond the image, and GeM:
  github.com/JDAI-CV/fast-reid, fastreid/modeling/backbones/resnet.py, fastreid/layers/non_local.py
  and fastreid/layers/pooling.py;
- RepVGG: github.com/DingXiaoH/RepVGG, repvgg.py;
- the neck, and the stem without ReLU: modeling/baseline.py and modeling/backbones/resnet.py of
  github.com/michuanhaohao/reid-strong-baseline;
- stripes: Sun et al., "Beyond Part Models" (PCB), with the neck of the above for each.

Once, on a machine without CUDA (Linux, Python 3.11), in an empty folder:

    python3 -m venv env
    env/bin/pip install --no-deps torch==2.11.0 torchvision==0.26.0 nvidia-cuda-runtime==13.0.96 \
        nvidia-cuda-cupti==13.0.85 sympy mpmath networkx jinja2 markupsafe fsspec filelock \
        typing-extensions numpy pillow
    env/bin/pip download --no-deps --no-binary :all: torchreid==0.2.5
    tar xzf torchreid-0.2.5.tar.gz
    mkdir stub  # empty libraries in place of the CUDA wheels, which nothing here calls
    for so in libcudnn.so.9 libcusparse.so.12 libcufft.so.12 libcufile.so.0 libcusparseLt.so.0 \
        libnccl.so.2 libcurand.so.10 libcublas.so.13 libcublasLt.so.13 libnvshmem_host.so.3 \
        libcusolver.so.12
    do echo | gcc -shared -x c - -o stub/$so -Wl,-soname,$so; done

Then, and after every change of this file:

    LD_LIBRARY_PATH=stub TORCHREID=torchreid-0.2.5/torchreid env/bin/python path/to/nets.py
"""

import importlib.util
import json
import os
import pathlib
import sys

sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

CLASSES = 5
FIRST = 16
HERE = pathlib.Path(__file__).resolve().parent


def torchreid(name):
    """A file of torchreid's models, without the package around it."""
    path = pathlib.Path(os.environ["TORCHREID"]) / "reid" / "models" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- the formula ---------------------------------------------------------------------------------


def uniform(name, count):
    """`count` numbers in 0..1, multiples of 2^-24: splitmix64 of FNV-1a of the name and the index."""
    start = 0xCBF29CE484222325
    for byte in name.encode():
        start = ((start ^ byte) * 0x100000001B3) % 2**64
    z = np.uint64(start) + np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2.0**24


def formula(name, shape):
    u = uniform(name, int(np.prod(shape)))
    if name == "image":
        values = (u - 0.5) * 4.0
    elif name.endswith(".running_var"):
        values = 0.5 + u
    elif name == "pool.p":
        values = 2.5 + u
    elif len(shape) > 1:
        values = (u - 0.5) * np.sqrt(24.0 / np.prod(shape[1:]))
        if name.startswith("NL_"):
            # The product of three of them must not run away.
            values = values * 0.25
    elif name.endswith(".weight"):
        # Below 1 on average, so that a sum over 50 blocks stays of order 1.
        values = 0.4 + 0.6 * u
    else:
        values = (u - 0.5) * 0.2
    return torch.from_numpy(values.astype(np.float32).reshape(shape)).double()


# --- backbones -----------------------------------------------------------------------------------


class ResNetFeatures(nn.Module):
    """A torchvision ResNet (or one that is built alike) up to its feature map."""

    def __init__(self, net, last_stride=1, stem_relu=True, ceil=False):
        super().__init__()
        self.conv1, self.bn1 = net.conv1, net.bn1
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            net.layer1,
            net.layer2,
            net.layer3,
            net.layer4,
        )
        self.stem_relu = stem_relu
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True) if ceil else nn.MaxPool2d(3, 2, padding=1)
        if last_stride == 1:
            first = self.layer4[0]
            strided = first.conv2 if hasattr(first, "conv3") else first.conv1
            strided.stride = (1, 1)
            first.downsample[0].stride = (1, 1)

    def forward(self, x):
        x = self.bn1(self.conv1(x))
        if self.stem_relu:
            x = F.relu(x)
        x = self.pool(x)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class IBN(nn.Module):
    """IBN-Net, ibnnet/modules.py: half of the channels by image, half by batch."""

    def __init__(self, channels):
        super().__init__()
        self.half = channels // 2
        self.IN = nn.InstanceNorm2d(self.half, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.half)

    def forward(self, x):
        by_image, by_batch = x[:, : self.half], x[:, self.half :]
        return torch.cat([self.IN(by_image), self.BN(by_batch)], 1)


def with_ibn_a(net):
    """IBN-Net, ibnnet/resnet_ibn.py, `ibn_cfg=('a', 'a', 'a', None)`."""
    for stage in [net.layer1, net.layer2, net.layer3]:
        for block in stage:
            block.bn1 = IBN(block.bn1.num_features)
    return net


class NonLocal(nn.Module):
    """fast-reid, fastreid/layers/non_local.py; its `reduc_ratio // reduc_ratio` is one channel."""

    def __init__(self, channels):
        super().__init__()
        self.g = nn.Conv2d(channels, 1, 1)
        self.W = nn.Sequential(nn.Conv2d(1, channels, 1), nn.BatchNorm2d(channels))
        self.theta = nn.Conv2d(channels, 1, 1)
        self.phi = nn.Conv2d(channels, 1, 1)

    def forward(self, x):
        n, _, h, w = x.shape
        g = self.g(x).reshape(n, 1, -1).permute(0, 2, 1)
        theta = self.theta(x).reshape(n, 1, -1).permute(0, 2, 1)
        phi = self.phi(x).reshape(n, 1, -1)
        f = theta @ phi
        y = (f / f.shape[-1]) @ g
        return self.W(y.permute(0, 2, 1).reshape(n, 1, h, w)) + x


class NonLocalResNet(ResNetFeatures):
    """fast-reid, fastreid/modeling/backbones/resnet.py: a block behind each of the last `counts`
    blocks of the second and the third stage."""

    def __init__(self, net, counts, **options):
        super().__init__(net, **options)
        self.NL_2 = nn.ModuleList([NonLocal(512) for _ in range(counts[0])])
        self.NL_3 = nn.ModuleList([NonLocal(1024) for _ in range(counts[1])])

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x))) if self.stem_relu else self.bn1(self.conv1(x))
        x = self.layer1(self.pool(x))
        for stage, extra in [(self.layer2, self.NL_2), (self.layer3, self.NL_3)]:
            for i, block in enumerate(stage):
                x = block(x)
                behind = i - (len(stage) - len(extra))
                if behind >= 0:
                    x = extra[behind](x)
        return self.layer4(x)


class SeFeatures(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.layer0, self.layer1, self.layer2 = net.layer0, net.layer1, net.layer2
        self.layer3, self.layer4 = net.layer3, net.layer4

    def forward(self, x):
        return self.layer4(self.layer3(self.layer2(self.layer1(self.layer0(x)))))


def senet(kind, last_stride):
    source = torchreid("senet")
    block, groups = {
        "resnet": (source.SEResNetBottleneck, 1),
        "resnext": (source.SEResNeXtBottleneck, 32),
    }[kind]
    net = source.SENet(
        num_classes=CLASSES,
        loss="softmax",
        block=block,
        layers=[3, 4, 6, 3],
        groups=groups,
        reduction=16,
        dropout_p=None,
        inplanes=64,
        input_3x3=False,
        downsample_kernel_size=1,
        downsample_padding=0,
        last_stride=last_stride,
        fc_dims=None,
    )
    return SeFeatures(net)


class RepVggBlock(nn.Module):
    """RepVGG, repvgg.py: three branches while it trains."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.rbr_identity = nn.BatchNorm2d(inputs) if inputs == outputs and stride == 1 else None
        self.rbr_dense, self.rbr_1x1 = nn.Sequential(), nn.Sequential()
        for branch, kernel in [(self.rbr_dense, 3), (self.rbr_1x1, 1)]:
            conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
            branch.add_module("conv", conv)
            branch.add_module("bn", nn.BatchNorm2d(outputs))

    def forward(self, x):
        same = 0 if self.rbr_identity is None else self.rbr_identity(x)
        return F.relu(self.rbr_dense(x) + self.rbr_1x1(x) + same)


class RepVggA0(nn.Module):
    """RepVGG, repvgg.py: `num_blocks=[2, 4, 14, 1], width_multiplier=[.75, .75, .75, 2.5]`."""

    def __init__(self, last_stride):
        super().__init__()
        self.stage0 = RepVggBlock(3, 48, 2)
        inputs = 48
        stages = [(48, 2, 2), (96, 4, 2), (192, 14, 2), (1280, 1, last_stride)]
        for i, (outputs, blocks, stride) in enumerate(stages):
            stage = [RepVggBlock(inputs, outputs, stride)]
            stage += [RepVggBlock(outputs, outputs, 1) for _ in range(blocks - 1)]
            setattr(self, f"stage{i + 1}", nn.Sequential(*stage))
            inputs = outputs

    def forward(self, x):
        return self.stage4(self.stage3(self.stage2(self.stage1(self.stage0(x)))))


class MobileNetFeatures(nn.Module):
    def __init__(self, last_stride):
        super().__init__()
        self.features = torchvision.models.mobilenet_v2().features
        if last_stride == 1:
            self.features[14].conv[1][0].stride = (1, 1)

    def forward(self, x):
        return self.features(x)


class OsNetFeatures(nn.Module):
    def __init__(self, name):
        super().__init__()
        net = getattr(torchreid("osnet"), name)(num_classes=CLASSES, pretrained=False)
        self.conv1, self.maxpool = net.conv1, net.maxpool
        self.conv2, self.conv3, self.conv4, self.conv5 = net.conv2, net.conv3, net.conv4, net.conv5

    def forward(self, x):
        x = self.maxpool(self.conv1(x))
        return self.conv5(self.conv4(self.conv3(self.conv2(x))))


def osnet_fc(name):
    """torchreid's own head: linear, BatchNorm, ReLU."""
    net = getattr(torchreid("osnet"), name)(num_classes=CLASSES, pretrained=False)
    return net.fc, net.classifier


# --- heads ---------------------------------------------------------------------------------------


class Branch(nn.Module):
    """Embedding, neck and classifier for one pooled feature."""

    def __init__(self, channels, neck, dim):
        super().__init__()
        if dim:
            self.embedding = nn.Linear(channels, dim)
        width = dim or channels
        self.neck = neck
        if neck == "bnneck":
            self.bottleneck = nn.BatchNorm1d(width)
        self.classifier = nn.Linear(width, CLASSES, bias=neck == "none")

    def forward(self, pooled):
        x = self.embedding(pooled) if hasattr(self, "embedding") else pooled
        feature = self.bottleneck(x) if self.neck == "bnneck" else x
        before = feature if self.neck == "none" else pooled
        return before, feature, self.classifier(feature)


class FcHead(nn.Module):
    def __init__(self, fc, classifier):
        super().__init__()
        self.fc, self.classifier = fc, classifier

    def forward(self, pooled):
        feature = self.fc(pooled)
        return feature, feature, self.classifier(feature)


class Gem(nn.Module):
    """fast-reid, fastreid/layers/pooling.py, GeneralizedMeanPoolingP."""

    def __init__(self):
        super().__init__()
        self.p = nn.Parameter(torch.ones(1) * 3)

    def forward(self, x, stripes):
        x = x.clamp(min=1e-6).pow(self.p)
        return F.adaptive_avg_pool2d(x, (stripes, 1)).pow(1.0 / self.p)


class Net(nn.Module):
    def __init__(self, spec, base, head=None):
        super().__init__()
        self.base = base
        self.stripes = spec.get("parts", 1)
        if spec.get("pooling") == "gem":
            self.pool = Gem()
        with torch.no_grad():
            base.eval()
            channels = base(torch.zeros(1, 3, *spec["size"])).shape[1]
        neck, dim = spec.get("neck", "bnneck"), spec.get("dim", 0)
        if self.stripes > 1:
            self.parts = nn.ModuleList([Branch(channels, neck, dim) for _ in range(self.stripes)])
        else:
            self.head = head or Branch(channels, neck, dim)

    def forward(self, x):
        x = self.base(x)
        if hasattr(self, "pool"):
            x = self.pool(x, self.stripes)
        else:
            x = F.adaptive_avg_pool2d(x, (self.stripes, 1))
        pooled = [x[:, :, i, 0] for i in range(self.stripes)]
        if self.stripes == 1:
            before, feature, logits = self.head(pooled[0])
            return {"f_t": before, "f_i": feature, "logits": logits}
        done = [part(x) for part, x in zip(self.parts, pooled)]
        outputs = {
            "f_t": torch.cat([before for before, _, _ in done], 1),
            "f_i": torch.cat([feature for _, feature, _ in done], 1),
        }
        return outputs | {f"logits.{i}": logits for i, (_, _, logits) in enumerate(done)}


def short(name):
    for prefix in ["base.", "head."]:
        name = name.removeprefix(prefix)
    return name


# --- cases ---------------------------------------------------------------------------------------


def resnet(depth):
    return getattr(torchvision.models, f"resnet{depth}")()


def cases():
    """Name, `[model]` table, backbone, own head if there is one."""

    def case(name, backbone, base, head=None, size=(64, 32), **spec):
        return name, {"backbone": backbone, "size": list(size)} | spec, base, head

    for depth, stride, size in [
        (18, 1, (64, 32)),
        (34, 2, (64, 32)),
        (50, 1, (64, 32)),
        (101, 2, (64, 32)),
        (152, 2, (32, 32)),
    ]:
        base = ResNetFeatures(resnet(depth), stride)
        yield case(f"resnet{depth}", f"resnet{depth}", base, size=size, last_stride=stride)
    base = ResNetFeatures(resnet(50), 1, stem_relu=False)
    yield case("resnet50_official", "resnet50", base, stem_relu=False)
    base = ResNetFeatures(resnet(50), 2)
    yield case("resnet50_standard", "resnet50", base, last_stride=2, neck="none")
    base = NonLocalResNet(resnet(50), (2, 3), last_stride=1, ceil=True)
    options = {"pooling": "gem", "stem_pool": "ceil", "non_local": True}
    yield case("resnet50_agw", "resnet50", base, **options)
    base = NonLocalResNet(with_ibn_a(resnet(101)), (2, 9), last_stride=1, ceil=True)
    yield case("resnet101_ibn_a_sbs", "resnet101_ibn_a", base, size=(32, 32), **options)

    for depth, stride, size in [
        (18, 2, (64, 32)),
        (34, 1, (64, 32)),
        (50, 1, (64, 32)),
        (101, 2, (48, 32)),
    ]:
        base = ResNetFeatures(with_ibn_a(resnet(depth)), stride)
        name = f"resnet{depth}_ibn_a"
        yield case(name, name, base, size=size, last_stride=stride)

    yield case("se_resnet50", "se_resnet50", senet("resnet", 1), size=(72, 40))
    yield case("se_resnext50", "se_resnext50", senet("resnext", 2), last_stride=2)

    for name in ["osnet_x1_0", "osnet_x0_75", "osnet_x0_5", "osnet_x0_25", "osnet_ibn_x1_0"]:
        head = FcHead(*osnet_fc(name))
        yield case(name, name, OsNetFeatures(name), head, neck="fc", dim=512)
    yield case("osnet_x0_25_bnneck", "osnet_x0_25", OsNetFeatures("osnet_x0_25"))

    yield case("mobilenet_v2", "mobilenet_v2", MobileNetFeatures(2), last_stride=2)
    yield case("mobilenet_v2_stride1", "mobilenet_v2", MobileNetFeatures(1), last_stride=1)
    yield case("repvgg_a0", "repvgg_a0", RepVggA0(2), last_stride=2)
    yield case("repvgg_a0_stride1", "repvgg_a0", RepVggA0(1), last_stride=1)

    base = ResNetFeatures(resnet(18), 1)
    yield case("embedding", "resnet18", base, pooling="gem", dim=24)
    base = ResNetFeatures(resnet(18), 1)
    yield case("embedding_no_neck", "resnet18", base, neck="none", dim=24)
    base = ResNetFeatures(resnet(18), 1)
    yield case("parts", "resnet18", base, parts=4)
    base = ResNetFeatures(resnet(18), 1)
    yield case("parts_gem_dim", "resnet18", base, pooling="gem", parts=2, dim=24)


def main():
    torch.manual_seed(0)
    for name, spec, base, head in cases():
        net = Net(spec, base, head).double().eval()
        state = {
            key: tensor
            for key, tensor in net.state_dict().items()
            if not key.endswith("num_batches_tracked")
        }
        for key, tensor in state.items():
            tensor.copy_(formula(short(key), tuple(tensor.shape)))
        height, width = spec["size"]
        with torch.no_grad():
            outputs = net(formula("image", (1, 3, height, width)))
        fixture = {
            "spec": spec,
            "classes": CLASSES,
            "parameters": {short(key): list(tensor.shape) for key, tensor in state.items()},
            "outputs": {
                key: {
                    "length": tensor.numel(),
                    "first": tensor.flatten()[:FIRST].tolist(),
                    "sum": tensor.sum().item(),
                    "norm": tensor.norm().item(),
                }
                for key, tensor in outputs.items()
            },
        }
        # One parameter a line: a change can be read.
        rows = ",\n".join(
            f"    {json.dumps(key)}: {json.dumps(shape)}"
            for key, shape in fixture["parameters"].items()
        )
        text = json.dumps({**fixture, "parameters": 0}, indent=2)
        text = text.replace('"parameters": 0', '"parameters": {\n' + rows + "\n  }")
        (HERE / "nets" / f"{name}.json").write_text(text + "\n")
        print(name, {key: (value["length"], value["norm"]) for key, value in fixture["outputs"].items()})


if __name__ == "__main__":
    main()
