"""What every room may use: errors, text for people, names, child processes."""
