"""sam for other programs: over HTTP, and as the ears of agents; both hear with one model, in shared batches."""
