"""Several processes that hear one run's files, each with a model of its own, and what is done about those that die."""
