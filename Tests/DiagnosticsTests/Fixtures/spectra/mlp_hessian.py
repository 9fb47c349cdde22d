"""Eigenvalues of the dense Hessian of a small network, for ClosedFormTests.swift.

84 parameters: logits = W2 gelu(W1 x + b1), W1 [7, 5], b1 [7], W2 [6, 7]; mean cross-entropy over
12 inputs. Weights and inputs are sines, so that the test makes them itself. Double backward in
float64. Made with torch 2.15 and numpy 2.4.6: `python mlp_hessian.py`.
"""

import numpy as np
import torch

N, D, H, C = 12, 5, 7, 6
P = H * D + H + C * H
theta = torch.tensor(np.sin(0.1 * np.arange(P) ** 2 + 0.3))
x = torch.tensor(np.sin(0.13 * np.arange(N * D) ** 2 + 0.1)).reshape(N, D) * 1.5
y = torch.tensor([(5 * i + 2) % C for i in range(N)])


def loss(t):
    w1 = t[: H * D].reshape(H, D)
    b1 = t[H * D : H * D + H]
    w2 = t[H * D + H :].reshape(C, H)
    h = torch.nn.functional.gelu(x @ w1.T + b1)
    return torch.nn.functional.cross_entropy(h @ w2.T, y)


hessian = torch.autograd.functional.hessian(loss, theta)
values = np.linalg.eigvalsh(hessian.numpy())
print("loss", repr(float(loss(theta))))
print("trace", repr(float(torch.trace(hessian))))
print("min, max", repr(float(values[0])), repr(float(values[-1])))
print("largest by magnitude")
for value in values[np.argsort(-abs(values))][:8]:
    print(repr(float(value)))
print("below -1e-3 max", int((values < -1e-3 * abs(values).max()).sum()))
