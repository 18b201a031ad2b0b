"""What MLflow refuses, or keeps without saying that it will not do: each tried, with its message."""

import textwrap

import mlflow
import numpy as np
import torch
from with_pytorch import as_rows as as_array
from with_pytorch import fit
from xgboost import XGBClassifier

from autograder.workspace import load_flowers

X, _, y, _ = load_flowers()
numbers = y.map(["setosa", "versicolor", "virginica"].index).to_numpy()
rows = as_array(X)
net = fit(rows, numbers)


def tried(what, call):
    """Print what was tried and what came of it."""
    try:
        outcome = f"{call()}"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    print(f"{what}:")
    print(textwrap.fill(outcome, 78, initial_indent="  ", subsequent_indent="  "))


def logged_with(example):
    """The net, logged with this example and loaded as any model is."""
    info = mlflow.pytorch.log_model(net, name="model", input_example=example)
    return mlflow.pyfunc.load_model(info.model_uri)


# PyTorch
tried("no example", lambda: logged_with(None))
tried("a data frame", lambda: logged_with(X.head(3)))
tried("a tensor", lambda: logged_with(torch.from_numpy(rows[:3])))
one_row = logged_with(rows[:1])
tried("one row, asked for one", lambda: one_row.predict(rows[:1]).shape)
tried("one row, asked for three", lambda: one_row.predict(rows[:3]).shape)
three = logged_with(rows[:3])
tried("three rows, asked for 900", lambda: three.predict(rows).shape)
tried("64 bits", lambda: three.predict(rows.astype(np.float64)).shape)

# XGBoost
tried("species as words", lambda: XGBClassifier().fit(X, y))
