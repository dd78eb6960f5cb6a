"""From what a person typed to sound: find the files, open them, decode ahead of the model."""
