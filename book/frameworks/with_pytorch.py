"""The flowers with PyTorch: a small net, and its training written out."""

import mlflow
import torch
from torch import nn

from steps import work_through

PARAMS = {"hidden": 16, "epochs": 300, "learning_rate": 0.01, "seed": 42}


def fit(X, y):
    """A net, trained on these rows, that answers with probabilities."""
    torch.manual_seed(PARAMS["seed"])
    hidden = PARAMS["hidden"]
    net = nn.Sequential(
        nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 3)
    )
    optimizer = torch.optim.Adam(
        net.parameters(), PARAMS["learning_rate"]
    )
    loss = nn.CrossEntropyLoss()
    rows, species = torch.from_numpy(X), torch.from_numpy(y)
    for _ in range(PARAMS["epochs"]):
        optimizer.zero_grad()
        loss(net(rows), species).backward()
        optimizer.step()
    return nn.Sequential(net, nn.Softmax(dim=1)).eval()


def as_rows(table):
    """A table as a net takes it: numbers of 32 bits, without names."""
    return table.to_numpy("float32")


if __name__ == "__main__":
    work_through(
        "pytorch",
        PARAMS,
        fit,
        mlflow.pytorch.log_model,
        needs=["torch"],
        as_rows=as_rows,
    )
