"""The strong baseline's training, restated in plain PyTorch, as the fixture of `tests/fidelity.rs`.

Fifty steps of ResNet-18 with last stride 1 and BNNeck on batches of 4 persons x 4 images. Weights,
centres and images come from a formula of name and index which the test knows too, so the fixture
holds only what came out: each step's losses and learning rate, and at a few steps every gradient,
parameter, running statistic and centre as norm, projection and four elements. Everything is
computed in f64, so the fixture is the recipe's own result and not that of one machine's f32.

What is restated, from github.com/michuanhaohao/reid-strong-baseline (MIT), commit
3da7e6f:

- net: modeling/backbones/resnet.py, modeling/baseline.py (no ReLU behind the stem's BatchNorm);
- losses: layers/triplet_loss.py, layers/center_loss.py, layers/__init__.py;
- optimisers: solver/build.py with configs/softmax_triplet_with_center.yml;
- schedule: solver/lr_scheduler.py, shortened: warm-up of 3 epochs, milestones 9 and 14, 3 steps an
  epoch;
- a step: engine/trainer.py, `create_supervised_trainer_with_center`.

Environment: as `nets.py` beside this file says; only torch and numpy are needed. Then

    LD_LIBRARY_PATH=stub env/bin/python path/to/fidelity.py

writes ../fixtures/fidelity.json (40 s). With `--compare` it writes nothing, trains in f64 with
another layout in memory and in f32, and prints how far each strays.
"""

import json
import os
import pathlib
import sys
from bisect import bisect_right

sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

STEPS = 50
SHOWN = [1, 2, 5, 10, 25, 50]
PERSONS, PER_BATCH, IMAGES = 12, 4, 4
HEIGHT, WIDTH = 32, 32
EPOCH = PERSONS // PER_BATCH
RATE, DECAY, MARGIN, SMOOTHING = 3.5e-4, 5e-4, 0.3, 0.1
CENTRE_RATE, CENTRE_WEIGHT = 0.5, 5e-4
WARMUP, WARMUP_FACTOR, MILESTONES, GAMMA = 3, 0.01, [9, 14], 0.1


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


def spread(name, shape, deviation):
    """Uniform around 0 with this standard deviation, rounded to f32."""
    values = (uniform(name, int(np.prod(shape))) - 0.5) * (np.sqrt(12.0) * deviation)
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def start(name, shape):
    """What a parameter or statistic starts from: deviations are those of the official code."""
    if name.endswith(".running_var"):
        return torch.ones(shape)
    if name == "classifier.weight":
        return spread(name, shape, 0.001)
    if len(shape) == 4:
        return spread(name, shape, np.sqrt(2.0 / (shape[0] * shape[2] * shape[3])))
    if name.endswith(".weight"):
        # Around 1, where the official code has just 1.
        return 1.0 + spread(name, shape, 0.1)
    return torch.zeros(shape)


