"""Records what torch.optim's optimisers do, for tests/trainer/test_optim_golden.c.

    python3 make_optimizers.py > optimizers.txt              PyTorch 2.13.0, float64

The problem is small and can be stepped in any language: 8 parameters w[i] start at 1 - i/4, and before step s = 1..50

    gradient[i] = (((7*i + 3*s) mod 11) - 5) / 8 + w[i] / 4          for i < 6
    gradient[6] = 0                                                   a parameter that no token touches
    gradient[7] = s is divisible by 3 ? 1/2 : 0                       one that is touched now and then

All constants are exact in float, so a program in single precision differs by its own rounding only.  Each line
`case NAME KIND` is followed by the settings, in the order of SETTINGS, and by the parameters after 1, 2, 10, 50 steps.
"""
import torch

SETTINGS = ("lr momentum dampening nesterov beta1 beta2 eps amsgrad alpha centered lr_decay initial_accumulator "
            "weight_decay").split()
KINDS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW,
         "rmsprop": torch.optim.RMSprop, "adagrad": torch.optim.Adagrad}
CASES = [
    ("sgd", "sgd", dict(lr=0.1)),
    ("sgd_decay", "sgd", dict(lr=0.1, weight_decay=0.25)),
    ("sgd_momentum", "sgd", dict(lr=0.05, momentum=0.9)),
    ("sgd_dampening", "sgd", dict(lr=0.05, momentum=0.9, dampening=0.25)),
    ("sgd_nesterov", "sgd", dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01)),
    ("adam", "adam", dict(lr=0.01)),
    ("adam_betas", "adam", dict(lr=0.02, betas=(0.5, 0.95), eps=0.01)),
    ("adam_decay", "adam", dict(lr=0.01, weight_decay=0.1)),
    ("adam_amsgrad", "adam", dict(lr=0.01, amsgrad=True)),
    ("adam_amsgrad_decay", "adam", dict(lr=0.01, betas=(0.9, 0.9), amsgrad=True, weight_decay=0.1)),
    ("adamw", "adamw", dict(lr=0.01, weight_decay=0.01)),
    ("adamw_amsgrad", "adamw", dict(lr=0.02, weight_decay=0.5, amsgrad=True)),
    ("rmsprop", "rmsprop", dict(lr=0.01)),
    ("rmsprop_alpha", "rmsprop", dict(lr=0.01, alpha=0.5, eps=0.01, weight_decay=0.1)),
    ("rmsprop_centered", "rmsprop", dict(lr=0.01, centered=True, eps=0.001)),
    ("rmsprop_momentum", "rmsprop", dict(lr=0.001, momentum=0.9)),
    ("rmsprop_all", "rmsprop", dict(lr=0.001, momentum=0.8, centered=True, eps=0.001, weight_decay=0.1)),
    ("adagrad", "adagrad", dict(lr=0.1)),
    ("adagrad_lr_decay", "adagrad", dict(lr=0.1, lr_decay=0.125)),
    ("adagrad_start", "adagrad", dict(lr=0.1, initial_accumulator_value=0.5, weight_decay=0.1, eps=0.001)),
]


def gradient(w, step):
    g = torch.tensor([((7 * i + 3 * step) % 11 - 5) / 8 for i in range(8)], dtype=torch.float64) + w.detach() / 4
    g[6] = 0.0
    g[7] = 0.5 if step % 3 == 0 else 0.0
    return g


def record(name, kind, given):
    w = torch.nn.Parameter(torch.tensor([1 - i / 4 for i in range(8)], dtype=torch.float64))
    optimizer = KINDS[kind]([w], **given)
    used = dict(optimizer.param_groups[0])
    used["beta1"], used["beta2"] = used.get("betas", (0, 0))
    used["initial_accumulator"] = used.get("initial_accumulator_value", 0)
    print("case", name, kind, *[f"{float(used.get(key) or 0):.17g}" for key in SETTINGS])
    for step in range(1, 51):
        w.grad = gradient(w, step)
        optimizer.step()
        if step in (1, 2, 10, 50):
            print(step, *[f"{x:.17g}" for x in w.tolist()])


print(f"# Made by make_optimizers.py, PyTorch {torch.__version__}, float64")
print("# case name kind", *SETTINGS)
for case in CASES:
    record(*case)
