"""The box: where a submission runs and where what it left is opened. Linux only."""
