"""The flowers with Keras on TensorFlow: the same small net."""

import keras
import mlflow

from steps import work_through

PARAMS = {"hidden": 16, "epochs": 300, "learning_rate": 0.01, "seed": 42}


def fit(X, y):
    """A net, trained on these rows, that answers with probabilities."""
    keras.utils.set_random_seed(PARAMS["seed"])
    net = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(PARAMS["hidden"], activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    net.compile(
        optimizer=keras.optimizers.Adam(PARAMS["learning_rate"]),
        loss="sparse_categorical_crossentropy",
    )
    net.fit(X, y, batch_size=len(X), epochs=PARAMS["epochs"], verbose=0)
    return net


def as_rows(table):
    """A table as a net takes it: numbers of 32 bits, without names."""
    return table.to_numpy("float32")


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()  # no progress bars
    work_through(
        "keras",
        PARAMS,
        fit,
        mlflow.tensorflow.log_model,
        needs=["tensorflow-cpu"],
        as_rows=as_rows,
    )
