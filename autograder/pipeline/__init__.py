"""From a job to a kept execution to a report. Knows no nbgrader."""
