"""What a question means: an intent, and the sounds it names."""
