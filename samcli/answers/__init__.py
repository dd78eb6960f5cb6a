"""What is said of a recording: facts from its digest, put into sentences."""