def batch(step):
    """Images f32 and labels of a step, counted from 0: each person is a pattern of 8 x 8 pixels a
    block, each image that and noise."""
    shape = (3, HEIGHT // 8, WIDTH // 8)
    images, labels = [], []
    for place in range(PER_BATCH):
        person = (PER_BATCH * (step % EPOCH) + place) * (1 + 4 * (step // EPOCH % 2)) % PERSONS
        pattern = spread(f"person {person}", shape, 1.0)
        pattern = pattern.repeat_interleave(8, 1).repeat_interleave(8, 2)
        for image in range(IMAGES):
            noise = spread(f"image {step} {place} {image}", (3, HEIGHT, WIDTH), 2.0)
            images.append(pattern + noise)
            labels.append(person)
    return torch.stack(images), torch.tensor(labels)


# --- the network ---------------------------------------------------------------------------------


class BasicBlock(nn.Module):
    def __init__(self, before, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1 or before != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x):
        residual = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + residual)


class Baseline(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = 64
        for i, (channels, stride) in enumerate([(64, 1), (128, 2), (256, 2), (512, 1)]):
            layer = nn.Sequential(
                BasicBlock(before, channels, stride), BasicBlock(channels, channels, 1)
            )
            setattr(self, f"layer{i + 1}", layer)
            before = channels
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.bottleneck = nn.BatchNorm1d(512)
        self.bottleneck.bias.requires_grad_(False)
        self.classifier = nn.Linear(512, classes, bias=False)

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        global_feat = self.gap(x).view(x.shape[0], -1)
        return self.classifier(self.bottleneck(global_feat)), global_feat


# --- the losses ----------------------------------------------------------------------------------


def cross_entropy_label_smooth(scores, labels):
    log_p = F.log_softmax(scores, 1)
    targets = torch.zeros_like(log_p).scatter_(1, labels.unsqueeze(1), 1)
    targets = (1 - SMOOTHING) * targets + SMOOTHING / scores.shape[1]
    return (-targets * log_p).mean(0).sum()


def squared_distances(x, y):
    m, n = x.shape[0], y.shape[0]
    xx = x.pow(2).sum(1, keepdim=True).expand(m, n)
    yy = y.pow(2).sum(1, keepdim=True).expand(n, m).t()
    return torch.addmm(xx + yy, x, y.t(), beta=1, alpha=-2)


def triplet(features, labels):
    n = features.shape[0]
    distances = squared_distances(features, features).clamp(min=1e-12).sqrt()
    positive = labels.expand(n, n).eq(labels.expand(n, n).t())
    farthest = distances[positive].view(n, -1).max(1).values
    nearest = distances[~positive].view(n, -1).min(1).values
    return nn.MarginRankingLoss(margin=MARGIN)(nearest, farthest, torch.ones_like(nearest))


def centre_loss(features, labels, centres):
    distances = squared_distances(features, centres)
    mask = labels.unsqueeze(1).eq(torch.arange(centres.shape[0]).unsqueeze(0))
    masked = distances * mask.to(distances.dtype)
    return masked.clamp(min=1e-12, max=1e12).sum() / features.shape[0]


# --- training ------------------------------------------------------------------------------------


def rate(epoch):
    """`WarmupMultiStepLR.get_lr` for `last_epoch`; it is stepped at the start of every epoch, the
    first of which therefore is 1."""
    factor = 1
    if epoch < WARMUP:
        alpha = epoch / WARMUP
        factor = WARMUP_FACTOR * (1 - alpha) + alpha
    return RATE * factor * GAMMA ** bisect_right(MILESTONES, epoch)


def digest(name, tensor):
    """Norm, projection on signs of the formula, and four elements."""
    x = tensor.detach().double().flatten().contiguous().numpy()
    signs = np.where(uniform(f"sign {name}", x.size) < 0.5, -1.0, 1.0)
    places = (uniform(f"place {name}", 4) * x.size).astype(np.int64)
    numbers = [np.linalg.norm(x), np.dot(signs, x), *x[places]]
    return [float(f"{v:.9g}") for v in numbers]


def train(dtype, channels_last=False):
    torch.set_num_threads(1)
    model = Baseline(PERSONS)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(start(name, tuple(tensor.shape)))
    model = model.to(dtype).train()
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    centres = nn.Parameter(spread("centres", (PERSONS, 512), 1.0).to(dtype))
    groups = [{"params": [p]} for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(groups, lr=RATE, weight_decay=DECAY)
    centre_optimiser = torch.optim.SGD([centres], lr=CENTRE_RATE)
    trace = []
    for step in range(STEPS):
        now = rate(1 + step // EPOCH)
        for group in optimiser.param_groups:
            group["lr"] = now
        images, labels = batch(step)
        images = images.to(dtype)
        if channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        optimiser.zero_grad()
        centre_optimiser.zero_grad()
        scores, features = model(images)
        parts = {
            "id": cross_entropy_label_smooth(scores, labels),
            "triplet": triplet(features, labels),
            "centre": centre_loss(features, labels, centres),
        }
        loss = parts["id"] + parts["triplet"] + CENTRE_WEIGHT * parts["centre"]
        loss.backward()
        optimiser.step()
        centres.grad.data *= 1.0 / CENTRE_WEIGHT
        centre_optimiser.step()
        seen = {
            "step": step + 1,
            "rate": now,
            "loss": loss.item(),
            "parts": {name: part.item() for name, part in parts.items()},
            "accuracy": (scores.max(1)[1] == labels).double().mean().item(),
        }
        if step + 1 in SHOWN:
            seen["gradients"] = {
                name: digest(name, p.grad)
                for name, p in model.named_parameters()
                if p.grad is not None
            }
            seen["state"] = {
                name: digest(name, tensor)
                for name, tensor in model.state_dict().items()
                if tensor.is_floating_point()
            }
            seen["state"]["centres"] = digest("centres", centres)
        trace.append(seen)
    return trace


def strays(wanted, found):
    """Prints the largest differences, as tests/fidelity.rs takes them."""
    for one, two in zip(wanted, found):
        line = [f"{one['step']:3} loss {one['loss']:.5f} acc {one['accuracy']:.2f}"]
        for name, value in one["parts"].items():
            line.append(f"{name} {value:.5f} ({abs(two['parts'][name] / value - 1):.1e})" if value else f"{name} 0")
        print(*line)
        for kind in ("gradients", "state"):
            worst = {}
            for name, (norm, *others) in one.get(kind, {}).items():
                other = two[kind][name]
                worst[name] = (
                    max(abs(other[i] - v) for i, v in enumerate([norm, *others])) / max(norm, 1e-30)
                )
            if worst:
                top = sorted(worst, key=worst.get, reverse=True)[:3]
                print(f"    {kind}:", *(f"{name} {worst[name]:.1e}" for name in top))


if __name__ == "__main__":
    exact = train(torch.float64)
    if sys.argv[1:] == ["--compare"]:
        print("f64, another layout in memory:")
        strays(exact, train(torch.float64, channels_last=True))
        print("f32:")
        strays(exact, train(torch.float32))
    else:
        path = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "fidelity.json"
        lines = ",\n".join(json.dumps(step) for step in exact)
        path.write_text(f"[\n{lines}\n]\n")
