"""What is kept of a recording: a bounded value, folded over its windows."""
